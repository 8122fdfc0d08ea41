"""Rings whose maker has died, and that are taken over by its heir."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layout import MAX_MEMBERS, MEMBER_WORDS, Member
from .ring import Ring

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = -1


def take_over(path: Path) -> Ring:
    """Attach to a ring whose maker has died.

    Its queues may be empty now: what they hold is lost as soon as nobody is attached. Who is, may work on.

    Parameters
    ----------
    path
        Path of the ring's file.

    Raises
    ------
    RingError
        If there is no such ring.
    """
    ring = Ring(path)
    for index, ready in enumerate(ring.ready):
        with ready:
            ring.line_up(index)
    ring.recover(_NOBODY)  # the queue of free slots
    return ring


def members_of(ring: Ring) -> set[int]:
    """Return the process ids in the member table of a ring, of living and dead processes."""
    rows = range(0, MAX_MEMBERS * MEMBER_WORDS, MEMBER_WORDS)
    return {int(ring.members[row + Member.PID]) for row in rows} - {0}
