"""Where a limit on the number of events acts: on the rings that importers write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.errors import RefusedError

if TYPE_CHECKING:
    from mimocorb_dist.topology import Plan

Limits = dict[str, dict[str, int]]
"""Node name -> ring name -> most events that may be written to it."""


def event_limits(plan: Plan, roots: tuple[str, ...], max_events: int | None) -> Limits:
    """Spread a limit on the events of the first root buffer over the rings that importers write.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    roots
        The buffers that importers write.
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
    if max_events is None or not roots:
        return limits
    rings = [
        (node, sink.ring)
        for node, node_plan in plan.nodes.items()
        for worker in node_plan.workers
        for sink in worker.sinks
        if sink.buffer == roots[0] and worker.worker.role == "importer"
    ]
    rings = list(dict.fromkeys(rings))
    if len(rings) > 1 and any(ring == roots[0] for _, ring in rings):
        raise RefusedError(
            f"the number of events cannot be limited: importers of buffer {roots[0]} run on its own node "
            "and on others; put the buffer on a node without an importer, or limit the time"
        )
    share, rest = divmod(max_events, len(rings))
    for number, (node, ring) in enumerate(rings):
        limits[node][ring] = share + (number < rest)
    return limits
