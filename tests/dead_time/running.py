"""A run with sources of known rates and consumers of known service times, and what came of it."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.node.running import Started, record, run_directory
from tests.support import eventually, free_port, mimocorb_node

from .theory import Floats, waits

FUNCTIONS = '''
import time

import numpy as np
from mimocorb_dist import Exporter


def services(mean_s, exponential, events, seed):
    """Return how long each event is to be worked on, in s."""
    return np.random.default_rng(seed).exponential(mean_s, events) if exponential else np.full(events, mean_s)


def work(io):
    """Let each event take its time, and write down its metadata; a sink gets copies."""
    times = services(io["mean_s"], io["exponential"], io["events"], io["seed"])
    heads = []
    for (data, metadata), time_s in zip(Exporter(io), times):
        heads.append(metadata[0].copy())
        time.sleep(time_s)
    np.save(io.run_dir / f"{io.name}.npy", np.sort(np.array(heads), order="timestamp"))
'''


@dataclass(frozen=True)
class Chain:
    """A random source, or some, a buffer of few slots, and a consumer.

    Parameters
    ----------
    name
        Of the source in the setup; its buffer is ``<name>_raw``.
    rate_hz
        Of each source.
    service_s
        Mean time that the consumer needs for an event.
    exponential
        Whether that time is random; otherwise it is constant.
    slots
        Slots of the buffer.
    events
        How many come in all.
    importers
        Number of sources.
    far
        Whether the consumer is on another node, and passes events on to a buffer ``<name>_kept``.
    """

    name: str
    rate_hz: float
    service_s: float
    exponential: bool
    slots: int
    events: int
    importers: int = 1
    far: bool = False

    def seed(self, kind: str) -> int:
        """Return the seed of the sources, or of the services."""
        return sum(map(ord, self.name + kind))

    @property
    def lives(self) -> list[Floats]:
        """How long each event of each importer takes to come while it looks, in s: what their seeds give."""
        share = self.events // self.importers
        seeds = [self.seed("source"), *([self.seed("source"), n] for n in range(1, self.importers))]
        return [np.random.default_rng(seed).exponential(1 / self.rate_hz, share) for seed in seeds]

    @property
    def services(self) -> Floats:
        """How long the consumer works on each event, in s."""
        if not self.exponential:
            return np.full(self.events, self.service_s)
        return np.random.default_rng(self.seed("work")).exponential(self.service_s, self.events)

    @property
    def waited(self) -> list[Floats]:
        """How long the events of each importer wait for a slot in theory, in s."""
        return waits(self.lives, self.services, self.slots)

    def setup(self) -> dict[str, Any]:
        """Return the chain's buffers and workers for a setup."""
        raw, kept = f"{self.name}_raw", f"{self.name}_kept"
        buffer = {"data_length": 1, "data_dtype": {"number": "int64"}}
        replay = {
            "filename": f"events{self.events // self.importers}.npy",
            "rate": self.rate_hz,
            "distribution": "poisson",
            "seed": self.seed("source"),
        }
        work = {
            "mean_s": self.service_s,
            "exponential": self.exponential,
            "events": self.events,
            "seed": self.seed("work"),
        }
        setup: dict[str, Any] = {
            "Buffers": {raw: {**buffer, "slot_count": self.slots}},
            "Workers": {
                f"{self.name}_source": {
                    "node": "near",
                    "function": "data.replay",
                    "sinks": [raw],
                    "number_of_processes": self.importers,
                    "config": replay,
                },
                f"{self.name}_work": {
                    "node": "far" if self.far else "near",
                    "file": "functions.py",
                    "function": "work",
                    "sources": [raw],
                    "sinks": [kept] if self.far else [],
                    "config": work,
                },
            },
        }
        if self.far:
            setup["Buffers"][kept] = {**buffer, "slot_count": 64}
            setup["Workers"][f"{self.name}_drain"] = {
                "node": "near",
                "function": "exporters.drain",
                "sources": [kept],
            }
        return setup


@dataclass(frozen=True)
class Outcome:
    """What a run says of one chain.

    Parameters
    ----------
    book
        The books of its buffer, from ``run.json``.
    behind
        Those of the buffer after its consumer, if there is one.
    events
        Metadata of its events as they were exported, in the order of their times.
    report
        What ``mimocorb-node report`` prints of the run.
    """

    book: dict[str, Any]
    behind: dict[str, Any]
    events: npt.NDArray[np.void]
    report: str


def run(folder: Path, chains: list[Chain], timeout_s: float) -> dict[str, Outcome]:
    """Run some chains side by side, on two nodes of this machine."""
    setup: dict[str, Any] = {
        "Nodes": {"near": {}, "far": {}},
        "Broker": {"node": "near", "port": free_port()},
        "Buffers": {},
        "Workers": {},
        "target_directory": "target",
    }
    for chain in chains:
        for section, content in chain.setup().items():
            setup[section] |= content
        np.save(
            folder / f"events{chain.events // chain.importers}.npy",
            np.arange(chain.events // chain.importers)[:, None],
        )
    (folder / "functions.py").write_text(FUNCTIONS)
    path = folder / "setup.yaml"
    path.write_text(json.dumps(setup))  # is YAML, too
    with Started(path, "--all") as started:
        hurry(started, chains)
        output = started.ends(0, timeout_s)
    assert "quality GOOD" in output, output
    report = mimocorb_node("report", run_directory(folder)).stdout
    directory, books = run_directory(folder), record(folder)["buffers"]
    return {
        chain.name: Outcome(
            books[f"{chain.name}_raw"],
            books.get(f"{chain.name}_kept", {}),
            np.load(directory / f"{chain.name}_work.npy"),
            report,
        )
        for chain in chains
    }


def hurry(started: Started, chains: list[Chain]) -> None:
    """Let the processes that matter run at once when they can, whatever else the machine does, if we may."""
    names = [f"{chain.name}_{kind}" for chain in chains for kind in ("source", "work")]
    for name in [*names, *(f"{chain.name}_raw@near->far" for chain in chains if chain.far)]:
        for process in eventually(lambda name=name: started.workers(name), 30, name):
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(1))


def share(dead_s: float, live_s: float) -> float:
    """Return the share of dead time."""
    return dead_s / (dead_s + live_s) if dead_s + live_s > 0 else math.nan
