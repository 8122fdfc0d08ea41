"""Reading events from a ring."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .commit_file import still_taken
from .interface import MOST_NAPS, EndOfStream, Interface, Pace, Run
from .layout import Group, Role
from .table import Slots, Words, pop_run
from .tokens import SLOT_BITS, WAKE, pack_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from .ring import Ring

_HEAD, _TAIL = int(Group.HEAD), int(Group.TAIL)

Batch = tuple[npt.NDArray[np.void], npt.NDArray[Any]]
NoBatch = tuple[None, None]


class BufferReader(Interface):
    """A reader of a ring: one of a group whose members share the events.

    ``with reader as (metadata, data)`` waits for an event and gives views of its metadata, shape (1,), and
    data, shape (data_length,), valid within the block; at the end of the stream both are None. If the block
    raises, the event counts as not read, and is delivered again. Where other groups read the same events, the
    views cannot be written to.

    Parameters
    ----------
    ring
        The ring, attached.
    group
        Name of the reader group.

    Attributes
    ----------
    batch_slots
        Slots of the batch that is being read, in its order; None if there is none.
    """

    def __init__(self, ring: Ring, group: str = "readers") -> None:
        super().__init__(ring)
        self.group = group
        self._index = ring.group_index(group)
        self._table = ring.table
        self._columns = ring.table.groups[self._index]
        self._queue = ring.ready[self._index]
        self._alone = len(ring.table.groups) == 1
        self._ahead: list[int] = []  # taken slots, to be used from the end
        self._freed: list[
            int
        ] = []  # tokens of released slots, pushed together when all that was taken is used
        self._copies: npt.NDArray[Any] = np.empty((0, ring.data_length), ring.data_dtype)
        self._slot = -1
        self.batch_slots: Slots | None = None
        self._member = -1
        self._pid = -1
        self._pace = Pace(ring.slot_count)

    @property
    def slot(self) -> int:
        """Slot of the event that is being read; -1 if there is none."""
        return self._slot

    # Single events.

    def __enter__(self) -> Batch | NoBatch:
        if not self._ahead:
            try:
                self._ahead[:] = reversed(self._claim(1, None))
            except EndOfStream:
                self._slot = -1
                return None, None
        self._slot = slot = self._ahead.pop()
        return self._views[slot] or self._view(slot)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is an event, which this reader then has next.

        Parameters
        ----------
        timeout_s
            How long to wait in s; None: as long as it takes, 0: not at all.

        Returns
        -------
        bool
            False after the time-out.

        Raises
        ------
        EndOfStream
            If all writers have closed, and no event is left.
        """
        if not self._ahead:
            self._ahead[:] = reversed(self._claim(1, timeout_s))
        return bool(self._ahead)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        slot, self._slot = self._slot, -1
        if slot < 0:
            return
        if kind is not None and kind is not GeneratorExit:  # a generator closed early has delivered its event
            self.requeue(Run(self.ring, slot, 1))
            return
        if self._alone:
            columns = self._columns
            generation = columns.taken[slot]
            columns.released[slot] = generation
            self._freed.append(generation << SLOT_BITS | slot)
        else:
            token = self._table.release(self._columns, slot)
            if token is not None:
                self._freed.append(token)
        if not self._ahead:
            self._push_freed()

    # Many events.

    @contextlib.contextmanager
    def batch(self, limit: int = 1024) -> Iterator[Batch | NoBatch]:
        """Wait for events, and give metadata, shape (k,), and data, shape (k, data_length), k <= `limit`.

        They are valid within the block: views of slots that lie together, or copies if those that are ready
        lie scattered, as they do when several readers or writers are at work. Both are None at the end of the
        stream. If the block raises, the events count as not read, and are delivered again.
        """
        try:
            taken = self.take_at_hand(limit)
        except EndOfStream:
            yield None, None
            return
        assert taken is not None  # it waits as long as it takes
        self.batch_slots = taken.slots if isinstance(taken, Run) else taken
        try:
            yield self.events_of(taken)
        except GeneratorExit:
            self._release_many(taken)
            raise
        except BaseException:
            self._requeue_many(taken)
            raise
        finally:
            self.batch_slots = None
        self._release_many(taken)

    def take(self, limit: int = 1, timeout_s: float | None = None) -> Run | None:
        """Take events that lie together; release them in any order.

        Parameters
        ----------
        limit
            The most events wanted.
        timeout_s
            How long to wait in s; None: as long as it takes, 0: not at all.

        Returns
        -------
        Run or None
            None after the time-out.

        Raises
        ------
        EndOfStream
            If all writers have closed, and no event is left.
        """
        if not self._ahead:
            slots = self._claim(limit, timeout_s)
            if not slots:
                return None
            if isinstance(slots, range) and len(slots) <= limit:  # the usual case of many
                return Run(self.ring, slots.start, len(slots))
            self._ahead[:] = reversed(slots)
        return Run(self.ring, *pop_run(self._ahead, limit))

    def release(self, run: Run) -> None:
        """Say that taken events have been dealt with: their slots are free for writers."""
        self.release_slots(slice(run.first, run.first + run.count))

    def requeue(self, run: Run) -> None:
        """Give back taken events: they are delivered again, before all others, to any reader of the group."""
        self.requeue_slots(run.slots)

    @property
    def group_number(self) -> int:
        """Number of the reader group in the ring."""
        return self._index

    @property
    def has_partners_at_work(self) -> bool:
        """Whether another reader of the group has events in hand, or had, and is dead and not recovered."""
        columns = self._columns
        taken = columns.all_taken > columns.all_released
        return bool(np.any(taken & (columns.all_reader != self._member)))

    def view(self, slot: int) -> Batch:
        """Return metadata, shape (1,), and data, shape (data_length,), of a taken slot."""
        return self._views[slot] or self._view(slot)

    def inherit(self, pid: int, slots: Slots) -> None:
        """Take over from a dead process of this group: what it had taken in some slots is this reader's now.

        Parameters
        ----------
        pid
            The dead process.
        slots
            The slots; what else it had taken is delivered again.
        """
        if self._pid != os.getpid():
            self._join()
        self.ring.inherit(pid, self._index, self._member, slots)

    def fileno(self) -> int:
        """File descriptor that is readable when there may be events."""
        return self._queue.fd

    def close(self) -> None:
        """Give back all that was taken and not released; a new use of this reader attaches it anew."""
        if self._member < 0 or self._pid != os.getpid():
            return
        self._push_freed()
        with self._queue:
            self._put_back_ahead()
            self.ring.give_back_taken(self._index, self._member)
            self.ring.line_up(self._index)
        self.ring.leave(self._member)
        self._member = self._pid = -1

    def _forget(self) -> None:
        self._ahead, self._freed = [], []
        self._slot = self._member = self._pid = -1

    def _view(self, slot: int) -> Batch:
        if self._views[slot] is None:
            self._views[slot] = self._protected(*super()._view(slot))
        return super()._view(slot)

    def _protected(self, metadata: npt.NDArray[np.void], data: npt.NDArray[Any]) -> Batch:
        """Keep others' events from being changed."""
        if not self._alone:
            metadata.flags.writeable = data.flags.writeable = False
        return metadata, data

    # Batches of slots that lie scattered.

    def take_at_hand(self, limit: int, timeout_s: float | None = None) -> Run | Slots | None:
        """Take events as `take` does; if they lie scattered, return the slots of all that were at hand."""
        if not self._ahead:
            slots = self._claim(limit, timeout_s)
            if not slots:
                return None
            if isinstance(slots, range) and len(slots) <= limit:
                return Run(self.ring, slots.start, len(slots))
            self._ahead[:] = reversed(slots)
        at_hand = self._ahead[-limit:]
        first, count = pop_run(self._ahead, limit)
        if 2 * count >= len(at_hand):
            return Run(self.ring, first, count)
        del self._ahead[-len(at_hand) + count :]
        return np.array(at_hand[::-1])

    def events_of(self, taken: Run | Slots) -> Batch:
        """Return metadata, shape (k,), and data, shape (k, data_length), of what `take_at_hand` has given."""
        if isinstance(taken, Run):
            return self._protected(taken.metadata, taken.data)
        return self._gathered(taken)

    def tokens_of(self, slots: Slots) -> Words:
        """Return the tokens of taken slots: each with its count of writings."""
        return self._table.tokens_of_taken(self._columns, slots)

    def release_committed(self, tokens: Words) -> None:
        """Release what another reader of the group has committed, and died before it could do it itself.

        Nothing may be committed in its place before: then nobody would know any more.
        """
        with self._queue:
            slots = still_taken(tokens, self._columns)
            if len(slots):
                self.release_slots(slots)

    def _gathered(self, slots: Slots) -> Batch:
        """Copy events; return metadata, shape (k,), and data, shape (k, data_length)."""
        ring, count = self.ring, len(slots)
        if len(self._copies) < count:
            self._copies = np.empty((count, ring.data_length), ring.data_dtype)
        # Numpy copies records field by field, and rows without fields at once.
        row = np.dtype((np.void, ring.spec.data_bytes))
        rows = np.ndarray((ring.slot_count,), row, ring.memory, ring.layout.data_offset, (ring.stride,))
        np.take(rows, slots, out=self._copies.view(row)[:count, 0], mode="clip")
        return ring.all_metadata[slots], self._copies[:count]

    def _release_many(self, taken: Run | Slots) -> None:
        if isinstance(taken, Run):
            self.release(taken)
        else:
            self.release_slots(taken)

    def release_slots(self, slots: slice | Slots) -> None:
        """Do the same as `release` for slots by their numbers."""
        tokens = self._table.release_many(self._columns, slots)
        if len(tokens):
            self.ring.free.push(tokens.tobytes())

    def _requeue_many(self, taken: Run | Slots) -> None:
        if isinstance(taken, Run):
            self.requeue(taken)
        else:
            self.requeue_slots(taken)

    def requeue_slots(self, slots: Slots) -> None:
        """Do the same as `requeue` for slots by their numbers."""
        self._push_freed()
        with self._queue:
            self._put_back_ahead()
            self._table.give_back(self._columns, slots)
            self.ring.line_up(self._index)

    # Claiming.

    def _claim(self, limit: int, timeout_s: float | None) -> Sequence[int]:
        """Take events, and return their slots; none after the time-out."""
        if self._pid != os.getpid():
            self._join()
        now_s = time.monotonic()
        deadline_s = None if timeout_s is None else now_s + timeout_s
        count = self._pace.next(now_s, limit)
        naps = self._pace.naps if timeout_s is None or timeout_s > MOST_NAPS * self._pace.nap_s else 0
        while not (slots := self._claim_now(count)):
            # Looked at again: the last event comes before the end.
            if self.ring.ended:
                slots = self._claim_now(count)
                if slots:
                    break
                self._queue.push(WAKE)  # others of the group wait for this, too
                raise EndOfStream
            if deadline_s is not None:
                timeout_s = deadline_s - time.monotonic()
                if timeout_s <= 0:
                    break
            if naps:
                naps -= 1
                time.sleep(self._pace.nap_s)
            else:
                self._queue.wait(timeout_s)
        return slots

    def _claim_now(self, count: int) -> Sequence[int]:
        table, columns = self._table, self._columns
        slots: Sequence[int] = ()
        with self._queue:
            if columns.words[_HEAD] < columns.words[_TAIL]:
                slots = table.claim_queued(columns, count, self._member)
            while not slots and (tokens := self._queue.pop(count)):  # some may be stale, or only wake
                slots = table.claim_ready(columns, tokens, self._member)
        return slots

    def _put_back_ahead(self) -> None:
        """Make ready again what was taken ahead, and nobody has seen. Under the group's lock."""
        for slot in self._ahead:
            self._columns.taken[slot] = self._columns.released[slot]
        self._ahead = []

    def _push_freed(self) -> None:
        freed = self._freed
        if len(freed) == 1:
            self.ring.free.push(pack_token(freed[0]))
        elif freed:
            self.ring.free.push(struct.pack(f"={len(freed)}Q", *freed))
        freed.clear()

    def _join(self) -> None:
        """Enter the member table."""
        self._member = self.ring.join(Role.READER, self._index)
        self._pid = os.getpid()
        self._pace = Pace(self.slot_count)
