"""A ring buffer in shared memory: made by a supervisor, attached to by readers, writers and observers."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mimocorb_dist.errors import RingError

from .commit_file import commit_paths, committed_by
from .files import allocate, free_path, map_ring, ready_path, remove_files, spare_path
from .layout import (
    MAX_MEMBERS,
    MEMBER_WORDS,
    METADATA_DTYPE,
    UNLIMITED,
    BufferSpec,
    Group,
    Header,
    Held,
    Layout,
    Member,
    Pause,
    Role,
)
from .statistics import BufferStatistics, Recovery, Traces
from .table import GIVEN_BACK, SlotTable
from .tokens import MAX_TOKENS, SLOT_MASK, WAKE, TokenQueue, pack_token

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_LOOK_S = 0.01
"""How often a held writer looks whether the pause is over."""

Event = tuple[npt.NDArray[np.void], npt.NDArray[Any]]
"""An event: metadata of shape (1,) and data of shape (data_length,)."""


class Ring:
    """A ring buffer of events in shared memory.

    Make one with `create` or attach to one with `open`. Events go through it by a `BufferWriter`,
    `BufferReader` or `BufferObserver`.

    Parameters
    ----------
    path
        Path of the ring's file, ``<name>.ring``; its queues lie beside it.

    Raises
    ------
    RingError
        If there is no such ring, or it was made by another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._memory, self.spec = map_ring(self.path)
        self.name = self.spec.name
        self.slot_count = self.spec.slot_count
        self.stride = self.spec.stride
        self.data_length, self.data_dtype = self.spec.data_length, self.spec.data_dtype
        self.data_example: npt.NDArray[Any] = np.zeros(self.data_length, dtype=self.data_dtype)
        self.metadata_example = np.zeros(1, dtype=METADATA_DTYPE)
        self.layout = Layout(self.spec)
        self.table = SlotTable(self._memory, self.layout)
        self.header = self.table.header
        self.members = self._words(self.layout.members_offset, MAX_MEMBERS * MEMBER_WORDS)
        tokens = _queue_length(self.spec)
        self.free = TokenQueue(free_path(self.path), tokens)
        self.spare = TokenQueue(spare_path(self.path), tokens)
        self.ready = [TokenQueue(ready_path(self.path, group), tokens) for group in self.spec.groups]
        self.all_metadata: npt.NDArray[np.void] = np.ndarray(
            (self.slot_count,), METADATA_DTYPE, self._memory, self.layout.metadata_offset
        )
        self.all_data: npt.NDArray[Any] = np.ndarray(
            (self.slot_count, self.spec.data_length),
            self.spec.data_dtype,
            self._memory,
            self.layout.data_offset,
            (self.stride, self.spec.data_dtype.itemsize),
        )

    @classmethod
    def open(cls, path: Path | str) -> Ring:
        """Attach to a ring by the path of its file."""
        return cls(Path(path))

    @classmethod
    def create(
        cls, directory: Path, spec: BufferSpec, ring_name: str | None = None, expected_writers: int = 1
    ) -> Ring:
        """Make a ring and attach to it.

        Parameters
        ----------
        directory
            Where its file and queues are made; it should lie in shared memory.
        spec
            What the buffer is.
        ring_name
            Name of the file without suffix; by default the buffer's name.
        expected_writers
            How many writers must close before the stream has ended.

        Returns
        -------
        Ring
            The new ring, attached.

        Raises
        ------
        RingError
            If there is no room, or a ring of this name.
        """
        path = Path(directory) / f"{ring_name or spec.name}.ring"
        layout = Layout(spec)
        allocate(path, layout, expected_writers)
        queues: list[TokenQueue] = []
        try:
            queues = cls.make_queues(path, spec)
            ring = cls(path)
        except RingError:
            remove_files(path, spec)
            raise
        finally:
            for queue in queues:
                queue.close()
        ring.spare.push(ring.table.free_tokens().tobytes())
        ring.header[Header.SPARE] = spec.slot_count
        return ring

    @staticmethod
    def make_queues(path: Path, spec: BufferSpec) -> list[TokenQueue]:
        """Make those queues of a ring that are not there, and hold all of them.

        A FIFO that nobody holds forgets its size and what is in it. So who makes a buffer for others, who
        come and go, holds its queues; the ring itself may be made later.

        Parameters
        ----------
        path
            Path of the ring's file.
        spec
            What the buffer is.

        Raises
        ------
        RingError
            If they cannot be made.
        """
        tokens = _queue_length(spec)
        paths = [free_path(path), spare_path(path), *(ready_path(path, group) for group in spec.groups)]
        queues: list[TokenQueue] = []
        try:
            for queue_path in paths:
                queues.append(TokenQueue.create(queue_path, tokens))  # noqa: PERF401 (those made are closed)
        except (OSError, RingError) as error:
            for queue in queues:
                queue.close()
            if isinstance(error, RingError):
                raise
            raise RingError(
                f"{path}: cannot make the queues of buffer {spec.name} ({error.strerror})"
            ) from error
        return queues

    # What it holds.

    def statistics(self) -> BufferStatistics:
        """Return the state and the books of the ring at this moment, without disturbing anybody."""
        table, header = self.table, self.header
        rows = np.asarray(self.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
        live = rows[:, Member.PID] > 0
        closed = rows[:, Member.CLOSED] > 0
        released = {name: int(group.all_released.sum()) for name, group in self._named_groups()}
        rescued = {name: int(group.words[Group.RESCUED]) for name, group in self._named_groups()}
        given_up = {name: int(group.all_given_up.sum()) for name, group in self._named_groups()}
        written = table.written_total()  # after `released`: never more read than written
        filled = table.filled()
        now_ns = time.monotonic_ns()
        since_ns = rows[:, Member.WAITS_SINCE_NS]
        waiting_ns = sum(max(0, now_ns - since) for since in since_ns[since_ns > 0].tolist())
        dead_ns = int(rows[:, Member.DEAD_NS].sum()) + header[Header.RETIRED_DEAD_NS] + waiting_ns
        return BufferStatistics(
            name=self.name,
            slot_count=self.slot_count,
            written=written,
            read={name: max(0, released[name] - rescued[name] - given_up[name]) for name in released},
            rescued=rescued,
            given_up=given_up,
            refused=int(rows[:, Member.REFUSED].sum()) + header[Header.RETIRED_REFUSED],
            undelivered={name: written - released[name] for name in released},
            redelivered=sum(int(group.words[Group.REDELIVERED]) for group in table.groups),
            filled=filled,
            fill=filled / self.slot_count,
            max_fill=max(filled, int(header[Header.MAX_FILLED])) / self.slot_count,
            discarded_while_paused=int(rows[:, Member.DISCARDED].sum()) + header[Header.RETIRED_DISCARDED],
            dead_time_s=1e-9 * dead_ns,
            live_time_s=1e-9 * (int(rows[:, Member.LIVE_NS].sum()) + header[Header.RETIRED_LIVE_NS]),
            paused=self.paused,
            stopping=self.stopping,
            ended=self.ended,
            writers=int(np.count_nonzero(live & ~closed & (rows[:, Member.ROLE] == Role.WRITER))),
            readers=int(np.count_nonzero(live & ~closed & (rows[:, Member.ROLE] == Role.READER))),
            time_s=time.monotonic(),
        )

    @property
    def ended(self) -> bool:
        """Whether all expected writers have closed: no further event will come."""
        return self._closed_writers() >= self.header[Header.EXPECTED_WRITERS]

    @property
    def drained(self) -> bool:
        """Whether the stream has ended and every group has released every event."""
        return self.ended and self.table.filled() == 0

    @property
    def limit_reached(self) -> bool:
        """Whether the number of events set by `limit_events` has been claimed for writing."""
        return self.header[Header.EVENTS_LEFT] == 0

    # Run control.

    @property
    def paused(self) -> bool:
        """Whether events are not published now: they are discarded and counted, or their writers are held."""
        return self.header[Header.PAUSED] != Pause.OFF

    @property
    def held(self) -> bool:
        """Whether writers wait, for the ring is paused in that way; at the end of a run nobody is held."""
        return self.header[Header.PAUSED] >= Pause.HOLD and not self.header[Header.STOPPING]

    @property
    def held_dead(self) -> bool:
        """Whether the ring is paused so that its writers wait, and that is dead time."""
        return self.header[Header.PAUSED] == Pause.HOLD_DEAD

    def pause(self, *, hold: bool = False, dead: bool = False) -> None:
        """Discard and count what writers publish, from now on.

        Parameters
        ----------
        hold
            Let writers wait instead, each with the event that it publishes next, until `resume` or
            `request_stop`. Nothing is discarded.
        dead
            Count the time that writers are held as dead time of their source: nobody wanted the pause.
        """
        held = Pause.HOLD_DEAD if dead else Pause.HOLD
        self.header[Header.PAUSED] = held if hold else Pause.DISCARD

    def resume(self) -> None:
        """Publish again what writers publish."""
        self.header[Header.PAUSED] = Pause.OFF

    def wait_while_held(self) -> Held:
        """Wait as long as writers of this ring are held; return how long that took.

        Writers do so when they publish. Who reads a source does so before, and leaves it unread meanwhile.
        """
        idle_s = dead_s = 0.0
        since_s = time.monotonic()
        while self.held:
            is_dead = self.held_dead
            time.sleep(HELD_LOOK_S)
            now_s = time.monotonic()
            if is_dead:
                dead_s += now_s - since_s
            else:
                idle_s += now_s - since_s
            since_s = now_s
        return Held(idle_s, dead_s)

    @property
    def stopping(self) -> bool:
        """Whether importers are to end at their next event."""
        return bool(self.header[Header.STOPPING])

    def request_stop(self) -> None:
        """Ask importers to end at their next event."""
        self.header[Header.STOPPING] = 1

    def limit_events(self, count: int) -> None:
        """Let at most `count` further events be published."""
        with self.free:
            self.header[Header.CLAIM_LIMIT] = self.table.claimed_total() + count
            self.header[Header.EVENTS_LEFT] = count
        self.free.push(WAKE)

    def expect_writers(self, count: int) -> None:
        """Set how many writers must close before the stream has ended."""
        with self.free:
            self.header[Header.EXPECTED_WRITERS] = count
        self.wake_readers()

    def writer_gone(self) -> None:
        """Count a writer as closed that died and will not come back."""
        with self.free:
            self.header[Header.GONE_WRITERS] += 1
        self.wake_readers()

    def count_writers_gone(self, count: int) -> None:
        """Set how many writers died and will not come back; the same count may be set again."""
        with self.free:
            self.header[Header.GONE_WRITERS] = count
        self.wake_readers()

    # After a death.

    def traces_of(self, pid: int, role: Role) -> Traces:
        """Tell what a process has done here as a reader or writer; before `recover`, which removes it."""
        done = in_hand = 0
        for member in range(MAX_MEMBERS):
            row = member * MEMBER_WORDS
            if self.members[row + Member.PID] == pid and self.members[row + Member.ROLE] == role:
                group = self.members[row + Member.GROUP]
                traces = (
                    self.table.read_by(self.table.groups[group], member)
                    if role == Role.READER
                    else self.table.written_by(member)
                )
                done, in_hand = done + traces.done, in_hand + traces.in_hand
        return Traces(done, in_hand)

    def recover(self, pid: int) -> Recovery:
        """Set right what a dead process left behind; call it once the process is surely dead.

        Events that it was reading are delivered again, before all others; slots that it was writing are free.

        Parameters
        ----------
        pid
            The dead process.

        Returns
        -------
        Recovery
            How many events and slots were concerned.
        """
        redelivered = freed = 0
        for member in range(MAX_MEMBERS):
            row = member * MEMBER_WORDS
            if self.members[row + Member.PID] != pid:
                continue
            freed += self._recover_writer(member)
            for index in range(len(self.ready)):
                redelivered += self._requeue(index, member)
            if not self.members[row + Member.CLOSED]:
                self._retire(member)
        self._rebuild_free_queue()
        if self.ended:  # it may have closed, and died before it told readers
            self.wake_readers()
        return Recovery(redelivered=redelivered, freed=freed)

    def inherit(self, pid: int, index: int, member: int, slots: npt.NDArray[np.int64]) -> None:
        """Give a reader what a dead process of its group had taken; set right what else that left behind.

        Parameters
        ----------
        pid
            The dead process.
        index
            Number of the group.
        member
            The heir's row in the member table.
        slots
            Which slots it inherits; what else the dead process had taken is delivered again.
        """
        columns, queue = self.table.groups[index], self.ready[index]
        for row in range(MAX_MEMBERS):
            words = row * MEMBER_WORDS
            if self.members[words + Member.PID] == pid and self.members[words + Member.ROLE] == Role.READER:
                with queue:
                    is_here = columns.all_taken[slots] > columns.all_released[slots]
                    theirs = slots[is_here & (columns.all_reader[slots] == row)]
                    columns.all_reader[theirs] = member
        self.recover(pid)

    def has_closed(self, pid: int) -> bool:
        """Whether a process has ended the stream of a writer here."""
        rows = range(0, MAX_MEMBERS * MEMBER_WORDS, MEMBER_WORDS)
        return any(
            self.members[row + Member.PID] == pid and self.members[row + Member.CLOSED] for row in rows
        )

    def rescue(self, group: str, limit: int | None = None) -> Iterator[Event]:
        """Take out events that wait for a reader of a group, as copies, and count them as rescued.

        Those that a reader has given back are not redelivered any more. One that is not followed by a call
        for the next one stays where it was.

        Parameters
        ----------
        group
            The reader group.
        limit
            The most events wanted; None: all.

        Yields
        ------
        Event
            The events, oldest first.
        """
        index = self.group_index(group)
        columns, queue = self.table.groups[index], self.ready[index]
        member = self.join(Role.READER, index)
        slots: list[int] = []
        reader = 0
        try:
            while limit is None or limit > 0:
                with queue:
                    self.line_up(index)
                    reader = columns.reader[columns.queue[0] & SLOT_MASK]
                    slots = self.table.claim_queued(columns, 1, member)
                if not slots:
                    return
                slot = slots[0]
                yield self.all_metadata[slot : slot + 1].copy(), self.all_data[slot].copy()
                with queue:
                    columns.words[Group.RESCUED] += 1
                    columns.words[Group.REDELIVERED] -= reader == GIVEN_BACK
                slots = []
                token = self.table.release(columns, slot)
                if token is not None:
                    self.free.push(pack_token(token))
                limit = limit and limit - 1
        finally:
            with queue:
                for slot in slots:
                    columns.reader[slot], columns.taken[slot] = reader, columns.released[slot]
                self.line_up(index)
            self._retire(member)

    # For readers and writers.

    def join(self, role: Role, group: int = 0) -> int:
        """Enter this process in the member table; return its row."""
        with self.free:
            for member in range(MAX_MEMBERS):
                row = member * MEMBER_WORDS
                if self.members[row + Member.PID] == 0:
                    self.members[row + Member.ROLE] = role
                    self.members[row + Member.GROUP] = group
                    self.members[row + Member.PID] = os.getpid()
                    return member
        raise RingError(
            f"buffer {self.name}: more than {MAX_MEMBERS} readers and writers; start fewer processes"
        )

    def leave(self, member: int) -> None:
        """Free the row of a member that holds no slots."""
        self._retire(member)

    def close_writer(self, member: int) -> None:
        """Count a member as a writer that ended in order. Its row stays, so that this is a single store."""
        self.members[member * MEMBER_WORDS + Member.CLOSED] = 1
        self.wake_readers()

    def wake_readers(self) -> None:
        """Let all waiting readers look at the state of the ring anew."""
        for queue in self.ready:
            queue.push(WAKE)

    def line_up(self, index: int) -> None:
        """Line up all events that wait for a group, oldest first, instead of its FIFO. Under its lock."""
        queue = self.ready[index]
        while queue.pop(4096):
            pass
        self.table.queue_ready(self.table.groups[index])
        queue.push(WAKE)

    def give_back_taken(self, index: int, member: int) -> int:
        """Make ready again what a member has taken; return how many events. Under the group's lock.

        Those that it had committed are dealt with: what it did not live to do is done for it, and they are
        free.
        """
        columns = self.table.groups[index]
        for slots in committed_by(member, commit_paths(self.path, self.spec.groups[index]), columns):
            self.free.push(self.table.release_many(columns, slots).tobytes())
        return self.table.give_back_taken(columns, member)

    def group_index(self, group: str) -> int:
        """Return the number of a reader group."""
        try:
            return self.spec.groups.index(group)
        except ValueError:
            known = ", ".join(self.spec.groups) or "none"
            raise RingError(f"buffer {self.name} has no reader group {group!r}; it has: {known}") from None

    def data_bytes(self, first: int, count: int) -> memoryview:
        """Return the bytes of consecutive slots' data, each `stride` long."""
        start = self.layout.data_offset + first * self.stride
        return self._memory[start : start + count * self.stride]

    def metadata_bytes(self, first: int, count: int) -> memoryview:
        """Return the bytes of consecutive slots' metadata."""
        start = self.layout.metadata_offset + first * METADATA_DTYPE.itemsize
        return self._memory[start : start + count * METADATA_DTYPE.itemsize]

    @property
    def memory(self) -> memoryview:
        """The whole shared memory."""
        return self._memory

    @property
    def mapping(self) -> mmap.mmap:
        """The mapping of the shared memory: whatever has bytes can be copied into it without an array."""
        assert isinstance(self._memory.obj, mmap.mmap)
        return self._memory.obj

    def close(self) -> None:
        """Detach: the queues are closed now, the memory is unmapped when no array looks at it any more."""
        for queue in (self.free, self.spare, *self.ready):
            queue.close()

    def unlink(self) -> None:
        """Remove the ring's file and queues; who is attached may go on."""
        remove_files(self.path, self.spec)

    def _closed_writers(self) -> int:
        rows = np.asarray(self.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
        closed = (rows[:, Member.CLOSED] > 0) & (rows[:, Member.ROLE] == Role.WRITER)
        return int(np.count_nonzero(closed)) + int(self.header[Header.GONE_WRITERS])

    def _recover_writer(self, member: int) -> int:
        with self.free:
            freed = self.table.give_back_claimed(member)
            if self.header[Header.EVENTS_LEFT] != UNLIMITED:  # a dead writer may not have counted
                left = self.header[Header.CLAIM_LIMIT] - self.table.claimed_total()
                self.header[Header.EVENTS_LEFT] = max(0, left)
            return freed

    def _rebuild_free_queue(self) -> None:
        with self.free:
            self.header[Header.SPARE] = 0
            for queue in (self.free, self.spare):
                while queue.pop(4096):
                    pass
            self.free.push(self.table.free_tokens().tobytes())

    def _requeue(self, index: int, member: int) -> int:
        """Make ready again what a reader had taken, and line up all that is ready in the right order."""
        queue = self.ready[index]
        with queue:
            self.table.finish_giving_up(self.table.groups[index], member)
            count = self.give_back_taken(index, member)
            self.line_up(index)
        return count

    def _retire(self, member: int) -> None:
        """Keep what a member counted, and free its row."""
        row = member * MEMBER_WORDS
        with self.free:
            if since_ns := self.members[row + Member.WAITS_SINCE_NS]:  # it died waiting
                self.header[Header.RETIRED_DEAD_NS] += max(0, time.monotonic_ns() - since_ns)
                self.members[row + Member.WAITS_SINCE_NS] = 0
            for counter, total in (
                (Member.DISCARDED, Header.RETIRED_DISCARDED),
                (Member.REFUSED, Header.RETIRED_REFUSED),
                (Member.DEAD_NS, Header.RETIRED_DEAD_NS),
                (Member.LIVE_NS, Header.RETIRED_LIVE_NS),
            ):
                self.header[total] += self.members[row + counter]
                self.members[row + counter] = 0
            self.members[row + Member.PID] = 0

    def _named_groups(self) -> Iterator[tuple[str, Any]]:
        return zip(self.spec.groups, self.table.groups, strict=True)

    def _words(self, offset: int, count: int) -> memoryview:
        return self._memory[offset : offset + count * 8].cast("Q")


def _queue_length(spec: BufferSpec) -> int:
    """Return for how many tokens a queue has room: a token for each slot, two after a death, some to wake."""
    return min(2 * spec.slot_count + 1024, MAX_TOKENS)
