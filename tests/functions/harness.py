"""Run a worker's function in this process, between rings that the test fills and reads."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferObserver, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.workers import BufferIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Bench:
    """Rings in a temporary directory, and workers between them."""

    directory: Path
    stack: ExitStack
    rings: dict[str, Ring] = field(default_factory=dict)

    @property
    def run_dir(self) -> Path:
        return self.directory / "run"

    def buffer(self, name: str, dtype: Any, length: int = 1, slots: int = 64) -> Ring:
        ring = Ring.create(self.directory / "rings", BufferSpec(name, slots, length, np.dtype(dtype)))
        self.stack.callback(ring.unlink)
        self.stack.callback(ring.close)
        self.rings[name] = ring
        return ring

    def io(
        self,
        sources: tuple[str, ...] = (),
        sinks: tuple[str, ...] = (),
        observes: tuple[str, ...] = (),
        name: str = "worker",
        number: int = 0,
        processes: int = 1,
        **config: Any,
    ) -> BufferIO:
        return BufferIO(
            name,
            [BufferReader(self._attach(source)) for source in sources],
            [BufferWriter(self._attach(sink)) for sink in sinks],
            [BufferObserver(self._attach(observed)) for observed in observes],
            config,
            setup_dir=self.directory,
            run_dir=self.run_dir,
            run_id="20260101T120000-abcdef",
            node="here",
            number=number,
            processes=processes,
        )

    def fill(self, name: str, data: np.ndarray, metadata: np.ndarray | None = None) -> threading.Thread:
        """Write events (n, data_length) and end the stream, in a thread: rings are smaller than test data."""
        if metadata is None:
            metadata = make_metadata(len(data))
        writer = BufferWriter(self._attach(name))

        def write() -> None:
            writer.write(data, metadata)
            writer.close()

        return self.start(write)

    def collect(self, name: str) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        """Read all events in a thread; the function returned waits for the end and gives (metadata, data)."""
        reader = BufferReader(self._attach(name))
        parts: list[tuple[np.ndarray, np.ndarray]] = []

        def read() -> None:
            while True:
                with reader.batch() as (metadata, data):
                    if data is None:
                        return
                    parts.append((metadata.copy(), data.copy()))

        thread = self.start(read)

        def result() -> tuple[np.ndarray, np.ndarray]:
            thread.join(20)
            assert not thread.is_alive()
            example = reader.data_example
            metadata = [part[0] for part in parts] or [np.empty(0, METADATA_DTYPE)]
            data = [part[1] for part in parts] or [np.empty((0, example.size), example.dtype)]
            return np.concatenate(metadata), np.concatenate(data)

        return result

    def start(self, target: Callable[[], None]) -> threading.Thread:
        """Run in a thread, which is waited for at the end of the test."""
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self.stack.callback(thread.join, 20)
        return thread

    def _attach(self, name: str) -> Ring:
        ring = Ring.open(self.rings[name].path)
        self.stack.callback(ring.close)
        return ring


@contextmanager
def bench_in(directory: Path) -> Iterator[Bench]:
    (directory / "rings").mkdir()
    (directory / "run").mkdir()
    with ExitStack() as stack:
        yield Bench(directory, stack)


def make_metadata(count: int) -> np.ndarray:
    metadata = np.zeros(count, METADATA_DTYPE)
    metadata["counter"] = np.arange(count)
    metadata["timestamp"] = 1.7e9 + np.arange(count) * 0.01
    metadata["deadtime"] = 0.25
    return metadata


def make_data(count: int, dtype: Any, length: int = 1, seed: int = 0) -> np.ndarray:
    """Random events of shape (count, length)."""
    data = np.zeros((count, length), dtype)
    random = np.random.default_rng(seed)
    for name in data.dtype.names or ():
        shape = data[name].shape
        if data.dtype[name].kind in "US":
            data[name] = random.integers(0, 1000, shape).astype(data.dtype[name])
        else:
            data[name] = random.uniform(0, 100, shape)
    return data
