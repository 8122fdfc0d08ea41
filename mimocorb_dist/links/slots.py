"""A link's view of its rings: arrays of slot numbers, and the bytes that lie in them.

Slots that lie together are sent and filled where they lie; for others numpy gathers and scatters.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mimocorb_dist.links.leases import NO_NUMBERS, Numbers
from mimocorb_dist.links.messages import PART_BYTES, Terms
from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferWriter, EndOfStream, Ring, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mimocorb_dist.ring.table import GroupColumns

Bytes: TypeAlias = memoryview | bytes

_ASCENDING = np.arange(1 << 16, dtype=np.int64)
_WORTH_A_PART_BYTES = 1 << 16
"""From this size on, a message part of its own costs less than copying."""


def terms_of(ring: Ring, run_id: str, link: str) -> Terms:
    """Return what the other end of a link must agree with."""
    descr = np.lib.format.dtype_to_descr(ring.spec.data_dtype)
    return Terms(run_id, link, json.dumps(descr), ring.spec.data_length, ring.stride, sys.byteorder)


def runs(slots: Numbers) -> list[tuple[int, int]]:
    """Cut slot numbers into runs of consecutive ones: first slot and count of each."""
    count = len(slots)
    if count == 0:
        return []
    first = int(slots[0])
    if slots.tobytes() == _ASCENDING[first : first + count].tobytes():  # the usual case, told at little cost
        return [(first, count)]
    begins = [0, *(np.flatnonzero(np.diff(slots) != 1) + 1).tolist()]
    ends = [*begins[1:], count]
    return [(int(slots[begin]), end - begin) for begin, end in zip(begins, ends, strict=True)]


def _joined(pieces: list[Run]) -> Numbers:
    if len(pieces) == 1:
        return pieces[0].slots
    return np.concatenate([piece.slots for piece in pieces]) if pieces else NO_NUMBERS


def _parts(data: memoryview) -> Iterator[memoryview]:
    return (data[begin : begin + PART_BYTES] for begin in range(0, len(data), PART_BYTES))


class _Rows:
    """The metadata and data of all slots of a ring, one row of bytes each."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self._metadata = np.frombuffer(
            ring.metadata_bytes(0, ring.slot_count), dtype=np.dtype((np.void, METADATA_DTYPE.itemsize))
        )
        self._data = np.frombuffer(
            ring.data_bytes(0, ring.slot_count), dtype=np.dtype((np.void, ring.stride))
        )


class SourceSlots(_Rows):
    """The sender's side: take slots, send what is in them, release them.

    Parameters
    ----------
    ring
        The source ring, attached.
    group
        The link's reader group.
    """

    def __init__(self, ring: Ring, group: str) -> None:
        super().__init__(ring)
        self.reader = BufferReader(ring, group)
        self._spare: Run | None = None

    @property
    def columns(self) -> GroupColumns:
        """The reader group's columns of the slot table."""
        return self.ring.table.groups[self.ring.group_index(self.reader.group)]

    def take(self, limit: int) -> Numbers:
        """Take up to `limit` events without waiting.

        Raises
        ------
        EndOfStream
            When the stream has ended, and no event is left.
        """
        taken: list[Run] = []
        count = 0
        while count < limit and (run := self._next(limit - count, count == 0)) is not None:
            if run.count > limit - count:
                run, self._spare = run.split(limit - count)
            taken.append(run)
            count += run.count
        return _joined(taken)

    def _next(self, limit: int, first: bool) -> Run | None:
        if self._spare is not None:
            run, self._spare = self._spare, None
            return run
        try:
            # A reader that asks for one event may be given some in advance, which would be kept from others.
            return self.reader.take(max(2, limit), timeout_s=0)
        except EndOfStream:
            if first:
                raise
            return None

    def release(self, slots: Numbers) -> None:
        """Say that the events in these slots have been dealt with."""
        for first, count in runs(slots):
            self.reader.release(Run(self.ring, first, count))

    def metadata(self, slots: Numbers) -> bytes:
        """Return the metadata of the events in these slots."""
        return self._metadata[slots].tobytes()

    def data(self, slots: Numbers) -> Iterator[Bytes]:
        """Yield the data of the events in these slots as message parts."""
        pieces = runs(slots)
        if len(slots) * self.ring.stride >= len(pieces) * _WORTH_A_PART_BYTES or len(pieces) == 1:
            for first, count in pieces:
                yield from _parts(self.ring.data_bytes(first, count))
        else:
            yield from _parts(memoryview(self._data[slots].tobytes()))

    @property
    def competing(self) -> bool:
        """Whether other processes read events of the same group."""
        # A group that serves one link only is named after the node that it goes to.
        return not self.reader.group.startswith("to.") and self.ring.statistics().readers > 1

    @property
    def keeps_up_to_date(self) -> bool:
        """Whether the ring gives up old events for new ones, which it can only do with those not taken."""
        return self.ring.spec.when_full == "drop_old"

    def close(self) -> None:
        """Detach, giving back what has not been sent."""
        if self._spare is not None:
            self.reader.requeue(self._spare)
            self._spare = None
        self.reader.close()
        self.ring.close()


class TargetSlots(_Rows):
    """The receiver's side: reserve slots, fill and publish them.

    Parameters
    ----------
    ring
        The target ring, attached.
    """

    def __init__(self, ring: Ring) -> None:
        super().__init__(ring)
        self.writer = BufferWriter(ring, heeds_pause=False)
        self.waits = ring.spec.when_full == "block"

    def reserve(self, limit: int) -> Numbers:
        """Claim up to `limit` free slots without waiting; observers see what they held until `store`."""
        reserved: list[Run] = []
        count = 0
        while count < limit and (run := self.writer.claim(limit - count, timeout_s=0)) is not None:
            reserved.append(run)
            count += run.count
        return _joined(reserved)

    def store(self, slots: Numbers, metadata: bytes, data: list[memoryview], offset: int) -> None:
        """Copy events to reserved slots and publish them.

        Parameters
        ----------
        slots
            The slots.
        metadata, data
            Metadata and data of the events of a frame, as they came; the data in one part or more.
        offset
            Number of the frame's first event that goes to these slots.
        """
        stride, total = self.ring.stride, len(slots)
        pieces = runs(slots)
        for first, count in pieces:
            self.writer.begin(Run(self.ring, first, count))
        self._metadata[slots] = np.frombuffer(
            metadata, self._metadata.dtype, total, offset * METADATA_DTYPE.itemsize
        )
        scattered = len(pieces) > 1 and total * stride < len(pieces) * _WORTH_A_PART_BYTES
        if scattered:
            whole = data[0] if len(data) == 1 else b"".join(data)
            self._data[slots] = np.frombuffer(whole, self._data.dtype, total, offset * stride)
        for first, count in pieces:
            run = Run(self.ring, first, count)
            if not scattered:
                _fill(run.data_bytes, data, offset * stride)
            self.writer.publish(run)
            offset += count

    def close(self) -> None:
        """Detach, without ending the stream."""
        self.ring.close()


def _fill(target: memoryview, parts: list[memoryview], skip: int) -> None:
    """Copy to `target` what follows the first `skip` bytes of the parts."""
    filled = 0
    for part in parts:
        if skip >= len(part):
            skip -= len(part)
            continue
        piece = part[skip : skip + len(target) - filled]
        target[filled : filled + len(piece)] = piece
        filled += len(piece)
        skip = 0
        if filled == len(target):
            return
