"""The lab: three hosts, each with its `mimocorb-node start`, and a run at full rate."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mimocorb_dist.ring.runtime import (
    PREFIX,
    dead_runtime_directories,
    remove_runtime_directory,
    runtime_root,
)
from tests.netns.network import Host, network
from tests.support import eventually

from .clocks import SHIFTS_S, clock_environment, set_clock
from .processes import MARK, Role, processes
from .routes import ROUTES, Probes

NAMES = ("daq", "filter", "storage")
_HERE = Path(__file__).parent
START_S = 90.0
END_S = 180.0


class Lab:
    """Three hosts and a run.

    Parameters
    ----------
    folder
        Where each host has a folder of its own.
    hosts
        The hosts.
    mark
        Value of the environment's mark.
    """

    def __init__(self, folder: Path, hosts: dict[str, Host], mark: str) -> None:
        self.folder, self.hosts, self.mark = folder, hosts, mark
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.directories: dict[str, Path] = {}
        self.dying: set[str] = set()
        """Nodes that are being ended."""
        self._at_work: dict[int, float] = {}

    def start(self) -> None:
        """Start all nodes, and wait until events go through everywhere."""
        for name in NAMES:
            host = self.folder / name
            host.mkdir(parents=True)
            for file in ("setup.yaml", "functions.py"):
                shutil.copy(_HERE / file, host / file)
            set_clock(host, SHIFTS_S[name])
            self.start_node(name)
        run = eventually(lambda: self.alive() and self._run_id(), START_S, "a run")
        self.directories = {name: runtime_root() / f"{PREFIX}{run}-{name}" for name in NAMES}
        self.probes = Probes(self.directories)
        ends = [route.last for route in ROUTES.values()]
        eventually(lambda: self.alive() and all(self._has_events(end) for end in ends), START_S, "events")
        for name in ROUTES:
            eventually(self.probes.passing(name), START_S, f"events of {name}")

    def start_node(self, name: str) -> None:
        """Start the node of a host."""
        command = [sys.executable, "-m", "mimocorb_dist.cli", "start", "-c", "none", "--node", name]
        folder = self.folder / name
        with (self.folder / f"{name}.log").open("ab") as log:
            self.nodes[name] = subprocess.Popen(
                self.hosts[name].command(*command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.hosts[name].environment(folder) | clock_environment(folder) | {MARK: self.mark},
            )

    def alive(self) -> bool:
        """Return True; raise if a node has ended by itself."""
        for name, node in self.nodes.items():
            if name not in self.dying and node.poll() is not None:
                raise AssertionError(f"node {name} has ended with status {node.returncode}: {self.log(name)}")
        return True

    def pid(self, role: Role) -> int | None:
        """Return the process of a role, None if there is none just now."""
        if role.name == "node":
            return self.nodes[role.node].pid
        return next((pid for pid, other in processes(self.mark).items() if other == role), None)

    def at_work_s(self, role: Role, pid: int) -> float:
        """Return for how long a process has been known to use its rings, in s; 0.0 if it does not yet."""
        if pid not in self._at_work:
            observes = role.name == "scope" or role.part.startswith("view")
            if (
                self._holds_node(role.node)
                if role.name == "node"
                else (role.name == "broker" or self.probes.at_work(pid, observes=observes))
            ):
                self._at_work[pid] = time.monotonic() - 1e-6
        return time.monotonic() - self._at_work.get(pid, time.monotonic())

    def _holds_node(self, name: str) -> bool:
        """Tell whether somebody holds the runtime directory of a node."""
        return self.directories[name] not in dead_runtime_directories()

    def order_stop(self) -> None:
        """Order the run to stop."""
        self.nodes["storage"].terminate()

    def statuses(self) -> dict[str, int]:
        """Wait for the end of the run, and return the nodes' exit statuses."""
        eventually(lambda: all(node.poll() is not None for node in self.nodes.values()), END_S, "the end")
        return {name: node.returncode for name, node in self.nodes.items()}

    def log(self, name: str) -> str:
        """Return the last of what a node has printed."""
        return (self.folder / f"{name}.log").read_text()[-2000:]

    def run_directory(self, name: str = "storage") -> Path:
        """Return a node's directory of the run."""
        (directory,) = (self.folder / name / "target").glob("run_*")
        return directory

    def record(self) -> dict[str, Any]:
        """Return the record of the run."""
        content: dict[str, Any] = json.loads((self.run_directory() / "run.json").read_text())
        return content

    def shared_memory(self) -> tuple[int, int]:
        """Return files and bytes that the run has in shared memory."""
        files = [file for path in self.directories.values() for file in path.rglob("*")]
        return len(files), sum(_size(file) for file in files)

    def clean_up(self) -> None:
        """End all that still runs, and remove its shared memory."""
        for pid in processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        for node in self.nodes.values():
            node.wait()
        eventually(lambda: not processes(self.mark), 10, "the end of all processes")
        for path in self.directories.values():
            remove_runtime_directory(path)

    def _run_id(self) -> str | None:
        cards = [
            path.parent
            for path in runtime_root().glob(f"{PREFIX}*/node.json")
            if str(self.folder) in path.read_text()
        ]
        if {path.name.rpartition("-")[2] for path in cards} != set(NAMES):
            return None
        return cards[0].name.removeprefix(PREFIX).rpartition("-")[0]

    def _has_events(self, place: tuple[str, str]) -> bool:
        try:
            return self.probes[place].latest >= 0
        except FileNotFoundError:
            return False


def _size(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Make the hosts, and leave nothing behind."""
    with network(*NAMES) as hosts:
        made = Lab(folder, hosts, uuid.uuid4().hex)
        try:
            yield made
        finally:
            made.clean_up()
