"""Rings, worker objects and worker processes for the tests of this room."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferObserver, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.wire.pipes import LineReader, LineWriter
from mimocorb_dist.workers import BufferIO
from mimocorb_dist.workers.job import WorkerJob

PAIR = np.dtype([("a", "<f8"), ("b", "<f8")])
SUM = np.dtype([("sum", "<f8")])
WAVE = np.dtype([("ch1", "<i2"), ("ch2", "<i2")])

IMPORT_TEN = """
    from mimocorb_dist import Importer

    def work(io):
        def ufunc():
            for number in range(10):
                yield number
            yield None
        Importer(io)(ufunc)
"""

FILTER_EVEN = """
    from mimocorb2 import Filter

    def work(io):
        Filter(io)(lambda data: data["a"][0] % 2 == 0)
"""


class Bench:
    """Makes rings in a directory, and everything that goes with them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rings: list[Ring] = []

    def ring(self, name: str = "raw", length: int = 4, dtype: np.dtype[Any] = PAIR, slots: int = 64) -> Ring:
        ring = Ring.create(self.directory, BufferSpec(name, slots, length, dtype))
        self.rings.append(ring)
        return ring

    def close(self) -> None:
        for ring in self.rings:
            ring.close()
            ring.unlink()


def worker_io(
    sources: Iterable[Ring] = (),
    sinks: Iterable[Ring] = (),
    observes: Iterable[Ring] = (),
    name: str = "find",
    **config: Any,
) -> BufferIO:
    return BufferIO(
        name,
        [BufferReader(ring) for ring in sources],
        [BufferWriter(ring) for ring in sinks],
        [BufferObserver(ring) for ring in observes],
        config,
    )


def feed(ring: Ring, count: int, close: bool = True) -> BufferWriter:
    """Publish events 0, 1, ... whose data are their number, with time stamp and dead time made from it."""
    writer = BufferWriter(ring)
    example = writer.data_example
    for number in range(count):
        data = np.full(example.shape, number, example.dtype)
        assert writer.put(data, number, 100.0 + number, number / 1000)
    if close:
        writer.close()
    return writer


def contents(ring: Ring) -> list[tuple[int, Any]]:
    """Take all events out of a ring whose stream has ended: counter and a copy of the data of each."""
    reader, events = BufferReader(ring), []
    while True:
        with reader as (metadata, data):
            if data is None:
                reader.close()
                return events
            events.append((int(metadata["counter"][0]), data.copy()))


def counters(ring: Ring) -> list[int]:
    return [counter for counter, _ in contents(ring)]


def metadata_of(count: int) -> np.ndarray:
    metadata = np.zeros(count, METADATA_DTYPE)
    metadata["counter"] = np.arange(count)
    return metadata


class WorkerProcess:
    """A real worker process, and the node's ends of its pipes."""

    def __init__(self, job: WorkerJob, directory: Path, environment: dict[str, str] | None = None) -> None:
        path = directory / f"{job.worker}-{job.number}.json"
        path.write_text(job.to_json())
        status_read, status_write = os.pipe()
        control_read, control_write = os.pipe()
        self.output_path = directory / f"{job.worker}-{job.number}.log"
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "mimocorb_dist.workers", "--job", str(path),
                    "--status-fd", str(status_write), "--control-fd", str(control_read),
                    job.run_id, job.node, job.worker, str(job.number),
                ],
                pass_fds=(status_write, control_read),
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        os.close(status_write)
        os.close(control_read)
        self.status = LineReader(status_read)
        self.control = LineWriter(control_write)
        self.last: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def expect(self, state: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Read the status up to a state; counts are passed over."""
        while (message := self.status.read(timeout_s)) is not None:
            self.last = message
            if message["state"] == state:
                return message
            assert message["state"] == "counts", f"{message} instead of {state!r}\n{self.output}"
        raise AssertionError(f"no {state!r} within {timeout_s} s; {self.output}")

    def go(self) -> WorkerProcess:
        self.expect("ready")
        self.control.send(do="go")
        self.expect("running")
        return self

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self, timeout_s: float = 20.0) -> int:
        return self.process.wait(timeout_s)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.status.close()
        self.control.close()


def job_for(
    directory: Path,
    function: str,
    file: Path | None = None,
    sources: Iterable[Ring] = (),
    sinks: Iterable[Ring] = (),
    observes: Iterable[Ring] = (),
    **changes: Any,
) -> WorkerJob:
    job = WorkerJob(
        run_id="run_2026-01-01_00-00-00",
        node="here",
        worker="find",
        number=0,
        processes=1,
        run_dir=directory,
        setup_dir=directory,
        function=function,
        file=file,
        sources=tuple({"ring": str(r.path), "group": "readers", "buffer": r.name} for r in sources),
        sinks=tuple({"ring": str(r.path), "buffer": r.name} for r in sinks),
        observes=tuple({"ring": str(r.path), "buffer": r.name} for r in observes),
    )
    return dataclasses.replace(job, **changes)
