"""The control window of a run: a program of its own, so that nothing that happens to it can hold up the run.

It is fed by lines on its standard input, and commands come back on its standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROGRAM = "mimocorb_dist.compat.classic1.bufferinfoGUI"
WITHOUT_DISPLAY = (
    "there is no display for the control window: the state is shown here, and commands are typed here"
)
"""What is said where none can be opened."""
_COMMANDS = {"P": "pause", "R": "resume", "S": "stop", "E": "stop"}
_MOST_UNREAD = 65536
_LAST_LOOK_S = 3.0


def has_display() -> bool:
    """Tell whether the environment names a display."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin")


class ControlWindow:
    """The window; it appears with the first state of the run, and goes with `close`, or when its user wants.

    Parameters
    ----------
    command
        Carries out a command: ``pause``, ``resume`` or ``stop``; called from a thread of the window.
    """

    def __init__(self, command: Callable[[str], None]) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unsent = b""
        self._closed = False
        self._state = ""
        self._active_s = 0.0
        self._noted_s: float | None = None

    def note(self, overview: Mapping[str, Any]) -> None:
        """Show the state of the run."""
        if self._process is None:
            self._start(list(overview["buffers"]))
        now_s, state = time.monotonic(), overview["run"]["state"]
        if self._noted_s is not None and self._state in ("running", "draining"):
            self._active_s += now_s - self._noted_s
        self._noted_s = now_s
        self._state = state
        self._send(info=_figures(overview, self._active_s))

    def say(self, text: str) -> None:
        """Show a message."""
        self._send(log="\n".join(f"{time.asctime()} {line}" for line in text.splitlines()))

    def close(self) -> None:
        """Let the window go. Idempotent."""
        with self._lock:
            self._closed = True
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None  # as ordered
        process.stdin.close()
        try:
            process.wait(_LAST_LOOK_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reading.join()
        process.stdout.close()

    def _start(self, names: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None  # as ordered
        os.set_blocking(self._process.stdin.fileno(), False)
        self._reading = threading.Thread(
            target=self._read, args=(self._process.stdout,), name="window", daemon=True
        )
        self._reading.start()

    def _read(self, output: Any) -> None:
        for line in output:
            name = _COMMANDS.get(line.decode(errors="replace").strip())
            if name is not None:
                self._command(name)

    def _send(self, **line: Any) -> None:
        """Send a line, or a part of it: the rest goes with the next one. A window that has gone gets none."""
        with self._lock:
            if self._closed:
                return
            if len(self._unsent) < _MOST_UNREAD:  # else nobody looks
                self._unsent += json.dumps(line).encode() + b"\n"
            process = self._process
            if process is None:
                return
            assert process.stdin is not None  # as ordered
            try:
                sent = os.write(process.stdin.fileno(), self._unsent)
            except BlockingIOError:
                return
            except BrokenPipeError:
                sent = len(self._unsent)
            self._unsent = self._unsent[sent:]


def _figures(overview: Mapping[str, Any], active_s: float) -> list[Any]:
    """Return the state of a run as `bufferinfoGUI` takes it."""
    books = overview["buffers"]
    first = next(iter(books.values()), {"written": 0, "dead_time_share": 0.0})
    figures = {
        name: [book["written"], book["filled"], book["rate_hz"], book["slot_count"]]
        for name, book in books.items()
    }
    all_well = all(book["alive"] == book["processes"] for book in overview["workers"].values())
    state = str(overview["run"]["state"]).capitalize()
    return [state, active_s, first["written"], first["dead_time_share"] or 0.0, figures, all_well]
