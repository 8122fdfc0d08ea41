"""The classic commands, typed while a run goes on: words of mimoCoRB2, letters of mimoCoRB 1."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import MimocorbError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PAUSES = """\
pause roots      events of the importers are discarded and counted
pause all        what any worker writes is discarded and counted
"""
_PAUSES_THAT_HOLD = """\
pause roots      the same as P
pause all        what any function writes waits
"""

HELP = """\
resume roots, resume all
shutdown roots   importers end, buffers drain, the run ends
shutdown all     the same
shutdown workers all processes end at once; what the buffers hold is lost
stats            state of the run
help             this list
exit             the same as shutdown roots"""

HELP_LETTERS = """\
P                the sources wait
R                the sources go on
S                the sources end, buffers drain, the run ends
E                the same
"""

_COMMANDS: dict[str, tuple[str, str]] = {
    "pause roots": ("pause", "roots"),
    "pause all": ("pause", "all"),
    "resume roots": ("resume", "roots"),
    "resume all": ("resume", "all"),
    "shutdown roots": ("stop", "roots"),
    "shutdown all": ("stop", "roots"),
    "shutdown workers": ("abort", "roots"),
    "exit": ("stop", "roots"),
}
_LETTERS = {"P": "pause roots", "R": "resume roots", "S": "shutdown roots", "E": "shutdown roots"}


def answer(
    line: str,
    command: Callable[[str, str], str],
    state: Callable[[], Mapping[str, Any] | None],
    *,
    letters: bool = False,
) -> str:
    """Carry out a typed line; return what to show.

    Parameters
    ----------
    line
        What was typed.
    command
        Carries out a command of the run by name and scope, and returns what happens.
    state
        Returns the last known state of the run.
    letters
        Whether the letters of mimoCoRB 1, in capitals, are commands, too. In a run of mimoCoRB2 they mean
        nothing, so that who is used to them does no harm.
    """
    words = " ".join(line.lower().split())
    if letters:
        words = _LETTERS.get(line.strip(), words)
    if not words:
        return ""
    if words == "help":
        return HELP_LETTERS + _PAUSES_THAT_HOLD + HELP if letters else _PAUSES + HELP
    if words == "stats":
        from .table import overview_text

        overview = state()
        return overview_text(overview) if overview else "the run has not begun"
    if words not in _COMMANDS:
        return f"{words!r} is not known; help lists the commands"
    try:
        return command(*_COMMANDS[words])
    except MimocorbError as error:
        return str(error)


class Keyboard:
    """Reads lines from the standard input in a thread of its own, until it ends or is closed.

    Where what is typed is to be shown below a live table, it sees every key at once.

    Parameters
    ----------
    on_line
        Called with each line.
    on_keys
        Called with what has been typed of the next line; None leaves showing it to the terminal.
    """

    def __init__(self, on_line: Callable[[str], None], on_keys: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._on_keys = on_keys
        self._typed = ""
        self._old: list[Any] | None = None
        self._fd = _descriptor_of_stdin()
        self._stop_in, self._stop_out = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._read, name="keyboard", daemon=True)

    def start(self) -> bool:
        """Begin to read, if there is anything to read from; return whether somebody may type there."""
        if self._fd is None or not _may_read(self._fd):
            return False
        if os.isatty(self._fd) and self._on_keys is not None:
            self._old = termios.tcgetattr(self._fd)
            new = termios.tcgetattr(self._fd)
            new[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(self._fd, termios.TCSADRAIN, new)
        self._thread.start()
        return os.isatty(self._fd)

    def close(self) -> None:
        """End reading, and leave the terminal as it was.  Idempotent."""
        if self._stop_out < 0:
            return
        os.close(self._stop_out)
        self._stop_out = -1
        if self._thread.is_alive():
            self._thread.join(2.0)
        os.close(self._stop_in)
        if self._old is not None and self._fd is not None:
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._old)

    def _read(self) -> None:
        assert self._fd is not None
        poller = select.poll()
        for descriptor in (self._fd, self._stop_in):
            poller.register(descriptor, select.POLLIN)
        while True:
            try:
                if self._stop_in in dict(poller.poll()):
                    return
                chunk = os.read(self._fd, 4096)
            except OSError:  # the terminal has gone
                return
            if not chunk:
                return
            for key in chunk.decode(errors="ignore"):
                self._press(key)
            if self._on_keys is not None:
                self._on_keys(self._typed)

    def _press(self, key: str) -> None:
        if key in "\r\n":
            line, self._typed = self._typed, ""
            self._on_line(line)
        elif key in "\x7f\b":
            self._typed = self._typed[:-1]
        elif key == "\x15":
            self._typed = ""
        elif key.isprintable():
            self._typed += key


def _may_read(descriptor: int) -> bool:
    """Tell whether reading is harmless: a process in the background of a terminal would be stopped by it."""
    if not os.isatty(descriptor):
        return True
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # should it be put into the background later
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the terminal that controls this process: it has no background
        return True


def _descriptor_of_stdin() -> int | None:
    """Return the descriptor of the standard input; None if there is none."""
    try:
        return sys.stdin.fileno() if sys.stdin is not None else None
    except (OSError, ValueError):
        return None
