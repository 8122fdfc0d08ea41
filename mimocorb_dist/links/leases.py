"""Sequence numbers of events: as ranges in messages, and as leases of slots at the sending end.  No I/O here.

Arrays, not loops: small events pass a link a thousand at a time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.int64]
"""Slot or sequence numbers, shape (n,)."""
Ranges: TypeAlias = npt.NDArray[np.int64]
"""Ranges of sequence numbers, shape (n, 2): first and count, ascending and disjoint."""

NO_NUMBERS: Numbers = np.empty(0, dtype=np.int64)
NO_RANGES: Ranges = np.empty((0, 2), dtype=np.int64)


def to_ranges(sequences: npt.NDArray[Any]) -> Ranges:
    """Return distinct sequence numbers, in any order, as ranges."""
    if len(sequences) == 0:
        return NO_RANGES
    ordered = np.sort(sequences)
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        return np.array([[ordered[0], len(ordered)]], dtype=np.int64)
    breaks = np.flatnonzero(np.diff(ordered) != 1) + 1
    firsts = ordered[np.concatenate(([0], breaks))]
    counts = np.diff(np.concatenate(([0], breaks, [len(ordered)])))
    return np.stack((firsts, counts), axis=1).astype(np.int64, copy=False)


def from_ranges(ranges: Ranges) -> Numbers:
    """Return the sequence numbers of ranges, one by one."""
    if len(ranges) == 1:
        first, count = ranges[0]
        return np.arange(first, first + count, dtype=np.int64)
    counts = ranges[:, 1]
    starts = np.cumsum(counts) - counts
    numbers: Numbers = np.arange(counts.sum(), dtype=np.int64) + np.repeat(ranges[:, 0] - starts, counts)
    return numbers


class LeaseTable:
    """The slots that a link holds in its source ring, by ascending sequence number.

    Parameters
    ----------
    capacity
        The most leases at one time: the ring's slot count.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Twice the room, so that the leases must be moved to the front only once in `capacity` additions.
        self._sequences = np.empty(2 * capacity, dtype=np.int64)
        self._slots = np.empty(2 * capacity, dtype=np.int64)
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def sequences(self) -> Numbers:
        """Sequence numbers of all leases: a view."""
        return self._sequences[self._start : self._end]

    def add(self, first: int, slots: Numbers) -> None:
        """Add leases of slots with the sequence numbers from `first` on, which is above all others."""
        count = len(slots)
        if len(self) + count > self.capacity:
            raise ValueError(f"{len(self)} and {count} more leases for {self.capacity} slots")
        if self._end + count > len(self._slots):
            length = len(self)
            self._sequences[:length] = self.sequences
            self._slots[:length] = self._slots[self._start : self._end]
            self._start, self._end = 0, length
        self._sequences[self._end : self._end + count] = np.arange(first, first + count)
        self._slots[self._end : self._end + count] = slots
        self._end += count

    def slots(self, first: int, count: int) -> Numbers:
        """Return the slots of a range of sequence numbers, all of which are leased."""
        begin = self._start + int(np.searchsorted(self.sequences, first))
        if count == 0 or begin + count > self._end or self._sequences[begin + count - 1] != first + count - 1:
            raise ValueError(f"events {first} to {first + count - 1} are not all leased")
        return self._slots[begin : begin + count].copy()

    def remove(self, sequences: Numbers) -> Numbers:
        """End the leases of ascending sequence numbers, as far as there are any, and return their slots."""
        count = len(sequences)
        if count == 0 or len(self) == 0:
            return NO_NUMBERS
        if (
            count <= len(self) and (self.sequences[:count] == sequences).all()
        ):  # the oldest ones: the usual case
            self._start += count
            return self._slots[self._start - count : self._start].copy()
        places = np.searchsorted(self.sequences, sequences)
        places = places[places < len(self)]
        places = places[self.sequences[places] == sequences[: len(places)]]
        slots: Numbers = self._slots[self._start + places]
        keep = np.ones(len(self), dtype=bool)
        keep[places] = False
        length = int(np.count_nonzero(keep))
        self._sequences[self._start : self._start + length] = self.sequences[keep]
        self._slots[self._start : self._start + length] = self._slots[self._start : self._end][keep]
        self._end = self._start + length
        return slots
