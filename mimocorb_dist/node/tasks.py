"""What a node has to run: one task for each worker process and link end of its plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mimocorb_dist.topology import WorkerPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mimocorb_dist.topology import LinkPlan, NodePlan, Plan, ViewPlan, Worker

LINK_STAGE = 0
"""Links are let go first."""

Kind = Literal["worker", "send", "receive", "view-send", "view-receive"]


@dataclass(frozen=True)
class Task:
    """A process that the node starts and watches.

    Parameters
    ----------
    kind
        A worker, or an end of a link or view.
    name
        Name of the worker or link.
    number
        Which of the worker's processes this is, from 0; 0 for links.
    stage
        When it is let go: links first, then workers from the end of the data flow to the importers.
    reads
        Rings that it reads, each with its reader group.
    writes, observes
        Rings that it writes and observes.
    plan
        What it does.
    """

    kind: Kind
    name: str
    number: int
    stage: int
    reads: tuple[tuple[str, str], ...]
    writes: tuple[str, ...]
    observes: tuple[str, ...]
    plan: WorkerPlan | LinkPlan | ViewPlan = field(compare=False)

    @property
    def label(self) -> str:
        """Name of the process in messages: ``find.1``, ``raw@daq->filter send``."""
        return f"{self.name}.{self.number}" if self.kind == "worker" else f"{self.name} {self.kind}"

    @property
    def rings(self) -> tuple[str, ...]:
        """All rings that it is attached to."""
        return tuple(dict.fromkeys((*(ring for ring, _ in self.reads), *self.writes, *self.observes)))

    @property
    def is_importer(self) -> bool:
        """Whether it brings events in from outside."""
        return self.kind == "worker" and bool(self.writes) and not self.reads and not self.observes

    def leads_to(self, node: str) -> bool:
        """Tell whether this is an end of a link or view with another node."""
        plan = self.plan
        return not isinstance(plan, WorkerPlan) and node in (plan.from_node, plan.to_node)

    @property
    def is_alone(self) -> bool:
        """Whether it has no part in the data flow, and so never learns that the run ends."""
        return not self.rings

    @property
    def only_observes(self) -> bool:
        """Whether no event depends on it."""
        return self.kind.startswith("view") or not (self.reads or self.writes)

    @property
    def function(self) -> str:
        """The function of a worker as the setup names it."""
        worker = self._worker
        return f"function {worker.function}" + ("" if worker.file is None else f" in {worker.file.name}")

    @property
    def preparation(self) -> str:
        """What the process does before it is ready."""
        if self.kind != "worker":
            return "starting"
        worker = self._worker
        return f"preparing {worker.function}" if worker.file is None else f"importing {worker.file.name}"

    @property
    def _worker(self) -> Worker:
        assert isinstance(self.plan, WorkerPlan)
        return self.plan.worker


def tasks_of(node: NodePlan, plan: Plan) -> tuple[Task, ...]:
    """Return all tasks of a node, those that start last in the data flow first."""
    tasks = [*_links(node), *_workers(node, plan)]
    return tuple(sorted(tasks, key=lambda task: task.stage))


def _workers(node: NodePlan, plan: Plan) -> Iterator[Task]:
    for worker in node.workers:
        stage = len(plan.stages) - plan.depth(worker.worker.name)
        for number in range(worker.processes):
            yield Task(
                kind="worker",
                name=worker.worker.name,
                number=number,
                stage=stage,
                reads=tuple((source.ring, source.group) for source in worker.sources),
                writes=tuple(sink.ring for sink in worker.sinks),
                observes=tuple(observed.ring for observed in worker.observes),
                plan=worker,
            )


def _links(node: NodePlan) -> Iterator[Task]:
    for link in node.links_in:
        yield Task("receive", link.name, 0, LINK_STAGE, (), (link.target_ring,), (), link)
    for link in node.links_out:
        reads = ((link.source_ring, link.source_group),)
        yield Task("send", link.name, 0, LINK_STAGE, reads, (), (), link)
    for view in node.views_in:
        yield Task("view-receive", view.name, 0, LINK_STAGE, (), (view.target_ring,), (), view)
    for view in node.views_out:
        yield Task("view-send", view.name, 0, LINK_STAGE, (), (), (view.source_ring,), view)
