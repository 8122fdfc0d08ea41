"""What writers do that find no token of a free slot, in rings whose writers do not wait for one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .layout import Header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ring import Ring

STALE_TOKENS = 64
"""So many tokens of events that were given up, beside half of the slots, may lie in the queue of a group."""


def claim_without_tokens(ring: Ring, member: int, count: int, most_given_up: int) -> Sequence[int]:
    """Claim slots of which the queues say nothing. Under the writers' lock.

    First those that are free already: readers may keep their tokens back for a while. If there are none,
    those of the oldest events that nobody reads just now.

    Parameters
    ----------
    ring
        The ring.
    member
        The writer's row in the member table.
    count
        The most slots wanted.
    most_given_up
        The most events to give up; 0 in a ring that keeps old events.

    Returns
    -------
    sequence of int
        The slots.
    """
    free = ring.table.free_tokens()[:count]
    if len(free):
        return ring.table.claim_free(free.tobytes(), member)
    ring.header[Header.MAX_FILLED] = ring.slot_count
    return _claim_oldest(ring, member, min(count, most_given_up)) if most_given_up else ()


def _claim_oldest(ring: Ring, member: int, count: int) -> Sequence[int]:
    with contextlib.ExitStack() as locks:
        for queue in ring.ready:
            locks.enter_context(queue)
        slots = ring.table.claim_oldest(count, member)
        for index, queue in enumerate(ring.ready):
            # Tokens of events that were given up lie there until readers come, and the queue is finite.
            if queue.waiting() > ring.slot_count // 2 + STALE_TOKENS:
                ring.line_up(index)
    return slots
