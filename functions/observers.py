"""Workers that look at a buffer without taking events from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers import IsAlive

from ._canvas import open_canvas
from ._keys import FieldMap, Fields, Interval, Number, Scaling
from ._settings import Config

if TYPE_CHECKING:
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO
    from mimocorb_dist.workers.canvas import Canvas

    from ._settings import Settings, Surroundings

_LONGEST_IDLE_S = 0.2
_SHORTEST_UPDATE_S = 0.05


def _all_fields(around: Surroundings) -> list[str] | None:
    observed = around.first("observes")
    return list(observed.data_dtype.names or ()) if observed else None


OSCILLOSCOPE = Config(
    {
        "update_interval": Number("Time between updates, in s.", 1, minimum=0),
        "channels": Fields("Fields to show.", _all_fields, "all", end="observes"),
        "ylim": Interval(
            "Limits of the y axis; without them the axis follows the data.", None, ordered=False
        ),
        "t_scaling": Scaling(
            "The time axis shows sample number * scale + offset.", [1, 0, "Samples"], "[1, 0, Samples]"
        ),
        "y_scaling": Scaling("The y axis shows value * scale + offset.", [1, 0, "Value"], "[1, 0, Value]"),
        "trigger_level": Number("Drawn as a dotted line, in units of the y axis.", None),
        "colors": FieldMap(
            "Channel -> colour, in any way that matplotlib understands.",
            None,
            end="observes",
            to="colours",
            strict=False,
        ),
    }
)


@OSCILLOSCOPE
def oscilloscope(io: BufferIO) -> None:
    """Show the latest waveform, as an oscilloscope does.

    With a display it opens a window; a click on a line of the legend hides or shows that channel. Without
    one it writes ``<worker>.png`` into the run directory, and replaces it at each update.

    =========  ======================
    observes   1: waveforms
    =========  ======================

    Example
    -------
    ::

        scope: {function: observers.oscilloscope, observes: [raw],
                config: {t_scaling: [0.004, 0, time / us], ylim: [-1, 0.1]}}
    """
    is_alive = IsAlive(io)
    settings = OSCILLOSCOPE.read(io)
    interval_s = max(settings["update_interval"], _SHORTEST_UPDATE_S)
    samples = io.data_observe_examples[0].size
    screen = _Screen(settings, samples, open_canvas(io, f"Oscilloscope: {io.name}"))
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

    def __init__(self, settings: Settings, samples: int, canvas: Canvas) -> None:
        self.canvas = canvas
        t_scale, t_offset, t_label = settings["t_scaling"]
        self._y_scale, self._y_offset, y_label = settings["y_scaling"]
        self._ylim = settings["ylim"]
        t = np.arange(samples) * t_scale + t_offset
        self._axes = canvas.figure.add_subplot()
        colors = settings["colors"] or {}
        self._lines = {
            channel: self._axes.plot(t, np.zeros(samples), label=channel, color=colors.get(channel))[0]
            for channel in settings["channels"]
        }
        if settings["trigger_level"] is not None:
            self._axes.axhline(settings["trigger_level"], linestyle="dotted", color="gray")
        if samples > 1:
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
