"""How long a user waits: for ``mimocorb-node --help``, and from ``start`` to the first event on one host.

Run it with ``python -m benchmarks.startup``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Report, Spread, parser

SETUP = {
    "Buffers": {"raw": {"slot_count": 64, "data_length": 1000, "data_dtype": {"ch1": "float32"}}},
    "Workers": {
        "source": {"file": "functions.py", "function": "source", "sinks": ["raw"]},
        "sink": {"file": "functions.py", "function": "sink", "sources": ["raw"]},
    },
}
FUNCTIONS = """
import time
from mimocorb2 import Exporter, Importer


def source(io):
    Importer(io)(lambda: iter([io.data_out_examples[0]]))


def sink(io):
    for data, metadata in Exporter(io):
        (io.run_dir / "first.txt").write_text(str(time.time()))
"""


def command(*arguments: str, cwd: Path | None = None) -> None:
    """Run the command line to its end."""
    subprocess.run(
        [sys.executable, "-m", "mimocorb_dist.cli", *arguments],
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def help_s() -> float:
    """Return how long ``--help`` takes, in s."""
    start_s = time.monotonic()
    command("--help")
    return time.monotonic() - start_s


def first_event_s() -> float:
    """Return the time from ``start`` to the first event at the exporter, in s."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "setup.yaml").write_text(json.dumps(SETUP))
        (directory / "functions.py").write_text(FUNCTIONS)
        start_s = time.time()
        command("start", "-c", "none", cwd=directory)
        (first,) = directory.glob("target/run_*/first.txt")
        return float(first.read_text()) - start_s


def main() -> None:
    """Measure both."""
    arguments = parser("Measure how long a start takes").parse_args()
    report = Report("Starting", arguments)
    rows = [
        ["mimocorb-node --help", Spread.of([help_s() for _ in range(arguments.repeats)])],
        ["start to first event", Spread.of([first_event_s() for _ in range(arguments.repeats)])],
    ]
    report.table("Time in s: median (least - most)", ["what", "s"], rows)


if __name__ == "__main__":
    main()
