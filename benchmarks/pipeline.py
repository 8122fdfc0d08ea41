"""Whole classic setups, started from YAML, with per-event templates and unchanged user functions.

Those of version 2 are compared with the classic mechanism doing the classic templates' work for each event,
those of version 1 with `mimocorb` from PyPI in an environment of its own. Run it with
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

from benchmarks import version_1
from benchmarks.classic import ClassicBuffer, ClassicReader, ClassicWriter
from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from benchmarks.peer import VERSION, display
from benchmarks.ring import CONTEXT, SIZES, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLASSIC_FIGURES = {"24 B": "59 k/s", "4 kB": "56 k/s", "68 kB": "22 k/s", "68 kB filtered": "12 k/s"}
"""What mimoCoRB2 itself makes on a machine of this kind."""

FUNCTIONS = """
import json
from time import monotonic, sleep

import numpy as np
from mimocorb2 import Exporter, Filter, Importer, Observer


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


def look(io):
    for data, metadata in Observer(io)():
        if data is None:
            break
        sleep(0.05)
"""


def setup(size: Size, filtered: bool, seconds: float, observers: int) -> dict[str, Any]:
    """Return a setup: importer -> exporter, or with a filter between; observers look at the first buffer."""
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
    for number in range(observers):
        workers[f"look_{number}"] = {"file": "functions.py", "function": "look", "observes": ["raw"]}
    return {"Buffers": buffers, "Workers": workers}


def measure_setup(size: Size, filtered: bool, seconds: float, observers: int = 0) -> float:
    """Start a setup from YAML as a user does; return the events/s that reached the exporter."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "functions.py").write_text(FUNCTIONS)
        (directory / "setup.yaml").write_text(json.dumps(setup(size, filtered, seconds, observers)))
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


def compare_version_2(report: Report, repeats: int, seconds: float) -> None:
    rows = []
    for size in SIZES[:3]:
        for filtered in (False, True):
            cases = {
                "classic": lambda size=size, filtered=filtered: measure_classic(size, filtered, seconds),
                "ours": lambda size=size, filtered=filtered: measure_setup(size, filtered, seconds),
            }
            values = interleaved(cases, repeats)
            name = f"{size.name} filtered" if filtered else size.name
            medians = [rate(Spread.of(values[case]).median) for case in ("ours", "classic")]
            rows.append(
                [name, *medians, ratio(values["ours"], values["classic"]), CLASSIC_FIGURES.get(name, "-")]
            )
    headings = ["events", "mimocorb_dist", "classic mechanism", "ratio", "mimoCoRB2 itself"]
    report.table("Version 2: events/s that reach the exporter", headings, rows)


def compare_version_1(report: Report, repeats: int, seconds: float) -> None:
    rows = []
    with display() as name:
        for size in SIZES[:3]:
            document = version_1.pipeline(size, seconds)
            cases = {
                "peer": lambda document=document: version_1.measure(document, "sink", name),
                "ours": lambda document=document: version_1.measure(document, "sink"),
            }
            values = interleaved(cases, repeats)
            medians = [rate(Spread.of(values[case]).median) for case in ("ours", "peer")]
            rows.append([size.name, *medians, ratio(values["ours"], values["peer"])])
    headings = ["events", "mimocorb_dist", f"mimocorb {VERSION}", "ratio"]
    report.table("Version 1: events/s that go from rbImport over rbTransfer to rbExport", headings, rows)


def main() -> None:
    """Measure setups of two and three workers, in both dialects."""
    options = parser("Measure whole classic setups", repeats=3)
    options.add_argument("--dialect", type=int, choices=(1, 2), help="measure setups of one version only")
    options.set_defaults(seconds=2.0)
    arguments = options.parse_args()
    report = Report("Classic setups from YAML", arguments)
    for version, compare in ((2, compare_version_2), (1, compare_version_1)):
        if arguments.dialect in (None, version):
            compare(report, arguments.repeats, arguments.seconds)


if __name__ == "__main__":
    main()
