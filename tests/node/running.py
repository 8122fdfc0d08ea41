"""Runs for tests: a setup with functions of its own, started as users start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from mimocorb_dist.errors import MimocorbError
from mimocorb_dist.node import brokerage, client
from mimocorb_dist.ring.runtime import (
    dead_runtime_directories,
    remove_runtime_directory,
    runtime_directories,
    waits_for_heir,
)
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNCTIONS = '''
import os
import sys
import time
import numpy as np
from mimocorb_dist.workers import Exporter, Filter, Importer, Observer

def source(io):
    """Counts from 0; ends after `events` events, or never."""
    data = io.data_out_example
    pause_s = 1 / io["rate"] if "rate" in io else 0

    def count():
        number = 0
        while number != io.get("events"):
            data["number"] = number
            number += 1
            if pause_s:
                time.sleep(pause_s)
            yield data

    Importer(io)(count)

def even(io):
    def choose(data):
        number = int(data["number"][0])
        if number == io.get("fails_at"):
            raise ValueError(f"cannot stand {number}")
        time.sleep(io.get("takes_s", 0))
        return number % 2 == 0
    Filter(io)(choose)

def everything(io):
    time.sleep(io.get("starts_after_s", 0))
    Filter(io)(lambda data: True)

def save(io):
    """Writes the numbers it gets, one a line."""
    with open(io.run_dir / f"{io.name}.{os.getpid()}.txt", "w") as file:
        for data, metadata in Exporter(io):
            file.write(f"{int(data['number'][0])}\\n")
            file.flush()
            time.sleep(io.get("takes_s", 0))
    print(f"saved by {io.name}")

def look(io):
    for data, metadata in Observer(io)():
        if data is None:
            break

def chatter(io):
    for data, metadata in Exporter(io):
        print("x" * io.get("width", 1000))

def stubborn(io):
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)
'''

BUFFERS = """
Buffers:
  raw: {slot_count: 64, data_length: 2, data_dtype: {number: int64}}
  good: {slot_count: 64, data_length: 2, data_dtype: {number: int64}}
target_directory: target
"""

ONE_HOST = (
    BUFFERS
    + """
Workers:
  source: {file: f.py, function: source, sinks: [raw], config: {SOURCE}}
  pick: {file: f.py, function: even, sources: [raw], sinks: [good], config: {PICK}, number_of_processes: 2}
  save: {file: f.py, function: save, sources: [good], config: {SAVE}}
"""
)

THREE_NODES = (
    """
Nodes: {daq: {}, filter: {}, storage: {}}
Broker: {node: storage, port: PORT}
"""
    + BUFFERS
    + """
Workers:
  source: {node: daq, file: f.py, function: source, sinks: [raw], config: {SOURCE}}
  pick: {node: filter, file: f.py, function: even, sources: [raw], sinks: [good], config: {PICK}}
  save: {node: storage, file: f.py, function: save, sources: [good], config: {SAVE}}
  look: {node: storage, file: f.py, function: look, observes: [raw]}
"""
)


def write_setup(folder: Path, text: str = ONE_HOST, **values: str) -> Path:
    """Write a setup with its functions; `values` take the place of words in capitals in its text."""
    folder.mkdir(exist_ok=True)
    (folder / "f.py").write_text(FUNCTIONS)
    for word in ("SOURCE", "PICK", "SAVE", "PORT"):
        text = text.replace(word, values.get(word, ""))
    setup = folder / "setup.yaml"
    setup.write_text(text)
    return setup


# The command line, with less patience than users need.
_IMPATIENT = """
from mimocorb_dist import cli, node
from mimocorb_dist.node import brokerage, delays, observers, session
full_options = node.StartOptions
node.StartOptions = lambda **options: full_options(silence_s={silence_s}, grace_s={grace_s}, **options)
session.SAY_EVERY_S = observers.OBSERVER_PATIENCE_S = 1.0
delays.NOT_READY_S = (2.0, 2.0, 2.0)
brokerage.MAX_DEATHS = {broker_lives}
cli.main()
"""


class Started:
    """`mimocorb-node start` in a process of its own."""

    def __init__(
        self,
        setup: Path,
        *arguments: str,
        inside: str = "",
        silence_s: float = 6.0,
        grace_s: float = 0.0,
        broker_lives: int = brokerage.MAX_DEATHS,
        **popen: Any,
    ) -> None:
        self.setup = setup
        namespace = ["ip", "netns", "exec", inside] if inside else []
        self.process = subprocess.Popen(
            [
                *namespace,
                sys.executable,
                "-c",
                _IMPATIENT.format(silence_s=silence_s, grace_s=grace_s, broker_lives=broker_lives),
                "start",
                str(setup),
                *arguments,
            ],
            **(
                {
                    "stdin": subprocess.DEVNULL,
                    "stdout": subprocess.PIPE,
                    "stderr": subprocess.STDOUT,
                    "text": True,
                }
                | popen
            ),
        )

    def overview(self) -> Mapping[str, Any] | None:
        """Return the state of the run, None if there is none yet."""
        for card in client._cards():
            if card["setup"] == str(self.setup.resolve()):
                try:
                    return client.overview(card["broker"])
                except MimocorbError:
                    return None
        return None

    def written(self, buffer: str) -> int:
        """Return how many events a buffer has been given so far."""
        overview = self.overview()
        return int(overview["buffers"][buffer]["written"]) if overview else 0

    def until(self, buffer: str, count: int, timeout_s: float = 60.0) -> None:
        """Wait until a buffer has been given some events."""
        eventually(
            lambda: self.process.poll() is not None or self.written(buffer) >= count,
            timeout_s,
            f"{count} events in {buffer}",
        )
        assert self.process.poll() is None, self.output()

    def broker(self) -> str:
        (card,) = [card for card in client._cards() if card["setup"] == str(self.setup.resolve())][:1]
        return str(card["broker"])

    def workers(self, name: str) -> list[psutil.Process]:
        """Return the processes of a worker or link, by name, or the broker."""
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if {name, f"mimocorb_dist.{name}"} & set(_command_line(child))
        ]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def output(self, timeout_s: float = 60.0) -> str:
        """Wait for the end; return what was printed."""
        try:
            return self.process.communicate(timeout=timeout_s)[0] or ""
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def ends(self, status: int, timeout_s: float = 60.0) -> str:
        """Wait for the end, check the exit status, and return what was printed."""
        output = self.output(timeout_s)
        assert self.process.returncode == status, output
        return output

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:  # the test has failed: nothing is to be left behind
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            for child in children:
                child.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait()
        for path in set(self.runtime_directories()) & set(dead_runtime_directories()):
            if not waits_for_heir(path):
                remove_runtime_directory(path)  # a node that was killed could not do it

    def runtime_directories(self) -> list[Path]:
        """Return the runtime directories of the setup's nodes."""
        return [
            path
            for path in runtime_directories()
            if any(str(self.setup) in _text(file) for file in path.glob("*.json"))
        ]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # somebody is just removing it
        return ""


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def run_directory(folder: Path) -> Path:
    (directory,) = (folder / "target").iterdir()
    return directory


def record(folder: Path) -> dict[str, Any]:
    """Return the record of the only run of a setup."""
    content: dict[str, Any] = json.loads((run_directory(folder) / "run.json").read_text())
    return content


def assert_balanced(content: Mapping[str, Any]) -> None:
    for name, book in content["buffers"].items():
        assert book["written"] == book["read"] + book["rescued"] + book["lost"], (name, book)


def saved(folder: Path, name: str = "save") -> list[int]:
    """Return the numbers that the workers `save` wrote, file by file."""
    files = sorted(run_directory(folder).glob(f"{name}.*.txt"))
    return [int(line) for file in files for line in file.read_text().split()]
