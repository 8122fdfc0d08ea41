"""The bare ring: one writer and one reader process, against the classic mechanism and against plain copies.

Run it with ``python -m benchmarks.ring``.
"""

from __future__ import annotations

import contextlib
import dataclasses
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
from benchmarks.locks import compare_locks
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
        """How many events are written between two looks at the clock: about 5 ms; a look costs some us."""
        return max(8, min(1000, 80_000_000 // self.event_bytes))

    def event(self) -> np.ndarray[Any, Any]:
        """Return the data of one event."""
        values = np.random.default_rng(1).integers(0, 255, self.event_bytes, np.uint8)
        return values.view(self.dtype)


_THREE = np.dtype([(f"ch{k}", np.float64) for k in range(3)])
_FOUR = np.dtype([(f"ch{k}", np.float32) for k in range(4)])
SIZES = [
    Size("24 B", 1, _THREE, 1024, 512),
    Size("4 kB", 256, _FOUR, 128, 64),
    Size("68 kB", 4250, _FOUR, 128, 64),
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


def measure_copy(size: Size, seconds: float) -> float:
    """Return the events/s of plain copies of batches in one process, to as much memory of the same kind."""
    with made_ring(size) as path:
        ring = Ring.open(path)
        shape, strides = (size.slot_count, size.event_bytes), (ring.stride, 1)
        target = np.ndarray(shape, np.uint8, ring.mapping, ring.layout.data_offset, strides)
        source = np.stack([size.event().view(np.uint8)] * size.batch)

        def copy_all() -> None:
            for first in range(0, size.slot_count, size.batch):
                target[first : first + size.batch] = source

        copy_all()  # this maps the memory
        count, start_s = 0, time.perf_counter()
        while (elapsed_s := time.perf_counter() - start_s) < seconds:
            copy_all()
            count += size.slot_count
        return count / elapsed_s


def compare(report: Report, sizes: list[Size], repeats: int, seconds: float) -> None:
    """Measure single events and batches."""
    rows = []
    for size in sizes:
        cases = {
            "classic": lambda size=size: measure_classic(size, seconds),
            "single": lambda size=size: measure_ring(write_single, read_single, size, seconds),
            "copy": lambda size=size: measure_copy(size, seconds / 4),
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


def compare_batches(report: Report, repeats: int, seconds: float) -> None:
    """Measure batches of 68 kB events in rings of several sizes."""
    rows = []
    for slot_count, batch in ((128, 32), (128, 64), (512, 64), (512, 128)):
        size = dataclasses.replace(SIZES[2], slot_count=slot_count, batch=batch)
        cases = {
            "copy": lambda size=size: measure_copy(size, seconds / 4),
            "batch": lambda size=size: measure_ring(write_batches, read_batches, size, seconds),
        }
        values = interleaved(cases, repeats)
        medians = [rate(Spread.of(values[name]).median) for name in ("batch", "copy")]
        rows.append([str(slot_count), str(batch), *medians, ratio(values["batch"], values["copy"])])
    headings = ["slots", "events a batch", "batch", "plain copy", "batch / copy"]
    report.table("Batches of 68 kB events, events/s", headings, rows)


def compare_readers(report: Report, repeats: int, seconds: float) -> None:
    """Measure readers that share events and are slower than the writer: 0.3 ms a batch and 5 us an event."""
    size = dataclasses.replace(SIZES[1], slot_count=1024)
    counts = (1, 2, 4)
    cases = {str(count): lambda count=count: measure_readers(size, count, seconds) for count in counts}
    values = interleaved(cases, repeats)
    rows = [
        [name, rate(Spread.of(figures).median), ratio(figures, values["1"])]
        for name, figures in values.items()
    ]
    report.table(
        "Readers of batches that share 4 kB events", ["readers", "events/s", "times one reader's"], rows
    )


def measure_readers(size: Size, count: int, seconds: float) -> float:
    """Return the events/s of some readers of one group together."""
    results: Any = CONTEXT.SimpleQueue()
    stop = CONTEXT.Event()
    with made_ring(size) as path:
        processes = [CONTEXT.Process(target=_work_on_batches, args=(path, results)) for _ in range(count)]
        writer = CONTEXT.Process(target=write_until, args=(path, size, stop))
        for process in (writer, *processes):
            process.start()
        while Ring.open(path).statistics().readers < count or Ring.open(path).statistics().written == 0:
            time.sleep(0.01)
        time.sleep(seconds)
        stop.set()
        rates = [results.get() for _ in processes]
        for process in (writer, *processes):
            process.join()
        return float(sum(rates))


def write_until(path: Path, size: Size, stop: Any) -> None:
    write_single(path, size, stop.is_set)


def _work_on_batches(path: Path, results: Any) -> None:
    reader, count, start_s = BufferReader(Ring.open(path)), 0, 0.0
    while True:
        with reader.batch() as (metadata, _data):
            if metadata is None:
                break
            start_s = start_s or time.perf_counter()
            time.sleep(3e-4 + 5e-6 * len(metadata))
            count += len(metadata)
    results.put(count / (time.perf_counter() - start_s))


def compare_slot_counts(report: Report, repeats: int, seconds: float) -> None:
    """Measure single events of 24 B in rings of 16 to 16384 slots."""
    base = SIZES[0]
    sizes = [dataclasses.replace(base, slot_count=count) for count in (16, 64, 256, 1024, 4096, 16384)]
    cases = {
        str(size.slot_count): lambda size=size: measure_ring(write_single, read_single, size, seconds)
        for size in sizes
    }
    values = interleaved(cases, repeats)
    rows = []
    for name, figures in values.items():
        rows.append([name, rate(Spread.of(figures).median), ratio(values["256"], figures)])
    report.table("Slots, single events of 24 B", ["slots", "events/s", "cost / that of 256 slots"], rows)


def compare_idle(report: Report, repeats: int, seconds: float) -> None:
    """Measure single events of 4 kB while other rings are idle, each with a writer and a reader."""
    size = SIZES[1]
    with contextlib.ExitStack() as stack:
        alone = interleaved({"0": lambda: measure_ring(write_single, read_single, size, seconds)}, repeats)[
            "0"
        ]
        idle = []
        for _ in range(20):
            path = stack.enter_context(made_ring(size))
            idle.append(CONTEXT.Process(target=read_single, args=(path, size)))
            idle[-1].start()
            stack.callback(BufferWriter(Ring.open(path)).close)
        values = [measure_ring(write_single, read_single, size, seconds) for _ in range(repeats)]
    for process in idle:
        process.join()
    rows: list[list[Any]] = [
        ["0", rate(Spread.of(alone).median), ""],
        ["20", rate(Spread.of(values).median), ratio(alone, values)],
    ]
    report.table(
        "Idle buffers and workers, single events of 4 kB", ["idle", "events/s", "cost / that of none"], rows
    )


def main() -> None:
    """Measure the ring."""
    options = parser("Measure the bare ring")
    options.add_argument(
        "--sizes", nargs="*", default=[size.name for size in SIZES], help="only these events"
    )
    arguments = options.parse_args()
    report = Report("The bare ring", arguments)
    sizes = [size for size in SIZES if size.name in arguments.sizes]
    compare(report, sizes, arguments.repeats, arguments.seconds)
    compare_batches(report, arguments.repeats, arguments.seconds)
    compare_readers(report, arguments.repeats, arguments.seconds)
    compare_slot_counts(report, arguments.repeats, arguments.seconds)
    compare_idle(report, arguments.repeats, arguments.seconds)
    compare_locks(report, arguments.repeats)


if __name__ == "__main__":
    main()
