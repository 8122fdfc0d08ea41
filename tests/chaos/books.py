"""What came in and what is in the files: nothing lost, doubled, torn or out of order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mimocorb_dist.functions._mimo import read_events, read_header

from .functions import KEPT, WAVES, check_of

Counters = npt.NDArray[np.int64]
Table = dict[str, npt.NDArray[Any]]
_PATIENT_ROWS = 1 << 18
_COLUMNS = ("counter", "number", "check", "half")


@dataclass(frozen=True)
class Book:
    """What became of the events that one worker was to write.

    Parameters
    ----------
    worker
        Which worker.
    due, found
        Events that should be in its files, and that are.
    lost, doubled, torn
        Of these: missing; there more than once; with other content than they had.
    reordered
        Events after one with a higher counter, where the order must be kept; else 0.
    """

    worker: str
    due: int
    found: int
    lost: int
    doubled: int
    torn: int
    reordered: int

    @property
    def right(self) -> bool:
        """Whether each event is there once, whole, and in its place."""
        return self.due > 0 and not (self.lost or self.doubled or self.torn or self.reordered)


def csv_tables(path: Path) -> Iterator[Table]:
    """Read a csv file piece by piece."""
    from pyarrow import csv

    with csv.open_csv(path) as reader:
        for batch in reader:
            yield {name: batch.column(name).to_numpy() for name in _COLUMNS}


def parquet_tables(path: Path) -> Iterator[Table]:
    """Read a parquet file piece by piece."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_PATIENT_ROWS, columns=list(_COLUMNS)):
            yield {name: batch.column(name).to_numpy() for name in _COLUMNS}


def mimo_tables(path: Path) -> Iterator[Table]:
    """Read a .mimo file piece by piece."""
    for metadata, data in read_events(path, read_header(path)):
        yield {"counter": metadata["counter"], **{name: data[name][:, 0] for name in _COLUMNS[1:]}}


READERS: dict[str, Callable[[Path], Iterator[Table]]] = {
    ".csv": csv_tables,
    ".parquet": parquet_tables,
    ".mimo": mimo_tables,
}


def files_of(directory: Path, stem: str, suffix: str) -> list[Path]:
    """Return the files of a worker in the order of their parts."""
    parts = re.compile(rf"{re.escape(stem)}(?:\.part(\d+))?{re.escape(suffix)}")
    found = [(match, path) for path in directory.iterdir() if (match := parts.fullmatch(path.name))]
    return [path for _, path in sorted((int(match[1] or 1), path) for match, path in found)]


def book(worker: str, paths: list[Path], due: Counters, modulo: int | None, ordered: bool) -> Book:
    """Compare files with what they should hold.

    Parameters
    ----------
    worker
        Name of the worker that wrote them.
    paths
        The files, in the order in which they were written.
    due
        Counters of the events that should be there, in order.
    modulo
        The number in an event is its counter, modulo this.
    ordered
        Whether the events must be in order.
    """
    span = int(due[-1]) + 1 if len(due) else 0
    times = np.zeros(span, np.uint8)
    found = torn = reordered = strange = 0
    last = -1
    for path in paths:
        for table in READERS[path.suffix](path):
            counter = table["counter"].astype(np.int64)
            number = counter if modulo is None else counter % modulo
            whole = (table["number"] == number) & (table["check"] == check_of(number))
            torn += int(np.count_nonzero(~(whole & (table["half"] == 0.5 * number))))
            inside = counter[(counter >= 0) & (counter < span)]
            strange += len(counter) - len(inside)
            np.add.at(times, inside, 1)
            found += len(counter)
            before = np.maximum.accumulate(np.concatenate(([last], counter)))
            reordered += int(np.count_nonzero(counter < before[:-1])) if ordered else 0
            last = int(before[-1])
    lost = int(np.count_nonzero(times[due] == 0))
    doubled = int(times.sum(dtype=np.int64)) - int(np.count_nonzero(times)) + strange
    doubled += int(np.count_nonzero(times)) - (len(due) - lost)  # those that nobody should have written
    return Book(worker, len(due), found, lost, doubled, torn, reordered)


def books(directory: Path, record: dict[str, Any]) -> list[Book]:
    """Return the books of all workers that write files.

    Parameters
    ----------
    directory
        The run directory of their node.
    record
        The record of the run.
    """
    written = {name: int(record["buffers"][name]["written"]) for name in ("line", "pulses", "waves")}
    line, kept = np.arange(written["line"]), np.arange(0, written["pulses"], KEPT)
    waves = np.arange(written["waves"])
    return [
        book("mimo_line", files_of(directory, "passed", ".mimo"), line, None, True),
        book("csv", files_of(directory, "kept", ".csv"), kept, None, False),
        book("parquet", files_of(directory, "kept", ".parquet"), kept, None, False),
        book("mimo", files_of(directory, "kept", ".mimo"), kept, None, False),
        book("parquet_waves", files_of(directory, "digests", ".parquet"), waves, WAVES, False),
    ]


def complaints(record: dict[str, Any], statuses: dict[str, int], directories: list[Path]) -> list[str]:
    """Return what the run itself says that it should not."""
    found = [f"node {name} ended with status {status}" for name, status in statuses.items() if status]
    if record["run"]["state"] != "finished":
        found.append(f"the run is {record['run']['state']}: {record['run']['reasons']}")
    for name, entry in record["buffers"].items():
        if entry["lost"] or entry["rescued"]:
            found.append(f"buffer {name}: {entry['lost']} lost, {entry['rescued']} rescued")
    for directory in directories:
        found += [f"{path.name}: {path.read_text()[:200]}" for path in directory.glob("torn.*")]
    return found
