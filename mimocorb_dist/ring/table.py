"""The slot table: the truth about every slot of a ring, and the steps from state to state. No I/O here.

Three numbers tell a slot's state: how often it was claimed for writing, how often it was written, and for
each reader group how often it was taken and released. A slot is

    free         claimed = written = released by every group
    in writing   claimed = written + 1
    ready        written = taken + 1, for a reader group
    in reading   taken = released + 1, for a reader group

Each step is one store of one number, so a process that dies between any two instructions leaves one of these
states. Who claimed and who took a slot stands beside it, so that the slots of a dead process can be found.
The sums of the columns are the books of the ring: events written, taken, released and given up, right at any
moment.

When a slot was published stands beside it, too: that is the order of the events, also after a death. From the
moment when the slot's next event is begun it is 0, so that an observer sees whether its copy is whole; a slot
that is claimed and not yet begun still shows its last event.

Claims happen under a lock of the side that claims. Publishing and releasing need none.

A writer that does not wait for readers gives up the oldest event that nobody reads just now: under all locks
it takes the event from each group that has it still to come, counts it as given up, releases it, and claims
the slot. From the moment when it is taken it is given up, also if the writer dies: the `reader` column
then says so, and whether the count will be odd or even when this one is in it. So it is counted once.

A token carries a slot and its count of writings, and is made when the slot has become free or ready at that
count. It leaves that state only by a claim, which raises `claimed` or `taken`: so one comparison tells
whether a token is still right, and a token that comes twice is right once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .layout import GROUP_WORDS, Group, Header, Layout
from .statistics import Traces
from .tokens import SLOT_BITS, SLOT_MASK, TOKEN_BYTES, WAKE_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

Slots = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_SLOT_BITS, _ONE = np.uint64(SLOT_BITS), np.uint64(1)
_ONE_WRITING = np.uint64(1 << SLOT_BITS)
"""What a further writing adds to a slot's token."""


def fence() -> None:
    """Let no later load pass an earlier store."""
    # A lock of its own for each call: one for all would be held for ever by who is interrupted in here.
    threading.Lock().acquire()


STORES_MAY_PASS = os.uname().machine not in ("x86_64", "AMD64", "i686")
"""Whether other processors may see two stores in another order than they were made."""


GIVEN_BACK = 1 << 32
"""Stands in the `reader` column of a ready slot that counts as redelivered."""
_GIVEN_BACK = np.uint64(GIVEN_BACK)
GIVING_UP = 1 << 33
"""Stands in the `reader` column, beside the member, of a slot whose event is being given up."""
_ODD_BIT = 34
"""Beside it: whether the slot's count of events given up will be odd."""
NOBODY = 1 << 35
"""Stands in the `reader` and `writer` columns of slots that a process which has gone dealt with last."""
_WORTH_A_RUN = 16 * TOKEN_BYTES
"""From so many tokens on, claiming slots that lie together at once costs less than one after the other."""


class GroupColumns:
    """A reader group's columns of the slot table, as memory views for single slots and arrays for many."""

    def __init__(self, memory: memoryview, layout: Layout, index: int) -> None:
        count = layout.spec.slot_count
        self.taken, self.all_taken = _column(memory, layout.column_offset("taken", index), count)
        self.released, self.all_released = _column(memory, layout.column_offset("released", index), count)
        self.reader, self.all_reader = _column(memory, layout.column_offset("reader", index), count)
        self.given_up, self.all_given_up = _column(memory, layout.column_offset("given_up", index), count)
        self.queue, self.all_queue = _column(memory, layout.column_offset("queue", index), count)
        self.words, _ = _column(memory, layout.groups_offset + index * GROUP_WORDS * 8, GROUP_WORDS)


class SlotTable:
    """The slot table of a ring.

    Parameters
    ----------
    memory
        The ring's shared memory.
    layout
        Where the columns lie in it.
    """

    def __init__(self, memory: memoryview, layout: Layout) -> None:
        count = layout.spec.slot_count
        self.slot_count = count
        self._numbers = np.arange(count, dtype=np.uint64)
        self.header, _ = _column(memory, 0, 32)
        self.claimed, self.all_claimed = _column(memory, layout.column_offset("claimed"), count)
        self.written, self.all_written = _column(memory, layout.column_offset("written"), count)
        self.writer, self.all_writer = _column(memory, layout.column_offset("writer"), count)
        self.published, self.all_published = _column(memory, layout.column_offset("published"), count)
        self.groups = [GroupColumns(memory, layout, index) for index in range(len(layout.spec.groups))]

    # Writers.

    def claim_free(self, tokens: bytes, member: int) -> Sequence[int]:
        """Claim for writing the slots of those tokens that are right. Under the writers' lock."""
        claimed, writer = self.claimed, self.writer
        if len(tokens) >= _WORTH_A_RUN:
            part = self._run(tokens)
            if self._tokens(self.all_claimed, part).tobytes() == tokens:  # they are in a row, and all right
                self.all_writer[part] = member
                self.all_claimed[part] += _ONE
                return range(part.start, part.stop)
        slots = []
        for token in memoryview(tokens).cast("Q"):
            slot = token & SLOT_MASK
            generation = token >> SLOT_BITS
            if token != WAKE_VALUE and claimed[slot] == generation:
                writer[slot] = member
                claimed[slot] = generation + 1
                slots.append(slot)
        return slots

    def begin(self, slot: int) -> None:
        """Say that a claimed slot will be written to from now on."""
        self.published[slot] = 0
        if STORES_MAY_PASS:
            fence()

    def begin_many(self, slots: slice | Slots) -> None:
        """Do the same as `begin` for many slots."""
        self.all_published[slots] = 0
        if STORES_MAY_PASS:
            fence()

    def publish(self, slot: int) -> int:
        """Make a claimed slot ready for every group (free, if there are none), and return its token."""
        generation: int = self.claimed[slot]
        if STORES_MAY_PASS:
            fence()  # whoever sees the moment also sees the data
        self.published[slot] = time.monotonic_ns()
        self.written[slot] = generation
        token = generation << SLOT_BITS | slot
        self.header[Header.LATEST] = token
        return token

    def publish_many(self, slots: slice | Slots) -> Words:
        """Do the same as `publish` for many slots, and return their tokens."""
        generations = self.all_claimed[slots]
        if STORES_MAY_PASS:
            fence()
        now_ns, count = time.monotonic_ns(), len(generations)
        # Slots in a row stay in order when they are sorted by this moment, others need one each. Copying an
        # event takes longer than a ns, so these moments lie after those of the writer's earlier events.
        in_a_row = isinstance(slots, slice)
        self.all_published[slots] = now_ns if in_a_row else self._numbers[:count] + np.uint64(now_ns - count)
        self.all_written[slots] = generations
        tokens = self._tokens(self.all_written, slots)
        self.header[Header.LATEST] = int(tokens[-1])
        return tokens

    def tokens_to_come(self, slots: slice | Slots) -> Words:
        """Return the tokens that claimed slots will have when they are published."""
        return self._tokens(self.all_claimed, slots)

    def abandon(self, slot: int) -> int:
        """Make a claimed slot free again, and return its token."""
        generation: int = self.written[slot]
        self.claimed[slot] = generation
        return generation << SLOT_BITS | slot

    def claim_oldest(self, limit: int, member: int) -> Sequence[int]:
        """Claim for writing the slots of the oldest events that nobody reads just now.

        The events are given up for the groups that have not taken them; free slots that are not in a queue
        come before. What a reader has given back stays. Under the writers' lock and those of all groups.
        """
        idle = self.all_claimed == self.all_written
        for group in self.groups:
            idle &= (group.all_taken == group.all_released) & (group.all_reader != _GIVEN_BACK)
        slots = np.flatnonzero(idle)
        if len(slots) > limit:
            published = self.all_published[slots]
            oldest = [published.argmin()] if limit == 1 else published.argsort(kind="stable")[:limit]
            slots = slots[oldest]
        for group in self.groups:
            self._give_up(group, slots[group.all_taken[slots] < self.all_written[slots]], member)
        return self.claim_free(self._tokens(self.all_written, slots).tobytes(), member)

    def _give_up(self, group: GroupColumns, slots: Slots, member: int) -> None:
        counts = group.all_given_up[slots] + _ONE
        group.all_reader[slots] = (counts & _ONE) << np.uint64(_ODD_BIT) | np.uint64(GIVING_UP | member)
        group.all_taken[slots] = self.all_written[slots]
        group.all_given_up[slots] = counts
        group.all_released[slots] = group.all_taken[slots]

    # Readers.

    def claim_ready(self, group: GroupColumns, tokens: bytes, member: int) -> Sequence[int]:
        """Take for reading the slots of those tokens that are right. Under the group's lock."""
        taken, reader = group.taken, group.reader
        if len(tokens) >= _WORTH_A_RUN:
            part = self._run(tokens)
            if (self._tokens(group.all_taken, part) + _ONE_WRITING).tobytes() == tokens:
                group.all_reader[part] = member
                group.all_taken[part] += _ONE
                return range(part.start, part.stop)
        slots = []
        for token in memoryview(tokens).cast("Q"):
            slot = token & SLOT_MASK
            generation = token >> SLOT_BITS
            if token != WAKE_VALUE and taken[slot] < generation:
                reader[slot] = member
                taken[slot] = generation
                slots.append(slot)
        return slots

    def claim_queued(self, group: GroupColumns, limit: int, member: int) -> list[int]:
        """Take for reading up to `limit` slots that come before those of the FIFO. Under the group's lock."""
        slots: list[int] = []
        head, tail = group.words[Group.HEAD], group.words[Group.TAIL]
        while head < tail and len(slots) < limit:
            token = group.queue[head]
            head += 1
            slot, generation = token & SLOT_MASK, token >> SLOT_BITS
            if group.taken[slot] < generation:
                group.reader[slot] = member
                group.taken[slot] = generation
                slots.append(slot)
        group.words[Group.HEAD] = head
        return slots

    def release(self, group: GroupColumns, slot: int) -> int | None:
        """End the reading of a slot; return its token if this made the slot free."""
        generation: int = group.taken[slot]
        group.released[slot] = generation
        if len(self.groups) > 1:
            # Two groups that release at once must not both miss the other; a doubled token does no harm.
            fence()
            if any(other.released[slot] != generation for other in self.groups):
                return None
        return generation << SLOT_BITS | slot

    def release_many(self, group: GroupColumns, slots: slice | Slots) -> Words:
        """Do the same as `release` for many slots; return the tokens of those that are free now."""
        generations = group.all_taken[slots]
        group.all_released[slots] = generations
        tokens = self._tokens(group.all_taken, slots)
        if len(self.groups) > 1:
            fence()
            free = np.ones(len(tokens), dtype=bool)
            for other in self.groups:
                free &= other.all_released[slots] == generations
            tokens = tokens[free]
        return tokens

    def tokens_of_taken(self, group: GroupColumns, slots: slice | Slots) -> Words:
        """Return the tokens of slots that a group has taken."""
        return self._tokens(group.all_taken, slots)

    # After a death.

    def written_by(self, member: int) -> Traces:
        """Count the slots that a writer has published last, and those that it has claimed."""
        mine = self.all_writer == member
        claimed = mine & (self.all_claimed > self.all_written)
        done = mine & (self.all_written > 0) & ~claimed
        return Traces(int(np.count_nonzero(done)), int(np.count_nonzero(claimed)))

    def read_by(self, group: GroupColumns, member: int) -> Traces:
        """Count the slots that a reader has released last, and those that it has taken."""
        mine = group.all_reader == member
        taken = mine & (group.all_taken > group.all_released)
        done = mine & (group.all_released > 0) & ~taken
        return Traces(int(np.count_nonzero(done)), int(np.count_nonzero(taken)))

    def give_back_claimed(self, member: int) -> int:
        """Free all slots that a dead writer had claimed; return how many. Under the writers' lock."""
        mine = self.all_writer == member
        slots = np.flatnonzero(mine & (self.all_claimed > self.all_written))
        self.all_published[slots] = 0  # it may have died between its last two stores
        self.all_claimed[slots] = self.all_written[slots]
        self.all_writer[mine] = NOBODY
        return len(slots)

    def free_tokens(self) -> Words:
        """Return the tokens of all free slots, in order of slots. Under the writers' lock."""
        free = self.all_claimed == self.all_written
        for group in self.groups:
            free &= group.all_released == self.all_written
        return self._tokens(self.all_written, np.flatnonzero(free))

    def finish_giving_up(self, group: GroupColumns, member: int) -> None:
        """Bring to an end what a dead writer was giving up. Under the group's lock."""
        odd = np.uint64(1 << _ODD_BIT)
        slots = np.flatnonzero(
            ((group.all_reader & ~odd) == (GIVING_UP | member)) & (group.all_taken > group.all_released)
        )
        will_be_odd = (group.all_reader[slots] & odd) != 0
        uncounted = slots[((group.all_given_up[slots] & _ONE) != 0) != will_be_odd]
        group.all_given_up[uncounted] += _ONE
        group.all_released[slots] = group.all_taken[slots]

    def give_back_taken(self, group: GroupColumns, member: int) -> int:
        """Do the same as `give_back` for all that a member has taken; return how many slots."""
        mine = group.all_reader == member
        slots = np.flatnonzero(mine & (group.all_taken > group.all_released))
        self.give_back(group, slots)  # first: by the member's name they are found again after a death in here
        group.all_reader[group.all_reader == member] = NOBODY
        return len(slots)

    def give_back(self, group: GroupColumns, slots: Slots) -> None:
        """Make taken slots ready again, and count them as redelivered. Under the group's lock."""
        group.words[Group.REDELIVERED] += len(slots)
        group.all_taken[slots] = group.all_released[slots]
        group.all_reader[slots] = GIVEN_BACK

    def queue_ready(self, group: GroupColumns) -> None:
        """Line up all ready slots, oldest first, before those of the FIFO. Under the group's lock."""
        slots = np.flatnonzero(self.all_written > group.all_taken)
        slots = slots[np.argsort(self.all_published[slots], kind="stable")]
        group.words[Group.HEAD] = 0
        group.words[Group.TAIL] = 0
        group.all_queue[: len(slots)] = self._tokens(self.all_written, slots)
        group.words[Group.TAIL] = len(slots)

    # Books.

    def filled(self) -> int:
        """Count the slots that hold an event some group has not released."""
        if not self.groups:
            return 0
        waiting = np.zeros(self.slot_count, dtype=bool)
        for group in self.groups:
            waiting |= group.all_released < self.all_written
        return int(np.count_nonzero(waiting))

    def written_total(self) -> int:
        """Count the events published so far."""
        return int(self.all_written.sum())

    def claimed_total(self) -> int:
        """Count the events published or being written. Under the writers' lock."""
        return int(self.all_claimed.sum())

    @staticmethod
    def _run(tokens: bytes) -> slice:
        """Return the slots in a row that tokens name if they name such."""
        first = int.from_bytes(tokens[:TOKEN_BYTES], sys.byteorder) & SLOT_MASK
        return slice(first, first + len(tokens) // TOKEN_BYTES)

    def _tokens(self, generations: Words, slots: slice | Slots) -> Words:
        return (generations[slots] << _SLOT_BITS) + self._numbers[slots]


def _column(memory: memoryview, offset: int, count: int) -> tuple[memoryview, Words]:
    part = memory[offset : offset + count * 8].cast("Q")
    return part, np.frombuffer(part, dtype=np.uint64)


def pop_run(ahead: list[int], limit: int) -> tuple[int, int]:
    """Take slots that lie together off a list that is used from its end; return first and count."""
    first = ahead[-1]
    count = min(limit, len(ahead))
    if ahead[-count:] != list(range(first + count - 1, first - 1, -1)):
        count = next(k for k in range(1, count) if ahead[-1 - k] != first + k)
    del ahead[-count:]
    return first, count
