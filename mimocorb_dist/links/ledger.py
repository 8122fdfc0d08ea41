"""What an end of a link must remember if it is killed: kept in shared memory, beside its ring.

For each slot of its ring an end notes the sequence number of the event that it has there, and at which
writing of the slot that was. Together with the ring's own slot table, which is the truth about slots, that
tells a new process of the same end where the old one stood. Numbers are noted before they are acted upon: a
note that came to nothing does no harm, for the slot table shows that it did.
"""

from __future__ import annotations

import os
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.links.sender_state import Counts

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.links.leases import Numbers
    from mimocorb_dist.ring import Ring
    from mimocorb_dist.ring.table import GroupColumns

_HEADER_WORDS = 16


class Entry(IntEnum):
    """Numbers of a ledger that belong to no slot."""

    INCARNATION = 0
    ATTEMPT = auto()
    TAKEN = auto()
    STORED = auto()
    SENT = auto()
    RESENT = auto()
    BYTES = auto()
    WELCOMES = auto()
    DROPPED = auto()
    DONE = auto()


class Ledger:
    """The notes of one end of a link.

    Parameters
    ----------
    path
        The file; it is made if it is not there.
    ring
        The end's ring, attached.

    Attributes
    ----------
    is_new
        Whether no process of this end has been there before.
    """

    def __init__(self, path: Path, ring: Ring) -> None:
        self._table = ring.table
        words = _HEADER_WORDS + 2 * ring.slot_count
        self.is_new = not path.exists()
        if self.is_new:
            fresh = path.with_suffix(".new")
            fresh.write_bytes(bytes(8 * words))
            os.replace(fresh, path)
        self._words: np.memmap[Any, np.dtype[np.int64]] = np.memmap(path, np.int64, "r+", shape=(words,))
        self._sequences = self._words[_HEADER_WORDS : _HEADER_WORDS + ring.slot_count]
        self._generations = self._words[_HEADER_WORDS + ring.slot_count :]

    def __getitem__(self, entry: Entry) -> int:
        return int(self._words[entry])

    def __setitem__(self, entry: Entry, value: int) -> None:
        self._words[entry] = value

    # The sender's.

    def note_taken(self, slots: Numbers, first: int, group: GroupColumns) -> None:
        """Note the numbers of events that have just been taken, before they are sent."""
        self._sequences[slots] = np.arange(first, first + len(slots))
        self._generations[slots] = group.all_taken[slots]
        self[Entry.TAKEN] = first + len(slots)

    def leased(self, group: GroupColumns) -> tuple[Numbers, Numbers]:
        """Return the slots that are noted, taken and not released, and their events' numbers, ascending."""
        taken = group.all_taken.astype(np.int64)
        is_noted = (self._generations == taken) & (self._sequences < self[Entry.TAKEN])
        self._generations[(self._generations == taken) & ~is_noted] = 0  # those were given back: see `settle`
        slots = np.flatnonzero(is_noted & (group.all_released < group.all_taken))
        slots = slots[np.argsort(self._sequences[slots])]
        return slots, np.array(self._sequences[slots])

    def note_counts(self, counts: Counts) -> None:
        """Note what the sender has counted."""
        self[Entry.ATTEMPT], self[Entry.WELCOMES] = counts.attempts, counts.welcomes
        self[Entry.SENT], self[Entry.RESENT] = counts.sent, counts.resent
        self[Entry.BYTES] = counts.bytes

    def counts(self) -> Counts:
        """Return what a sender that was killed had counted; it may not have noted its last attempt."""
        return Counts(
            attempts=self[Entry.ATTEMPT] + 1,
            welcomes=self[Entry.WELCOMES],
            sent=self[Entry.SENT],
            resent=self[Entry.RESENT],
            bytes=self[Entry.BYTES],
        )

    # The receiver's.

    def note_storing(self, slots: Numbers, first: int) -> None:
        """Note the numbers of events that lie in claimed slots, before they are published."""
        self[Entry.STORED] = max(self[Entry.STORED], first)  # what came before is published; its notes may go
        self._generations[slots] = 0  # a slot with a new number and its old count would seem to be published
        self._sequences[slots] = np.arange(first, first + len(slots))
        self._generations[slots] = self._table.all_claimed[slots]

    def settle(self) -> int:
        """Count what was published, when the end has been killed; return how many events were completed.

        It may have been killed in the middle of a publication, after some of its later events were published:
        then the others are published, too. They have their data, which are copied before the first one is
        published.
        """
        table = self._table
        noted = self._generations.astype(np.uint64)
        published = (self._generations > 0) & (table.all_written >= noted)
        last = int(self._sequences[published].max(initial=-1))
        cut_off = (self._generations > 0) & (table.all_claimed == noted) & (table.all_written < noted)
        slots = np.flatnonzero(cut_off & (self._sequences < last))
        for slot in slots[np.argsort(self._sequences[slots])].tolist():
            table.publish(slot)
        self[Entry.STORED] = max(self[Entry.STORED], last + 1)
        # Claimed again, a slot that is freed now has the same count as it had: what was noted of it must not
        # be taken for a note of that claim after another death.
        self._generations[noted > table.all_written] = 0
        return len(slots)

    def held(self) -> tuple[Numbers, Numbers]:
        """Return the slots of events that this end has published and nobody freed yet, and their numbers."""
        table = self._table
        mine = (self._generations > 0) & (table.all_written == self._generations.astype(np.uint64))
        free = np.ones(len(mine), dtype=bool)
        for group in table.groups:
            free &= group.all_released == table.all_written
        slots = np.flatnonzero(mine & ~free & (table.all_claimed == table.all_written))
        return slots, np.array(self._sequences[slots])


def ledger_path(ring: Path, link: str, kind: str) -> Path:
    """Return where an end of a link has its ledger."""
    return ring.with_name(f"{link}.{kind}.ledger")


def settle(ring: Ring, link: str) -> None:
    """Set right what the receiver of a link was doing with a ring when it was killed.

    To be called before `Ring.recover` frees the slots that it had claimed.
    """
    path = ledger_path(ring.path, link, "receive")
    if path.exists():
        Ledger(path, ring).settle()
