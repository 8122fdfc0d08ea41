"""Which slots are used: those used lately, as far as they suffice; all of them when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter, Ring
from tests.ring.rings import check_table, claimable_slots, make_ring, put, read_available

if TYPE_CHECKING:
    from pathlib import Path


def used_slots(ring: Ring) -> int:
    """Count the slots that have ever been claimed."""
    return int((ring.table.all_claimed > 0).sum())


def stream(writer: BufferWriter, reader: BufferReader, count: int, first: int = 0) -> None:
    """Let events through one by one."""
    for counter in range(first, first + count):
        put(writer, counter)
        assert read_available(reader) == [counter]


def test_a_reader_that_keeps_up_leaves_most_slots_untouched(directory: Path) -> None:
    ring = make_ring(directory, 1024)
    stream(BufferWriter(ring), BufferReader(ring), 2000)
    assert used_slots(ring) < 512
    ring.close()


def test_a_backlog_may_fill_all_slots_and_is_forgotten(directory: Path) -> None:
    ring = make_ring(directory, 256)
    writer, reader = BufferWriter(ring), BufferReader(ring)
    for counter in range(256):
        put(writer, counter)
    assert not writer.wait(0)
    assert ring.statistics().max_fill == 1.0
    assert read_available(reader) == list(range(256))
    stream(writer, reader, 50_000, first=256)
    before = ring.table.all_claimed.copy()
    stream(writer, reader, 2000, first=50_256)
    assert (ring.table.all_claimed > before).sum() < 200
    writer.close()
    reader.close()
    check_table(ring)
    assert claimable_slots(ring) == 256
    ring.close()


def test_a_batch_finds_as_many_slots_as_there_are(directory: Path) -> None:
    ring = make_ring(directory, 64)
    writer, reader = BufferWriter(ring), BufferReader(ring)
    stream(writer, reader, 10)
    counts = []
    while (run := writer.reserve(64, timeout_s=0)) is not None:
        counts.append(run.count)
    assert sum(counts) == 64
    assert max(counts) >= 16
    ring.close()


def test_the_latest_event_outlives_those_after_it_for_observers(directory: Path) -> None:
    ring = make_ring(directory, 64)
    writer, reader, observer = BufferWriter(ring), BufferReader(ring), BufferObserver(ring)
    stream(writer, reader, 500)
    for counter in range(500, 600):
        put(writer, counter)
        assert read_available(reader) == [counter]
        assert writer.wait(0)  # as an importer does that waits for its source
        latest = observer.latest()
        assert latest is not None and latest[0]["counter"] == counter
    ring.close()
