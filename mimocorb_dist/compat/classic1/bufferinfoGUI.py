"""The window of mimoCoRB 1 that shows the buffers and has the buttons Pause, Resume, Stop and End.

As a program, ``python -m``, it is fed by lines instead of queues: see `main`.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mimocorb_dist.compat.classic1.pictures import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_POINTS = 180  # of the history
_LOWEST_RATE = 0.01
_POLL_MS = 100
_MOST_LINES = 1000
_BACKGROUND, _FOREGROUND, _GREY = "black", "darkorange", "grey"
_BUTTONS = (
    ("Pause", "P", "deepskyblue"),
    ("Resume", "R", "deepskyblue"),
    ("Stop", "S", "violet"),
    ("EndRun", "E", "tomato"),
)


class _Queue(Protocol):
    """What is needed of a `multiprocessing.Queue`."""

    def get_nowait(self) -> Any: ...

    def put(self, item: Any) -> None: ...


def bufferinfoGUI(
    Qcmd: _Queue,
    Qlog: _Queue,
    Qinfo: _Queue,
    RBnames: Sequence[str] = ("RB_1",),
    maxRate: float = 4500.0,
    interval: float = 1000.0,
) -> None:
    """Show the window until it is closed, or the process that started this one has gone.

    Who closes it does not end the run. Without a display this says so, and returns.

    Parameters
    ----------
    Qcmd
        Where the commands go: ``P``, ``R``, ``S`` or ``E``.
    Qlog
        From where messages come, texts.
    Qinfo
        From where the state comes: tuples (state, active time in s, events, dead time, buffers, whether all
        workers are well); buffers is a mapping of names to [events, filled slots, rate in Hz] and maybe the
        number of slots.
    RBnames
        Names of the buffers.
    maxRate
        Upper end of the axis of rates, in Hz.
    interval
        Time between two states, in ms.
    """
    try:
        import tkinter as tk
    except ImportError as error:  # some systems have it in a package of its own
        _do_without(error)
        return
    try:
        root = tk.Tk()
    except tk.TclError as error:
        _do_without(error)
        return
    window = _Window(root, Qcmd.put, RBnames, maxRate, interval / 1000.0)
    window.poll(Qlog, Qinfo)
    root.mainloop()


def _do_without(error: Exception) -> None:
    print(  # noqa: T201 (it has the terminal of the script)
        f"no control window ({error}); the run goes on without it, and is controlled by the keyboard",
        file=sys.stderr,
    )


class _Window:
    """The window: state and rates on top, messages below, buttons at the bottom."""

    def __init__(
        self,
        root: Any,
        command: Callable[[str], None],
        names: Sequence[str],
        highest_rate: float,
        interval_s: float,
    ) -> None:
        import matplotlib.style
        from matplotlib.backends.backend_tkagg import FigureCanvasTkAgg
        from matplotlib.figure import Figure

        self._root = root
        self._parent = os.getppid()
        self._started_s = time.time()
        root.title("Buffer Information")
        root.geometry("1024x640+0+0")
        root.configure(bg=_BACKGROUND)
        self._make_buttons(command)
        self._log = self._make_log()
        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(10, 4), layout="constrained")
            self._display = _Display(figure, names, highest_rate, interval_s)
        self._canvas: Any = FigureCanvasTkAgg(figure, master=root)  # type: ignore[no-untyped-call]
        widget: Any = self._canvas.get_tk_widget()  # type: ignore[no-untyped-call]
        widget.pack(side="top", fill="both", expand=True)
        self._tick()

    def poll(self, messages: _Queue, states: _Queue) -> None:
        """Take what has come, now and again and again."""
        for text in _all_of(messages):
            self._log.configure(state="normal")
            self._log.insert("end", f"{str(text).rstrip()}\n")
            self._log.delete("1.0", f"end-{_MOST_LINES}l")
            self._log.configure(state="disabled")
            self._log.see("end")
        news = _all_of(states)
        if None in news or os.getppid() != self._parent:
            self._root.destroy()
            return
        for state in news:
            self._display.note(state)
        if news:
            self._canvas.draw_idle()
        self._root.after(_POLL_MS, self.poll, messages, states)

    def _make_buttons(self, command: Callable[[str], None]) -> None:
        import tkinter as tk

        frame = tk.Frame(self._root, bg=_BACKGROUND)
        frame.pack(side="bottom", fill="x", padx=10, pady=6)
        self._clock = tk.Label(frame, bg=_BACKGROUND, fg="lightgrey")
        for name, letter, colour in _BUTTONS:
            button = tk.Button(
                frame, text=name, width=8, fg=colour, bg="#202020", activebackground="#404040",
                activeforeground=colour, highlightthickness=0, command=functools.partial(command, letter),
            )  # fmt: skip
            if letter == "E":  # apart from the others, so that nobody takes it by mistake
                button.pack(side="right", padx=5)
            else:
                button.pack(side="left", padx=5)
        self._clock.pack(side="top", pady=4)

    def _make_log(self) -> Any:
        import tkinter as tk

        frame = tk.Frame(self._root, bg=_BACKGROUND)
        frame.pack(side="bottom", fill="x", padx=10)
        log = tk.Text(
            frame, height=9, wrap="word", bg=_BACKGROUND, fg=_FOREGROUND, font="TkFixedFont",
            highlightthickness=1, highlightbackground="#404040", relief="flat", state="disabled",
        )  # fmt: skip
        scrollbar = tk.Scrollbar(frame, command=log.yview, bg="#202020", troughcolor=_BACKGROUND)
        log.configure(yscrollcommand=scrollbar.set)
        scrollbar.pack(side="right", fill="y")
        log.pack(side="left", fill="both", expand=True)
        return log

    def _tick(self) -> None:
        started = time.strftime("%y/%m/%d %H:%M", time.localtime(self._started_s))
        self._clock.config(text=f"started {started}   T = {time.time() - self._started_s:.0f} s")
        self._root.after(1000, self._tick)


def _all_of(source: _Queue) -> list[Any]:
    items = []
    while True:
        try:
            items.append(source.get_nowait())
        except (queue.Empty, EOFError, OSError):  # nothing more, or the other end has gone
            return items


class _Display:
    """The figure in the window: state, history of rates, and fill levels."""

    def __init__(self, figure: Any, names: Sequence[str], highest_rate: float, interval_s: float) -> None:
        self._names = list(names)
        self._rates = {name: deque([np.nan] * _POINTS, _POINTS) for name in names}
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(1, 5))
        text = figure.add_subplot(grid[0, :])
        text.set_axis_off()
        self._state = text.text(0.0, 0.75, "waiting for the run", size="large", color="orange", va="center")
        self._now = text.text(0.0, 0.15, "", size="medium", color="lightgrey", va="center")
        self._make_rates(figure.add_subplot(grid[1, 0]), highest_rate, interval_s)
        self._make_fills(figure.add_subplot(grid[1, 1]))

    def note(self, state: tuple[Any, ...]) -> None:
        """Show a state of the run."""
        status, active_s, events, dead_time, buffers, all_well = state
        self._state.set_text(
            f"{status}     active {active_s:.1f} s     {events} events     dead time {100 * dead_time:.1f} %"
        )
        self._now.set_text("all workers are well" if all_well else "a worker has ended")
        self._now.set_color("lightgrey" if all_well else "tomato")
        for name in self._names:
            figures = buffers.get(name)
            rate = float(figures[2]) if figures else np.nan
            self._rates[name].append(rate if rate > 0 else np.nan)
            self._lines[name].set_ydata(self._rates[name])
            self._lines[name].set_label(f"{name}  {rate:.4g} Hz" if rate == rate else name)
            if rate > self._axes.get_ylim()[1]:
                self._axes.set_ylim(_LOWEST_RATE, 3 * rate)
        self._axes.legend(loc="lower left", fontsize="small", facecolor=_BACKGROUND, labelcolor="white")
        self._show_fills(buffers)

    def _make_rates(self, axes: Any, highest_rate: float, interval_s: float) -> None:
        times = np.arange(1 - _POINTS, 1) * interval_s
        self._axes = axes
        axes.set_yscale("log")
        axes.set_ylim(_LOWEST_RATE, highest_rate)
        axes.set_xlim(times[0], 0)
        axes.set_xlabel("rate history (s)")
        axes.set_ylabel("rate (Hz)")
        axes.grid(alpha=0.4)
        self._lines = {
            name: axes.plot(times, self._rates[name], marker=".", markersize=3, alpha=0.8, label=name)[0]
            for name in self._names
        }
        axes.legend(loc="lower left", fontsize="small", facecolor=_BACKGROUND, labelcolor="white")

    def _make_fills(self, axes: Any) -> None:
        axes.set_yticks(range(len(self._names)), self._names)
        axes.invert_yaxis()
        axes.set_ylim(len(self._names) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.grid(axis="x", alpha=0.4)
        colors = [line.get_color() for line in self._lines.values()]
        self._fills = axes
        self._bars = axes.barh(range(len(self._names)), [0] * len(self._names), height=0.6, color=colors)
        self._numbers = [
            axes.text(0.97, row, "", transform=axes.get_yaxis_transform(), va="center", ha="right")
            for row in range(len(self._names))
        ]
        self._most = 10.0

    def _show_fills(self, buffers: Mapping[str, Sequence[Any]]) -> None:
        in_percent = all(len(figures) > 3 for figures in buffers.values())
        for name, bar, number in zip(self._names, self._bars, self._numbers, strict=True):
            figures = buffers.get(name) or (0, 0, 0.0, 1)
            filled = figures[1]
            bar.set_width(100 * filled / figures[3] if in_percent else filled)
            number.set_text(f"{filled} of {figures[3]}" if in_percent else f"{filled}")
            self._most = max(self._most, filled)
        self._fills.set_xlabel("slots in use (%)" if in_percent else "slots in use")
        self._fills.set_xlim(0, 100 if in_percent else 1.05 * self._most)


def main(names: Sequence[str]) -> None:
    """Show the window of a run that writes lines to the standard input, as long as it does.

    Lines are JSON: ``{"log": text}``, or ``{"info": [...]}`` with what `bufferinfoGUI` takes. Commands are
    written to the standard output, a letter a line.

    Parameters
    ----------
    names
        Names of the buffers.
    """
    messages: queue.Queue[str] = queue.Queue(_MOST_LINES)
    states: queue.Queue[Any] = queue.Queue(_MOST_LINES)

    def read() -> None:
        for line in sys.stdin:
            item = json.loads(line)
            if "log" in item:
                messages.put(item["log"])
            else:
                states.put(item["info"])
        states.put(None)

    threading.Thread(target=read, name="input", daemon=True).start()
    bufferinfoGUI(_Output(), messages, states, names)


class _Output:
    """Takes commands as a queue does, and writes them to the standard output."""

    def put(self, item: str) -> None:
        print(item, flush=True)  # noqa: T201 (whoever started this program reads it)

    def get_nowait(self) -> str:
        raise queue.Empty


if __name__ == "__main__":
    main(sys.argv[1:])
