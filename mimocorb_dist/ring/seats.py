"""Seats: the places of a node's processes, each held by one process at a time.

Who holds a seat has a lock on its file, which ends with it; the kernel tells whose it is. So whoever finds a
runtime directory knows which of its processes live, and which were there before them, even if nobody had the
time to note it. What a process said last lies beside its seat.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RingError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".seat"
_LOOK_AGAIN_S = 0.02
_FLOCK = struct.Struct("@hhqqi0q")  # l_type, l_whence, l_start, l_len, l_pid
_REST = (0, 0, 0, 0)


def seat_of(job: Path) -> Path:
    """Return the seat of the process with a job file."""
    return job.with_suffix(SUFFIX)


def take_seat(path: Path, timeout_s: float) -> None:
    """Take a seat for this process, until it ends.

    This process must not open the file again: closing it would give up the seat.

    Parameters
    ----------
    path
        The seat.
    timeout_s
        How long to wait for a process before this one, which is just ending.

    Raises
    ------
    RingError
        If another process keeps it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise RingError(
                    f"{path}: another process is at work here already; look for it with `ps`"
                ) from error
            time.sleep(_LOOK_AGAIN_S)
    os.write(descriptor, b"%d\n" % os.getpid())


def holder_of(path: Path) -> int | None:
    """Return the process that holds a seat; None if nobody does. Not to be called by the holder."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # it has never been taken, or is another user's
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, *_REST)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)


def holders_so_far(path: Path) -> list[int]:
    """Return all processes that have taken a seat, in order; also the one that holds it now."""
    try:
        return [int(line) for line in path.read_text().split()]
    except FileNotFoundError:
        return []


def last_words_path(seat: Path, pid: int) -> Path:
    """Return where a process that holds a seat leaves its last words."""
    return seat.with_suffix(f".{pid}")


def is_taken(directory: Path) -> bool:
    """Tell whether any seat in a runtime directory is held by a living process."""
    return any(holder_of(path) is not None for path in directory.rglob("*" + SUFFIX))
