"""Rings, and the two ends of a link between them as real processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mimocorb_dist.links.job import LinkJob
from mimocorb_dist.ring import BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.ring.layout import WhenFull
from mimocorb_dist.wire.pipes import LineReader, LineWriter

RUN = "2026-01-01_00-00-00"
NAME = "raw@a->b"


class EndProcess:
    """One end of a link, started as a node does it."""

    def __init__(self, directory: Path, job: LinkJob, prefix: Sequence[str] = ()) -> None:
        path = directory / f"{job.kind}-{uuid.uuid4().hex}.json"
        path.write_text(job.to_json())
        status_in, status_out = os.pipe()
        control_in, control_out = os.pipe()
        self.process = subprocess.Popen(
            [
                *prefix, sys.executable, "-m", "mimocorb_dist.links", "--job", str(path),
                "--status-fd", str(status_out), "--control-fd", str(control_in), RUN, "a", job.link, job.kind,
            ],
            pass_fds=(status_out, control_in),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(status_out)
        os.close(control_in)
        self.status = LineReader(status_in)
        self.control = LineWriter(control_out)
        self.said: list[dict[str, Any]] = []
        self.output = b""
        self._drain = threading.Thread(target=self._read_output)
        self._drain.start()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        self.output = self.process.stdout.read()

    def hear(self, state: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait until it says `state`."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = self.status.read(left_s)
            if message is None:
                break
            self.said.append(message)
            if message["state"] == state:
                return message
        raise AssertionError(f"never said {state!r}, but {self.said[-3:]}; {self.output.decode()}")

    def counts(self) -> dict[str, Any]:
        """Return what it reports next."""
        self.status.read_ready()
        return self.hear("counts")

    def end(self, timeout_s: float = 20.0) -> int:
        """Wait for its end, and return its exit status."""
        return self.process.wait(timeout_s)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._drain.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.status.close()
        self.control.close()


class Pair:
    """A source ring and a target ring, with a link between them.

    Parameters
    ----------
    directory
        For rings and job files.
    slots, target_slots
        Slots of the rings.
    data_bytes
        Bytes of an event's data.
    release, group
        Of the link.
    target_writers
        Expected writers of the target ring.
    when_full
        What writers of the home ring do when it is full: of the target if events are released when they are
        published, else of the source.
    """

    def __init__(
        self,
        directory: Path,
        *,
        slots: int = 64,
        target_slots: int | None = None,
        data_bytes: int = 4096,
        release: str = "read",
        groups: tuple[str, ...] = ("readers",),
        target_writers: int = 1,
        when_full: WhenFull = "block",
    ) -> None:
        self.directory = directory
        self.release = release
        dtype = np.dtype([("byte", np.uint8)])
        at_home: tuple[WhenFull, WhenFull] = (
            ("block", when_full) if release == "published" else (when_full, "block")
        )
        spec = BufferSpec("raw", slots, data_bytes, dtype, groups, at_home[0])
        target_spec = BufferSpec("raw", target_slots or slots, data_bytes, dtype, when_full=at_home[1])
        self.source = Ring.create(directory, spec, "raw")
        self.target = Ring.create(directory, target_spec, "raw.in", expected_writers=target_writers)
        self._stop = threading.Event()
        self._ends: list[EndProcess] = []
        self._threads: list[threading.Thread] = []

    def start(self, kind: str, prefix: Sequence[str] = (), **changes: Any) -> EndProcess:
        """Start one end, without letting it go."""
        values: dict[str, Any] = {
            "run_id": RUN,
            "node": "a",
            "link": NAME,
            "kind": kind,
            "ring": self.source.path if kind.endswith("send") else self.target.path,
            "release": self.release,
            **changes,
        }
        end = EndProcess(self.directory, LinkJob(**values), prefix)
        self._ends.append(end)
        return end

    def connect(
        self,
        through: Callable[[int], int] | None = None,
        kinds: tuple[str, str] = ("send", "receive"),
        **changes: Any,
    ) -> tuple[EndProcess, EndProcess]:
        """Start both ends and let them go; `through` turns the receiver's port into the one to connect to."""
        receiver = self.start(kinds[1])
        sender = self.start(kinds[0], **changes)
        port = receiver.hear("bound")["port"]
        receiver.hear("ready")
        sender.hear("ready")
        receiver.control.send(do="go")
        receiver.hear("running")
        sender.control.send(do="go", address=f"tcp://127.0.0.1:{through(port) if through else port}")
        sender.hear("running")
        return sender, receiver

    def write(
        self, count: int, *, first: int = 0, close: bool = True, stop: threading.Event | None = None
    ) -> threading.Thread:
        """Write events into the source in a thread, their counters and last bytes from `first` on."""

        def run() -> None:
            writer = BufferWriter(self.source)
            done = 0
            while done < count and not self._stop.is_set() and not (stop and stop.is_set()):
                reserved = writer.reserve(min(256, count - done), timeout_s=0.1)
                if reserved is None:
                    continue
                numbers = np.arange(first + done, first + done + reserved.count)
                reserved.metadata["counter"] = numbers
                reserved.metadata["timestamp"] = time.time()
                reserved.data["byte"][:, 0] = numbers % 251
                reserved.data["byte"][:, -1] = numbers % 241
                writer.publish(reserved)
                done += reserved.count
            if close:
                writer.close()

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        return thread

    def close(self) -> None:
        self._stop.set()
        for end in self._ends:
            end.close()
        for thread in self._threads:
            thread.join()
        for ring in (self.source, self.target):
            ring.close()


def read_all(ring: Ring, batch: int = 1024, counters: list[int] | None = None) -> list[int]:
    """Read a ring to its end; check the data, and return the counters in the order in which they came."""
    reader = BufferReader(ring)
    counters = [] if counters is None else counters
    while True:
        with reader.batch(batch) as (metadata, data):
            if metadata is None or data is None:
                return counters
            numbers = metadata["counter"].copy()
            assert (data["byte"][:, 0] == (numbers % 251 if data.shape[1] > 1 else numbers % 241)).all()
            assert (data["byte"][:, -1] == numbers % 241).all()
            counters.extend(numbers.tolist())


@contextlib.contextmanager
def ring_directory() -> Iterator[Path]:
    """Make a directory in shared memory."""
    directory = Path("/dev/shm") / f"linktest-{uuid.uuid4().hex}"
    directory.mkdir()
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
