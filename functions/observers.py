"""Workers that look at a buffer without taking events from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers import IsAlive

from ._canvas import open_canvas
from ._settings import number, wrong

if TYPE_CHECKING:
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO

    from ._canvas import Canvas

_LONGEST_IDLE_S = 0.2


def oscilloscope(io: BufferIO) -> None:
    """Show the latest waveform, as an oscilloscope does.

    With a display it opens a window; a click on a line of the legend hides or shows that channel. Without
    one it writes ``<worker>.png`` into the run directory, and replaces it at each update.

    =========  ======================
    observes   1: waveforms
    =========  ======================

    Config
    ------
    update_interval : number, default 1
        Time between updates, in s.
    channels : list, default all
        Fields to show.
    ylim : [low, high], optional
        Limits of the y axis; without them the axis follows the data.
    t_scaling : [scale, offset, label], default [1, 0, Samples]
        The time axis shows sample number * scale + offset.
    y_scaling : [scale, offset, label], default [1, 0, Value]
        The y axis shows value * scale + offset.
    trigger_level : number, optional
        Drawn as a dotted line, in units of the y axis.
    colors : map, optional
        Channel -> colour, in any way that matplotlib understands.

    Example
    -------
    ::

        scope: {function: observers.oscilloscope, observes: [raw],
                config: {t_scaling: [0.004, 0, time / us], ylim: [-1, 0.1]}}
    """
    is_alive = IsAlive(io)
    interval_s = number(io, "update_interval", 1, above=0)
    screen = _Screen(io, open_canvas(io, f"Oscilloscope: {io.name}"))
    shown: int | None = None
    alive = True
    while alive:
        alive = is_alive()  # before looking: the last event comes before the end
        event = io.observe[0].latest()
        if event is not None:
            metadata, data = event
            counter = int(metadata["counter"][0])
            if counter != shown:
                screen.show(counter, data)
                shown = counter
                io.events += 1

        left_s = interval_s
        while left_s > 0 and is_alive():
            screen.canvas.idle(min(left_s, _LONGEST_IDLE_S))
            left_s -= _LONGEST_IDLE_S


class _Screen:
    """The figure with its axes, a line for each channel."""

    def __init__(self, io: BufferIO, canvas: Canvas) -> None:
        example = io.data_observe_examples[0]
        self.canvas = canvas
        self._channels = _channels(io, example)
        t_scale, t_offset, t_label = _scaling(io, "t_scaling", "Samples")
        self._y_scale, self._y_offset, y_label = _scaling(io, "y_scaling", "Value")
        self._ylim = _limits(io, "ylim")
        t = np.arange(example.size) * t_scale + t_offset
        self._axes = canvas.figure.add_subplot()
        colors = io.config.get("colors") or {}
        if not isinstance(colors, dict):
            raise wrong(io, "colors", "a map of channels to colours")
        self._lines = {
            channel: self._axes.plot(t, np.zeros(example.size), label=channel, color=colors.get(channel))[0]
            for channel in self._channels
        }
        if io.config.get("trigger_level") is not None:
            self._axes.axhline(number(io, "trigger_level"), linestyle="dotted", color="gray")
        if example.size > 1:
            self._axes.set_xlim(t[0], t[-1])
        if self._ylim is not None:
            self._axes.set_ylim(*self._ylim)
        self._axes.set_xlabel(t_label)
        self._axes.set_ylabel(y_label)
        self._axes.grid(alpha=0.3)
        self._make_legend()

    def show(self, counter: int, data: NDArray[Any]) -> None:
        """Show an event."""
        for channel, line in self._lines.items():
            line.set_ydata(data[channel] * self._y_scale + self._y_offset)
        if self._ylim is None:
            self._axes.relim()
            self._axes.autoscale_view(scalex=False)
        self._axes.set_title(f"event {counter}")
        self.canvas.show()

    def _make_legend(self) -> None:
        legend = self._axes.legend(loc="upper right")
        line_of: dict[Any, Line2D] = {}
        for entries in (legend.get_lines(), legend.get_texts()):
            for entry, line in zip(entries, self._lines.values(), strict=True):
                entry.set_picker(5)
                line_of[entry] = line

        def toggle(event: Any) -> None:
            line = line_of.get(event.artist)
            if line is None:
                return
            line.set_visible(not line.get_visible())
            for entry, its_line in line_of.items():
                if its_line is line:
                    entry.set_alpha(1.0 if line.get_visible() else 0.2)
            self.canvas.show()

        self.canvas.figure.canvas.mpl_connect("pick_event", toggle)


def _channels(io: BufferIO, example: NDArray[Any]) -> list[str]:
    names = list(example.dtype.names or ())
    channels = io.config.get("channels") or names
    if not isinstance(channels, list) or any(channel not in names for channel in channels):
        raise wrong(io, "channels", f"a list of fields of {io.buffer_names_observe[0]}: {', '.join(names)}")
    return channels


def _scaling(io: BufferIO, key: str, label: str) -> tuple[float, float, str]:
    value = io.config.get(key) or [1, 0, label]
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise wrong(io, key, "[scale, offset, label]")
    scale, offset, text = value
    if not isinstance(scale, (int, float)) or not isinstance(offset, (int, float)):
        raise wrong(io, key, "[scale, offset, label], the first two being numbers")
    return float(scale), float(offset), str(text)


def _limits(io: BufferIO, key: str) -> tuple[float, float] | None:
    value = io.config.get(key)
    if value is None:
        return None
    numbers = isinstance(value, (list, tuple)) and all(isinstance(limit, (int, float)) for limit in value)
    if not numbers or len(value) != 2:
        raise wrong(io, key, "[low, high]")
    return float(value[0]), float(value[1])
