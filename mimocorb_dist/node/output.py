"""What the processes of a node print: to the terminal with their name, and to their log files.

One thread empties all pipes. It keeps no more than one unfinished line of each process; if the terminal is
slow, the pipes fill up and the processes wait, but nothing is lost.
"""

from __future__ import annotations

import os
import selectors
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 16
_PATIENCE_S = 1.0
"""How long the output of a process may still come after the process has ended."""


@dataclass
class _Source:
    name: str
    log: IO[bytes] | None
    rest: bytes = b""


class OutputPump:
    """Carries what processes print to the terminal and to files.

    Parameters
    ----------
    show
        Called with the name of a process and its text, some whole lines, from the pump's thread.
    complain
        Called with a text if a log file cannot be written; the output still goes to the terminal.
    """

    def __init__(self, show: Callable[[str, str], None], complain: Callable[[str], None]) -> None:
        self._show = show
        self._complain = complain
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = os.pipe2(os.O_CLOEXEC)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._new: list[tuple[int, _Source]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def add(self, descriptor: int, name: str, log: Path | None) -> None:
        """Carry from a pipe, until its other end is closed; then the descriptor is closed.

        Parameters
        ----------
        descriptor
            The pipe's reading end; the pump owns it from now on.
        name
            Name of the process.
        log
            File to which its output is appended; None for none.
        """
        file = None
        if log is not None:
            try:
                file = log.open("ab", buffering=0)
            except OSError as error:
                self._complain(
                    f"{log}: cannot be written ({error.strerror}); the output of {name} is only shown"
                )
        with self._lock:
            self._new.append((descriptor, _Source(name, file)))
        os.write(self._wake_out, b"\0")

    def close(self) -> None:
        """Carry what is still there, and end; pipes that somebody holds open are left after a moment."""
        with self._lock:
            self._closing = True
        os.write(self._wake_out, b"\0")
        self._thread.join(2 * _PATIENCE_S)
        if not self._thread.is_alive():
            os.close(self._wake_in)
            os.close(self._wake_out)

    def _run(self) -> None:
        while True:
            ready = self._selector.select(_PATIENCE_S if self._closing else None)
            for key, _ in ready:
                if key.fd == self._wake_in:
                    os.read(self._wake_in, 4096)
                else:
                    self._carry(key.fd, key.data)
            with self._lock:
                for descriptor, source in self._new:
                    self._selector.register(descriptor, selectors.EVENT_READ, source)
                self._new.clear()
                done = self._closing and (not ready or len(self._selector.get_map()) == 1)
            if done:
                for key in list(self._selector.get_map().values()):
                    if key.fd != self._wake_in:
                        self._end(key.fd, key.data)
                self._selector.close()
                return

    def _carry(self, descriptor: int, source: _Source) -> None:
        try:
            chunk = os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:  # a process that has just been taken over has brought it to its log itself
            return
        if not chunk:
            self._end(descriptor, source)
            return
        text = source.rest + chunk
        end = text.rfind(b"\n") + 1
        if not end and len(text) > _LONGEST_LINE_BYTES:
            end = len(text)
        source.rest = text[end:]
        if end:
            self._pass_on(source, text[:end])

    def _pass_on(self, source: _Source, text: bytes) -> None:
        if source.log is not None:
            try:
                _write_all(source.log, text)
            except OSError as error:
                self._complain(
                    f"{source.log.name}: cannot be written ({error.strerror}); "
                    f"the output of {source.name} is only shown from here on"
                )
                self._close(source)
        self._show(source.name, text.decode(errors="backslashreplace"))

    def _end(self, descriptor: int, source: _Source) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        if source.rest:
            self._pass_on(source, source.rest + b"\n")
        self._close(source)

    def _close(self, source: _Source) -> None:
        log, source.log = source.log, None
        if log is not None:
            try:
                log.close()
            except OSError as error:  # as file servers tell only now that they are full
                self._complain(f"{log.name}: its end may be missing ({error.strerror})")


def _write_all(file: IO[bytes], text: bytes) -> None:
    """Write to an unbuffered file, which takes a part only when its disk is nearly full."""
    while text:
        text = text[file.write(text) :]
