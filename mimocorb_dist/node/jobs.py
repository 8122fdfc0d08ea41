"""Job files: what a node tells the processes that it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mimocorb_dist.links.job import LinkJob
from mimocorb_dist.topology import LinkPlan, ViewPlan, WorkerPlan
from mimocorb_dist.workers.job import WorkerJob

from .security import towards_receiver, towards_sender

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mimocorb_dist.topology import Topology
    from mimocorb_dist.wire.security import Security

    from .rings import RingSet
    from .tasks import Task


@dataclass(frozen=True)
class Order:
    """How to start the process of a task.

    Parameters
    ----------
    module
        The module to run.
    job
        Content of the job file.
    names
        Last arguments, for lists of processes.
    """

    module: str
    job: str
    names: tuple[str, ...]


def order_for(
    task: Task,
    topology: Topology,
    node: str,
    address: str,
    run_id: str,
    run_dir: Path,
    rings: RingSet,
    security: Security = None,
    public_keys: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
    previous: tuple[int, ...] = (),
) -> Order:
    """Return how to start the process of a task.

    Parameters
    ----------
    task
        The task.
    topology
        The setup.
    node
        Name of this node.
    address
        Host name or address on which link receivers of this node listen.
    run_id, run_dir
        The run.
    rings
        The rings of this node.
    security
        How this node is protected.
    public_keys
        Public key of each node, where the run is protected by keys.
    port
        Where the link receiver listened that this one takes the place of.
    previous
        Processes of the same task that have ended, in whose place this one goes on.
    """
    if isinstance(task.plan, WorkerPlan):
        job = _worker_job(task, task.plan, topology, node, run_id, run_dir, rings, again=bool(previous))
        return Order("mimocorb_dist.workers", job, (run_id, node, task.name, str(task.number)))
    sends = task.kind in ("send", "view-send")
    if sends:
        security = towards_receiver(security, task.plan.to_node, public_keys or {})
    else:
        security = towards_sender(security, task.plan.from_node, public_keys or {})
    link = _link_job(task, task.plan, topology, node, address, run_id, rings, security)
    link = replace(link, previous=previous, ports=link.ports if port is None else (port, port))
    return Order("mimocorb_dist.links", link.to_json(), (run_id, node, task.name, task.kind))


def _worker_job(
    task: Task,
    plan: WorkerPlan,
    topology: Topology,
    node: str,
    run_id: str,
    run_dir: Path,
    rings: RingSet,
    *,
    again: bool,
) -> str:
    worker = plan.worker
    return WorkerJob(
        run_id=run_id,
        node=node,
        worker=worker.name,
        number=task.number,
        processes=plan.processes,
        run_dir=run_dir,
        setup_dir=topology.directory,
        function=worker.function,
        file=worker.file,
        config=worker.config,
        sources=tuple(
            {"ring": str(rings.path(source.ring)), "group": source.group, "buffer": source.buffer}
            for source in plan.sources
        ),
        sinks=tuple({"ring": str(rings.path(sink.ring)), "buffer": sink.buffer} for sink in plan.sinks),
        observes=tuple(
            {"ring": str(rings.path(observed.ring)), "buffer": observed.buffer} for observed in plan.observes
        ),
        call=worker.call,
        assigned=worker.assigned,
        again=again,
    ).to_json()


def _link_job(
    task: Task,
    plan: LinkPlan | ViewPlan,
    topology: Topology,
    node: str,
    address: str,
    run_id: str,
    rings: RingSet,
    security: Security,
) -> LinkJob:
    sends = task.kind in ("send", "view-send")
    return LinkJob(
        run_id=run_id,
        node=node,
        link=plan.name,
        kind=task.kind,  # type: ignore[arg-type]  # a worker's task has another plan
        ring=rings.path(plan.source_ring if sends else plan.target_ring),
        group="" if isinstance(plan, ViewPlan) else plan.source_group,
        release="read" if isinstance(plan, ViewPlan) else plan.release,
        host=address,
        ports=topology.data_ports,
        security=security,
    )
