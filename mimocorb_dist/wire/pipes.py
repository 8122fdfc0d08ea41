"""JSON lines over inherited pipes: how a node speaks with the processes it starts.

A child writes its state to a `StatusPipe` and reads what to do from a `ControlPipe`; the node holds the other
ends as `LineReader` and `LineWriter`.  Nothing here imports ZeroMQ: workers must start fast.
"""

from __future__ import annotations

import json
import math
import os
import select
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from mimocorb_dist.errors import WireError

if TYPE_CHECKING:
    from types import TracebackType

MAX_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16
_ONLY_OURS = "only processes of mimocorb_dist may write there"


class _PipeEnd:
    """A file descriptor that this object owns."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """Return the file descriptor, for a poller."""
        return self._fd

    def close(self) -> None:
        """Close the descriptor.  Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LineWriter(_PipeEnd):
    """Write JSON objects, one a line, to a pipe.

    Parameters
    ----------
    fd
        The writing end of a pipe; owned by this object from now on.
    """

    def send(self, **fields: Any) -> None:
        """Write one line.

        Raises
        ------
        WireError
            When nobody reads the pipe any more, the line is too long, or a value is not JSON.
        """
        try:
            line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise WireError(
                f"cannot send {sorted(fields)} over a pipe: {error}; use plain JSON values"
            ) from error
        if len(line) > MAX_LINE_BYTES:
            raise WireError(
                f"a line of {len(line)} bytes ({sorted(fields)}) is too long for a pipe; "
                f"at most {MAX_LINE_BYTES} bytes are allowed, shorten its longest field"
            )
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                _wait(self._fd, select.POLLOUT)
            except BrokenPipeError as error:
                raise WireError(
                    "the process at the other end of the pipe is gone; end this process, its node has died"
                ) from error


class LineReader(_PipeEnd):
    """Read JSON objects, one a line, from a pipe.

    Parameters
    ----------
    fd
        The reading end of a pipe; owned by this object from now on.

    Attributes
    ----------
    closed
        True when the other end is closed and nothing is left to be read.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._lines: deque[dict[str, Any]] = deque()
        self._partial = b""
        self._ended = False

    @property
    def closed(self) -> bool:
        """True when the other end is closed and everything has been read."""
        return self._ended and not self._lines

    def read(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Wait for the next object.

        Parameters
        ----------
        timeout_s
            How long to wait; None waits for ever.

        Returns
        -------
        dict or None
            None when the other end has been closed (then `closed` is true) or the time is over.

        Raises
        ------
        WireError
            When a line is not a JSON object.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._lines and not self._ended:
            wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if _wait(self._fd, select.POLLIN, wait_s):
                self._fill()
            elif wait_s == 0.0:
                return None
        return self._lines.popleft() if self._lines else None

    def read_ready(self) -> list[dict[str, Any]]:
        """Return all objects that are there, without waiting: for use with a poller."""
        if not self._ended and _wait(self._fd, select.POLLIN, 0.0):
            self._fill()
        ready = list(self._lines)
        self._lines.clear()
        return ready

    def _fill(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            self._ended = True
            return
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if len(self._partial) > MAX_LINE_BYTES:
            raise WireError(f"a line on a pipe is longer than {MAX_LINE_BYTES} bytes; {_ONLY_OURS}")
        self._lines.extend(_parse(line) for line in lines if line)


def _wait(fd: int, for_what: int, timeout_s: float | None = None) -> bool:
    """Wait until a descriptor, whatever its number, is ready or closed at its other end."""
    poll = select.poll()
    poll.register(fd, for_what)
    return bool(poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1e3)))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise WireError(f"a line on a pipe is not JSON: {line[:80]!r}; {_ONLY_OURS}") from error
    if not isinstance(fields, Mapping):
        raise WireError(f"a line on a pipe is not a JSON object: {line[:80]!r}; {_ONLY_OURS}")
    return dict(fields)


class StatusPipe(LineWriter):
    """The end of the status pipe in a worker or link process: `send(state="ready")` and the like."""


class ControlPipe(LineReader):
    """The end of the control pipe in a worker or link process: `read()` gives `{"do": "go"}` and the like."""
