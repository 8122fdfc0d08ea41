"""The bare ring: one writer and one reader process, against the classic mechanism and against plain copies.

Run it with ``python -m benchmarks.ring``.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.classic import ClassicBuffer, ClassicReader, ClassicWriter
from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.ring.runtime import runtime_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTEXT = multiprocessing.get_context("spawn")  # as workers are: interpreters of their own


@dataclass(frozen=True)
class Size:
    """A kind of event, and how many of them are measured at once."""

    name: str
    length: int
    dtype: np.dtype[Any]
    slot_count: int
    batch: int

    @property
    def event_bytes(self) -> int:
        """Size of an event's data in bytes."""
        return self.length * self.dtype.itemsize

    @property
    def chunk(self) -> int:
        """How many events are written between two looks at the clock: about 10 ms."""
        return max(8, min(1000, 8_000_000 // self.event_bytes))

    def event(self) -> np.ndarray[Any, Any]:
        """Return the data of one event."""
        values = np.random.default_rng(1).integers(0, 255, self.event_bytes, np.uint8)
        return values.view(self.dtype)


_THREE = np.dtype([(f"ch{k}", np.float64) for k in range(3)])
_FOUR = np.dtype([(f"ch{k}", np.float32) for k in range(4)])
SIZES = [
    Size("24 B", 1, _THREE, 1024, 512),
    Size("4 kB", 256, _FOUR, 128, 64),
    Size("68 kB", 4250, _FOUR, 128, 32),
    Size("1 MB", 62500, _FOUR, 32, 8),
]


def measure(
    write: Callable[..., None], read: Callable[..., int], shared: Any, size: Size, seconds: float
) -> float:
    """Let one process write and one read for some seconds; return the events/s that arrived."""
    barrier = CONTEXT.Barrier(3)
    results: Any = CONTEXT.SimpleQueue()
    stop = CONTEXT.Event()
    processes = [
        CONTEXT.Process(target=_write, args=(barrier, stop, write, shared, size)),
        CONTEXT.Process(target=_read, args=(barrier, results, read, shared, size)),
    ]
    for process in processes:
        process.start()
    barrier.wait()
    time.sleep(seconds)
    stop.set()
    count, elapsed_s = results.get()
    for process in processes:
        process.join()
    return float(count / elapsed_s)


def _write(barrier: Any, stop: Any, write: Callable[..., None], shared: Any, size: Size) -> None:
    barrier.wait()
    write(shared, size, stop.is_set)


def _read(barrier: Any, results: Any, read: Callable[..., int], shared: Any, size: Size) -> None:
    barrier.wait()
    start_s = time.perf_counter()
    count = read(shared, size)
    results.put((count, time.perf_counter() - start_s))


def write_classic(buffer: ClassicBuffer, size: Size, ended: Callable[[], bool]) -> None:
    writer, event, counter = ClassicWriter(buffer), size.event(), 0
    while not ended():
        for _ in range(size.chunk):
            writer.put(event, counter, 1.7e9, 0.1)
            counter += 1
    buffer.end()


def read_classic(buffer: ClassicBuffer, _: Size) -> int:
    reader, count = ClassicReader(buffer), 0
    while True:
        with reader as (metadata, _data):
            if metadata is None:
                return count
            count += 1


def write_single(path: Path, size: Size, ended: Callable[[], bool]) -> None:
    writer, event, counter = BufferWriter(Ring.open(path)), size.event(), 0
    while not ended():
        for _ in range(size.chunk):
            writer.put(event, counter, 1.7e9, 0.1)
            counter += 1
    writer.close()


def read_single(path: Path, _: Size) -> int:
    reader, count = BufferReader(Ring.open(path)), 0
    while True:
        with reader as (metadata, _data):
            if metadata is None:
                return count
            count += 1


def write_batches(path: Path, size: Size, ended: Callable[[], bool]) -> None:
    writer = BufferWriter(Ring.open(path))
    data = np.stack([size.event()] * size.batch)
    metadata = np.zeros(size.batch, METADATA_DTYPE)
    while not ended():
        for _ in range(max(1, size.chunk // size.batch)):
            metadata["counter"] += size.batch
            writer.write(data, metadata)
    writer.close()


def read_batches(path: Path, size: Size) -> int:
    reader, count = BufferReader(Ring.open(path)), 0
    while True:
        with reader.batch(size.batch) as (metadata, _data):
            if metadata is None:
                return count
            count += len(metadata)


def measure_classic(size: Size, seconds: float) -> float:
    """Return the events/s of the classic mechanism."""
    buffer = ClassicBuffer(CONTEXT, size.slot_count, size.length, size.dtype)
    return measure(write_classic, read_classic, buffer, size, seconds)


def measure_ring(write: Callable[..., None], read: Callable[..., int], size: Size, seconds: float) -> float:
    """Return the events/s of the ring."""
    with made_ring(size) as path:
        return measure(write, read, path, size, seconds)


@contextlib.contextmanager
def made_ring(size: Size) -> Iterator[Path]:
    """Make a ring for the time of a measurement; give its path."""
    directory = Path(tempfile.mkdtemp(prefix="benchmark-", dir=runtime_root()))
    try:
        spec = BufferSpec("raw", size.slot_count, size.length, size.dtype)
        ring = Ring.create(directory, spec)
        yield ring.path
        ring.close()
    finally:
        shutil.rmtree(directory)


def measure_copy(size: Size, batch: int, seconds: float) -> float:
    """Return the events/s of plain copies of `batch` events at once, over as much memory as the ring has."""
    target = np.zeros((size.slot_count, size.event_bytes), np.uint8)
    source = np.stack([size.event().view(np.uint8)] * batch)
    count = 0
    start_s = time.perf_counter()
    while (elapsed_s := time.perf_counter() - start_s) < seconds:
        for first in range(0, size.slot_count - batch + 1, batch):
            target[first : first + batch] = source
        count += size.slot_count // batch * batch
    return count / elapsed_s


def compare(report: Report, repeats: int, seconds: float) -> None:
    """Measure single events and batches at all sizes."""
    rows = []
    for size in SIZES:
        cases = {
            "classic": lambda size=size: measure_classic(size, seconds),
            "single": lambda size=size: measure_ring(write_single, read_single, size, seconds),
            "copy": lambda size=size: measure_copy(size, size.batch, seconds / 4),
            "batch": lambda size=size: measure_ring(write_batches, read_batches, size, seconds),
        }
        values = interleaved(cases, repeats)
        medians = {name: Spread.of(figures).median for name, figures in values.items()}
        rows.append(
            [
                size.name,
                *(rate(medians[name]) for name in ("classic", "single", "batch", "copy")),
                ratio(values["single"], values["classic"]),
                ratio(values["batch"], values["copy"]),
                f"{1e-9 * size.event_bytes * medians['batch']:.2f}",
            ]
        )
    report.table(
        "One writer and one reader process, events/s",
        [
            "event",
            "classic",
            "single",
            "batch",
            "plain copy",
            "single / classic",
            "batch / copy",
            "batch GB/s",
        ],
        rows,
    )


def main() -> None:
    """Measure the ring."""
    options = parser("Measure the bare ring")
    options.add_argument(
        "--sizes", nargs="*", default=[size.name for size in SIZES], help="only these events"
    )
    arguments = options.parse_args()
    report = Report("The bare ring", arguments)
    compare(report, arguments.repeats, arguments.seconds)


if __name__ == "__main__":
    main()
