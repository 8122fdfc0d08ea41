"""Which rings, workers and links each node has: the setup spread over its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from .flow import Ends, depths

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .model import Buffer, Node, Topology, WhenFull, Worker

READERS = "readers"
"""The only reader group of a ring under shared delivery."""

VIEW_SLOTS = 4
"""Slots of a ring that is only observed: one to write, and the latest ones to look at."""

Release = Literal["read", "published"]


class SourcePlan(NamedTuple):
    """A ring that a worker reads, the reader group that it belongs to, and the buffer's name in the setup."""

    ring: str
    group: str
    buffer: str


class EndPlan(NamedTuple):
    """A ring that a worker writes or observes, and the buffer's name in the setup."""

    ring: str
    buffer: str


@dataclass(frozen=True)
class RingPlan:
    """A ring of one node.

    Parameters
    ----------
    ring
        ``raw`` (home), ``raw.in``, ``raw.in.W``, ``raw.out`` or ``raw.view``.
    buffer
        The buffer whose events it holds.
    groups
        Its reader groups; none if it is only observed.
    expected_writers
        Worker processes and links that write it; its stream ends when all of them have ended.
    slot_count
        Events that it holds.
    when_full
        What its writers do when it is full. That is the buffer's choice in its home ring only: on the way
        there, and from there on, nothing is dropped.
    """

    ring: str
    buffer: Buffer
    groups: tuple[str, ...]
    expected_writers: int
    slot_count: int
    when_full: WhenFull = "block"


@dataclass(frozen=True)
class WorkerPlan:
    """A worker's part on one node.

    Parameters
    ----------
    worker
        The worker.
    sources, sinks, observes
        Its rings on this node, in the order of the setup.
    processes
        Number of its processes on this node.
    """

    worker: Worker
    sources: tuple[SourcePlan, ...]
    sinks: tuple[EndPlan, ...]
    observes: tuple[EndPlan, ...]
    processes: int

    @property
    def rings(self) -> tuple[str, ...]:
        """Names of all rings that it uses on this node."""
        read = [source.ring for source in self.sources]
        return tuple(dict.fromkeys([*read, *(end.ring for end in (*self.sinks, *self.observes))]))


@dataclass(frozen=True)
class LinkPlan:
    """A link: events of one buffer from a ring on one node to a ring on another.

    Parameters
    ----------
    name
        ``raw@daq->filter``; with ``#W`` for a worker on several nodes under broadcast.
    buffer
        Name of the buffer.
    from_node, to_node
        Names of the nodes.
    source_ring, source_group
        What the sender reads, and as a member of which reader group.
    target_ring
        What the receiver writes.
    release
        When the sender may free its slot: ``read`` when the readers of the copy have released it,
        ``published`` when the copy lies in the home ring.
    """

    name: str
    buffer: str
    from_node: str
    to_node: str
    source_ring: str
    source_group: str
    target_ring: str
    release: Release


@dataclass(frozen=True)
class ViewPlan:
    """A view: the latest event of a buffer, on request, for observers on another node."""

    name: str
    buffer: str
    from_node: str
    to_node: str
    source_ring: str
    target_ring: str


@dataclass(frozen=True)
class NodePlan:
    """All that one node has."""

    node: Node
    rings: tuple[RingPlan, ...]
    workers: tuple[WorkerPlan, ...]
    links_out: tuple[LinkPlan, ...]
    links_in: tuple[LinkPlan, ...]
    views_out: tuple[ViewPlan, ...]
    views_in: tuple[ViewPlan, ...]


@dataclass(frozen=True)
class Plan:
    """A setup spread over its nodes.

    Parameters
    ----------
    topology
        The setup.
    nodes
        Plans of the nodes, by name.
    links, views
        All links and views.
    stages
        Names of the workers by their distance from the importers: data flow from each stage to later ones.
    """

    topology: Topology
    nodes: Mapping[str, NodePlan]
    links: tuple[LinkPlan, ...]
    views: tuple[ViewPlan, ...]
    stages: tuple[tuple[str, ...], ...]

    def depth(self, worker: str) -> int:
        """Return the number of a worker's stage: 0 for importers.

        Raises
        ------
        KeyError
            If the setup has no such worker.
        """
        for number, stage in enumerate(self.stages):
            if worker in stage:
                return number
        raise KeyError(worker)

    def neighbours(self, node: str) -> frozenset[str]:
        """Return the nodes that a node has links or views with."""
        ends = {(link.from_node, link.to_node) for link in self.links}
        ends |= {(view.from_node, view.to_node) for view in self.views}
        return frozenset(end for pair in ends if node in pair for end in pair) - {node}

    def can_do_without(self, node: str, others: Collection[str]) -> bool:
        """Tell whether all that a node has to do can be done by other nodes, which have the same workers.

        A node is needed where a buffer lives, or a worker that no other node has, unless that only observes.

        Parameters
        ----------
        node
            Its name.
        others
            The nodes that are left.
        """
        if node == self.topology.broker_node:
            return False
        if any(buffer.node == node for buffer in self.topology.buffers.values()):
            return False
        elsewhere = {part.worker.name for other in others for part in self.nodes[other].workers}
        needed = {part.worker.name for part in self.nodes[node].workers if part.sources or part.sinks}
        return needed <= elsewhere


@dataclass
class _Ring:
    """A ring in the making."""

    buffer: Buffer
    slot_count: int
    groups: list[str] = field(default_factory=list)
    expected_writers: int = 0

    def add_group(self, group: str) -> str:
        if group not in self.groups:
            self.groups.append(group)
        return group


class _Planner:
    """Spreads a setup over its nodes, one buffer after the other."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.rings: dict[str, dict[str, _Ring]] = {node: {} for node in topology.nodes}
        self.links: list[LinkPlan] = []
        self.views: list[ViewPlan] = []
        # (worker, node, buffer) -> ring and group
        self.reads: dict[tuple[str, str, str], SourcePlan] = {}
        self.writes: dict[tuple[str, str, str], EndPlan] = {}
        self.looks: dict[tuple[str, str, str], EndPlan] = {}

    def plan_buffer(self, buffer: Buffer) -> None:
        workers = self._topology.workers.values()
        self._ring(buffer.node, buffer.name, buffer)
        for worker in (worker for worker in workers if buffer.name in worker.sinks):
            for node in worker.nodes:
                self._write(buffer, worker, node)
        for worker in (worker for worker in workers if buffer.name in worker.sources):
            for node in worker.nodes:
                self._read(buffer, worker, node)
        for worker in (worker for worker in workers if buffer.name in worker.observes):
            for node in worker.nodes:
                self._observe(buffer, worker, node)

    def _ring(self, node: str, name: str, buffer: Buffer, slot_count: int | None = None) -> _Ring:
        return self.rings[node].setdefault(name, _Ring(buffer, slot_count or buffer.slot_count))

    def _write(self, buffer: Buffer, worker: Worker, node: str) -> None:
        name = buffer.name
        if node != buffer.node:
            name = f"{buffer.name}.out"
            if name not in self.rings[node]:
                group = READERS if buffer.delivery == "shared" else f"to.{buffer.node}"
                self._ring(node, name, buffer).add_group(group)
                self._link(buffer, node, buffer.node, name, group, buffer.name, "published")
        self._ring(node, name, buffer).expected_writers += worker.processes
        self.writes[worker.name, node, buffer.name] = EndPlan(name, buffer.name)

    def _read(self, buffer: Buffer, worker: Worker, node: str) -> None:
        shared = buffer.delivery == "shared"
        spread = not shared and len(worker.nodes) > 1
        group = READERS if shared else worker.name
        name = buffer.name
        if node != buffer.node:
            name = f"{buffer.name}.in.{worker.name}" if spread else f"{buffer.name}.in"
            if name not in self.rings[node]:
                source_group = group if shared or spread else f"to.{node}"
                self._ring(buffer.node, buffer.name, buffer).add_group(source_group)
                suffix = f"#{worker.name}" if spread else ""
                self._link(buffer, buffer.node, node, buffer.name, source_group, name, "read", suffix)
        self._ring(node, name, buffer).add_group(group)
        self.reads[worker.name, node, buffer.name] = SourcePlan(name, group, buffer.name)

    def _observe(self, buffer: Buffer, worker: Worker, node: str) -> None:
        name = buffer.name
        if node != buffer.node:
            name = f"{buffer.name}.view"
            if name not in self.rings[node]:
                self._ring(node, name, buffer, min(VIEW_SLOTS, buffer.slot_count)).expected_writers = 1
                label = f"{buffer.name}@{buffer.node}~>{node}"
                self.views.append(ViewPlan(label, buffer.name, buffer.node, node, buffer.name, name))
        self.looks[worker.name, node, buffer.name] = EndPlan(name, buffer.name)

    def _link(
        self,
        buffer: Buffer,
        from_node: str,
        to_node: str,
        source_ring: str,
        source_group: str,
        target_ring: str,
        release: Release,
        suffix: str = "",
    ) -> None:
        name = f"{buffer.name}@{from_node}->{to_node}{suffix}"
        self._ring(to_node, target_ring, buffer).expected_writers += 1
        link = LinkPlan(
            name, buffer.name, from_node, to_node, source_ring, source_group, target_ring, release
        )
        self.links.append(link)

    def node_plan(self, node: Node) -> NodePlan:
        here = [worker for worker in self._topology.workers.values() if node.name in worker.nodes]
        return NodePlan(
            node=node,
            rings=tuple(
                RingPlan(
                    name,
                    ring.buffer,
                    tuple(ring.groups),
                    ring.expected_writers,
                    ring.slot_count,
                    ring.buffer.when_full if name == ring.buffer.name else "block",
                )
                for name, ring in self.rings[node.name].items()
            ),
            workers=tuple(
                WorkerPlan(
                    worker=worker,
                    sources=tuple(self.reads[worker.name, node.name, name] for name in worker.sources),
                    sinks=tuple(self.writes[worker.name, node.name, name] for name in worker.sinks),
                    observes=tuple(self.looks[worker.name, node.name, name] for name in worker.observes),
                    processes=worker.processes,
                )
                for worker in here
            ),
            links_out=tuple(link for link in self.links if link.from_node == node.name),
            links_in=tuple(link for link in self.links if link.to_node == node.name),
            views_out=tuple(view for view in self.views if view.from_node == node.name),
            views_in=tuple(view for view in self.views if view.to_node == node.name),
        )


def plan(topology: Topology) -> Plan:
    """Spread a setup over its nodes.

    Parameters
    ----------
    topology
        The setup.

    Returns
    -------
    Plan
        Rings, workers, links and views of each node.
    """
    planner = _Planner(topology)
    for buffer in topology.buffers.values():
        planner.plan_buffer(buffer)
    return Plan(
        topology=topology,
        nodes={node.name: planner.node_plan(node) for node in topology.nodes.values()},
        links=tuple(planner.links),
        views=tuple(planner.views),
        stages=_stages(topology),
    )


def _stages(topology: Topology) -> tuple[tuple[str, ...], ...]:
    ends = {
        name: Ends(worker.sources + worker.observes, worker.sinks)
        for name, worker in topology.workers.items()
    }
    depth = depths(ends)
    return tuple(
        tuple(name for name, number in depth.items() if number == stage)
        for stage in range(max(depth.values(), default=-1) + 1)
    )
