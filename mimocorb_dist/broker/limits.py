"""What ends a run: a number of events, which is limited on the rings that importers write, or its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mimocorb_dist.topology import Plan, Worker

Limits = dict[str, dict[str, int]]
"""Node name -> ring name -> most events that may be written to it."""


def event_limits(plan: Plan, counted: str, max_events: int | None) -> Limits:
    """Spread a limit on the events of a buffer over the rings that its importers, or else others, write.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    counted
        The buffer; empty if nothing is imported.
    max_events
        Most events that the run takes; None is no limit.

    Returns
    -------
    dict
        Node -> ring -> limit; with importers on several nodes each gets its share.

    Raises
    ------
    RefusedError
        If the setup does not allow an exact limit.
    """
    limits: Limits = {node: {} for node in plan.nodes}
    if max_events is None:
        return limits
    writers = [
        (worker.worker.role, node, sink.ring)
        for node, node_plan in plan.nodes.items()
        for worker in node_plan.workers
        for sink in worker.sinks
        if sink.buffer == counted
    ]
    importers = [(node, ring) for role, node, ring in writers if role == "importer"]
    rings = list(dict.fromkeys(importers or [(node, ring) for _, node, ring in writers]))
    if not rings:
        return limits
    if len(rings) > 1 and any(ring == counted for _, ring in rings):
        raise RefusedError(
            f"the number of events cannot be limited: importers of buffer {counted} run on its own node "
            "and on others; put the buffer on a node without an importer, or limit the time"
        )
    share, rest = divmod(max_events, len(rings))
    for number, (node, ring) in enumerate(rings):
        limits[node][ring] = share + (number < rest)
    return limits


def have_ended(
    plan: Plan,
    reports: Mapping[str, Mapping[str, Any]],
    lost_nodes: Collection[str],
    concerns: Callable[[Worker], bool],
) -> bool:
    """Tell whether there are workers of a kind, and all their processes have ended.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    reports
        The last report of each node.
    lost_nodes
        Nodes that do not count any more.
    concerns
        Whether a worker is of that kind.
    """
    found = False
    for node, node_plan in plan.nodes.items():
        here = [part.worker for part in node_plan.workers if concerns(part.worker)]
        found = found or bool(here)
        if here and node not in lost_nodes:
            counts = reports.get(node, {}).get("workers", {})
            if any(counts.get(worker.name, {}).get("alive", 1) for worker in here):
                return False
    return found


def has_ended_a_link(plan: Plan, reports: Mapping[str, Mapping[str, Any]], node: str) -> bool:
    """Tell whether any link of a node is through with its events, as the other end knows."""
    for link in plan.links:
        if node in (link.from_node, link.to_node):
            other = link.from_node if node == link.to_node else link.to_node
            if reports.get(other, {}).get("links", {}).get(link.name, {}).get("final"):
                return True
    return False
