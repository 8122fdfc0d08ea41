"""Buffers of mimoCoRB 1 with events in them, for tests of what reads them."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.compat.classic1.mimo_buffer import NewBuffer, Writer
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Metadata = tuple[int, float, float]


def fill(sink: dict[str, Any], events: np.ndarray, metadata: Sequence[Metadata] | None = None) -> None:
    """Write events, shape (n, values_per_slot); their counters begin at 1."""
    writer = Writer(sink)
    for number, event in enumerate(events):
        writer.get_new_buffer()[...] = event
        writer.set_metadata(*(metadata[number] if metadata else (number + 1, 1.7e9 + number, 0.25)))
    writer.process_buffer()


@contextlib.contextmanager
def buffer_of(dtype: Any, values: int = 1, slots: int = 64) -> Iterator[NewBuffer]:
    """Make a buffer that goes with the block."""
    buffer = NewBuffer(slots, values, dtype)
    try:
        yield buffer
    finally:
        buffer.close()


@contextlib.contextmanager
def ended(
    dtype: Any, events: np.ndarray, metadata: Sequence[Metadata] | None = None, role: str = "read"
) -> Iterator[dict[str, Any]]:
    """Give the dict of a reader, or observer, of a buffer whose stream ends when all has been read."""
    with buffer_of(dtype, events.shape[1], max(16, len(events))) as buffer:
        made = buffer.new_reader_group() if role == "read" else buffer.new_observer()
        fill(buffer.new_writer(), events, metadata)
        ending = threading.Thread(target=buffer.shutdown)
        ending.start()
        yield made
        ending.join(20)
        assert not ending.is_alive()


def random_events(dtype: Any, count: int, values: int = 1) -> np.ndarray:
    """Make events of numbers."""
    events = np.zeros((count, values), np.dtype(dtype))
    random = np.random.default_rng(count)
    for name in events.dtype.names or ():
        events[name] = random.uniform(0, 100, events.shape)
    return events


def wait_for_lines(path: Any, number: int, timeout_s: float = 20.0) -> list[str]:
    """Wait until a growing text has so many lines."""

    def lines() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    eventually(lambda: len(lines()) >= number, timeout_s, f"{number} lines in {path}")
    return lines()
