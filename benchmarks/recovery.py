"""How long a run stands still when one of its processes is killed: three nodes on this host, 1000 events/s.

Run it with ``python -m benchmarks.recovery``.  A worker or an end of a link is killed, and the longest time
is taken in which no event arrives at the exporter.  A node is killed, too, and started again: its processes
work on meanwhile, and what counts is how long after its start the other nodes are told that it goes on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.harness import Report, Spread, parser
from mimocorb_dist.ring import Ring
from mimocorb_dist.ring.runtime import runtime_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = ("storage", "filter", "daq")
LONGEST_WAIT_S = 60.0
LOOK_S = 6.0
"""How long the events are watched after a death."""
BUFFER = {"slot_count": 256, "data_length": 1000, "data_dtype": {"ch1": "float32"}}
KILLED = {
    "worker: a filter": ("filter", "pick"),
    "worker: an exporter": ("storage", "save"),
    "link: the sending end": ("daq", "send"),
    "link: the receiving end": ("filter", "receive"),
}
FUNCTIONS = """
import time
from mimocorb_dist.workers import Exporter, Filter, Importer


def source(io):
    def events():
        while True:
            time.sleep(1e-3)
            yield io.data_out_example

    Importer(io)(events)


def pick(io):
    Filter(io)(lambda data: True)


def save(io):
    for _ in Exporter(io):
        pass
"""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def setup(port: int) -> dict[str, Any]:
    """Return a setup of three nodes."""
    return {
        "Nodes": {node: {} for node in NODES},
        "Broker": {"node": "storage", "port": port},
        "Buffers": {"raw": BUFFER, "good": {**BUFFER, "node": "storage"}},
        "Workers": {
            "source": {"node": "daq", "file": "functions.py", "function": "source", "sinks": ["raw"]},
            "pick": {
                "node": "filter", "file": "functions.py", "function": "pick",
                "sources": ["raw"], "sinks": ["good"],
            },
            "save": {"node": "storage", "file": "functions.py", "function": "save", "sources": ["good"]},
        },
    }  # fmt: skip


class Node:
    """A node, started as its user does; what it says is kept with the time at which it was said."""

    def __init__(self, name: str, directory: Path) -> None:
        command = [sys.executable, "-m", "mimocorb_dist", "start", "setup.yaml", "--node", name, "-c", "none"]
        self.name = name
        self.process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.said: Queue[tuple[float, str]] = Queue()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put((time.monotonic(), line))

    def hears(self, text: str) -> float:
        """Return when it said something, waiting for that."""
        while text not in (found := self.said.get(timeout=LONGEST_WAIT_S))[1]:
            continue
        return found[0]

    def kill(self, name: str) -> None:
        """Kill one of its processes, by a word of the command line."""
        for child in psutil.Process(self.process.pid).children():
            if name in child.cmdline():
                child.kill()
                return
        raise RuntimeError(f"node {self.name} has no process {name}")


class Lab:
    """Three nodes with a run, and its last ring."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "setup.yaml").write_text(json.dumps(setup(free_port())))
        (directory / "functions.py").write_text(FUNCTIONS)
        self.nodes = {name: Node(name, directory) for name in NODES}
        self.nodes["daq"].hears("running")
        (self.ring,) = (
            Ring.open(path / "good.ring")
            for path in runtime_directories()
            if path.name.endswith("-storage") and str(directory) in (path / "node.json").read_text()
        )
        self.flows()

    def read(self) -> int:
        """Return how many events the exporter has had."""
        return sum(self.ring.statistics().read.values())

    def flows(self) -> None:
        """Wait until events have come through for a second."""
        for _ in range(2):
            before, begun_s = self.read(), time.monotonic()
            while self.read() < before + 500 and time.monotonic() < begun_s + LONGEST_WAIT_S:
                time.sleep(0.01)

    def standstill_s(self, node: str, name: str) -> float:
        """Kill a process; return the longest time without an event, in s."""
        self.flows()
        self.nodes[node].kill(name)
        begun_s = last_s = time.monotonic()
        longest_s, last = 0.0, self.read()
        while (now_s := time.monotonic()) < begun_s + LOOK_S:
            if (count := self.read()) != last:
                longest_s, last, last_s = max(longest_s, now_s - last_s), count, now_s
            time.sleep(0.002)
        return max(longest_s, now_s - last_s)

    def comes_back_s(self, name: str) -> float:
        """Kill a node and start it again; return how long after that it goes on, in s."""
        self.nodes[name].process.kill()
        self.nodes[name].process.wait()
        witness = self.nodes["daq" if name != "daq" else "filter"]
        witness.hears(f"node {name} has died")
        begun_s = time.monotonic()
        self.nodes[name] = Node(name, self.directory)
        return witness.hears(f"node {name} was started again") - begun_s

    def end(self) -> None:
        """End the run in good order."""
        self.ring.close()
        self.nodes["daq"].process.terminate()
        for node in self.nodes.values():
            if node.process.wait(LONGEST_WAIT_S):
                raise RuntimeError(f"node {node.name} ended with status {node.process.returncode}")

    def kill(self) -> None:
        """End all processes at once."""
        for node in self.nodes.values():
            if node.process.poll() is None:
                children = psutil.Process(node.process.pid).children(recursive=True)
                node.process.kill()
                for child in children:
                    child.kill()
                node.process.wait()


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Start the nodes, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        a_lab = Lab(Path(folder))
        try:
            yield a_lab
            a_lab.end()
        finally:
            a_lab.kill()


def main() -> None:
    """Measure deaths of workers, links and nodes."""
    arguments = parser("Measure how long a run stands still after a death").parse_args()
    report = Report("After a death", arguments)
    rows: list[list[Any]] = []
    with lab() as a_lab:
        for what, (node, name) in KILLED.items():
            times_s = [a_lab.standstill_s(node, name) for _ in range(arguments.repeats)]
            rows.append([what, Spread.of(times_s)])
        for node in NODES:
            times_s = [a_lab.comes_back_s(node) for _ in range(arguments.repeats)]
            rows.append([f"node {node}, after its start", Spread.of(times_s)])
    report.table("Time in s: median (least - most)", ["killed", "s"], rows)


if __name__ == "__main__":
    main()
