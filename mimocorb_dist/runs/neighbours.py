"""What living nodes know of one that has gone: links count at both ends.

The last report of a node that was cut off is older than its end. Since then its links may have brought
events to other nodes, or have released some there: so much was written and read at least.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.topology import LinkPlan, Plan

    from .books import Reports


def caught_up(plan: Plan, reports: Reports, gone: frozenset[str]) -> Reports:
    """Return reports in which the rings of nodes that have gone are as far as their neighbours know.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    reports
        The last report of each node.
    gone
        Nodes whose report is older than their end.

    Returns
    -------
    Mapping
        The reports; those of other nodes as they were, and no count smaller than before.
    """
    arrived: Counter[tuple[str, str, str]] = Counter()  # node, ring, group; no group if several read
    read: Counter[tuple[str, str, str]] = Counter()
    for link in plan.links:
        if link.from_node in gone and link.to_node not in gone:
            key = (link.from_node, link.source_ring, link.source_group)
            received = _count(reports, link.to_node, link, "received")
            arrived[key] += received
            read[key] += received if link.release == "published" else _released(reports, link)
        elif link.to_node in gone and link.from_node not in gone:
            groups = list(_ring(reports, link.to_node, link.target_ring).get("read", {}))
            key = (link.to_node, link.target_ring, groups[0] if len(groups) == 1 else "")
            acknowledged = _count(reports, link.from_node, link, "acknowledged")
            arrived[key] += acknowledged
            read[key] += acknowledged if link.release == "read" else 0
    new = dict(reports)
    for node, ring, group in {**arrived, **read}:
        row = _ring(new, node, ring)
        if row:
            key = (node, ring, group)
            rings = {**new[node]["rings"], ring: _raised(row, group, arrived[key], read[key])}
            new[node] = {**new[node], "rings": rings}
    return new


def _raised(row: Mapping[str, Any], group: str, arrived: int, read: int) -> dict[str, Any]:
    """Return the statistics of a ring with what is known to have been read and written at least."""
    reads = dict(row["read"])
    if group in reads:
        reads[group] = max(reads[group], read - row["rescued"].get(group, 0))
    # What was given up has not come to a link.
    away = {name: row["rescued"].get(name, 0) + row["given_up"].get(name, 0) for name in reads}
    done = [count + away[name] for name, count in reads.items()]
    written = max(row["written"], arrived + row["given_up"].get(group, 0), *done)
    undelivered = dict(row["undelivered"])
    if group in reads:
        undelivered[group] = max(0, written - reads[group] - away[group])
    return {**row, "written": written, "read": reads, "undelivered": undelivered}


def _released(reports: Reports, link: LinkPlan) -> int:
    """Return how many events all readers of a link's copy have done with."""
    copy = _ring(reports, link.to_node, link.target_ring)
    done = [count + copy["rescued"].get(group, 0) for group, count in copy.get("read", {}).items()]
    return min(done, default=0)


def _ring(reports: Reports, node: str, ring: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] = reports.get(node, {}).get("rings", {}).get(ring, {})
    return row


def _count(reports: Reports, node: str, link: LinkPlan, what: str) -> int:
    return int(reports.get(node, {}).get("links", {}).get(link.name, {}).get(what, 0))
