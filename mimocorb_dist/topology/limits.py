"""What a plan needs, against what a ring, a range of ports and a machine can give."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .hosts import is_loopback
from .sizes import megabytes, total_bytes
from .terms import TERMS

if TYPE_CHECKING:
    from collections.abc import Collection

    from .drafts import SetupDraft
    from .findings import Findings
    from .model import Topology
    from .plan import NodePlan, Plan
    from .terms import Terms

MAX_GROUPS = 64
MAX_ATTACHED = 250
"""Processes on one ring; a ring has room for a few more, for looking at it from outside."""


def check_plan(findings: Findings, plan: Plan, setup: SetupDraft) -> None:
    """Note every mistake that only shows in the plan, and warn of nodes without work."""
    for node_plan in plan.nodes.values():
        _check_rings(findings, node_plan, setup.terms)
        name = node_plan.node.name
        if not node_plan.workers and not node_plan.rings and name != plan.topology.broker_node:
            what = f"node '{name}' has no {setup.terms.worker} and no buffer"
            findings.warn(setup.hosts.places[name], what, "remove it, or name it in 'node:'")
    _check_ports(findings, plan, setup)


def memory_shortage(plan: Plan, free_bytes: int, nodes: Collection[str] | None = None) -> str | None:
    """Return what is wrong if nodes need more shared memory than this machine has free.

    Parameters
    ----------
    plan
        The plan.
    free_bytes
        What is free, in bytes.
    nodes
        Names of the nodes that run here. None: those that can run nowhere else, for they have no host on a
        network.

    Returns
    -------
    str or None
        A text of the form ``file:line:column: what is wrong; what to do``; None if there is enough.
    """
    here = [
        node
        for name, node in plan.nodes.items()
        if (is_loopback(node.node.host) if nodes is None else name in nodes)
    ]
    rings = [ring for node in here for ring in node.rings]
    needed = total_bytes(rings)
    if needed <= free_bytes:
        return None
    buffers = plan.topology.buffers.values()
    shares = {b.name: total_bytes(ring for ring in rings if ring.buffer.name == b.name) for b in buffers}
    largest = max(buffers, key=lambda buffer: shares[buffer.name])
    return (
        f"{largest.place}: the buffers need {megabytes(needed)} of shared memory on this machine, which has "
        f"{megabytes(free_bytes)} free; lower {TERMS[plan.topology.dialect].slot_count} of the largest, "
        f"'{largest.name}' "
        f"({megabytes(shares[largest.name])}), or enlarge shared memory"
    )


def _check_rings(findings: Findings, plan: NodePlan, terms: Terms) -> None:
    attached = _attached(plan)
    for ring in plan.rings:
        label = f"buffer '{ring.buffer.name}' on node '{plan.node.name}'"
        if len(ring.groups) > MAX_GROUPS:
            what = f"{label} is delivered to {len(ring.groups)} {terms.worker}s and nodes"
            findings.mistake(ring.buffer.place, what, f"{MAX_GROUPS} are possible")
        if attached[ring.ring] > MAX_ATTACHED:
            what = f"{label} is used by {attached[ring.ring]} processes"
            remedy = f"{MAX_ATTACHED} are possible; lower {terms.processes} of its {terms.worker}s"
            findings.mistake(ring.buffer.place, what, remedy)


def _attached(plan: NodePlan) -> Counter[str]:
    """Count the processes that use each ring of a node."""
    attached: Counter[str] = Counter()
    for worker in plan.workers:
        for ring in worker.rings:
            attached[ring] += worker.processes
    attached.update(link.source_ring for link in plan.links_out)
    attached.update(link.target_ring for link in plan.links_in)
    attached.update(view.source_ring for view in plan.views_out)
    attached.update(view.target_ring for view in plan.views_in)
    return attached


def _check_ports(findings: Findings, plan: Plan, setup: SetupDraft) -> None:
    """Note a range of ports with fewer ports than a host has links and views that end there."""
    if plan.topology.data_ports is None or setup.hosts.ports_place is None:
        return
    low, high = plan.topology.data_ports
    needed: Counter[str] = Counter()
    for node in plan.nodes.values():
        needed[_machine(plan.topology, node.node.name)] += len(node.links_in) + len(node.views_in)
    machine, most = max(needed.items(), key=lambda item: item[1])
    if most > high - low + 1:
        findings.mistake(
            setup.hosts.ports_place,
            f"Broker: ports [{low}, {high}] are too few: {most} links and views end on {machine}",
            f"write a range of at least {most} ports",
        )


def _machine(topology: Topology, node: str) -> str:
    host = topology.nodes[node].host
    return "this machine" if host is None or is_loopback(host) else host
