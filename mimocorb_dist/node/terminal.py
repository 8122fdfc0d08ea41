"""Where a node writes what people read: one line after the other, from several threads."""

from __future__ import annotations

import errno
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_NOBODY_READS = (errno.EIO, errno.EPIPE, errno.ENXIO)
"""Errors of a terminal or pipe whose other end has gone; others, as of a file on a full disk, may pass."""


class Terminal:
    """Plain text on the standard output; a live table takes its place where one is shown.

    What cannot be written because nobody reads it any more is dropped: a run must not end for that.

    Attributes
    ----------
    listener
        Gets the messages, too; None is nobody.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.listener: Callable[[str], None] | None = None

    def say(self, text: str, *, error: bool = False) -> None:
        """Write a message of the node.

        Parameters
        ----------
        text
            One or more lines.
        error
            Whether something is wrong: then it goes to the error stream.
        """
        self._write(sys.stderr if error else sys.stdout, text)
        if self.listener is not None:
            self.listener(text)

    def pass_on(self, name: str, text: str) -> None:
        """Write what a process has printed, with its name before each line."""
        self._write(sys.stdout, "\n".join(f"{name} | {line}" for line in text.splitlines()))

    def show(self, overview: Mapping[str, Any]) -> None:
        """Show the state of the run; plain text does not."""

    def conclude(self, text: str) -> None:
        """End showing, and write the result below."""
        self.close()
        self.say(text)

    def close(self) -> None:
        """End showing."""

    def _write(self, stream: Any, text: str) -> None:
        if stream is None:  # closed before the start
            return
        with self._lock:
            try:
                stream.write(text + "\n")
                stream.flush()
            except ValueError:  # closed since
                return
            except OSError as error:
                if error.errno in _NOBODY_READS:
                    silence(stream)


def silence(stream: Any) -> None:
    """Let a stream that nobody reads any more lead nowhere, so that nothing fails on it up to the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
