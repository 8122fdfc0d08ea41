"""Writing events into a ring."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from os import write
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mimocorb_dist.errors import RingError

from .copying import copy_rows, length
from .full import claim_without_tokens
from .interface import Interface, Pace, Run
from .layout import MEMBER_WORDS, METADATA_DTYPE, UNLIMITED, Header, Held, Member, Pause, Role
from .table import STORES_MAY_PASS, Slots, fence, pop_run
from .tokens import SLOT_BITS, TOKEN_BYTES, pack_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from .hand import Hand
    from .ring import Ring

_BYTE = np.dtype(np.uint8)
# Looking up members of an enumeration costs as much as the rest of a step.
_PAUSED, _LATEST = int(Header.PAUSED), int(Header.LATEST)
_EVENTS_LEFT, _MAX_FILLED = int(Header.EVENTS_LEFT), int(Header.MAX_FILLED)
_SPARE = int(Header.SPARE)
_SCRATCH = -2
"""In place of a slot: the event goes to nowhere, for the ring is full."""
_WAITS_SINCE_NS = int(Member.WAITS_SINCE_NS)
_MOST_KEPT_BACK = 64
_CLAIMS_A_LOOK = 256
_METADATA_BYTES = METADATA_DTYPE.itemsize
_pack_metadata = struct.Struct("=qdd").pack_into

Batch = tuple[npt.NDArray[np.void], npt.NDArray[Any]]


class BufferWriter(Interface):
    """A writer of a ring.

    ``with writer as (metadata, data)`` waits for a free slot, gives views of its metadata, shape (1,), and
    data, shape (data_length,), and publishes it at the end of the block. If the block raises, nothing is
    published.

    In a ring whose `when_full` is not ``block`` writing never waits for a slot. What finds none is counted as
    refused; blocks then get room that nobody looks at.

    Parameters
    ----------
    ring
        The ring, attached.
    heeds_pause
        Whether a pause of the ring is for this writer: not for one whose events have been counted as written
        elsewhere.

    Attributes
    ----------
    hand, number
        The notes of the process that what it writes comes from another ring, if it keeps any, and the number
        of this writer in them.
    """

    def __init__(self, ring: Ring, *, heeds_pause: bool = True) -> None:
        super().__init__(ring)
        self._heeds_pause = heeds_pause
        self.hand: Hand | None = None
        self.number = 0
        self._table = ring.table
        self._memory = ring.memory
        self._metadata_offset = ring.layout.metadata_offset
        self._data_offset = ring.layout.data_offset
        self._stride = ring.stride
        self._data_bytes = ring.spec.data_bytes
        self._dtype = self._same_dtype = ring.spec.data_dtype
        self._mapping = ring.mapping
        # Numpy copies records field by field, and arrays of one number type at the speed of memory.
        self._as_bytes: npt.NDArray[np.uint8] = np.ndarray(
            (ring.slot_count, self._data_bytes), np.uint8, ring.memory, self._data_offset, (self._stride, 1)
        )
        names = self._dtype.names
        self._only_field = names[0] if names is not None and len(names) == 1 else None
        self._only_dtype = self._dtype if self._only_field is None else self._dtype[0]
        self._ahead: list[int] = []  # claimed slots, to be used from the end
        self._slot = -1
        self._closed = False
        self._member = -1
        self._pid = -1
        self._is_source = False
        self._held = Held()
        self.was_held = False
        self._waits = ring.spec.when_full == "block"
        self._gives_up = ring.spec.when_full == "drop_old"
        self._pace = Pace(ring.slot_count)
        # The event published last must outlive some others, for the sake of observers.
        self._kept_back = min(ring.slot_count // 8, _MOST_KEPT_BACK)
        self._claims, self._unneeded = 0, ring.slot_count
        self._ready_fds = [queue.fd for queue in ring.ready] or [
            ring.free.fd
        ]  # unread events are free at once
        self._header, self._claimed = ring.header, ring.table.claimed
        self._written, self._published = ring.table.written, ring.table.published

    # Single events.

    def __enter__(self) -> Batch:
        if not self._ahead:
            if not self.wait():
                raise RingError(
                    f"buffer {self.name}: the event limit of the run is reached; "
                    "ask `ring.limit_reached` before writing"
                )
            if not self._ahead:
                self._slot = _SCRATCH
                metadata, data = self._scratch(1)
                return metadata, data[0]
        self._slot = slot = self._ahead.pop()
        self._table.begin(slot)
        return self._views[slot] or self._view(slot)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        slot, self._slot = self._slot, -1
        if slot < 0:  # if not scratch, it was the parent's of a process forked in the block
            if slot == _SCRATCH and kind is None:
                self.refuse(1)
            return
        if kind is not None:
            self._ahead.append(slot)  # still claimed, and used for the next event
        else:
            self._publish(slot)

    def put(self, data: Any, counter: int, timestamp: float, deadtime: float) -> bool:
        """Wait for a slot, copy an event into it, and publish it.

        Parameters
        ----------
        data
            Array of shape (data_length,) and the buffer's dtype, or what numpy can assign to one.
        counter
            Number of the event.
        timestamp
            Time in s since 1970.
        deadtime
            Share of the time before the event in which none could be taken.

        Returns
        -------
        bool
            False if the event limit of the run is reached: the event is not published.
        """
        ahead = self._ahead
        if not ahead and not self._claim_one():
            return self._refuses(1)
        slot = ahead[-1]
        self._published[slot] = 0  # as `SlotTable.begin` does it
        if STORES_MAY_PASS:
            fence()
        self._store(slot, data)
        _pack_metadata(
            self._memory, self._metadata_offset + slot * _METADATA_BYTES, counter, timestamp, deadtime
        )
        del ahead[-1]
        self._publish(slot)
        return True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is a slot for the next event, or it is clear that there will be none.

        Parameters
        ----------
        timeout_s
            How long to wait in s; None: as long as it takes, 0: not at all.

        Returns
        -------
        bool
            False after the time-out, or when the event limit of the run is reached (`ring.limit_reached`).
            True, too, if there is no slot and the ring's writers do not wait for one.
        """
        return self._claim_one(timeout_s) or not (self._waits or self.ring.limit_reached)

    def _claim_one(self, timeout_s: float | None = None) -> bool:
        """Have a slot for the next event, if that can be."""
        if not self._ahead:
            self._ahead[:] = reversed(self._claim(1, timeout_s))
        return bool(self._ahead)

    def copy(self, metadata: npt.NDArray[np.void], data: npt.NDArray[Any]) -> bool:
        """Do as `put` does, with the metadata of an event, shape (1,)."""
        if self.hand is not None and self.hand.several and self.hand.is_done(self.number):
            return True
        ahead = self._ahead
        if not ahead and not self._claim_one():
            return self._refuses(1)
        slot = ahead[-1]
        self._table.begin(slot)
        self._store(slot, data)
        start = self._metadata_offset + slot * _METADATA_BYTES
        self._memory[start : start + _METADATA_BYTES] = metadata.tobytes()
        del ahead[-1]
        self._publish(slot)
        return True

    def _store(self, slot: int, data: Any) -> None:
        """Copy data into a slot, as bytes where that means the same: numpy copies records field by field."""
        if isinstance(data, np.ndarray):
            dtype = data.dtype
            if dtype is not self._same_dtype and dtype in (self._dtype, self._only_dtype):
                self._same_dtype = dtype  # comparing types of many fields costs more than copying an event
            if dtype is self._same_dtype and data.nbytes == self._data_bytes and data.flags.c_contiguous:
                start = self._data_offset + slot * self._stride
                self._mapping[start : start + self._data_bytes] = data  # type: ignore[call-overload, unused-ignore]
                return
            if self._only_field is not None and dtype.names is None:
                self._view(slot)[1][self._only_field] = data
                return
        self._view(slot)[1][:] = data

    def _publish(self, slot: int) -> None:
        """Do what `SlotTable.publish` does, in line, and push the token: every single event comes here."""
        header = self._header
        if header[_PAUSED] and self._discards():
            self._ahead.append(slot)
            self._discard(1)
            return
        generation = self._claimed[slot]
        token = generation << SLOT_BITS | slot
        if self.hand is not None:
            self.hand.note(self.number, token)
        if STORES_MAY_PASS:
            fence()
        self._published[slot] = monotonic_ns()
        self._written[slot] = generation
        header[_LATEST] = token
        packed = pack_token(token)
        for fd in self._ready_fds:
            write(fd, packed)

    # Many events.

    @contextlib.contextmanager
    def batch(self, limit: int = 1024) -> Iterator[Batch]:
        """Give metadata, shape (k,), and data, shape (k, data_length), of k <= `limit` free slots.

        They lie together. All of them are published at the end of the block; if it raises, none. At the
        event limit of the run k is 0. If there is no slot, and the ring's writers do not wait for one, the
        arrays are not the ring's, and what is written to them counts as refused.
        """
        run = self.reserve(limit)
        if run is None:
            count = 0 if self._waits or self.ring.limit_reached else min(limit, self._pace.batch_share)
            yield self._scratch(count)
            self.refuse(count)
            return
        try:
            yield run.metadata, run.data
        except BaseException:
            self.abandon(run)
            raise
        self.publish(run)

    def write(
        self,
        data: npt.NDArray[Any],
        metadata: npt.NDArray[np.void],
        index: Slots | None = None,
        places: Slots | None = None,
    ) -> int:
        """Copy events into the ring and publish them, waiting for slots as needed.

        Parameters
        ----------
        data
            Shape (n, data_length), of the buffer's dtype or assignable to it.
        metadata
            Shape (n,), of `METADATA_DTYPE`.
        index
            Numbers of the events to write, from 0 to n - 1; None: all.
        places
            If the events come from a batch that is being read: which one each has been made of, shape (n,);
            None: each from the one at its own place.

        Returns
        -------
        int
            How many were published or refused: fewer than wanted only at the event limit of the run.

        Raises
        ------
        IndexError
            If there is no event of a number in `index`. Nothing is published.
        """
        if index is not None and len(index) and not 0 <= index.min() <= index.max() < len(data):
            raise IndexError(f"buffer {self.name}: events {index.min()} to {index.max()} of {len(data)}")
        if self.hand is not None and self.hand.several:
            index = self.hand.left(self.number, len(data), index, places)
        total = len(data) if index is None else len(index)
        same = data.dtype == self._dtype and data.shape[1:] == (self.ring.spec.data_length,)
        as_bytes = same and data.strides[1] == data.itemsize
        source, target = (data.view(_BYTE), self._as_bytes) if as_bytes else (data, self.ring.all_data)
        done = 0
        while done < total:
            slots = self._reserve_many(total - done)
            if slots is None:
                return total if self._refuses(total - done) else done
            part = slice(done, done + length(slots)) if index is None else index[done : done + length(slots)]
            try:
                copy_rows(source, part, target, slots)
                self.ring.all_metadata[slots] = metadata[part]
            except BaseException:
                self._keep(slots)
                raise
            self._publish_many(slots, part if places is None else places[part])
            done += length(slots)
        return done

    def _reserve_many(self, limit: int) -> slice | Slots | None:
        """Reserve as `reserve` does; if the slots at hand lie scattered, all of them."""
        run = self.claim(limit)
        if run is None:
            return None
        slots: slice | Slots = slice(run.first, run.first + run.count)
        rest = self._ahead[-(limit - run.count) :] if run.count < limit else []
        if len(rest) > run.count:
            del self._ahead[-len(rest) :]
            slots = np.array([*range(run.first, run.first + run.count), *rest[::-1]])
        self._table.begin_many(slots)
        return slots

    def reserve(self, limit: int = 1, timeout_s: float | None = None) -> Run | None:
        """Claim free slots that lie together, to be written to at once.

        Parameters
        ----------
        limit
            The most slots wanted.
        timeout_s
            How long to wait in s; None: as long as it takes, 0: not at all.

        Returns
        -------
        Run or None
            None after the time-out, or when the event limit of the run is reached (`ring.limit_reached`); in
            a ring whose writers do not wait also at once: then call `refuse`.
        """
        run = self.claim(limit, timeout_s)
        if run is not None:
            self.begin(run)
        return run

    def claim(self, limit: int = 1, timeout_s: float | None = None) -> Run | None:
        """Do as `reserve`, for use at a later time: observers see what the slots held until `begin`."""
        if not self._ahead:
            slots = self._claim(limit, timeout_s)
            if not slots:
                return None
            if isinstance(slots, range) and len(slots) <= limit:  # the usual case of many
                return Run(self.ring, slots.start, len(slots))
            self._ahead[:] = reversed(slots)
        return Run(self.ring, *pop_run(self._ahead, limit))

    def begin(self, run: Run) -> None:
        """Say that claimed slots will be written to from now on."""
        self._table.begin_many(slice(run.first, run.first + run.count))

    def publish(self, run: Run) -> None:
        """Publish all events of reserved slots."""
        self._publish_many(slice(run.first, run.first + run.count))

    def _publish_many(self, slots: slice | Slots, places: slice | Slots | None = None) -> None:
        if self._header[_PAUSED] and self._discards():
            self._discard(self._keep(slots))
            return
        if self.hand is not None and places is not None:
            self.hand.note_many(self.number, self._table.tokens_to_come(slots), places)
        tokens = self._table.publish_many(slots).tobytes()
        for queue in self.ring.ready or (self.ring.free,):
            queue.push(tokens)

    def abandon(self, run: Run) -> None:
        """Publish none of reserved slots; this writer keeps them for later."""
        self._keep(slice(run.first, run.first + run.count))

    def _keep(self, slots: slice | Slots) -> int:
        """Keep claimed slots for the next events; return how many."""
        kept = range(slots.start, slots.stop) if isinstance(slots, slice) else slots.tolist()
        self._ahead.extend(reversed(kept))
        return len(kept)

    def refuse(self, count: int) -> None:
        """Count events as refused, for which there was no slot; in a pause as discarded."""
        if self._pid != os.getpid():
            self._join()
        paused = self._header[_PAUSED] and self._discards()
        counter = Member.DISCARDED if paused else Member.REFUSED
        self.ring.members[self._member * MEMBER_WORDS + counter] += count

    def _refuses(self, count: int) -> bool:
        """Count events as refused for which there was no slot; False at the event limit of the run."""
        if self._waits or self.ring.limit_reached:
            return False
        self.refuse(count)
        return True

    def _scratch(self, count: int) -> Batch:
        """Return room for events that will not be published."""
        return np.zeros(count, METADATA_DTYPE), np.zeros((count, self.ring.data_length), self._dtype)

    def fileno(self) -> int:
        """File descriptor that is readable when there may be free slots."""
        return self.ring.free.fd

    # Accounts and end.

    def add_dead_time(self, dead_s: float, live_s: float) -> None:
        """Count time in s in which data could not, and could, be taken.

        A writer whose dead time has once been counted, be it 0 s, is the end of a source: from then on the
        ring's statistics also show the time that it waits for a slot just now. If a wait ends by an
        exception, it is counted here.
        """
        if self._member < 0:
            self._join()
        self._is_source = True
        row = self._member * MEMBER_WORDS
        members = self.ring.members
        if since_ns := members[row + Member.WAITS_SINCE_NS]:
            wait_s = 1e-9 * (time.monotonic_ns() - since_ns)
            dead_s, live_s = dead_s + wait_s, max(0.0, live_s - wait_s)
            members[row + Member.WAITS_SINCE_NS] = 0
        members[row + Member.DEAD_NS] += int(dead_s * 1e9)
        members[row + Member.LIVE_NS] += int(live_s * 1e9)

    def take_held(self) -> Held:
        """Return how long this writer was held when it published, since the last call.

        `was_held` tells whether there is anything to ask for. Who books the times of a source asks.
        """
        held, self._held, self.was_held = self._held, Held(), False
        return held

    def close(self) -> None:
        """End this writer: once all expected ones have, readers come to the end of the stream."""
        if self._closed:
            return
        if self._member < 0:
            self._join()
        self._closed = True
        self._give_back_ahead()
        self.ring.close_writer(self._member)

    def detach(self) -> None:
        """Give back what this writer holds, without a word on the end of the stream.

        For writers whose number nobody knows before; a new use attaches it anew.
        """
        if self._closed or self._member < 0 or self._pid != os.getpid():
            return
        self._give_back_ahead()
        self.ring.leave(self._member)
        self._member = self._pid = -1
        self._is_source = False

    def _give_back_ahead(self) -> None:
        """Make free again what was claimed ahead and not written."""
        if not self._ahead:
            return
        with self.ring.free:
            tokens = [self._table.abandon(slot) for slot in reversed(self._ahead)]
            if self.ring.header[_EVENTS_LEFT] != UNLIMITED:
                self.ring.header[_EVENTS_LEFT] += len(tokens)
        self._ahead.clear()
        self.ring.free.push(struct.pack(f"={len(tokens)}Q", *tokens))

    def shutdown_buffer(self) -> None:
        """Classic name of `close`."""
        self.close()

    def _forget(self) -> None:
        self._ahead = []
        self._slot = self._member = self._pid = -1
        self._closed = True  # that is, nothing is to be closed before the child writes, too

    # Claiming.

    def _claim(self, limit: int, timeout_s: float | None) -> Sequence[int]:
        """Claim free slots, and return them; none after the time-out or at the event limit."""
        if self._pid != os.getpid():
            self._join()
        if self._closed:
            raise RingError(
                f"buffer {self.name}: this writer has been closed; write before shutting down the sinks"
            )
        queue, header = self.ring.free, self.ring.header
        now_s = time.monotonic()
        deadline_s = None if timeout_s is None else now_s + timeout_s
        count = self._pace.next(now_s, limit)
        members, waits_since, since_ns = self.ring.members, self._member * MEMBER_WORDS + _WAITS_SINCE_NS, 0
        slots: Sequence[int] = ()
        while True:
            with queue:
                left = header[_EVENTS_LEFT]
                if left == 0:
                    break
                slots = self._take_tokens(min(count, left))
                if not slots and not self._waits:
                    # What is to be discarded is not worth an event.
                    keeps = not self._gives_up or (self._heeds_pause and header[_PAUSED] == Pause.DISCARD)
                    most_given_up = 0 if keeps else limit
                    slots = claim_without_tokens(self.ring, self._member, min(count, left), most_given_up)
                if left != UNLIMITED:
                    header[_EVENTS_LEFT] = left - len(slots)
            if slots:
                break
            header[_MAX_FILLED] = self.slot_count
            if not self._waits:
                break
            if deadline_s is not None:
                timeout_s = deadline_s - time.monotonic()
                if timeout_s <= 0:
                    break
            if self._is_source and not since_ns:
                since_ns = members[waits_since] = time.monotonic_ns()
            queue.wait(timeout_s)
        if since_ns:
            members[waits_since] = 0
        return slots

    def _take_tokens(self, count: int) -> Sequence[int]:
        """Claim slots that were in use lately and lie in caches still; spare ones if there are too few."""
        free, header = self.ring.free, self._header
        waiting, spares = free.waiting(), header[_SPARE]
        slots: Sequence[int] = ()
        if waiting < count + self._kept_back and spares > min(waiting, count - 1):
            slots = self._take_spare(count)
        while not slots and (tokens := free.pop(count)):  # some may be stale, or only wake
            slots = self._table.claim_free(tokens, self._member)
            waiting -= len(tokens) // TOKEN_BYTES
        slots = slots or self._take_spare(count)
        used = self.slot_count - waiting - header[_SPARE] - len(slots)
        header[_MAX_FILLED] = max(header[_MAX_FILLED], used)
        self._unneeded = min(self._unneeded, waiting - self._kept_back)
        self._claims += 1
        if self._claims == _CLAIMS_A_LOOK:
            if self._unneeded > 2 * self._kept_back:
                self._set_aside(self._unneeded // 2)
            self._claims, self._unneeded = 0, self.slot_count
        return slots

    def _take_spare(self, count: int) -> Sequence[int]:
        slots: Sequence[int] = ()
        while not slots and self._header[_SPARE] and (tokens := self.ring.spare.pop(count)):
            self._header[_SPARE] -= min(len(tokens) // TOKEN_BYTES, self._header[_SPARE])
            slots = self._table.claim_free(tokens, self._member)
        return slots

    def _set_aside(self, count: int) -> None:
        """Make slots spare that nobody has needed for a while. Under the writers' lock."""
        tokens = self.ring.free.pop(count)
        self.ring.spare.push(tokens)
        self._header[_SPARE] += len(tokens) // TOKEN_BYTES

    def _join(self) -> None:
        """Enter the member table."""
        self._member = self.ring.join(Role.WRITER)
        self._pid = os.getpid()
        self._closed = False
        writers = max(1, self.ring.header[Header.EXPECTED_WRITERS])
        self._pace = Pace(self.slot_count // writers)

    def _discards(self) -> bool:
        """Tell whether what is to be published now is to be discarded; wait if writers are held instead."""
        if not self._heeds_pause:
            return False
        if self.ring.held:
            members, waits_since = self.ring.members, self._member * MEMBER_WORDS + _WAITS_SINCE_NS
            is_dead = self._is_source and self.ring.held_dead
            if is_dead:  # statistics see it grow
                members[waits_since] = monotonic_ns()
            held = self.ring.wait_while_held()
            if is_dead:
                members[waits_since] = 0
            self._held = Held(self._held.idle_s + held.idle_s, self._held.dead_s + held.dead_s)
            self.was_held = True
        return self._header[_PAUSED] == Pause.DISCARD

    def _discard(self, count: int) -> None:
        self.ring.members[self._member * MEMBER_WORDS + Member.DISCARDED] += count
