"""What processes of a script leave behind when they are killed: set right by those who wait."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.ring.layout import MAX_MEMBERS, MEMBER_WORDS, Member

if TYPE_CHECKING:
    from mimocorb_dist.ring import Ring


def lives(pid: int) -> bool:
    """Tell whether a process lives. One that has ended and not been waited for does not."""
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):  # no such file system, or it has just ended
        return os.path.exists(f"/proc/{pid}") or not os.path.isdir("/proc/self")
    return state not in (b"Z", b"X")


def members(ring: Ring, role: int, group: int | None = None) -> list[int]:
    """Return the processes attached to a ring in a role, to one of its reader groups or to any."""
    rows = np.asarray(ring.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
    chosen = (rows[:, Member.PID] > 0) & (rows[:, Member.CLOSED] == 0) & (rows[:, Member.ROLE] == role)
    if group is not None:
        chosen &= rows[:, Member.GROUP] == group
    return [int(pid) for pid in rows[chosen, Member.PID]]


def waiting(ring: Ring) -> bool:
    """Tell whether a source has an event in hand, and waits for a slot."""
    rows = np.asarray(ring.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
    return bool(np.any((rows[:, Member.PID] > 0) & (rows[:, Member.WAITS_SINCE_NS] > 0)))


def bury_the_dead(ring: Ring) -> None:
    """Free what dead processes were writing, and deliver again what they were reading."""
    dead = _dead(ring)
    if not dead:
        return
    lock = os.open(ring.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one would give back what a later member has
        for pid in _dead(ring):
            ring.recover(pid)
    finally:
        os.close(lock)


def _dead(ring: Ring) -> set[int]:
    rows = np.asarray(ring.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
    pids = {int(pid) for pid in rows[rows[:, Member.CLOSED] == 0, Member.PID]} - {0}
    return {pid for pid in pids if not lives(pid)}
