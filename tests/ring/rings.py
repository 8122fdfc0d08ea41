"""What the tests of the ring share: rings, events whose content can be checked, invariants of slots."""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferSpec, BufferWriter, EndOfStream, Ring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mimocorb_dist.ring.layout import WhenFull
    from mimocorb_dist.ring.tokens import TokenQueue

FIELD = np.dtype([("value", np.int64)])


def make_ring(
    directory: Path,
    slot_count: int = 8,
    data_length: int = 4,
    groups: tuple[str, ...] = ("readers",),
    writers: int = 1,
    name: str = "raw",
    when_full: WhenFull = "block",
) -> Ring:
    """Make a ring whose events are `data_length` equal numbers."""
    spec = BufferSpec(name, slot_count, data_length, FIELD, groups, when_full)
    return Ring.create(directory, spec, expected_writers=writers)


def payload(counter: int, data_length: int = 4) -> np.ndarray[Any, Any]:
    """Return the data of the event with this counter: every number follows from it."""
    data = np.empty(data_length, FIELD)
    data["value"] = counter * 1_000_003 + np.arange(data_length)
    return data


def put(writer: BufferWriter, counter: int, data_length: int = 4) -> bool:
    """Write the event with this counter."""
    return writer.put(payload(counter, data_length), counter, counter * 0.5, counter * 0.25)


def fill(ring: Ring, count: int, first: int = 0) -> BufferWriter:
    """Write events by a writer that claims no slot ahead; return it."""
    writer = BufferWriter(ring)
    counters = range(first, first + count)
    metadata = np.array([(k, k * 0.5, k * 0.25) for k in counters], METADATA_DTYPE)
    data = np.stack([payload(k, ring.spec.data_length) for k in counters])
    assert writer.write(data, metadata) == count
    return writer


def checked_counter(metadata: np.ndarray[Any, Any], data: np.ndarray[Any, Any]) -> int:
    """Return the counter of an event after checking that all of it belongs together."""
    counter = int(metadata["counter"].item())
    assert metadata["timestamp"].item() == counter * 0.5, f"torn metadata of event {counter}"
    assert metadata["deadtime"].item() == counter * 0.25, f"torn metadata of event {counter}"
    expected = counter * 1_000_003 + np.arange(len(data))
    assert np.array_equal(data["value"], expected), f"torn data of event {counter}"
    return counter


def read_available(reader: BufferReader, limit: int = 1) -> list[int]:
    """Read and release all events that are there, in order, without waiting; return their counters."""
    counters = []
    while True:
        try:
            run = reader.take(limit, timeout_s=0)
        except EndOfStream:
            return counters
        if run is None:
            return counters
        counters += [checked_counter(run.metadata[k : k + 1], run.data[k]) for k in range(run.count)]
        reader.release(run)


@contextlib.contextmanager
def attached(ring: Ring) -> Iterator[Ring]:
    """Attach to a ring once more, as another process would."""
    other = Ring.open(ring.path)
    try:
        yield other
    finally:
        other.close()


def readable(queue: TokenQueue) -> bool:
    """Tell whether whoever waits for this queue would go on now."""
    poll = select.poll()
    poll.register(queue.fd, select.POLLIN)
    return bool(poll.poll(0))


def claimable_slots(ring: Ring) -> int:
    """Count the slots that a new writer can have without waiting; it keeps them, so call this last."""
    writer = BufferWriter(ring)
    count = 0
    while (run := writer.reserve(ring.slot_count, timeout_s=0)) is not None:
        count += run.count
    return count


def check_table(ring: Ring) -> None:
    """Check that every slot is in exactly one state for writers and for each group of readers."""
    table = ring.table
    claimed, written = table.all_claimed.astype(int), table.all_written.astype(int)
    in_writing = claimed - written
    assert set(in_writing) <= {0, 1}, f"claimed {claimed}, written {written}"
    for group in table.groups:
        taken, released = group.all_taken.astype(int), group.all_released.astype(int)
        assert set(written - taken) <= {0, 1}, f"written {written}, taken {taken}"
        assert set(taken - released) <= {0, 1}, f"taken {taken}, released {released}"
        assert (written - released <= 1).all(), f"written {written}, released {released}"
        assert (released == written)[in_writing == 1].all(), "written before its release"
