"""Rows/s of text and csv files, in whole setups started from YAML: 3 columns of metadata and 10 of fields.

Run it with ``python -m benchmarks.exports``. Text files of version 1 are compared with the peer's. The source
is as fast as its buffer of 128 slots lets it, so its rate is that of the exporter.
"""

from __future__ import annotations

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
    data = np.zeros((64, 1), io.data_out_examples[0].dtype)
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


def measure_csv(seconds: float) -> float:
    """Return the rows/s of `exporters.csv`."""
    fields = {name: FIELDS[name].name for name in FIELDS.names or ()}
    source: dict[str, Any] = {"file": "functions.py", "function": "source", "sinks": ["rows"]}
    document = {
        "Buffers": {"rows": {"slot_count": 128, "data_length": 1, "data_dtype": fields}},
        "Workers": {
            "source": {**source, "config": {"seconds": seconds}},
            "table": {"function": "exporters.csv", "sources": ["rows"]},
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "setup.yaml")
        path.with_name("functions.py").write_text(SOURCE_2)
        path.write_text(json.dumps(document))
        version_1.run_here(path)
        (result,) = Path(folder).glob("target/run_*/source.json")
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


if __name__ == "__main__":
    main()
