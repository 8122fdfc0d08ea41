"""A pause in which writers are held: nothing is discarded, nobody reads on, and no dead time is counted."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter, EndOfStream, Ring
from tests.support import eventually

from .rings import attached, check_table, fill, make_ring, payload, put, read_available

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Writing:
    """A thread that writes events, and tells how many are through."""

    def __init__(self, ring: Ring, write: Callable[[BufferWriter, int], object], count: int = 20) -> None:
        self._ring, self._write, self._count = ring, write, count
        self.done = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with attached(self._ring) as ring:
            writer = BufferWriter(ring)
            writer.add_dead_time(0.0, 0.0)
            for counter in range(self._count):
                self._write(writer, counter)
                self.done += 1
            writer.close()

    def ended(self, timeout_s: float = 20.0) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


def _enter(writer: BufferWriter, counter: int) -> None:
    with writer as (metadata, data):
        metadata[:] = (counter, counter * 0.5, counter * 0.25)
        data[:] = payload(counter)


def _copy(writer: BufferWriter, counter: int) -> None:
    metadata = writer.metadata_example.copy()
    metadata[:] = (counter, counter * 0.5, counter * 0.25)
    writer.copy(metadata, payload(counter))


def _many(writer: BufferWriter, counter: int) -> None:
    with writer.batch(1) as (metadata, data):
        metadata[:] = (counter, counter * 0.5, counter * 0.25)
        data[:] = payload(counter)


WAYS = pytest.mark.parametrize("write", [put, _enter, _copy, _many])


@WAYS
def test_held_writers_wait_until_resumed_and_nothing_is_discarded(
    directory: Path, write: Callable[[BufferWriter, int], object]
) -> None:
    ring = make_ring(directory, slot_count=32)
    ring.pause(hold=True)
    assert ring.paused and ring.held and ring.statistics().paused
    writing = Writing(ring, write)
    assert not writing.ended(0.1)
    statistics = ring.statistics()
    assert (writing.done, statistics.written, statistics.discarded_while_paused) == (0, 0, 0)
    ring.resume()
    assert writing.ended()
    assert not ring.paused
    assert read_available(BufferReader(ring)) == list(range(20))
    statistics = ring.statistics()
    assert (statistics.written, statistics.discarded_while_paused, statistics.dead_time_s) == (20, 0, 0.0)


@WAYS
def test_a_stop_lets_held_writers_publish_what_they_have(
    directory: Path, write: Callable[[BufferWriter, int], object]
) -> None:
    ring = make_ring(directory, slot_count=32)
    ring.pause(hold=True)
    writing = Writing(ring, write, 1)
    assert not writing.ended(0.05)
    ring.request_stop()
    assert not ring.held
    assert writing.ended()
    assert ring.ended
    assert read_available(BufferReader(ring)) == [0]


def test_readers_empty_the_ring_while_writers_are_held(directory: Path) -> None:
    ring = make_ring(directory)
    fill(ring, 5)
    ring.pause(hold=True)
    reader = BufferReader(ring)
    assert read_available(reader) == [0, 1, 2, 3, 4]
    assert reader.take(timeout_s=0) is None


def test_who_reads_a_source_can_wait_before(directory: Path) -> None:
    ring = make_ring(directory)
    assert ring.wait_while_held() == (0.0, 0.0)
    ring.pause(hold=True)
    waited_s: list[float] = []
    thread = threading.Thread(target=lambda: waited_s.append(ring.wait_while_held().idle_s))
    thread.start()
    thread.join(0.05)
    assert not waited_s
    ring.resume()
    thread.join(20)
    assert waited_s[0] >= 0.04


def test_time_held_may_be_dead_time(directory: Path) -> None:
    ring = make_ring(directory, slot_count=4)
    ring.pause(hold=True, dead=True)
    writer = BufferWriter(ring)
    writer.add_dead_time(0.0, 0.0)
    thread = threading.Thread(target=lambda: put(writer, 0))
    thread.start()
    eventually(lambda: ring.statistics().dead_time_s > 0.05, 20, "dead time that grows")
    assert ring.statistics().written == 0
    ring.pause(hold=True)
    thread.join(0.05)
    ring.resume()
    thread.join(20)
    assert ring.statistics().written == 1
    assert writer.was_held
    held = writer.take_held()
    assert held.dead_s > 0.05 and held.idle_s > 0.03
    assert not writer.was_held and writer.take_held() == (0.0, 0.0)
    assert ring.statistics().dead_time_s == 0.0  # whoever has a source books it


def test_a_pause_that_discards_does_not_hold(directory: Path) -> None:
    ring = make_ring(directory)
    ring.pause(hold=True)
    ring.pause()
    assert ring.paused and not ring.held
    put(BufferWriter(ring), 0)
    assert ring.statistics().discarded_while_paused == 1


@pytest.mark.parametrize("hold", [True, False])
def test_some_writers_pass_a_pause(directory: Path, hold: bool) -> None:
    ring = make_ring(directory)
    ring.pause(hold=hold)
    writer = BufferWriter(ring, heeds_pause=False)
    put(writer, 0)
    run = writer.reserve(1)
    assert run is not None
    run.metadata[:] = (1, 0.5, 0.25)
    run.data[:] = payload(1)
    writer.publish(run)
    assert read_available(BufferReader(ring)) == [0, 1]
    assert ring.statistics().discarded_while_paused == 0


def test_observers_go_on_seeing_the_last_event(directory: Path) -> None:
    ring = make_ring(directory, slot_count=4)
    writer = BufferWriter(ring)
    put(writer, 7)
    ring.pause(hold=True)
    seen = BufferObserver(ring).latest()
    assert seen is not None
    assert int(seen[0]["counter"][0]) == 7
    ring.resume()
    writer.close()
    reader = BufferReader(ring)
    assert read_available(reader) == [7]
    with pytest.raises(EndOfStream):
        reader.take(timeout_s=0)


def test_a_held_writer_that_is_full_of_events_goes_on_in_order(directory: Path) -> None:
    ring = make_ring(directory, slot_count=2)
    writing = Writing(ring, put)
    eventually(lambda: ring.statistics().written == 2, 20, "a full ring")
    ring.pause(hold=True)
    reader = BufferReader(ring)
    got = read_available(reader)
    ring.resume()
    while (run := _taken(reader)) is not None:
        got += [int(run.metadata["counter"][0])]
        reader.release(run)
    assert got == list(range(20))
    assert writing.ended()


def _taken(reader: BufferReader) -> object:
    try:
        return reader.take()
    except EndOfStream:
        return None


def test_a_held_writer_that_is_killed_leaves_the_ring_usable(directory: Path) -> None:
    ring = make_ring(directory, slot_count=2, writers=2)
    ring.pause(hold=True)
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child)
        with attached(ring) as own:
            put(BufferWriter(own), 0)
        os._exit(0)
    eventually(lambda: (ring.table.all_claimed > 0).any(), 20, "a claimed slot")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert ring.recover(pid).freed >= 1
    ring.writer_gone()
    ring.resume()
    writer = BufferWriter(ring)
    put(writer, 1)
    put(writer, 2)
    writer.close()
    assert read_available(BufferReader(ring)) == [1, 2]
    assert ring.drained
    check_table(ring)
