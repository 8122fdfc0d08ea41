"""What a setup says, read but not yet checked as a whole: between the sections and the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .disk import DiskRules
from .model import RunRules
from .terms import TERMS, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from .fields import Reference
    from .model import Call, Delivery, Dialect, Node, OnError, Place, WhenFull
    from .prebuilt import Ports


@dataclass
class HostsDraft:
    """`Nodes:`, `Broker:` and `security:`."""

    nodes: dict[str, Node] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    host_places: dict[str, Place] = field(default_factory=dict)
    named: bool = False
    broker_node: Reference | None = None
    broker_port: int | None = None
    data_ports: tuple[int, int] | None = None
    ports_place: Place | None = None
    security: str | None = None


@dataclass
class BufferDraft:
    """A buffer; `slot_count`, `data_length` and `data_dtype` are None where they are wrong.

    `dtype_texts` tells what the types of its fields are made of; empty for a plain type.
    """

    name: str
    place: Place
    slot_count: int | None = None
    data_length: int | None = None
    data_dtype: np.dtype[Any] | None = None
    dtype_texts: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = "shared"
    when_full: WhenFull = "block"
    node: Reference | None = None
    watchdog_s: float | None = None


@dataclass
class WorkerDraft:
    """A worker; references in it may point to nothing.

    `complete` tells that its buffers could be read: what is wrong with them as a whole is only said then.
    `ports` tells what a prebuilt function wants, where that is known.
    `config_places` are the places of its values in the config, wherever that is merged from.
    `own_keys` are the keys in its `config:`, without those of base configs, which may be for other workers.
    `call` tells how its function is called, `assigned` (mimoCoRB 1) its buffers in the order of the setup.
    """

    name: str
    place: Place
    processes_place: Place
    function: Reference | None = None
    file: Reference | None = None
    file_path: Path | None = None
    ports: Ports | None = None
    config: dict[Any, Any] = field(default_factory=dict)
    config_places: dict[Any, Place] = field(default_factory=dict)
    own_keys: tuple[tuple[Any, Place], ...] = ()
    processes: int = 1
    nodes: tuple[Reference, ...] = ()
    sources: tuple[Reference, ...] = ()
    sinks: tuple[Reference, ...] = ()
    observes: tuple[Reference, ...] = ()
    assigned: tuple[tuple[str, str], ...] = ()
    on_error: OnError = "stop"
    call: Call = "io"
    complete: bool = False


@dataclass
class SetupDraft:
    """A whole setup; `config_files` are the files that its configs are read from, each with its hash."""

    hosts: HostsDraft
    buffers: dict[str, BufferDraft]
    workers: dict[str, WorkerDraft]
    target_directory: str
    target_path: Path
    dialect: Dialect = "mimoCoRB 2"
    rules: RunRules = field(default_factory=RunRules)
    disk: DiskRules = field(default_factory=DiskRules)
    config_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def terms(self) -> Terms:
        """What its dialect calls things."""
        return TERMS[self.dialect]
