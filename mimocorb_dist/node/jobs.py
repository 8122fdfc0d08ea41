"""Job files: what a node tells the processes that it starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError
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
class Jobs:
    """Writes job files.

    Parameters
    ----------
    topology
        The setup.
    node
        Name of this node.
    address
        Host name or address on which link receivers of this node listen.
    run_id
        The run.
    run_dir
        Where workers write their files.
    runtime
        The node's runtime directory.
    rings
        The rings of this node.
    security
        How this node is protected.
    public_keys
        Public key of each node, where the run is protected by keys.
    lives
        Node -> how often it has come back to the run: the links of each life are others.
    """

    topology: Topology
    node: str
    address: str
    run_id: str
    run_dir: Path
    runtime: Path
    rings: RingSet
    security: Security = None
    public_keys: Mapping[str, str] = field(default_factory=dict)
    lives: Mapping[str, int] = field(default_factory=dict)

    def path(self, task: Task) -> Path:
        """Return the path of the job file of a task."""
        return self.runtime / "jobs" / f"{task.label}.json"

    def write(
        self, task: Task, *, port: int | None = None, previous: tuple[int, ...] = ()
    ) -> tuple[str, tuple[str, ...]]:
        """Write the job file of a task.

        Parameters
        ----------
        task
            The task.
        port
            Where the link receiver listened that this one takes the place of.
        previous
            Processes of the same task that have ended, in whose place this one goes on.

        Returns
        -------
        tuple
            The module to run, and the last arguments for it, for lists of processes.

        Raises
        ------
        RunError
            If there is no room.
        """
        if isinstance(task.plan, WorkerPlan):
            module, job = "mimocorb_dist.workers", self._worker_job(task, task.plan, again=bool(previous))
        else:
            link = self._link_job(task, task.plan)
            link = replace(link, previous=previous, ports=link.ports if port is None else (port, port))
            module, job = "mimocorb_dist.links", link.to_json()
        path = self.path(task)
        try:
            path.write_text(job, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror}); free shared memory") from error
        which = str(task.number) if task.kind == "worker" else task.kind
        return module, (self.run_id, self.node, task.name, which)

    def _worker_job(self, task: Task, plan: WorkerPlan, *, again: bool) -> str:
        worker, rings = plan.worker, self.rings
        return WorkerJob(
            run_id=self.run_id,
            node=self.node,
            worker=worker.name,
            number=task.number,
            processes=plan.processes,
            run_dir=self.run_dir,
            setup_dir=self.topology.directory,
            function=worker.function,
            file=worker.file,
            config=worker.config,
            sources=tuple(
                {"ring": str(rings.path(source.ring)), "group": source.group, "buffer": source.buffer}
                for source in plan.sources
            ),
            sinks=tuple({"ring": str(rings.path(sink.ring)), "buffer": sink.buffer} for sink in plan.sinks),
            observes=tuple(
                {"ring": str(rings.path(observed.ring)), "buffer": observed.buffer}
                for observed in plan.observes
            ),
            call=worker.call,
            assigned=worker.assigned,
            again=again,
        ).to_json()

    def _link_job(self, task: Task, plan: LinkPlan | ViewPlan) -> LinkJob:
        sends = task.kind in ("send", "view-send")
        towards = towards_receiver if sends else towards_sender
        lives = [self.lives.get(end, 0) for end in (plan.from_node, plan.to_node)]
        return LinkJob(
            run_id=f"{self.run_id}/{lives[0]}.{lives[1]}" if any(lives) else self.run_id,
            node=self.node,
            link=plan.name,
            kind=task.kind,  # type: ignore[arg-type]  # a worker's task has another plan
            ring=self.rings.path(plan.source_ring if sends else plan.target_ring),
            group="" if isinstance(plan, ViewPlan) else plan.source_group,
            release="read" if isinstance(plan, ViewPlan) else plan.release,
            host=self.address,
            ports=self.topology.data_ports,
            security=towards(self.security, plan.to_node if sends else plan.from_node, self.public_keys),
        )
