"""What a setup says, read but not yet checked as a whole: between the sections and the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from .fields import Reference
    from .model import Delivery, Node, OnError, Place


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
    """A buffer; `slot_count`, `data_length` and `data_dtype` are None where they are wrong."""

    name: str
    place: Place
    slot_count: int | None
    data_length: int | None
    data_dtype: np.dtype[Any] | None
    dtype_texts: dict[str, str]
    delivery: Delivery
    node: Reference | None


@dataclass
class WorkerDraft:
    """A worker; references in it may point to nothing.

    `complete` tells that its buffers could be read: what is wrong with them as a whole is only said then.
    """

    name: str
    place: Place
    function: Reference | None
    file: Reference | None
    file_path: Path | None
    config: dict[Any, Any]
    processes: int
    processes_place: Place
    nodes: tuple[Reference, ...]
    sources: tuple[Reference, ...]
    sinks: tuple[Reference, ...]
    observes: tuple[Reference, ...]
    on_error: OnError
    complete: bool


@dataclass
class SetupDraft:
    """A whole setup."""

    hosts: HostsDraft
    buffers: dict[str, BufferDraft]
    workers: dict[str, WorkerDraft]
    target_directory: str
