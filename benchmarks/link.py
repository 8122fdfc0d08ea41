"""A link between two nodes on loopback, ring to ring, against bare pyzmq with the same frames.

Run it with ``python -m benchmarks.link``; with ``--keys`` both are encrypted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil
import zmq

from benchmarks.harness import Report, Spread, interleaved, parser, rate, ratio
from benchmarks.ring import CONTEXT, SIZES, Size, measure, read_batches, write_batches
from mimocorb_dist.links.job import LinkJob
from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.ring.runtime import runtime_root
from mimocorb_dist.wire.keys import KeyFile, OwnKey, new_key, write_keys
from mimocorb_dist.wire.pipes import LineReader, LineWriter
from mimocorb_dist.wire.security import Secured, Security

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FRAME_BYTES = 1 << 20
LINKED = [replace(SIZES[0], slot_count=4096), *SIZES[1:]]
"""The events of `benchmarks.ring`; small ones come at high rates and get more slots."""
HEADER = bytes(32)


class End:
    """One end of a link, started as a node does it."""

    def __init__(
        self, directory: Path, ring: Ring, kind: Literal["send", "receive"], security: Security
    ) -> None:
        job = LinkJob(
            run_id="benchmark",
            node="a",
            link="raw@a->b",
            kind=kind,
            ring=ring.path,
            release="read",
            security=security,
        )
        path = directory / f"{kind}.json"
        path.write_text(job.to_json())
        status_in, status_out = os.pipe()
        control_in, control_out = os.pipe()
        pipes = ["--status-fd", str(status_out), "--control-fd", str(control_in)]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mimocorb_dist.links",
                "--job",
                str(path),
                *pipes,
                "benchmark",
                "a",
                "link",
                kind,
            ],
            pass_fds=(status_out, control_in),
        )
        os.close(status_out)
        os.close(control_in)
        self.status, self.control = LineReader(status_in), LineWriter(control_out)

    def hear(self, state: str) -> dict[str, Any]:
        """Wait until it says that it is in a state."""
        while (said := self.status.read(20.0)) is not None:
            if said["state"] == state:
                return said
        raise RuntimeError(f"an end of the link never said {state!r}")

    def end(self) -> None:
        """Wait for its end."""
        if self.process.wait(20):
            raise RuntimeError("an end of the link failed")
        self.status.close()
        self.control.close()


@contextlib.contextmanager
def linked(
    size: Size, key: OwnKey | None = None, memory: dict[int, float] | None = None
) -> Iterator[tuple[Path, Path]]:
    """Make two rings with a link between them, encrypted if there is a key; give their paths."""
    directory = Path(tempfile.mkdtemp(prefix="benchmark-", dir=runtime_root()))
    try:
        spec = BufferSpec("raw", size.slot_count, size.length, size.dtype)
        rings = [Ring.create(directory, spec, name) for name in ("raw", "raw.in")]
        security: Security = None
        if key is not None:
            write_keys(directory / "keys", KeyFile(key))
            security = Secured(str(directory / "keys"), server=key.public, allowed=(key.public,))
        sender = End(directory, rings[0], "send", security)
        receiver = End(directory, rings[1], "receive", security)
        port = receiver.hear("bound")["port"]
        receiver.hear("ready")
        sender.hear("ready")
        receiver.control.send(do="go")
        sender.control.send(do="go", address=f"tcp://127.0.0.1:{port}")
        sender.hear("running")
        if memory is not None:
            for end in (sender, receiver):
                threading.Thread(target=_watch_memory, args=(end.process.pid, memory)).start()
        yield rings[0].path, rings[1].path
        for end in (sender, receiver):
            end.end()
        for ring in rings:
            ring.close()
    finally:
        shutil.rmtree(directory)


def _watch_memory(pid: int, largest: dict[int, float]) -> None:
    """Keep the most memory in bytes that a process has for itself: the rings are shared."""
    largest[pid] = 0.0
    with contextlib.suppress(psutil.Error):  # until it ends
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            largest[pid] = max(largest[pid], float(process.memory_full_info().uss))
            time.sleep(0.05)


def write_source(paths: tuple[Path, Path], size: Size, ended: Callable[[], bool]) -> None:
    write_batches(paths[0], size, ended)


def read_target(paths: tuple[Path, Path], size: Size) -> int:
    return read_batches(paths[1], size)


def measure_link(size: Size, seconds: float, key: OwnKey | None = None) -> float:
    """Return the events/s from ring to ring."""
    with linked(size, key) as paths:
        return measure(write_source, read_target, paths, size, seconds)


def frame_events(size: Size) -> int:
    """Return how many events make a frame of about 1 MiB."""
    return max(1, min(size.slot_count // 4, FRAME_BYTES // size.event_bytes))


@dataclass(frozen=True)
class Address:
    """Where bare pyzmq listens, and with which key."""

    url: str
    key: OwnKey | None = None

    def secure(self, socket: zmq.Socket[bytes], *, listens: bool = False) -> None:
        """Let a socket use the key, if there is one."""
        if self.key is not None:
            socket.curve_publickey = self.key.public.encode()
            socket.curve_secretkey = self.key.secret.encode()
            if listens:
                socket.curve_server = True
            else:
                socket.curve_serverkey = self.key.public.encode()


def push(address: Address, size: Size, ended: Callable[[], bool]) -> None:
    count = frame_events(size)
    # As much memory as the ring has: a single frame would stay in the caches.
    data = [np.stack([size.event()] * count) for _ in range(max(1, size.slot_count // count))]
    metadata = np.zeros(count, METADATA_DTYPE)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.sndhwm = 8
        address.secure(socket)
        socket.connect(address.url)
        while not ended():
            for frame in data:
                socket.send_multipart([HEADER, metadata.data, frame.data], copy=False)
        socket.send(b"")


def pull(address: Address, size: Size) -> int:
    frames = 0
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.rcvhwm = 8
        address.secure(socket, listens=True)
        socket.bind(address.url)
        while len(socket.recv_multipart(copy=False)) == 3:
            frames += 1
    return frames * frame_events(size)


def measure_pyzmq(size: Size, seconds: float, key: OwnKey | None = None) -> float:
    """Return the events/s of bare pyzmq PUSH/PULL with the same frames."""
    return measure(push, pull, Address(free_address(), key), size, seconds)


def push_copies(address: Address, size: Size, ended: Callable[[], bool]) -> None:
    """Do as a program that fills frames with events, sends them, and lets pyzmq take care of the memory."""
    count = frame_events(size)
    source = np.stack([size.event()] * size.slot_count)
    memory = np.empty_like(source)
    metadata = np.zeros(count, METADATA_DTYPE)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.sndhwm = 8
        address.secure(socket)
        socket.connect(address.url)
        while not ended():
            for first in range(0, size.slot_count - count + 1, count):
                memory[first : first + count].view(np.uint8)[:] = source[first : first + count].view(np.uint8)
                frame = memory[first : first + count]
                socket.send_multipart([HEADER, metadata.data, frame.data], copy=False)
        socket.send(b"")


def pull_copies(address: Address, size: Size) -> int:
    """Do as a program that receives frames and keeps their events."""
    count, frames = frame_events(size), 0
    places = max(1, size.slot_count // count)
    memory = np.empty((places, count * size.event_bytes), np.uint8)
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.rcvhwm = 8
        address.secure(socket, listens=True)
        socket.bind(address.url)
        while len(parts := socket.recv_multipart(copy=False)) == 3:
            memory[frames % places] = np.frombuffer(parts[2].buffer, np.uint8)
            frames += 1
    return frames * count


def measure_copying(size: Size, seconds: float, key: OwnKey | None = None) -> float:
    """Return the events/s of pyzmq PUSH/PULL from memory to memory."""
    return measure(push_copies, pull_copies, Address(free_address(), key), size, seconds)


def free_address() -> str:
    """Return a loopback address with a port that is free now."""
    with zmq.Context() as context, context.socket(zmq.PULL) as probe:
        return f"tcp://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}"


def latency(rate_hz: float, count: int, key: OwnKey | None) -> Spread:
    """Return the time in ms from publishing an event to reading it on the other node."""
    results: Any = CONTEXT.SimpleQueue()
    with linked(SIZES[1], key) as (source, target):
        reader = CONTEXT.Process(target=_read_delays, args=(target, results))
        reader.start()
        writer = BufferWriter(Ring.open(source))
        event = SIZES[1].event()
        for number in range(count):
            time.sleep(1.0 / rate_hz)
            writer.put(event, number, time.monotonic(), 0.0)
        writer.close()
        delays_ms = np.array(results.get()) * 1e3
        reader.join()
    delays_ms = delays_ms[len(delays_ms) // 5 :]  # without the beginning
    return Spread(float(np.median(delays_ms)), float(delays_ms.min()), float(np.quantile(delays_ms, 0.99)))


def _read_delays(path: Path, results: Any) -> None:
    reader, delays = BufferReader(Ring.open(path)), []
    while True:
        with reader as (metadata, _data):
            if metadata is None:
                break
            delays.append(time.monotonic() - float(metadata["timestamp"][0]))
    results.put(delays)


def main() -> None:
    """Measure rates, latencies and memory."""
    options = parser("Measure a link on loopback")
    options.add_argument("--keys", action="store_true", help="encrypt the link, and pyzmq")
    arguments = options.parse_args()
    key = new_key("benchmark") if arguments.keys else None
    report = Report("A link between two nodes on loopback" + (", with keys" if key else ""), arguments)
    rows = []
    for size in LINKED:
        cases = {
            "pyzmq": lambda size=size: measure_pyzmq(size, arguments.seconds, key),
            "copying": lambda size=size: measure_copying(size, arguments.seconds, key),
            "link": lambda size=size: measure_link(size, arguments.seconds, key),
        }
        values = interleaved(cases, arguments.repeats)
        link = Spread.of(values["link"]).median
        medians = [rate(Spread.of(values[name]).median) for name in ("link", "pyzmq", "copying")]
        ratios = [ratio(values["link"], values[name]) for name in ("pyzmq", "copying")]
        rows.append([size.name, *medians, *ratios, f"{1e-9 * size.event_bytes * link:.2f}"])
    headings = ["event", "link", "pyzmq", "copying", "link / pyzmq", "link / copying", "link GB/s"]
    report.table("Ring to ring, and pyzmq alone, and pyzmq from memory to memory, events/s", headings, rows)
    delays = [[f"{hz} Hz", latency(hz, int(max(100, 3 * hz)), key)] for hz in (100, 1000)]
    report.table("From publishing to reading, ms: median (least - 99 %)", ["rate", "delay"], delays)
    memory: dict[int, float] = {}
    with linked(SIZES[2], key, memory) as paths:
        measure(write_source, read_target, paths, SIZES[2], 1.0)
    ends = zip(("sender", "receiver"), memory.values(), strict=True)
    rows = [[end, f"{most / 1e6:.0f}"] for end, most in ends]
    report.table("Most memory of the ends at 68 kB events, MB, besides the rings", ["end", "MB"], rows)


if __name__ == "__main__":
    main()
