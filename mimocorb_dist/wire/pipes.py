"""JSON lines over pipes: how a node speaks with the processes it starts.

A process writes its state to a `StatusPipe` and reads what to do from a `ControlPipe`; the node holds the
other ends as `LineReader` and `LineWriter`.  Nothing here imports ZeroMQ: workers must start fast.

The pipes outlast the node: the process holds both ends of each. An heir of the node opens them by name, says
``{"do": "heir", "pid": ...}``, and is told again what the process has said so far.
"""

from __future__ import annotations

import json
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from mimocorb_dist.errors import WireError

if TYPE_CHECKING:
    from types import TracebackType

MAX_LINE_BYTES = 1 << 20
AGAIN = "again"
"""The state that comes before what a process says again to an heir."""
LAST_STATES = ("finished", "failed", "orphaned")
_MOST_TOLD = 100
_LOOK_AGAIN_S = 0.2
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
        self._write(self._line(fields))

    def _line(self, fields: Mapping[str, Any]) -> bytes:
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
        return line

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest and self._is_read():
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                _wait(self._fd, select.POLLOUT, _LOOK_AGAIN_S)
            except BrokenPipeError as error:
                raise WireError(
                    "the process at the other end of the pipe is gone; end this process, its node has died"
                ) from error

    def _is_read(self) -> bool:
        """Whether somebody reads; what is written else is dropped."""
        return True


class LineReader(_PipeEnd):
    """Read JSON objects, one a line, from a pipe.

    Parameters
    ----------
    fd
        The reading end of a pipe; owned by this object from now on.
    taken_over
        Whether another process has read there before: then all is left out that was written for that one,
        as far as the line that says `AGAIN`.

    Attributes
    ----------
    closed
        True when the other end is closed and nothing is left to be read.
    """

    def __init__(self, fd: int, *, taken_over: bool = False) -> None:
        super().__init__(fd)
        self._lines: deque[dict[str, Any]] = deque()
        self._partial = b""
        self._ended = False
        self._skips = taken_over

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
        if self._skips and _AGAIN_LINE in lines:
            self._skips = False
            del lines[: lines.index(_AGAIN_LINE) + 1]
        if not self._skips:
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


class Listener(Protocol):
    """Who reads a status pipe, seen from the process that writes it."""

    def node_lives(self) -> bool:
        """Tell whether there is a node."""

    def keep_last_words(self, text: str) -> None:
        """Leave what is said last for an heir of the node."""


class StatusPipe(LineWriter):
    """The end of the status pipe in a worker or link process: `send(state="ready")` and the like.

    Without a node nothing is written. What was said, but for counts, is kept for an heir; counts are
    absolute, and come again by themselves.

    Parameters
    ----------
    fd
        The writing end of a pipe; owned by this object from now on.
    listener
        The node; None if it can have no heir.
    """

    def __init__(self, fd: int, listener: Listener | None = None) -> None:
        super().__init__(fd)
        self._listener = listener
        self._said: list[bytes] = []
        self._told: deque[bytes] = deque(maxlen=_MOST_TOLD)
        self._tells = 0
        self._lock = threading.Lock()  # an heir comes while another thread sends
        os.register_at_fork(after_in_child=self._forget_lock)
        if listener is not None:
            os.set_blocking(fd, False)

    def _forget_lock(self) -> None:
        """In a child of this process, which another thread of it may have forked while it was sending."""
        self._lock = threading.Lock()

    def send(self, **fields: Any) -> None:
        """Write one line, and keep it for an heir."""
        with self._lock:
            state = fields.get("state")
            if state == "told":  # numbered, for what is said again is not to count again
                self._tells += 1
                fields["number"] = self._tells
            line = self._line(fields)
            if self._listener is not None and state != "counts":
                (self._told if state == "told" else self._said).append(line)
                if state in LAST_STATES:
                    self._listener.keep_last_words(line.decode())
            self._write(line)

    def repeat(self) -> None:
        """Say everything again, to an heir; what the dead node has left of a line ends before that."""
        with self._lock:
            self._write(b"\n".join((b"", _AGAIN_LINE, b"")) + b"".join((*self._said, *self._told)))

    def _is_read(self) -> bool:
        return self._listener is None or self._listener.node_lives()


class ControlPipe(LineReader):
    """The end of the control pipe in a worker or link process: `read()` gives `{"do": "go"}` and the like."""


_AGAIN_LINE = json.dumps({"state": AGAIN}, separators=(",", ":")).encode()
