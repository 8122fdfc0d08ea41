"""The order of events: that of their publishing, also after a reader has died."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import pytest

from mimocorb_dist.ring import BufferReader, BufferWriter, Ring
from tests.ring.rings import attached, fill, make_ring, put, read_available

if TYPE_CHECKING:
    from pathlib import Path

DEAD_PID = 1 << 23  # above those that the kernel gives


def take_and_die(ring: Ring, count: int) -> None:
    """Let a reader take events and die with them."""
    with attached(ring) as other, mock.patch("os.getpid", return_value=DEAD_PID):
        assert BufferReader(other).take(count) is not None


def test_events_are_read_in_the_order_of_their_publishing(directory: Path) -> None:
    ring = make_ring(directory, 64)
    fill(ring, 40)
    assert read_available(BufferReader(ring), 7) == list(range(40))


def test_what_a_dead_reader_had_comes_first_and_the_rest_keeps_its_order(directory: Path) -> None:
    ring = make_ring(directory, 64)
    fill(ring, 40)
    take_and_die(ring, 10)
    assert ring.recover(DEAD_PID).redelivered == 10
    fill(ring, 10, first=40)
    assert read_available(BufferReader(ring), 7) == list(range(50))


def test_order_among_several_writers_outlives_a_reader(directory: Path) -> None:
    """Each writer claims slots ahead, but only publishing makes the order."""
    ring = make_ring(directory, 64)
    writers = [BufferWriter(ring) for _ in range(3)]
    for counter in range(30):
        put(writers[counter % 3], counter)
    take_and_die(ring, 5)
    ring.recover(DEAD_PID)
    assert read_available(BufferReader(ring)) == list(range(30))


def test_order_of_batches_that_end_at_the_end_of_the_ring(directory: Path) -> None:
    ring = make_ring(directory, 10)
    reader = BufferReader(ring)
    for first in range(0, 60, 6):
        fill(ring, 6, first)
        if first == 30:
            take_and_die(ring, 4)
            ring.recover(DEAD_PID)
        assert read_available(reader, 4) == list(range(first, first + 6))


def test_event_given_back_by_an_exception_comes_first(directory: Path) -> None:
    ring = make_ring(directory, 8)
    fill(ring, 5)
    reader = BufferReader(ring)
    with pytest.raises(LookupError), reader:
        raise LookupError
    assert read_available(reader) == list(range(5))
    assert ring.statistics().redelivered == 1


def test_batch_given_back_by_an_exception_comes_first(directory: Path) -> None:
    ring = make_ring(directory, 8)
    fill(ring, 6)
    reader = BufferReader(ring)
    with pytest.raises(LookupError), reader.batch(3):
        raise LookupError
    assert read_available(reader, 2) == list(range(6))
    assert ring.statistics().redelivered == 3
