"""Waveforms of a buffer, as an oscilloscope shows them: `plot_buffer` of mimoCoRB 1."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers.canvas import open_canvas

from .pictures import STYLE, do_without_display, picture_path
from .templates import rbObserver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mimocorb_dist.workers.canvas import Canvas

do_without_display()

_SIZE_INCHES = (6.0, 4.5)
_MOST_POINTS = 250  # of a line: more are not seen
_IDLE_S = 0.1


class plot_buffer:
    """Show the latest waveform of an observed buffer, and how often events come.

    With a display it opens a window; who closes it does not end the run. Without one it writes a picture
    into the output directory, and replaces it at each update.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict, **rb_info
        What the function gets. Config: ``sample_time_ns``, and with their defaults ``min_sleeptime`` (1; s
        between two updates), ``title`` (""), ``channel_range`` (500; mV), ``analogue_offset`` (0; V),
        ``pre_trigger_samples`` (0), ``trigger_level`` (none; mV, offset included), ``trigger_channel`` and
        ``trigger_direction`` (shown with the level).
    """

    def __init__(
        self,
        source_list: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002 (an observer has none)
        sink_list: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002
        observe_list: Sequence[Mapping[str, Any]] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        **rb_info: str,
    ) -> None:
        config = config_dict or {}
        self.min_sleeptime = float(config.get("min_sleeptime", 1.0))
        self.data_reader = rbObserver(observe_list=observe_list, config_dict=config, **rb_info)
        self.source_dict = (observe_list or [{}])[0]
        observed = [name for name, use in rb_info.items() if use == "observe"]
        self.osciplot = animWaveformPlotter(
            config, source_dict=self.source_dict, path=picture_path(config, "plot_buffer", observed[0])
        )

    def __call__(self) -> None:
        """Show waveforms until the buffer's stream ends.

        Raises
        ------
        SystemExit
            At the end, as always.
        """
        source, canvas = self.data_reader.source, self.osciplot.canvas
        shown = None
        alive = True
        while alive:
            alive = source._active.is_set()  # before looking: the last event comes before the end
            event = source.latest()
            if event is not None and event[1].tobytes() != shown:
                self.osciplot(*event)
                shown = event[1].tobytes()
            end_s = time.monotonic() + self.min_sleeptime
            while source._active.is_set() and (left_s := end_s - time.monotonic()) > 0:
                canvas.idle(min(left_s, _IDLE_S))
        raise SystemExit


class animWaveformPlotter:
    """The screen of the oscilloscope.

    Parameters
    ----------
    conf_dict
        See `plot_buffer`.
    dtypes
        Not needed: the fields are those of `source_dict`.
    source_dict
        The observed buffer: ``dtype`` and ``values_per_slot``.
    fig
        A matplotlib figure to draw on; None opens a window, or writes to `path`.
    path
        Picture file, where there is no display.
    """

    def __init__(
        self,
        conf_dict: Mapping[str, Any],
        dtypes: Any = None,  # noqa: ARG002
        source_dict: Mapping[str, Any] | None = None,
        fig: Any = None,
        path: Any = None,
    ) -> None:
        import matplotlib.style

        source = source_dict or {}
        dtype = np.dtype(source["dtype"])
        self._fields: list[str | None] = list(dtype.names) if dtype.names else [None]
        samples = int(source["values_per_slot"])
        sample_ns = conf_dict["sample_time_ns"]
        before_ns = conf_dict.get("pre_trigger_samples", 0) * sample_ns
        self.analogue_offset = 1000.0 * conf_dict.get("analogue_offset", 0.0)
        span = conf_dict.get("channel_range", 500)
        title = str(conf_dict.get("title", ""))
        self._step = samples // _MOST_POINTS + 1
        times = (np.arange(samples) * sample_ns - before_ns)[:: self._step]
        with matplotlib.style.context(STYLE):
            if fig is None:
                path = picture_path(conf_dict, "plot_buffer", "") if path is None else path
                name = title or f"Waveforms of {path.stem.rpartition('plot_buffer_')[2]}"
                self.canvas: Canvas = open_canvas(path, name, logging.getLogger(), size_inches=_SIZE_INCHES)
                fig = self.canvas.figure
            else:
                self.canvas = _Drawn(fig)
            axes = fig.add_subplot()
            axes.set_title(title, fontsize="medium")
            axes.set_xlim(-before_ns, samples * sample_ns - before_ns)
            axes.set_ylim(-span - self.analogue_offset, span - self.analogue_offset)
            axes.set_xlabel("Time (ns)")
            axes.set_ylabel("Signal (mV)")
            axes.grid(color="grey", linestyle="--", linewidth=0.5)
            if before_ns > 0:
                axes.axvline(0.0, linestyle=":", color="skyblue")
            self._lines = [
                axes.plot(times, np.zeros(len(times)), lw=1.5, alpha=0.7, label=field or "value")[0]
                for field in self._fields
            ]
            self._draw_trigger(axes, conf_dict)
            self._text = axes.text(0.4, 0.94, "", transform=axes.transAxes, size="small", color="goldenrod")
            axes.legend(loc="upper right")
        self._last = (0, time.time())
        self.canvas.show()

    def __call__(self, data: NDArray[Any], mdata: NDArray[Any] | None = None) -> None:
        """Show an event: data (values_per_slot,), metadata (1,)."""
        some = data[:: self._step]
        for field, line in zip(self._fields, self._lines, strict=True):
            line.set_ydata((some if field is None else some[field]) - self.analogue_offset)
        if mdata is not None:
            number, timestamp = int(mdata[0][0]), float(mdata[0][1])
            elapsed_s = timestamp - self._last[1]
            rate = f"{(number - self._last[0]) / elapsed_s:.3g} Hz" if elapsed_s > 0 else ""
            self._last = (number, timestamp)
            self._text.set_text(f"# {number}   {rate}")
        self.canvas.show()

    def _draw_trigger(self, axes: Any, config: Mapping[str, Any]) -> None:
        if config.get("trigger_level") is None:
            return
        level = config["trigger_level"] - self.analogue_offset
        axes.axhline(level, linestyle="--", color="red", lw=1)
        words = [
            "Trg",
            config.get("trigger_channel", ""),
            f"{level:g} mV",
            config.get("trigger_direction", ""),
        ]
        text = " ".join(str(word) for word in words if word != "")
        axes.text(0.03, 0.94, text, transform=axes.transAxes, size="small", color="red")


class _Drawn:
    """A figure that a script looks after itself."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def show(self) -> None:
        """Draw it."""
        self.figure.canvas.draw_idle()

    def idle(self, time_s: float) -> None:
        """Wait."""
        time.sleep(time_s)
