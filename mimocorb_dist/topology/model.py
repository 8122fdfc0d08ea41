"""The validated, immutable model of a setup: what every other room works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .content import content_hash
from .disk import DiskRules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import numpy as np

Delivery = Literal["shared", "broadcast"]
WhenFull = Literal["block", "drop_new", "drop_old"]
OnError = Literal["stop", "skip", "restart"]
Call = Literal["io", "classic1"]
Dialect = Literal["mimoCoRB 1", "mimoCoRB 2"]
Role = Literal["importer", "filter", "exporter", "observer", "lone"]

LOCAL_NODE = "local"
"""Name of the only node of a setup without `Nodes:`."""

DEFAULT_BROKER_PORT = 5550
"""Port of the broker of a setup with `Nodes:` that names none."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a file.

    Parameters
    ----------
    file
        The file as messages show it.
    line, column
        Counted from 1, as editors do.
    """

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Node:
    """One host's part of a setup.

    Parameters
    ----------
    name
        As under `Nodes:`.
    host
        Name or address under which the other hosts reach it; None means this machine only (loopback).
    """

    name: str
    host: str | None = None


@dataclass(frozen=True)
class Buffer:
    """A buffer of a setup.

    Parameters
    ----------
    name
        As under `Buffers:`.
    node
        The node where it lives.
    slot_count
        Events that it holds.
    data_length
        Records of an event.
    data_dtype
        Type of a record: with named fields, or (mimoCoRB 1) a plain one.
    delivery
        ``shared``: each event goes to one reader. ``broadcast``: each worker gets every event.
    place
        Where it stands in the setup file.
    when_full
        What happens to an event that finds it full: its writer waits (``block``), or the event is dropped
        (``drop_new``), or the oldest one that nobody has taken yet (``drop_old``).
    watchdog_s
        After how long without a move it is talked about, in s; 0: never; None: the setup does not say.
    """

    name: str
    node: str
    slot_count: int
    data_length: int
    data_dtype: np.dtype[Any]
    delivery: Delivery
    place: Place
    when_full: WhenFull = "block"
    watchdog_s: float | None = None

    @property
    def event_bytes(self) -> int:
        """Size of the data of one event, in bytes."""
        return self.data_length * self.data_dtype.itemsize


@dataclass(frozen=True)
class Worker:
    """A worker of a setup.

    Parameters
    ----------
    name
        As under `Workers:`.
    nodes
        The nodes where its processes run.
    function
        Name of the user's function in `file`, or ``module.function`` of a prebuilt one.
    file
        The user's file, absolute; None for a prebuilt function.
    config
        What the function gets as its config: base config, files and own values merged.
    processes
        Processes on each of its nodes.
    sources, sinks, observes
        Names of the buffers that it reads, writes and observes, in the order of the setup.
    on_error
        What an exception in the function does.
    place
        Where it stands in the setup file.
    call
        How the function is called: with a `BufferIO`, or with lists of buffers as in mimoCoRB 1.
    assigned
        What a function of mimoCoRB 1 does with which buffer (``read``, ``write``, ``observe``), in the order
        of the setup.
    """

    name: str
    nodes: tuple[str, ...]
    function: str
    file: Path | None
    config: dict[Any, Any]
    processes: int
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    observes: tuple[str, ...]
    on_error: OnError
    place: Place
    call: Call = "io"
    assigned: tuple[tuple[str, str], ...] = ()

    @property
    def role(self) -> Role:
        """What the worker is to the data flow, told by which buffers it has."""
        if self.sources:
            return "filter" if self.sinks else "exporter"
        if self.observes:
            return "observer"
        return "importer" if self.sinks else "lone"


@dataclass(frozen=True)
class RunRules:
    """How runs of a setup go, where that is said by the setup or its dialect.

    Parameters
    ----------
    max_events, max_time_s
        Limits of a run, which the command line may override; None is no limit.
    counted
        The buffer whose events `max_events` limits; empty: the first root.
    ends_with
        The worker with whose end a run ends; empty: it ends when all importers have.
    holds
        Whether a pause lets sources wait; else they are read on, and their events discarded and counted.
    run_name
        What the names of run directories begin with; None is the form of mimoCoRB2.
    copied
        Files of the setup that are copied into the run directory: name there -> path.
    kbd, gui
        Whether the setup wants to be controlled by keys and by a window; None where it has no say.
    """

    max_events: int | None = None
    max_time_s: float | None = None
    counted: str = ""
    ends_with: str = ""
    holds: bool = False
    run_name: str | None = None
    copied: Mapping[str, Path] = field(default_factory=dict)
    kbd: bool | None = None
    gui: bool | None = None


@dataclass(frozen=True)
class Topology:
    """A setup without a mistake.

    Parameters
    ----------
    path, directory
        The setup file and its folder, absolute.
    target_directory
        Where run directories are made, absolute.
    nodes, buffers, workers
        By name, in the order of the setup.
    broker_node
        Name of the node that runs the broker.
    broker_port
        None: any free port (a setup without `Nodes:` that names none).
    data_ports
        Lowest and highest port for data sockets; None: whatever the system gives.
    security
        ``none`` if the setup says so, else None.
    warnings
        What is odd but no mistake: texts of the form ``file:line:column: ...``.
    resolved
        The setup with all defaults and merged configs, as plain values that JSON and YAML can write. It holds
        no path of this machine, so it is the same on every node.
    dialect
        What it is written in.
    rules
        How its runs go.
    disk
        How much room disks must have.
    yaml_files
        Hash of what each file says that the setup is made of, to name the one that differs between nodes: the
        setup file by its name, config files as the setup names them.
    """

    path: Path
    directory: Path
    target_directory: Path
    nodes: Mapping[str, Node]
    broker_node: str
    broker_port: int | None
    data_ports: tuple[int, int] | None
    security: str | None
    buffers: Mapping[str, Buffer]
    workers: Mapping[str, Worker]
    warnings: tuple[str, ...] = ()
    resolved: dict[str, Any] = field(default_factory=dict)
    dialect: Dialect = "mimoCoRB 2"
    rules: RunRules = field(default_factory=RunRules)
    disk: DiskRules = field(default_factory=DiskRules)
    yaml_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def distributed(self) -> bool:
        """Whether the setup names nodes."""
        return "Nodes" in self.resolved

    @property
    def on_network(self) -> bool:
        """Whether nodes are reached over a network; else all run on this machine."""
        from .hosts import is_loopback

        return any(not is_loopback(node.host) for node in self.nodes.values())

    def role_of(self, worker: Worker) -> Role | Literal["processor"]:
        """Return what a worker is to people: its role, or processor if it writes other events than it reads.

        Parameters
        ----------
        worker
            A worker of the setup.
        """
        if worker.role != "filter":
            return worker.role
        source = self.buffers[worker.sources[0]]
        events = (source.data_dtype, source.data_length)
        sinks = [self.buffers[name] for name in worker.sinks]
        return "filter" if all((s.data_dtype, s.data_length) == events for s in sinks) else "processor"

    @property
    def roots(self) -> tuple[str, ...]:
        """Buffers that importers write: where a run is ended."""
        importers = (worker for worker in self.workers.values() if worker.role == "importer")
        return tuple(dict.fromkeys(sink for worker in importers for sink in worker.sinks))

    @property
    def counted(self) -> str:
        """The buffer whose events a limit counts; empty if nothing is imported."""
        return self.rules.counted or next(iter(self.roots), "")

    def run_name(self, started: datetime) -> str:
        """Return the name of the directory of a run, as long as no other run has it.

        Parameters
        ----------
        started
            Time of the start, in local time.
        """
        if self.rules.run_name is None:
            return f"{started:run_%Y-%m-%d_%H-%M-%S}"
        return f"{self.rules.run_name}{started:%Y-%m-%d_%H%M}"

    def content_hash(self) -> str:
        """Return a hash of all that the setup says, to compare between nodes.

        Layout and comments do not count. Contents of config files do, those of function files do not.
        """
        # The order counts: that of fields makes the dtype, that of workers the node of a buffer.
        return content_hash(self.resolved)

    def function_files(self) -> dict[str, str]:
        """Return the hash of each user file and of the files beside it that it imports.

        Returns
        -------
        dict
            File name as in the setup, or beside that -> SHA-256 of its content, in hexadecimal.

        Raises
        ------
        SetupError
            If a file cannot be read.
        """
        from .user_files import file_hashes

        named = self.resolved.get("Workers", {})
        files = {named[name]["file"]: worker.file for name, worker in self.workers.items() if worker.file}
        return file_hashes(files)
