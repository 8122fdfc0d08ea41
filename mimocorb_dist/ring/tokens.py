"""Queues of tokens in the kernel: a FIFO and a lock that dies with its holder.

A token is one 64-bit number: a slot and how often it had been written. The kernel keeps tokens in order,
blocks those who wait for one and wakes them. Tokens say which slot to look at; whether it may be taken only
the slot table says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import sys
import termios
import threading
import weakref
from fcntl import LOCK_EX, LOCK_UN, flock
from typing import TYPE_CHECKING, ClassVar

from mimocorb_dist.errors import RingError

if TYPE_CHECKING:
    from pathlib import Path

SLOT_BITS = 16
SLOT_MASK = (1 << SLOT_BITS) - 1
WAKE = b"\xff" * 8
"""A token that names no slot: whoever takes it looks at the ring's state anew."""
WAKE_VALUE = (1 << 64) - 1
TOKEN_BYTES = 8
MAX_TOKENS = (1 << 20) // TOKEN_BYTES
"""As many as the kernel grants to everybody in one FIFO."""
pack_token = struct.Struct("=Q").pack

_INT = bytes(4)
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)
_F_GETPIPE_SZ = getattr(fcntl, "F_GETPIPE_SZ", 1032)


class TokenQueue:
    """A FIFO of tokens, opened for both ends, and the lock of those who take from it: ``with queue: ...``.

    Parameters
    ----------
    path
        Path of the FIFO.
    capacity
        How many tokens it holds at least. A FIFO that nobody held has forgotten that, and what was in it.

    Raises
    ------
    RingError
        If it is not there, or the kernel grants no queue of that size.
    """

    _open: ClassVar[weakref.WeakSet[TokenQueue]] = weakref.WeakSet()

    def __init__(self, path: Path, capacity: int) -> None:
        self.path = path
        wanted = capacity * TOKEN_BYTES
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RingError(
                f"{path}: cannot open this queue of a ring buffer ({error.strerror}); is its run over?"
            ) from error
        try:
            if fcntl.fcntl(self.fd, _F_GETPIPE_SZ) < wanted:
                fcntl.fcntl(self.fd, _F_SETPIPE_SZ, wanted)
        except OSError as error:
            os.close(self.fd)
            raise RingError(
                f"{path}: the kernel grants no queue of {wanted} bytes ({error.strerror}); "
                "use fewer slots or raise /proc/sys/fs/pipe-max-size"
            ) from error
        self._threads = threading.RLock()
        self._open.add(self)

    @classmethod
    def create(cls, path: Path, capacity: int) -> TokenQueue:
        """Make a FIFO, unless it is there, and open it."""
        if not path.is_fifo():
            os.mkfifo(path, 0o600)
        return cls(path, capacity)

    def push(self, tokens: bytes) -> None:
        """Append tokens."""
        try:
            written = os.write(self.fd, tokens)
        except BlockingIOError:
            written = 0
        if written != len(tokens):
            raise RingError(f"{self.path}: the queue is full; the ring buffer is damaged, start the run anew")

    def pop(self, count: int) -> bytes:
        """Take up to `count` tokens without waiting. Call with the lock held."""
        try:
            return os.read(self.fd, count * TOKEN_BYTES)
        except BlockingIOError:
            return b""

    def waiting(self) -> int:
        """Return how many tokens there are."""
        return int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, _INT), sys.byteorder) // TOKEN_BYTES

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until a token may be there; False after `timeout_s` seconds."""
        poll = select.poll()  # threads must not share one
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else max(0.0, timeout_s * 1e3)))

    def __enter__(self) -> None:
        """Hold the queue's lock. The kernel releases it when its holder dies.

        Who is interrupted (Ctrl-C) while getting it may keep it for good, and can still tidy up: the same
        thread gets it once more.
        """
        self._threads.acquire()  # the kernel's lock is the open file's, which threads share
        try:
            flock(self.fd, LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        flock(self.fd, LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """Close the FIFO; a second call does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            self.close()

    def _reopen(self) -> None:
        """Give a forked child a lock of its own: a lock belongs to an open file, which a fork shares."""
        self._threads = threading.RLock()
        if self.fd >= 0:
            with contextlib.suppress(OSError):  # the ring is gone: the child's first use says so
                fresh = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
                os.dup2(fresh, self.fd, inheritable=False)
                os.close(fresh)


def _after_fork() -> None:
    for queue in list(TokenQueue._open):
        queue._reopen()


os.register_at_fork(after_in_child=_after_fork)
