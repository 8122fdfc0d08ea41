"""What goes into a ring comes out of it: several writers, readers and groups, batches, the end."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferSpec, BufferWriter, EndOfStream, Ring
from tests.ring.ledger import Ledger
from tests.ring.programs import COUNT
from tests.ring.rings import (
    FIELD,
    attached,
    check_table,
    checked_counter,
    claimable_slots,
    fill,
    make_ring,
    payload,
    put,
    read_available,
)
from tests.support import eventually, let_pass

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost

EVENTS = 3000


@pytest.mark.parametrize(("writers", "readers"), [*itertools.product([1, 2, 5], repeat=2)])
def test_every_event_reaches_one_reader_and_the_end_comes_last(
    host: MemberHost, directory: Path, writers: int, readers: int
) -> None:
    ring = make_ring(directory, 16, writers=writers)
    ends = [
        host.start("write_some", str(ring.path), number, EVENTS, 1 if number % 2 else 5)
        for number in range(writers)
    ]
    for number in range(readers):
        path = str(directory / f"reader{number}")
        np.zeros(10 * EVENTS, np.uint8).tofile(path)
        ends.append(host.start("read_to_the_end", str(ring.path), path, 1 if number % 2 else 3, readers == 1))
    assert [host.wait(pid) for pid in ends] == [0] * len(ends)
    seen = np.sum([np.fromfile(directory / f"reader{n}", np.uint8) for n in range(readers)], axis=0)
    expected = [10 * k + number for number in range(writers) for k in range(EVENTS)]
    assert seen.nonzero()[0].tolist() == sorted(expected)
    assert seen.max() == 1
    assert ring.drained
    assert ring.statistics().read == {"readers": writers * EVENTS}
    check_table(ring)
    ring.close()


def test_every_group_gets_every_event(host: MemberHost, directory: Path) -> None:
    groups = ("one", "two", "three")
    ring = make_ring(directory, 8, groups=groups)
    ends = []
    for number, group in enumerate((*groups, "two")):  # two processes share the events of "two"
        path = str(directory / f"reader{number}")
        np.zeros(10 * EVENTS, np.uint8).tofile(path)
        ends.append(host.start("read_to_the_end", str(ring.path), path, 1, group != "two", group))
    ends.append(host.start("write_some", str(ring.path), 0, EVENTS, 1))
    assert [host.wait(pid) for pid in ends] == [0] * len(ends)
    seen = [np.fromfile(directory / f"reader{n}", np.uint8)[::10] for n in range(4)]
    assert (seen[0] == 1).all() and (seen[2] == 1).all()
    assert (seen[1] + seen[3] == 1).all()
    assert ring.statistics().read == dict.fromkeys(groups, EVENTS)
    ring.close()


def test_slot_is_free_when_the_last_group_has_released_it(directory: Path) -> None:
    ring = make_ring(directory, 2, groups=("one", "two"))
    writer = fill(ring, 2)
    assert read_available(BufferReader(ring, "one")) == [0, 1]
    assert writer.reserve(timeout_s=0) is None
    assert ring.statistics().filled == 2
    assert read_available(BufferReader(ring, "two")) == [0, 1]
    assert writer.reserve(timeout_s=0) is not None
    assert ring.statistics().filled == 0


def test_buffer_that_nobody_reads_never_blocks_its_writer(directory: Path) -> None:
    ring = make_ring(directory, 2, groups=())
    writer = BufferWriter(ring)
    for counter in range(100):
        put(writer, counter)
    assert ring.statistics().written == 100
    assert ring.statistics().filled == 0
    writer.close()
    assert ring.drained


def test_ring_of_one_slot(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 1)
    np.zeros(10 * EVENTS, np.uint8).tofile(directory / "reader")
    reader = host.start("read_to_the_end", str(ring.path), str(directory / "reader"), 5, True)
    writer = host.start("write_some", str(ring.path), 0, EVENTS, 1)
    assert host.wait(writer) == 0
    assert host.wait(reader) == 0
    assert (np.fromfile(directory / "reader", np.uint8)[::10] == 1).all()
    ring.close()


def test_end_comes_only_after_all_expected_writers_have_closed(directory: Path) -> None:
    ring = make_ring(directory, writers=3)
    reader = BufferReader(ring)
    first, second = fill(ring, 2), BufferWriter(ring)
    first.close()
    first.close()  # counts once
    assert read_available(reader) == [0, 1]
    assert reader.take(timeout_s=0) is None
    second.close()
    assert reader.take(timeout_s=0) is None
    ring.writer_gone()
    with pytest.raises(EndOfStream):
        reader.take(timeout_s=0)
    with reader as (metadata, data):
        assert metadata is None and data is None
    with reader.batch() as (metadata, data):
        assert metadata is None and data is None


def test_all_waiting_readers_wake_at_the_end(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory)
    np.zeros(10, np.uint8).tofile(directory / "seen")
    readers = [
        host.start("read_to_the_end", str(ring.path), str(directory / "seen"), 1, False) for _ in range(5)
    ]
    eventually(lambda: ring.statistics().readers == 5)
    BufferWriter(ring).close()
    assert [host.wait(pid) for pid in readers] == [0] * 5
    ring.close()


def test_waiting_reader_wakes_when_fewer_writers_are_expected(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, writers=2)
    np.zeros(10, np.uint8).tofile(directory / "seen")
    reader = host.start("read_to_the_end", str(ring.path), str(directory / "seen"), 1, False)
    eventually(lambda: ring.statistics().readers == 1)
    BufferWriter(ring).close()
    ring.expect_writers(1)
    assert host.wait(reader) == 0
    ring.close()


def test_batches_are_views_of_the_shared_memory(directory: Path) -> None:
    ring = make_ring(directory, 16)
    writer, reader = BufferWriter(ring), BufferReader(ring)
    with writer.batch(5) as (metadata, data):
        assert len(metadata) == len(data) == 5
        assert np.shares_memory(data, ring.all_data)
        for k in range(5):
            metadata[k] = (k, k * 0.5, k * 0.25)
            data[k] = payload(k)
    run = reader.take(5)
    assert run is not None and run.count == 5
    assert np.shares_memory(run.data, ring.all_data)
    assert np.shares_memory(run.metadata, ring.all_metadata)
    assert run.data_bytes[: data[0].nbytes].tobytes() == payload(0).tobytes()
    assert run.metadata_bytes.tobytes() == run.metadata.tobytes()
    assert len(run.data_bytes) == 5 * ring.stride
    reader.release(run)


def test_batches_lie_together_wherever_their_events_do(directory: Path) -> None:
    ring = make_ring(directory, 10)
    fill(ring, 7)
    reader = BufferReader(ring)
    assert read_available(reader) == list(range(7))
    counters = np.arange(7, 14)
    metadata = np.array([(k, k * 0.5, k * 0.25) for k in counters], METADATA_DTYPE)
    BufferWriter(ring).write(np.stack([payload(k) for k in counters]), metadata)
    seen = []
    while (run := reader.take(5, timeout_s=0)) is not None:
        assert run.first + run.count <= ring.slot_count
        seen += run.metadata["counter"].tolist()
        reader.release(run)
    assert seen == counters.tolist()


def scatter(ring: Ring, count: int) -> None:
    """Publish events 0 to `count` - 1 so that no two of them lie together in their order."""
    writer = BufferWriter(ring)
    runs = [writer.reserve(1) for _ in range(count)]
    for counter, run in enumerate(runs[::2] + runs[1::2]):
        assert run is not None
        run.metadata[0], run.data[0] = (counter, counter * 0.5, counter * 0.25), payload(counter)
        writer.publish(run)
    writer.close()


def test_batch_of_scattered_events_is_whole_and_in_order(directory: Path) -> None:
    ring = make_ring(directory, 32, groups=("one", "two"))
    scatter(ring, 24)
    for group in ring.spec.groups:
        reader, seen, sizes = BufferReader(ring, group), [], []
        while True:
            with reader.batch(10) as (metadata, data):
                if metadata is None or data is None:
                    break
                seen += [checked_counter(metadata[k : k + 1], data[k]) for k in range(len(data))]
                sizes.append(len(data))
        assert seen == list(range(24))
        assert max(sizes) == 10
    check_table(ring)
    assert ring.drained
    assert ring.statistics().read == {"one": 24, "two": 24}


def test_failed_batch_of_scattered_events_is_delivered_again(directory: Path) -> None:
    ring = make_ring(directory, 16)
    scatter(ring, 12)
    reader = BufferReader(ring)
    with pytest.raises(LookupError), reader.batch(8):
        raise LookupError
    assert ring.statistics().redelivered == 8
    assert read_available(reader) == list(range(12))


def leave_scattered_slots_free(ring: Ring) -> None:
    """Let every other slot be free, and the others be taken by a reader."""
    fill(ring, ring.slot_count)
    reader = BufferReader(ring)
    runs = [reader.take(1) for _ in range(ring.slot_count)]
    for run in runs[::2]:
        assert run is not None
        reader.release(run)


def test_events_are_written_to_scattered_slots_in_order(directory: Path) -> None:
    ring = make_ring(directory, 32)
    leave_scattered_slots_free(ring)
    fill(ring, 16, first=100)
    assert read_available(BufferReader(ring), 5) == list(range(100, 116))
    check_table(ring)


@pytest.mark.parametrize("scattered", [False, True])
def test_chosen_events_are_written(directory: Path, scattered: bool) -> None:
    ring = make_ring(directory, 32)
    if scattered:
        leave_scattered_slots_free(ring)
    writer, counters = BufferWriter(ring), np.arange(100, 140)
    data = np.stack([payload(k) for k in counters])
    metadata = np.array([(k, k * 0.5, k * 0.25) for k in counters], METADATA_DTYPE)
    assert writer.write(data, metadata, np.arange(1, 31, 2)) == 15
    assert read_available(BufferReader(ring), 4) == list(range(101, 131, 2))
    with pytest.raises(IndexError, match="events -1 to 3 of 40"):
        writer.write(data, metadata, np.array([3, -1]))
    with pytest.raises(IndexError, match="events 40 to 40 of 40"):
        writer.write(data, metadata, np.array([40]))


def test_write_that_fails_keeps_its_slots_and_publishes_nothing(directory: Path) -> None:
    ring = make_ring(directory, 32)
    leave_scattered_slots_free(ring)
    writer = BufferWriter(ring)
    with pytest.raises(ValueError, match="broadcast"):
        writer.write(np.zeros((12, 3), FIELD), np.zeros(12, METADATA_DTYPE))
    assert ring.statistics().written == 32
    for counter in range(16):
        assert writer.wait(0)
        put(writer, counter)
    assert read_available(BufferReader(ring)) == list(range(16))


def test_pause_discards_what_is_written_to_scattered_slots(directory: Path) -> None:
    ring = make_ring(directory, 32)
    leave_scattered_slots_free(ring)
    ring.pause()
    writer = fill(ring, 40, first=200)
    assert ring.statistics().discarded_while_paused == 40
    ring.resume()
    for counter in range(16):
        put(writer, counter)
    assert read_available(BufferReader(ring)) == list(range(16))
    check_table(ring)


def test_failed_block_publishes_nothing(directory: Path) -> None:
    ring = make_ring(directory)
    writer = BufferWriter(ring)
    with pytest.raises(LookupError), writer:
        raise LookupError
    with pytest.raises(LookupError), writer.batch(3):
        raise LookupError
    put(writer, 0)
    assert read_available(BufferReader(ring)) == [0]
    assert ring.statistics().written == 1
    writer.close()
    assert claimable_slots(make_ring(directory, name="other")) == 8


def test_runs_are_released_in_any_order_and_in_parts(directory: Path) -> None:
    ring = make_ring(directory, 8)
    writer, reader = fill(ring, 8), BufferReader(ring)
    first, second = reader.take(4), reader.take(4)
    assert first is not None and second is not None
    reader.release(second)
    head, tail = first.split(3)
    reader.release(tail)
    assert ring.statistics().filled == 3
    reader.release(head)
    assert ring.statistics().filled == 0
    writer.close()
    assert ring.drained


@pytest.mark.parametrize("limit", [0, 1, 7, 100])
def test_event_limit_is_exact_for_several_writers(host: MemberHost, directory: Path, limit: int) -> None:
    ring = make_ring(directory, 16, writers=3)
    ring.limit_events(limit)
    for number in range(3):
        Ledger(directory / f"writer{number}", 3)
    np.zeros(100_000, np.uint8).tofile(directory / "reader")
    ends = [
        host.start("write_to_the_limit", str(ring.path), str(directory / f"writer{number}"), number)
        for number in range(3)
    ]
    ends.append(host.start("read_to_the_end", str(ring.path), str(directory / "reader"), 1, True))
    assert [host.wait(pid) for pid in ends] == [0] * 4
    assert ring.limit_reached
    assert ring.statistics().written == ring.statistics().read["readers"] == limit
    assert sum(Ledger(directory / f"writer{number}")[COUNT] for number in range(3)) == limit
    assert np.fromfile(directory / "reader", np.uint8).sum() == limit
    ring.close()


def test_limit_ends_every_way_to_write(directory: Path) -> None:
    ring = make_ring(directory)
    ring.limit_events(2)
    writer = fill(ring, 2)
    assert not put(writer, 2)
    assert not writer.copy(np.zeros(1, METADATA_DTYPE), payload(2))
    assert writer.reserve() is None
    assert writer.write(np.stack([payload(2)]), np.zeros(1, METADATA_DTYPE)) == 0
    with writer.batch() as (metadata, data):
        assert len(metadata) == len(data) == 0
    with pytest.raises(RingError, match="limit"), writer:
        pytest.fail("there is no slot")


def test_pause_discards_and_counts(directory: Path) -> None:
    ring = make_ring(directory, 4)
    writer, reader = fill(ring, 2), BufferReader(ring)
    ring.pause()
    for counter in range(10):
        put(writer, counter)
    with writer.batch(1) as (metadata, _):
        assert len(metadata) == 1
    assert ring.statistics().paused
    assert ring.statistics().discarded_while_paused == 11
    assert ring.statistics().written == 2
    ring.resume()
    put(writer, 2)
    assert read_available(reader) == [0, 1, 2]
    assert ring.statistics().discarded_while_paused == 11
    writer.close()
    reader.close()
    assert ring.drained


def test_undelivered_events_are_rescued_and_counted(directory: Path) -> None:
    ring = make_ring(directory)
    writer = fill(ring, 5)
    reader = BufferReader(ring)
    run = reader.take(2)
    assert run is not None
    reader.release(run)
    events = list(ring.rescue("readers"))
    assert [int(metadata["counter"].item()) for metadata, _ in events] == [2, 3, 4]
    assert not np.shares_memory(events[0][1], ring.all_data)
    statistics = ring.statistics()
    assert statistics.written == statistics.read["readers"] + statistics.rescued["readers"] == 5
    assert list(ring.rescue("readers")) == []
    writer.close()
    assert ring.drained


def test_events_that_readers_gave_back_are_redelivered_unless_they_are_rescued(directory: Path) -> None:
    ring = make_ring(directory)
    fill(ring, 4)
    reader = BufferReader(ring)
    for _ in range(2):
        with pytest.raises(LookupError), reader.batch(2):
            raise LookupError
    assert ring.statistics().redelivered == 4  # twice each, so far as is known
    reader.close()
    refused = ring.rescue("readers")
    next(refused)
    refused.close()
    assert ring.statistics().redelivered == 4
    assert [len(list(ring.rescue("readers", limit=1))) for _ in range(3)] == [1, 1, 1]
    assert ring.statistics().rescued == {"readers": 3}
    assert ring.statistics().redelivered == 2
    assert read_available(BufferReader(ring)) == [3]
    assert ring.statistics().redelivered == 2


def test_statistics_never_show_more_read_than_written(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 64, writers=2)
    np.zeros(10 * EVENTS, np.uint8).tofile(directory / "reader")
    ends = [host.start("write_some", str(ring.path), number, EVENTS, 1) for number in range(2)]
    ends.append(host.start("read_to_the_end", str(ring.path), str(directory / "reader"), 4, False))
    last = ring.statistics()
    while not ring.drained:
        now = ring.statistics()
        assert now.read["readers"] <= now.written
        assert last.written <= now.written and last.read["readers"] <= now.read["readers"]
        assert 0 <= now.filled <= 64 and now.fill <= now.max_fill
        last = now
    assert [host.wait(pid) for pid in ends] == [0, 0, 0]
    ring.close()


def test_dead_time_outlives_the_writer(directory: Path) -> None:
    ring = make_ring(directory)
    with attached(ring) as other:
        writer = BufferWriter(other)
        writer.add_dead_time(0.25, 0.75)
        writer.add_dead_time(0.25, 0.75)
        writer.close()
    assert ring.statistics().dead_time_s == pytest.approx(0.5)
    assert ring.statistics().live_time_s == pytest.approx(1.5)


def test_any_type_of_event_comes_out_as_it_went_in(directory: Path) -> None:
    types = [
        np.dtype([("a", np.int16), ("b", np.float64)]),
        np.dtype([("a", ">f4")]),
        np.dtype([("a", np.float32, (3, 2)), ("b", "S5")]),
        np.dtype([("a", np.uint8)]),
        np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]}),
        np.dtype(np.float64),
    ]
    for number, dtype in enumerate(types):
        spec = BufferSpec(f"buffer{number}", 3, 5, dtype)
        with attached(Ring.create(directory, spec)) as ring:
            assert ring.spec.data_dtype == dtype
            event = np.frombuffer(bytes(range(5 * dtype.itemsize)), dtype)
            writer, reader = BufferWriter(ring), BufferReader(ring)
            strided = np.zeros((5, 2), dtype)
            strided[:, 0] = event
            for data in (event, strided[:, 0], event.astype(dtype.newbyteorder("="))):
                writer.put(data, 1, 2.0, 3.0)
                with reader as (metadata, read):
                    assert metadata.tolist() == [(1, 2.0, 3.0)]
                    assert read.dtype == dtype
                    for name in dtype.names or [...]:
                        assert read[name].tobytes() == event[name].tobytes()


def test_a_wait_under_way_is_dead_time_of_a_source(directory: Path) -> None:
    ring = make_ring(directory, 4)
    writer = fill(ring, 4)
    assert not writer.wait(0.05)
    assert ring.statistics().dead_time_s == 0  # not a source
    writer.add_dead_time(0.0, 0.0)
    waits = threading.Thread(target=writer.wait)
    waits.start()
    eventually(lambda: ring.statistics().dead_time_s > 0.05)
    assert ring.statistics().dead_time_s < ring.statistics().dead_time_s  # it goes on
    assert read_available(BufferReader(ring)) == [0, 1, 2, 3]
    waits.join()
    assert ring.statistics().dead_time_s == 0  # what it was is counted by whoever has waited
    writer.close()


def test_an_interrupted_wait_is_dead_time(directory: Path) -> None:
    ring = make_ring(directory, 4)
    writer = fill(ring, 4)
    writer.add_dead_time(0.0, 0.0)
    with mock.patch.object(type(ring.free), "wait", side_effect=interrupt), pytest.raises(KeyboardInterrupt):
        writer.wait()
    writer.add_dead_time(1.0, 2.0)
    statistics = ring.statistics()
    assert 1.02 < statistics.dead_time_s < 1.5
    assert statistics.dead_time_s + statistics.live_time_s == pytest.approx(3.0)


def test_the_wait_of_a_killed_source_is_dead_time(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 4)
    fill(ring, 4)
    source = host.start("wait_as_source", str(ring.path))
    eventually(lambda: ring.statistics().dead_time_s > 0.05)
    host.kill(source)
    ring.recover(source)
    dead_s = ring.statistics().dead_time_s
    assert dead_s > 0.05
    assert ring.statistics().dead_time_s == dead_s


def interrupt(_: float | None) -> None:
    let_pass(0.02, "the wait lasts until it is interrupted")
    raise KeyboardInterrupt


def test_events_that_other_groups_get_cannot_be_changed(directory: Path) -> None:
    for groups, writeable in ((("one",), True), (("one", "two"), False)):
        ring = make_ring(directory, 8, groups=groups, name="-".join(groups))
        fill(ring, 8)
        reader = BufferReader(ring, "one")
        for _ in range(2):
            with reader as (metadata, data):
                assert metadata is not None and data is not None
                assert metadata.flags.writeable is data.flags.writeable is writeable
            with reader.batch(2) as (metadata, data):
                assert metadata is not None and data is not None
                assert metadata.flags.writeable is data.flags.writeable is writeable
        ring.close()
