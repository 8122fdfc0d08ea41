"""Whole classic setups, started from YAML, with per-event templates and unchanged user functions.

Each is compared with the classic mechanism doing the classic templates' work for each event. Run it with
``python -m benchmarks.pipeline``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.classic import ClassicBuffer, ClassicReader, ClassicWriter
from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from benchmarks.ring import CONTEXT, SIZES, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLASSIC_FIGURES = {"24 B": "59 k/s", "4 kB": "56 k/s", "68 kB": "22 k/s", "68 kB filtered": "12 k/s"}
"""What mimoCoRB2 itself makes on a machine of this kind."""

FUNCTIONS = """
import json
from time import monotonic

import numpy as np
from mimocorb2 import Exporter, Filter, Importer


def source(io):
    importer = Importer(io)
    event = importer.data_example.copy()
    event.view(np.uint8)[:] = np.arange(event.nbytes) % 251

    def events():
        end_s = monotonic() + io["seconds"]
        while monotonic() < end_s:
            for _ in range(50):
                yield event
        yield None

    importer(events)


def keep(io):
    Filter(io)(lambda data: True)


def sink(io):
    count = 0
    for data, metadata in Exporter(io):
        if count == 0:
            start_s = monotonic()
        count += 1
    elapsed_s = monotonic() - start_s
    (io.run_dir / "rate.json").write_text(json.dumps((count - 1) / elapsed_s))
"""


def setup(size: Size, filtered: bool, seconds: float) -> dict[str, Any]:
    """Return a setup: importer -> exporter, or importer -> filter -> exporter."""
    fields = {name: size.dtype[name].str for name in size.dtype.names or ()}
    buffer = {"slot_count": size.slot_count, "data_length": size.length, "data_dtype": fields}
    workers: dict[str, Any] = {
        "source": {
            "file": "functions.py",
            "function": "source",
            "sinks": ["raw"],
            "config": {"seconds": seconds},
        },
        "sink": {"file": "functions.py", "function": "sink", "sources": ["kept" if filtered else "raw"]},
    }
    buffers = {"raw": buffer}
    if filtered:
        buffers["kept"] = buffer
        workers["keep"] = {"file": "functions.py", "function": "keep", "sources": ["raw"], "sinks": ["kept"]}
    return {"Buffers": buffers, "Workers": workers}


def measure_setup(size: Size, filtered: bool, seconds: float) -> float:
    """Start a setup from YAML as a user does; return the events/s that reached the exporter."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "functions.py").write_text(FUNCTIONS)
        (directory / "setup.yaml").write_text(json.dumps(setup(size, filtered, seconds)))
        subprocess.run(
            [sys.executable, "-m", "mimocorb_dist.cli", "start", "-c", "none"],
            cwd=directory,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (result,) = directory.glob("target/run_*/rate.json")
        return float(json.loads(result.read_text()))


def classic_source(buffer: ClassicBuffer, size: Size, seconds: float) -> None:
    writer, event = ClassicWriter(buffer), size.event()

    def events() -> Iterator[Any]:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            for _ in range(50):
                yield event

    last_s = time.time()
    for counter, data in enumerate(events()):
        ready_s = time.time()
        timestamp = time.time_ns() * 1e-9
        with writer as (metadata, slot):
            slot[:] = data
            metadata["counter"] = counter
            metadata["timestamp"] = timestamp
            free_s = time.time()
            metadata["deadtime"] = (free_s - ready_s) / (free_s - last_s)
        last_s = time.time()
    buffer.end()


def classic_keep(source: ClassicBuffer, sink: ClassicBuffer, function: Callable[[Any], bool]) -> None:
    reader, writer = ClassicReader(source), ClassicWriter(sink)
    while True:
        with reader as (metadata, data):
            if metadata is None or data is None:
                break
            if function(data):
                writer.copy(metadata, data)
    sink.end()


def keep_all(_data: Any) -> bool:
    return True


def classic_sink(buffer: ClassicBuffer, results: Any) -> None:
    reader, count, start_s = ClassicReader(buffer), 0, 0.0
    while True:
        with reader as (metadata, _data):
            if metadata is None:
                break
            if count == 0:
                start_s = time.monotonic()
            count += 1
    results.put((count - 1) / (time.monotonic() - start_s))


def measure_classic(size: Size, filtered: bool, seconds: float) -> float:
    """Return the events/s of the classic mechanism."""
    raw, kept = (ClassicBuffer(CONTEXT, size.slot_count, size.length, size.dtype) for _ in range(2))
    results: Any = CONTEXT.SimpleQueue()
    processes = [CONTEXT.Process(target=classic_sink, args=(kept if filtered else raw, results))]
    if filtered:
        processes.append(CONTEXT.Process(target=classic_keep, args=(raw, kept, keep_all)))
    processes.append(CONTEXT.Process(target=classic_source, args=(raw, size, seconds)))
    for process in processes:
        process.start()
    result = float(results.get())
    for process in processes:
        process.join()
    return result


def main() -> None:
    """Measure setups of two and three workers."""
    options = parser("Measure whole classic setups", repeats=3)
    options.set_defaults(seconds=2.0)
    arguments = options.parse_args()
    report = Report("Classic setups from YAML", arguments)
    rows = []
    for size in SIZES[:3]:
        for filtered in (False, True):
            cases = {
                "classic": lambda size=size, filtered=filtered: measure_classic(
                    size, filtered, arguments.seconds
                ),
                "ours": lambda size=size, filtered=filtered: measure_setup(size, filtered, arguments.seconds),
            }
            values = interleaved(cases, arguments.repeats)
            name = f"{size.name} filtered" if filtered else size.name
            medians = [rate(Spread.of(values[case]).median) for case in ("ours", "classic")]
            rows.append(
                [name, *medians, ratio(values["ours"], values["classic"]), CLASSIC_FIGURES.get(name, "-")]
            )
    headings = ["events", "mimocorb_dist", "classic mechanism", "ratio", "mimoCoRB2 itself"]
    report.table("Events/s that reach the exporter", headings, rows)


if __name__ == "__main__":
    main()
