"""Events/s of exporters, in whole setups started from YAML.

Run it with ``python -m benchmarks.exports``. Text and csv files have 3 columns of metadata and 10 of fields;
text files of version 1 are compared with the peer's. The source is as fast as its buffer of 128 slots lets it
be, so its rate is that of the exporter. Then exporters write with and without bringing files to the disk,
from buffers of many slots and of few, and all the time to the end counts.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import version_1
from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from benchmarks.peer import display

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = np.dtype([(f"x{k}", np.float64 if k % 2 else np.int32) for k in range(10)])
WANTED_PER_S = 30_000

# Batches, so that the source is never what is measured.
SOURCE_2 = """
import json
from time import monotonic

import numpy as np
from mimocorb_dist.workers import BatchImporter


def source(io):
    random = np.random.default_rng(1)
    data = np.zeros((64, io.data_out_examples[0].size), io.data_out_examples[0].dtype)
    for name in data.dtype.names:
        data[name] = 1000 * random.random(data.shape)

    def events():
        begin_s, count = monotonic(), 0
        while monotonic() < begin_s + io["seconds"]:
            yield data
            count += len(data)
        (io.run_dir / "source.json").write_text(json.dumps(count / (monotonic() - begin_s)))

    BatchImporter(io)(events)
"""


EXPORT = """
import json
import os
from time import monotonic

from mimocorb_dist.functions import data, exporters


def export(io):
    if not io["synced"]:
        os.fsync = os.fdatasync = lambda descriptor: None
    begin_s = monotonic()
    {"csv": exporters.csv, "parquet": exporters.parquet, "mimo": data.export}[io["kind"]](io)
    (io.run_dir / "export.json").write_text(json.dumps(io.events / (monotonic() - begin_s)))
"""
SAMPLES = 1000
MANY_SLOTS, FEW_SLOTS = 60_000, 128


def measure_csv(seconds: float) -> float:
    """Return the rows/s of `exporters.csv`."""
    return _measure({"function": "exporters.csv"}, "source", seconds, 128, 1)


def measure_export(kind: str, seconds: float, samples: int, slots: int, synced: bool) -> float:
    """Return the events/s of an exporter: rows of 10 fields, or waveforms of one."""
    worker = {"file": "functions.py", "function": "export", "config": {"kind": kind, "synced": synced}}
    return _measure(worker, "export", seconds, slots, samples)


def _measure(worker: dict[str, Any], told_by: str, seconds: float, slots: int, samples: int) -> float:
    fields = {"ch1": "float32"} if samples > 1 else {name: FIELDS[name].name for name in FIELDS.names or ()}
    source: dict[str, Any] = {"file": "functions.py", "function": "source", "sinks": ["rows"]}
    document = {
        "Buffers": {"rows": {"slot_count": slots, "data_length": samples, "data_dtype": fields}},
        "Workers": {
            "source": {**source, "config": {"seconds": seconds}},
            "save": {**worker, "sources": ["rows"]},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "setup.yaml")
        path.with_name("functions.py").write_text(SOURCE_2 + EXPORT)
        path.write_text(json.dumps(document))
        version_1.run_here(path)
        (result,) = Path(folder).glob(f"target/run_*/{told_by}.json")
        return float(json.loads(result.read_text()))


def main() -> None:
    """Measure both kinds of files."""
    options = parser("Measure text and csv files", repeats=3)
    options.set_defaults(seconds=2.0)
    arguments = options.parse_args()
    report = Report("Rows of text", arguments)
    document = version_1.text_export(FIELDS, arguments.seconds)
    with display() as name:
        cases: dict[str, Callable[[], float]] = {
            "peer": lambda: version_1.measure(document, "source", name),
            "text": lambda: version_1.measure(document, "source"),
            "csv": lambda: measure_csv(arguments.seconds),
        }
        values = interleaved(cases, arguments.repeats)
    rows: list[list[Any]] = [
        ["rb_toTxtfile of the peer", rate(Spread.of(values["peer"]).median), "-", "-"],
        *(
            [
                title,
                rate(Spread.of(values[case]).median),
                ratio(values[case], [WANTED_PER_S] * arguments.repeats),
                ratio(values[case], values["peer"]) if case == "text" else "-",
            ]
            for case, title in (("text", "rb_toTxtfile"), ("csv", "exporters.csv"))
        ),
    ]
    report.table("Rows/s", ["exporter", "rows/s", "of 30 k/s", "times the peer"], rows)
    report.table(
        "On the disk", ["exporter", "slots", "events/s", "without sync", "share"], on_disk(arguments)
    )


def on_disk(arguments: Any) -> list[list[Any]]:
    """Compare exporters with and without bringing their files to the disk; return the table's rows."""
    rows = []
    for kind, samples, slots in (
        ("csv", 1, MANY_SLOTS),
        ("csv", 1, FEW_SLOTS),
        ("mimo", SAMPLES, MANY_SLOTS),
        ("mimo", SAMPLES, FEW_SLOTS),
        ("parquet", SAMPLES, MANY_SLOTS),
    ):
        run = functools.partial(measure_export, kind, 4 * arguments.seconds, samples, slots)
        cases = {"synced": functools.partial(run, True), "not": functools.partial(run, False)}
        values = interleaved(cases, arguments.repeats)
        rows.append(
            [
                kind if samples == 1 else f"{kind}, {samples} samples",
                slots,
                rate(Spread.of(values["synced"]).median),
                rate(Spread.of(values["not"]).median),
                ratio(values["synced"], values["not"]),
            ]
        )
    return rows


if __name__ == "__main__":
    main()
