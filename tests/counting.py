"""A run over three nodes that counts its events: those lost, doubled or out of order are written down.

The importer `count` on `daq` numbers them, the filter `keep` on `filter` passes them on, and the exporter
`check` on `storage` compares each with the one before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("daq", "filter", "storage")

_BUFFERS_AND_WORKERS = """
Buffers:
  raw: {slot_count: 256, data_length: LENGTH, data_dtype: {number: int64}}
  kept: {slot_count: 256, data_length: LENGTH, data_dtype: {number: int64}}
Workers:
  count: {node: daq, file: functions.py, function: count, sinks: [raw], config: {rate: RATE}}
  keep: {node: filter, file: functions.py, function: keep, sources: [raw], sinks: [kept]}
  check: {node: storage, file: functions.py, function: check, sources: [kept]}
"""

_FUNCTIONS = '''
import itertools, time
from mimocorb2 import Exporter, Filter, Importer

def count(io):
    """Yield numbers, 20 at a time, at the rate that is asked for, or as fast as it can."""
    importer = Importer(io)
    def ufunc():
        data = importer.data_example.copy()
        for number in itertools.count():
            data["number"] = number
            if io["rate"] and number % 20 == 0:
                time.sleep(20 / io["rate"])
            yield data
    importer(ufunc)

def keep(io):
    Filter(io)(lambda data: True)

def check(io):
    """Write the number of the last event in order, and each that is not what it should be."""
    expected = 0
    with open(io.run_dir / "wrong.txt", "w") as wrong:
        for data, metadata in Exporter(io):
            number = int(metadata["counter"][0])
            if number != expected or (data["number"] != number).any():
                print(f"expected {expected}, got {number}", file=wrong, flush=True)
            expected = number + 1
            if number % 1000 == 0:
                (io.run_dir / "progress.txt").write_text(str(expected))
    (io.run_dir / "progress.txt").write_text(str(expected))
'''


def write_counting(folder: Path, head: str, length: int = 500, rate: float = 0.0) -> None:
    """Write setup.yaml and its functions.

    Parameters
    ----------
    folder
        Where to; it is made if need be.
    head
        What the setup says of nodes and broker.
    length
        How many numbers of 8 bytes an event has.
    rate
        Events per second; 0: as fast as they go.
    """
    folder.mkdir(exist_ok=True)
    body = _BUFFERS_AND_WORKERS.replace("LENGTH", str(length)).replace("RATE", str(rate))
    (folder / "setup.yaml").write_text(head + body)
    (folder / "functions.py").write_text(_FUNCTIONS)


def arrived(folder: Path) -> int:
    """Return about how many events have gone all the way in the run of a folder; 0 before the first."""
    files = list(folder.glob("target/run_*/progress.txt"))
    return int((files[0].read_text() if files else "") or 0)


def counted(run_directory: Path) -> dict[str, Any]:
    """Return the record of a run that has ended, in which each event must have come once and in order."""
    record: dict[str, Any] = json.loads((run_directory / "run.json").read_text())
    assert (run_directory / "wrong.txt").read_text() == ""
    assert int((run_directory / "progress.txt").read_text()) == record["buffers"]["raw"]["written"] > 0
    return record
