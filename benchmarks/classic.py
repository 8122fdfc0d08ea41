"""The mechanism of the classic versions, as the baseline: queues of multiprocessing, structured copies.

Free and filled slots travel as numbers through two `multiprocessing.Queue`, the data lie in a shared array,
metadata are set field by field, and each event is counted in a `multiprocessing.Value` under its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE

if TYPE_CHECKING:
    import multiprocessing.context
    from types import TracebackType


class ClassicBuffer:
    """A buffer as the classic versions have it.

    Parameters
    ----------
    context
        Way in which processes are started.
    slot_count, data_length, data_dtype
        As in a setup.
    """

    def __init__(
        self,
        context: multiprocessing.context.BaseContext,
        slot_count: int,
        data_length: int,
        data_dtype: np.dtype[Any],
    ) -> None:
        self.slot_count, self.data_length, self.data_dtype = slot_count, data_length, data_dtype
        self.memory = context.RawArray("B", slot_count * data_length * data_dtype.itemsize)
        self.metadata_memory = context.RawArray("B", slot_count * METADATA_DTYPE.itemsize)
        self.empty_slots: Any = context.Queue(slot_count + 1)
        self.filled_slots: Any = context.Queue(slot_count + 1)
        self.event_count = context.Value("Q", 0)
        for slot in range(slot_count):
            self.empty_slots.put(slot)

    def arrays(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return metadata, shape (slot_count, 1), and data, shape (slot_count, data_length)."""
        metadata = np.frombuffer(self.metadata_memory, METADATA_DTYPE).reshape(self.slot_count, 1)
        data = np.frombuffer(self.memory, self.data_dtype).reshape(self.slot_count, self.data_length)
        return metadata, data

    def end(self) -> None:
        """Let a reader come to its end."""
        self.filled_slots.put(None)


class ClassicWriter:
    """Writes single events: a context manager giving metadata and data of a free slot."""

    def __init__(self, buffer: ClassicBuffer) -> None:
        self.buffer = buffer
        self.metadata, self.data = buffer.arrays()
        self.slot = -1

    def __enter__(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        self.slot = self.buffer.empty_slots.get()
        return self.metadata[self.slot], self.data[self.slot]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.buffer.filled_slots.put(self.slot)
        with self.buffer.event_count.get_lock():
            self.buffer.event_count.value += 1

    def put(self, event: np.ndarray[Any, Any], counter: int, timestamp: float, deadtime: float) -> None:
        """Write an event as the classic Importer does."""
        with self as (metadata, data):
            data[:] = event
            metadata["counter"] = counter
            metadata["timestamp"] = timestamp
            metadata["deadtime"] = deadtime

    def copy(self, event_metadata: np.ndarray[Any, Any], event: np.ndarray[Any, Any]) -> None:
        """Write an event as the classic Filter does."""
        with self as (metadata, data):
            data[:] = event
            metadata[:] = event_metadata


class ClassicReader:
    """Reads single events: a context manager giving metadata and data, both None at the end."""

    def __init__(self, buffer: ClassicBuffer) -> None:
        self.buffer = buffer
        self.metadata, self.data = buffer.arrays()
        self.slot: int | None = None

    def __enter__(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | tuple[None, None]:
        self.slot = self.buffer.filled_slots.get()
        if self.slot is None:
            return None, None
        return self.metadata[self.slot], self.data[self.slot]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.slot is not None:
            self.buffer.empty_slots.put(self.slot)
