"""What the exporters do that tests start and kill: as workers of a node, without the node."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mimocorb_dist.functions
import pandas as pd  # noqa: F401 (here, and not in each process anew)
import pyarrow.parquet as pq  # noqa: F401
from mimocorb_dist.functions import data, exporters

import mimocorb_dist.compat
import mimocorb_dist.ring
import mimocorb_dist.workers
from mimocorb_dist.compat.classic1 import calling, place
from mimocorb_dist.compat.classic1.files import rb_toParquetfile, rb_toTxtfile
from mimocorb_dist.ring import BufferReader, Ring
from mimocorb_dist.ring.interface import Pace
from mimocorb_dist.workers import BatchExporter, BufferIO, Exporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

NAME = "save"
AT_ONCE = 5
_FATAL = {
    *(
        Path(mimocorb_dist.workers.__file__).parent / f"{name}.py"
        for name in ("commits", "holding", "output_file", "names")
    ),
    *(Path(mimocorb_dist.ring.__file__).parent / f"{name}.py" for name in ("holding", "commit_file")),
    *(
        Path(mimocorb_dist.functions.__file__).parent / f"{name}.py"
        for name in ("_parquet_file", "exporters", "data")
    ),
    *(Path(mimocorb_dist.compat.__file__).parent / "classic1" / f"{name}.py" for name in ("files", "output")),
}
_FATAL_FILES = {str(path) for path in _FATAL}
_FATAL_NAMES = {"release_slots", "release_committed", "requeue_slots", "release_many"}


def own(io: BufferIO) -> None:
    """Be what a user writes."""
    exporter = Exporter(io)
    with exporter.open("events.own", "number\n") as file:
        for event, _ in exporter:
            file.write(f"{event['x'][0]:g}\n")


def saved(io: BufferIO) -> None:
    """Be what a user writes who has a place of his own for events: here a file that is written anew."""
    exporter = BatchExporter(io, limit=3)
    path = io.run_dir / "events.saved"
    numbers: list[int] = []

    def save() -> int:
        path.with_suffix(".new").write_text("".join(f"{number}\n" for number in numbers))
        path.with_suffix(".new").replace(path)
        return len(numbers)

    before = [int(line) for line in path.read_text().split()] if path.exists() else []
    numbers += before
    count = exporter.hold(save)
    del numbers[count or 0 :]
    for events, _ in exporter:
        numbers += events["x"][:, 0].astype(int).tolist()


def _classic(kind: type) -> Callable[[BufferIO], Any]:
    def function(source_list: Any, _sinks: Any, _observed: Any, config: Any, **roles: str) -> None:
        kind(source_list, config, **roles)()

    def run(io: BufferIO) -> None:
        calling.call(function, io)
        place.serve(None)

    return run


KINDS: dict[str, Callable[[BufferIO], Any]] = {
    "csv": exporters.csv,
    "parquet": exporters.parquet,
    "mimo": data.export,
    "txt": _classic(rb_toTxtfile),
    "tar": _classic(rb_toParquetfile),
    "own": own,
    "saved": saved,
}
CONFIGS: dict[str, dict[str, Any]] = {"parquet": {"group_megabytes": 0.0007, "compression": "none"}}


def export(kind: str, ring: str, run_dir: str, step: int, steps_file: str = "") -> None:
    """Export all events, and die at a step of the code that matters."""
    Pace.next = lambda self, _, limit: min(limit, AT_ONCE)  # type: ignore[method-assign]
    config = {"filename": "events", **CONFIGS.get(kind, {})}
    io = BufferIO(
        NAME, [BufferReader(Ring.open(ring))], config=config, run_dir=run_dir, run_id="r", setup_dir=run_dir
    )
    fate = Fate(step)
    sys.settrace(fate.trace)
    try:
        KINDS[kind](io)
        io.finish()
    finally:
        sys.settrace(None)
    if steps_file:
        Path(steps_file).write_text(str(fate.steps))


class Fate:
    """Counts lines that matter, in loops the first three times, and kills this process at one of them."""

    def __init__(self, fatal_step: int) -> None:
        self.steps = 0
        self._fatal_step = fatal_step
        self._visits: Counter[object] = Counter()

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if code.co_filename not in _FATAL_FILES and code.co_name not in _FATAL_NAMES:
            return None
        if event == "line":
            self._visits[code, frame.f_lineno] += 1
            if self._visits[code, frame.f_lineno] <= 3:
                self.steps += 1
                if self.steps == self._fatal_step:
                    os.kill(os.getpid(), signal.SIGKILL)
        return self.trace
