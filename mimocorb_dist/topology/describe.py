"""A plan as text: what each node has, and how much memory it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sizes import megabytes, ring_bytes, size_text, total_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .plan import NodePlan, Plan, RingPlan, WorkerPlan


def describe(plan: Plan) -> str:
    """Describe a plan.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    str
        Plain text of several lines: the buffers, workers and links of each node with their memory.
    """
    topology = plan.topology
    lines = [
        f"{topology.path.name}: {_count(topology.buffers, 'buffer')}, {_count(topology.workers, 'worker')}"
    ]
    if topology.distributed:
        lines[0] += f", {_count(topology.nodes, 'node')}, {_count(plan.links, 'link')}"
        ports = topology.data_ports
        lines.append(f"broker on {topology.broker_node}, port {topology.broker_port}")
        lines.append(f"data ports {f'{ports[0]} to {ports[1]}' if ports else 'as the system gives them'}")
    if topology.security == "none":
        lines.append("security: none (whoever reaches these hosts can read the data and control the run)")
    elif topology.on_network:
        lines.append("security: keys (`mimocorb-node keys show` tells who is known here)")
    lines.append(f"runs go to {topology.target_directory}")
    for node in plan.nodes.values():
        lines += ["", *_node_lines(plan, node)]
    return "\n".join(lines)


def _node_lines(plan: Plan, node: NodePlan) -> list[str]:
    memory = megabytes(total_bytes(node.rings))
    host = f" ({node.node.host or 'this machine'})" if plan.topology.distributed else " (this machine)"
    lines = [f"node {node.node.name}{host}: {_count(node.rings, 'ring')} in {memory} of memory"]
    lines += _block("buffers", [_ring_row(ring, node) for ring in node.rings])
    lines += _block("workers", [_worker_row(plan, worker) for worker in node.workers])
    links = [(link.name, "from", f"{link.source_ring}", "to", link.target_ring) for link in node.links_out]
    lines += _block("links out", links)
    lines += _block("links in", [(link.name, "into", link.target_ring) for link in node.links_in])
    lines += _block("views out", [(view.name, "of", view.source_ring) for view in node.views_out])
    lines += _block("views in", [(view.name, "into", view.target_ring) for view in node.views_in])
    return lines


def _ring_row(ring: RingPlan, node: NodePlan) -> tuple[str, ...]:
    buffer = ring.buffer
    name = ring.ring
    writers = [part.worker.name for part in node.workers if any(end.ring == name for end in part.sinks)]
    writers += [link.name for link in node.links_in if link.target_ring == name]
    writers += [view.name for view in node.views_in if view.target_ring == name]
    readers = [part.worker.name for part in node.workers if any(end.ring == name for end in part.sources)]
    readers += [link.name for link in node.links_out if link.source_ring == name]
    return (
        name,
        f"{ring.slot_count} x {size_text(buffer.event_bytes)}",
        megabytes(ring_bytes(ring)),
        buffer.delivery if ring.when_full == "block" else f"{buffer.delivery}, {ring.when_full}",
        f"{_names(writers)} => {_names(readers) if readers else '(only observed)'}",
    )


def _worker_row(plan: Plan, part: WorkerPlan) -> tuple[str, ...]:
    worker = part.worker
    function = worker.function if worker.file is None else f"{worker.file.name}: {worker.function}"
    ends = []
    if part.sources:
        ends.append(f"reads {_names(end.ring for end in part.sources)}")
    if part.observes:
        ends.append(f"observes {_names(end.ring for end in part.observes)}")
    if part.sinks:
        ends.append(f"writes {_names(end.ring for end in part.sinks)}")
    return worker.name, f"x {part.processes}", plan.topology.role_of(worker), function, ", ".join(ends)


def _block(title: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as lines under a title, columns aligned; nothing without rows."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return [f"  {title}", *(f"    {line.rstrip()}" for line in lines)]


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _count(things: Sequence[object] | Iterable[object], what: str) -> str:
    number = len(list(things))
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
