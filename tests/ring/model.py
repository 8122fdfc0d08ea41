"""A model of a ring: what may become of each event, whatever writers and readers do.

Writers and readers live in this process, each attached to the ring by itself and under a process number of
its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import mimocorb_dist.ring.full
from mimocorb_dist.ring import (
    METADATA_DTYPE,
    BufferObserver,
    BufferReader,
    BufferWriter,
    EndOfStream,
    Ring,
    Run,
)
from mimocorb_dist.ring.interface import Pace
from mimocorb_dist.ring.layout import Header
from mimocorb_dist.ring.runtime import runtime_root
from mimocorb_dist.ring.table import GIVEN_BACK
from mimocorb_dist.ring.tokens import pack_token
from tests.ring.rings import check_table, checked_counter, claimable_slots, make_ring, payload, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.ring.layout import WhenFull

LENGTH = 2


@dataclass
class Member:
    """A reader or writer with what a test knows about it."""

    pid: int
    ring: Ring
    end: Any
    group: str = ""
    runs: list[Run] = field(default_factory=list)  # reserved or taken, oldest first
    last_seen: dict[int, int] = field(
        default_factory=dict
    )  # number in the stream of the last event by writer


class RingModel(RuleBasedStateMachine):
    """What writers and readers do. Events are numbered through; the model knows what each may still do."""

    @initialize(
        slot_count=st.sampled_from([1, 2, 5, 16, 40]),
        groups=st.sampled_from([(), ("one",), ("one",), ("one", "two"), ("one", "two", "three")]),
        ahead=st.integers(1, 4),
        limit=st.sampled_from([None, None, None, 1, 20]),
        when_full=st.sampled_from(["block", "block", "drop_new", "drop_old", "drop_old"]),
    )
    def make(
        self, slot_count: int, groups: tuple[str, ...], ahead: int, limit: int | None, when_full: WhenFull
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ringtest-", dir=runtime_root()))
        self.pid = 1 << 23  # above those that the kernel gives
        self.patches = [
            mock.patch.object(mimocorb_dist.ring.full, "STALE_TOKENS", 0),
            mock.patch.object(os, "getpid", self.current_pid),
            mock.patch.object(
                Pace,
                "next",
                lambda pace, _, limit: min(limit, pace.batch_share) if limit > 1 else min(ahead, pace.share),
            ),
        ]
        for patch in self.patches:
            patch.start()
        self.next_pid = self.pid + 1
        self.ring = make_ring(self.directory, slot_count, LENGTH, groups, writers=1000, when_full=when_full)
        self.groups = groups
        self.when_full, self.drops = when_full, when_full != "block"
        self.refused = 0
        self.given_up: dict[str, set[int]] = {group: set() for group in groups}
        self.given_up_counts = self.counts_given_up()
        self.rings: list[Ring] = []
        self.writers: list[Member] = []
        self.readers: list[Member] = []
        self.dead: list[Member] = []
        self.next_event = 0
        self.writer_of: dict[int, int] = {}
        self.published: set[int] = set()
        self.all_but_published: set[int] = set()  # whole, when their writer died
        self.released: dict[str, set[int]] = {group: set() for group in groups}
        self.disturbed: dict[str, set[int]] = {group: set() for group in groups}  # may come out of order
        self.discarded = 0
        self.limit = limit
        if limit is not None:
            self.ring.limit_events(limit)
        for _ in range(2):
            self.start_writer()
            for group in groups:
                self.start_reader(group)

    def current_pid(self) -> int:
        """Stand for `os.getpid`."""
        return self.pid

    # Members.

    def join(self, kind: Callable[..., Any], *arguments: str) -> Member:
        ring = Ring.open(self.ring.path)
        self.rings.append(ring)  # none is collected while a trace function may raise
        self.next_pid += 1
        return Member(self.next_pid, ring, kind(ring, *arguments), *arguments)

    def start_writer(self) -> None:
        self.writers.append(self.join(BufferWriter))

    def start_reader(self, group: str) -> None:
        self.readers.append(self.join(BufferReader, group))

    def succeed(self, member: Member) -> None:
        """Start the successor of a member that has ended."""
        if member in self.writers:
            self.writers.remove(member)
            self.start_writer()
        else:
            self.readers.remove(member)
            self.start_reader(member.group)

    def act(self, member: Member, action: Callable[[], object]) -> Any:
        own, self.pid = self.pid, member.pid
        try:
            return action()
        finally:
            self.pid = own

    # Writing.

    @rule(data=st.data(), limit=st.integers(1, 200))
    def reserve(self, data: st.DataObject, limit: int) -> None:
        writer = data.draw(st.sampled_from(self.writers))
        run = self.reserve_by(writer, limit)
        if run is not None:
            assert 1 <= run.count <= limit
            run.data["value"] = -1  # what is half written
            writer.runs.append(run)

    @precondition(lambda self: any(writer.runs for writer in self.writers))
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        writer = data.draw(st.sampled_from([writer for writer in self.writers if writer.runs]))
        run = writer.runs.pop(0)
        events = self.write_into(writer, run)
        self.act(writer, lambda: writer.end.publish(run))
        self.note_published(events)

    @precondition(lambda self: any(writer.runs for writer in self.writers))
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        writer = data.draw(st.sampled_from([writer for writer in self.writers if writer.runs]))
        run = writer.runs.pop()
        self.act(writer, lambda: writer.end.abandon(run))

    @precondition(lambda self: any(not writer.runs for writer in self.writers))
    @rule(data=st.data(), way=st.sampled_from(["put", "copy", "block", "failing block"]))
    def write_one(self, data: st.DataObject, way: str) -> None:
        self.write_by(data.draw(st.sampled_from([w for w in self.writers if not w.runs])), way)

    def write_by(self, writer: Member, way: str) -> None:
        run = self.reserve_by(writer, 1)
        if run is None and not self.refuses:  # it would wait
            return
        if run is not None:
            self.act(writer, lambda: writer.end.abandon(run))
        event = self.new_event(writer)
        self.act(writer, lambda: self.write_in_some_way(writer, event, way))
        if way == "failing block":
            return
        if run is not None:
            self.note_published([event])
        else:
            self.note_refused(1)

    @precondition(lambda self: any(not writer.runs for writer in self.writers))
    @rule(data=st.data(), count=st.integers(1, 20), way=st.sampled_from(["batch", "arrays"]))
    def write_together(self, data: st.DataObject, count: int, way: str) -> None:
        """Write events as a batch or as arrays, where that does not wait."""
        writer = data.draw(st.sampled_from([writer for writer in self.writers if not writer.runs]))
        run = self.reserve_by(writer, count)
        if run is None and not self.refuses:
            return
        if run is not None:
            count = run.count
            self.act(writer, lambda: writer.end.abandon(run))
        events = [self.new_event(writer) for _ in range(count)]
        metadata = np.array([(k, k * 0.5, k * 0.25) for k in events], METADATA_DTYPE)
        payloads = np.stack([payload(k, LENGTH) for k in events])

        def write_batch() -> None:
            nonlocal count
            with writer.end.batch(count) as (heads, rows):
                count = len(rows)
                heads[:], rows[:] = metadata[:count], payloads[:count]

        def write_arrays() -> None:
            assert writer.end.write(payloads, metadata) == count

        self.act(writer, write_batch if way == "batch" else write_arrays)
        if run is not None:
            self.note_published(events[:count])
        else:
            self.note_refused(count)

    @property
    def refuses(self) -> bool:
        """Whether a writer that has got no slot drops its event, rather than to wait or to end."""
        return self.drops and not self.ring.limit_reached

    def reserve_by(self, writer: Member, limit: int) -> Run | None:
        """Reserve slots, and check which events were given up for that."""
        table = self.ring.table
        idle, free = self.idle_slots(), set(table.free_tokens().tolist())
        claimed = table.all_claimed.copy()
        limited = self.ring.limit_reached
        run: Run | None = self.act(writer, lambda: writer.end.reserve(limit, timeout_s=0))
        if run is None and self.drops and not limited:
            assert not free, "there were free slots"
            assert not (idle and self.when_full == "drop_old") or self.ring.paused, "old events were left"
        if self.note_given_up():
            got = np.flatnonzero(table.all_claimed > claimed).tolist()
            assert sorted(got) == sorted(idle[: len(got)]), "older events were passed over"
            assert len(got) <= limit, "more were given up than needed"
            assert not free, "there were free slots"
            assert not self.ring.paused, "what is to be discarded took the place of an event"
        return run

    def idle_slots(self) -> list[int]:
        """Return the slots that nobody writes or reads just now, by the age of their events."""
        table = self.ring.table
        idle = table.all_claimed == table.all_written
        for group in table.groups:
            idle &= (group.all_taken == group.all_released) & (group.all_reader != GIVEN_BACK)
        slots = np.flatnonzero(idle)
        return slots[np.argsort(table.all_published[slots], kind="stable")].tolist()

    def counts_given_up(self) -> dict[str, Any]:
        columns = zip(self.groups, self.ring.table.groups, strict=True)
        return {name: group.all_given_up.copy() for name, group in columns}

    def note_given_up(self) -> bool:
        """Look which events have been given up, and whether they could be; return whether there are any."""
        before, self.given_up_counts = self.given_up_counts, self.counts_given_up()
        found = False
        for name, counts in self.given_up_counts.items():
            (slots,) = np.nonzero(counts != before[name])
            assert (counts[slots] == before[name][slots] + 1).all()
            events = set(self.ring.all_metadata["counter"][slots].tolist())
            assert events <= self.published
            assert not events & (self.released[name] | self.given_up[name])
            assert not events & self.held_by(name), "somebody reads what was given up"
            self.given_up[name] |= events
            found = found or bool(events)
        return found

    def held_by(self, group: str) -> set[int]:
        """Return the events that readers of a group have in hand."""
        return {
            event
            for reader in self.readers + self.dead
            if reader.group == group
            for run in reader.runs
            for event in events_of(run)
        }

    def write_in_some_way(self, writer: Member, event: int, way: str) -> None:
        if way == "put":
            assert writer.end.put(payload(event, LENGTH), event, event * 0.5, event * 0.25)
        elif way == "copy":
            metadata = writer.end.metadata_example
            metadata[0] = (event, event * 0.5, event * 0.25)
            assert writer.end.copy(metadata, payload(event, LENGTH))
        elif way == "block":
            with writer.end as (metadata, data):
                metadata[0], data[:] = (event, event * 0.5, event * 0.25), payload(event, LENGTH)
        else:
            with contextlib.suppress(LookupError), writer.end as (metadata, data):
                data["value"] = -1
                raise LookupError

    def new_event(self, writer: Member) -> int:
        event = self.next_event
        self.next_event += 1
        self.writer_of[event] = writer.pid
        return event

    def write_into(self, writer: Member, run: Run) -> list[int]:
        events = [self.new_event(writer) for _ in range(run.count)]
        for k, event in enumerate(events):
            run.metadata[k] = (event, event * 0.5, event * 0.25)
            run.data[k] = payload(event, LENGTH)
        return events

    def note_published(self, events: list[int]) -> None:
        if self.ring.paused:
            self.discarded += len(events)
        else:
            self.published.update(events)

    def note_refused(self, count: int) -> None:
        if self.ring.paused:
            self.discarded += count
        else:
            self.refused += count

    @rule(data=st.data(), count=st.integers(1, 20))
    def write_many(self, data: st.DataObject, count: int) -> None:
        for writer in self.writers:
            for _ in range(count):
                if not writer.runs:
                    self.write_by(writer, data.draw(st.sampled_from(["put", "copy", "block"])))

    # Reading.

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), limit=st.integers(1, 200))
    def take(self, data: st.DataObject, limit: int) -> None:
        reader = data.draw(st.sampled_from(self.readers))
        run = self.act(reader, lambda: reader.end.take(limit, timeout_s=0))
        if run is not None:
            assert 1 <= run.count <= limit
            reader.runs.append(run)
            self.check_delivered(reader, run)

    @precondition(lambda self: self.readers)
    @rule(limit=st.integers(1, 5), count=st.integers(1, 10))
    def take_and_release_many(self, limit: int, count: int) -> None:
        for reader in self.readers:
            for _ in range(count):
                run = self.act(reader, lambda reader=reader: reader.end.take(limit, timeout_s=0))
                if run is not None:
                    self.check_delivered(reader, run)
                    self.released[reader.group].update(events_of(run))
                    self.act(reader, lambda reader=reader, run=run: reader.end.release(run))

    def check_delivered(self, reader: Member, run: Run) -> None:
        group = reader.group
        held = {
            event
            for other in self.readers + self.dead
            if other.group == group
            for other_run in other.runs
            if other_run is not run
            for event in events_of(other_run)
        }
        for event in events_of(run):
            assert event in self.published, f"event {event} was never published"
            assert event not in self.released[group], f"{group} gets event {event} again"
            assert event not in self.given_up[group], f"{group} gets event {event}, which was given up"
            assert event not in held, f"two readers of {group} have event {event}"
            if event not in self.disturbed[group]:
                writer = self.writer_of[event]
                assert event > reader.last_seen.get(writer, -1), f"event {event} comes too late"
                reader.last_seen[writer] = event

    @precondition(lambda self: any(reader.runs for reader in self.readers))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        reader, run = self.draw_taken(data)
        self.released[reader.group].update(events_of(run))
        self.act(reader, lambda: reader.end.release(run))

    @precondition(lambda self: any(reader.runs for reader in self.readers))
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        reader, run = self.draw_taken(data)
        self.disturb_taken(reader)
        self.act(reader, lambda: reader.end.requeue(run))

    @precondition(lambda self: any(not reader.runs for reader in self.readers))
    @rule(data=st.data(), fails=st.booleans())
    def read_one(self, data: st.DataObject, fails: bool) -> None:
        reader = data.draw(st.sampled_from([reader for reader in self.readers if not reader.runs]))
        if not any(event not in self.released[reader.group] for event in self.published):
            return
        run = self.act(reader, lambda: reader.end.take(1, timeout_s=0))
        if run is None:
            return
        self.disturb_taken(reader)
        self.act(reader, lambda: reader.end.requeue(run))  # now it does not wait
        self.act(reader, lambda: self.read_in_block(reader, fails))

    @precondition(lambda self: any(not reader.runs for reader in self.readers))
    @rule(data=st.data(), limit=st.integers(1, 40), fails=st.booleans())
    def read_batch(self, data: st.DataObject, limit: int, fails: bool) -> None:
        reader = data.draw(st.sampled_from([reader for reader in self.readers if not reader.runs]))
        run = self.act(reader, lambda: reader.end.take(1, timeout_s=0))
        if run is None:
            return
        self.disturb_taken(reader)
        self.act(reader, lambda: reader.end.requeue(run))  # now it does not wait
        with contextlib.suppress(LookupError):
            self.act(reader, lambda: self.read_in_batch(reader, limit, fails))

    def read_in_batch(self, reader: Member, limit: int, fails: bool) -> None:
        with reader.end.batch(limit) as (metadata, data):
            assert 1 <= len(data) <= limit
            events = [checked_counter(metadata[k : k + 1], data[k]) for k in range(len(data))]
            assert len(set(events)) == len(events)
            assert not self.released[reader.group].intersection(events)
            if fails:
                self.disturb_taken(reader)
                raise LookupError
            self.released[reader.group].update(events)

    def read_in_block(self, reader: Member, fails: bool) -> None:
        if fails:
            with contextlib.suppress(LookupError), reader.end:
                self.disturb_taken(reader)
                raise LookupError
        else:
            with reader.end as (metadata, data):
                event = checked_counter(metadata, data)
                assert event in self.published and event not in self.released[reader.group]
                self.released[reader.group].add(event)

    def draw_taken(self, data: st.DataObject) -> tuple[Member, Run]:
        """Draw a run that a reader has, and take a part of it off."""
        reader = data.draw(st.sampled_from([reader for reader in self.readers if reader.runs]))
        run = reader.runs.pop(data.draw(st.integers(0, len(reader.runs) - 1)))
        count = data.draw(st.integers(1, run.count))
        if count < run.count:
            run, rest = run.split(count)
            reader.runs.append(rest)
        return reader, run

    # Ends.

    @precondition(lambda self: any(not member.runs for member in self.writers + self.readers))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from([m for m in self.writers + self.readers if not m.runs]))
        if member in self.readers:
            self.disturb_taken(member)
        self.act(member, member.end.close)
        member.ring.close()
        self.succeed(member)

    def recover_from(self, member: Member) -> None:
        self.dead.remove(member)
        self.ring.recover(member.pid)
        assert self.ring.recover(member.pid).redelivered == 0
        self.note_given_up()

    def disturb_taken(self, reader: Member) -> None:
        """Note that all that a reader has may be delivered again, later than what comes after it."""
        columns = self.ring.table.groups[self.groups.index(reader.group)]
        taken = (columns.all_taken > columns.all_released) & (columns.all_reader == reader.end._member)
        self.disturbed[reader.group].update(self.ring.all_metadata["counter"][taken].tolist())

    # From outside.

    @rule(paused=st.sampled_from([True, False, False, False]))
    def pause_or_resume(self, paused: bool) -> None:
        (self.ring.pause if paused else self.ring.resume)()

    @rule(data=st.data())
    def double_a_token(self, data: st.DataObject) -> None:
        table = self.ring.table
        slot = data.draw(st.integers(0, self.ring.slot_count - 1))
        freed = [group.released[slot] for group in table.groups] or [table.written[slot]]
        queues = [(self.ring.free, freed), (self.ring.spare, freed)]
        queues += [(queue, [table.written[slot]]) for queue in self.ring.ready]
        queue, generations = data.draw(st.sampled_from(queues))
        age = data.draw(st.integers(0, min(2, *generations)))
        queue.push(pack_token(min(generations) - age << 16 | slot))

    @invariant()
    def observers_see_whole_events(self) -> None:
        with mock.patch("mimocorb_dist.ring.observer._ATTEMPTS", 2):
            event = BufferObserver(self.ring).latest()
        if event is not None:
            assert checked_counter(*event) in self.published | self.all_but_published

    @invariant()
    def slots_and_books_are_right(self) -> None:
        check_table(self.ring)
        statistics = self.ring.statistics()
        assert statistics.written == len(self.published)
        assert statistics.given_up == {group: len(events) for group, events in self.given_up.items()}
        assert statistics.refused == self.refused
        for group, events in self.released.items():
            done = statistics.read[group]
            # What a writer has counted as given up, and not released when it died, is missing till recovered.
            assert done == len(events) or (self.dead and len(events) - self.ring.slot_count <= done)
        assert statistics.discarded_while_paused == self.discarded
        assert self.limit is None or statistics.written <= self.limit
        if not self.dead:
            for queue, columns in zip(self.ring.ready, self.ring.table.groups, strict=True):
                waits = bool((columns.all_taken < self.ring.table.all_written).any())
                assert not waits or readable(queue), "readers would sleep"

    def teardown(self) -> None:
        if not hasattr(self, "ring"):
            return
        try:
            self.finish()
        finally:
            for member in self.writers + self.readers:
                member.ring.close()
            self.ring.close()
            for patch in self.patches:
                patch.stop()
            shutil.rmtree(self.directory)

    def finish(self) -> None:
        """End all in order, and check that every event went to every group once, and that no slot is lost."""
        for member in tuple(self.dead):
            self.recover_from(member)
        for reader in self.readers:
            for run in reader.runs:
                self.released[reader.group].update(events_of(run))
                self.act(reader, lambda reader=reader, run=run: reader.end.release(run))
            self.act(reader, reader.end.close)
        for writer in self.writers:
            for run in reversed(writer.runs):
                self.act(writer, lambda writer=writer, run=run: writer.end.abandon(run))
            self.act(writer, writer.end.close)
        self.ring.resume()
        self.ring.expect_writers(0)
        for group in self.groups:
            reader = BufferReader(self.ring, group)
            while (run := take_or_end(reader)) is not None:
                events = events_of(run)
                assert not (self.released[group] | self.given_up[group]).intersection(events)
                self.released[group].update(events)
                reader.release(run)
            assert self.released[group] | self.given_up[group] == self.published
            reader.close()
        assert self.ring.drained
        if self.limit is not None:
            assert self.ring.header[Header.EVENTS_LEFT] == self.limit - len(self.published)
            self.ring.limit_events(1 << 20)
        assert claimable_slots(self.ring) == self.ring.slot_count


def events_of(run: Run) -> list[int]:
    """Return the counters of a run's events after checking their content."""
    return [checked_counter(run.metadata[k], run.data[k]) for k in range(run.count)]


def take_or_end(reader: BufferReader) -> Run | None:
    """Take a run; None at the end of the stream."""
    try:
        run = reader.take(7, timeout_s=0)
    except EndOfStream:
        return None
    assert run is not None, "the stream has not ended"
    return run
