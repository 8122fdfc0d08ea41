"""The books of a run: how many events each buffer was given, and what became of them.

Everything here is arithmetic on plain values: the plan of the setup, and one report of each node, a map of

- ``rings``: ring name -> statistics of the ring as plain values,
- ``links``: link name -> counts of the end that is on this node,
- ``workers``: worker name -> processes alive, restarts, ends, errors, events, cpu_percent.

An event is written once and ends once, however many rings it passes. So the rings of a buffer are seen as
a whole: what reaches the home ring, or still lies in (or was rescued from) a ring on its way there, was
written; what its readers released, at home or on other nodes, was read. The sender of a link frees its slot
at home when the reader of the copy has released it, so the home ring counts that event as read, and a
copy that was rescued far away is moved from the one column to the other. What the home ring gave up for newer
events (`when_full: drop_old`) had entered it, and counts as dropped like events that found no room from the
start: as written count those that stayed until they were read, rescued or lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mimocorb_dist.topology import Buffer, LinkPlan, NodePlan, Plan, RingPlan, WorkerPlan

Report = Mapping[str, Any]
Reports = Mapping[str, Report]
"""Node name -> its last report."""

SHARED_READERS = "readers"
LINK_COUNTS = ("sent", "acknowledged", "resent", "reconnects", "bytes")

_EMPTY: dict[str, Any] = {
    "written": 0,
    "read": {},
    "rescued": {},
    "given_up": {},
    "refused": 0,
    "undelivered": {},
    "redelivered": 0,
    "filled": 0,
    "fill": 0.0,
    "max_fill": 0.0,
    "discarded_while_paused": 0,
    "dead_time_s": 0.0,
    "live_time_s": 0.0,
    "paused": False,
    "ended": False,
}


class _Ring(NamedTuple):
    node: str
    plan: RingPlan
    statistics: Mapping[str, Any]


class Consumer(NamedTuple):
    """What became of a buffer's events as one consumer sees them.

    Under shared delivery all workers that read a buffer are one consumer, named ``readers``; under broadcast
    each worker is one.
    """

    read: int
    rescued: int
    given_up: int = 0


def buffer_books(plan: Plan, reports: Reports) -> dict[str, dict[str, Any]]:
    """Return the books of all buffers.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    reports
        The last report of each node; a node without one counts as empty.

    Returns
    -------
    dict
        Buffer name -> ``node``, ``entered`` (events published), ``written`` (those not given up), ``read``,
        ``waiting`` (written, and neither read nor rescued), ``given_up``, ``dropped`` (given up, or not
        published for lack of a slot),
        ``discarded_while_paused``, ``redelivered``, ``rescued``, ``dead_time_s``, ``live_time_s``,
        ``max_fill``, ``fill``, ``filled``, ``slot_count``, ``paused``, ``ended``, and under broadcast
        ``by_worker`` and, once the buffer has been full, ``behind``.
    """
    rings = list(_rings(plan, reports))
    books = {}
    for buffer in _buffers(plan):
        own = [ring for ring in rings if ring.plan.buffer.name == buffer.name]
        books[buffer.name] = _buffer_book(plan, buffer, own)
    return books


def link_books(plan: Plan, reports: Reports) -> dict[str, dict[str, int]]:
    """Return the counts of all links, by name: those that the sender's node reported.

    ``final`` tells whether they are its last word: a sender that was killed has said none.
    """
    books = {}
    for link in plan.links:
        sender = _end(reports, link.from_node, link.name, "sent")
        books[link.name] = {count: int(sender.get(count, 0)) for count in LINK_COUNTS}
        books[link.name]["final"] = bool(sender.get("final"))
    return books


def link_restarts(plan: Plan, reports: Reports) -> dict[str, tuple[int, list[str]]]:
    """Return how often ends of links were started again, and after what: only links where they were."""
    found = {}
    for link in plan.links:
        rows = [_end(reports, link.from_node, link.name, "sent")]
        rows.append(_end(reports, link.to_node, link.name, "received"))
        if count := sum(int(row.get("restarts", 0)) for row in rows):
            found[link.name] = count, [text for row in rows for text in row.get("ends", [])]
    return found


def worker_books(plan: Plan, reports: Reports) -> dict[str, dict[str, Any]]:
    """Return the counts of all workers, by name, summed over the nodes where each runs.

    ``node`` is a name, or the names joined by commas for a worker on several nodes; ``processes`` is the
    number that the setup asks for, ``alive`` the number that runs now; ``stalled_s`` how long it has done
    nothing though events wait for it, 0 if that is not so; ``ends`` tells how processes ended
    that were started again. A process that was killed has not told its last ``events``; the books of the ring
    that it worked on know them, if no other worker did.
    """
    books: dict[str, dict[str, Any]] = {}
    for node, node_plan in plan.nodes.items():
        for worker in node_plan.workers:
            counts = reports.get(node, {}).get("workers", {}).get(worker.worker.name, {})
            book = books.setdefault(
                worker.worker.name,
                {
                    "node": "",
                    "processes": 0,
                    "restarts": 0,
                    "ends": [],
                    "errors": 0,
                    "events": 0,
                    "alive": 0,
                    "cpu_percent": 0.0,
                    "stalled_s": 0.0,
                },
            )
            book["node"] = f"{book['node']}, {node}" if book["node"] else node
            book["processes"] += worker.processes
            book["ends"] += counts.get("ends", [])
            for count in ("restarts", "errors", "alive", "cpu_percent"):
                book[count] += counts.get(count, 0)
            book["stalled_s"] = max(book["stalled_s"], counts.get("stalled_s", 0.0))
            rings = reports.get(node, {}).get("rings", {})
            book["events"] += max(counts.get("events", 0), _events_in_rings(node_plan, worker, rings))
    return books


def _events_in_rings(node: NodePlan, worker: WorkerPlan, rings: Mapping[str, Any]) -> int:
    """Return how many events went through a worker on a node, if a ring there is its own; else 0."""
    if len(worker.sources) == 1:
        ring, group = worker.sources[0].ring, worker.sources[0].group
        readers = [source for other in node.workers for source in other.sources]
        readers_here = sum((reader.ring, reader.group) == (ring, group) for reader in readers)
        readers_here += sum((link.source_ring, link.source_group) == (ring, group) for link in node.links_out)
        return int(rings.get(ring, _EMPTY)["read"].get(group, 0)) if readers_here == 1 else 0
    if not worker.sources and len(worker.sinks) == 1:
        ring = worker.sinks[0].ring
        writers_here = sum(sink.ring == ring for other in node.workers for sink in other.sinks)
        writers_here += sum(link.target_ring == ring for link in node.links_in)
        statistics = rings.get(ring, _EMPTY)
        if writers_here == 1:
            return int(statistics["written"] + statistics["discarded_while_paused"] + statistics["refused"])
    return 0


def imbalances(
    plan: Plan,
    reports: Reports,
    lost_nodes: frozenset[str] = frozenset(),
    settled_nodes: frozenset[str] = frozenset(),
) -> list[str]:
    """Return what does not fit together in the books of a run that has ended, one text each.

    Parameters
    ----------
    plan, reports
        See `buffer_books`; the reports are the last ones, made when all processes had ended.
    lost_nodes
        Nodes that died or vanished, even if they came back: of the events in their buffers it is not known
        what became of them.
    settled_nodes
        Those of them whose rings were counted when all their processes had ended: what nobody on another node
        may have read is known.
    """
    found = []
    nodes_of: dict[str, set[str]] = {}
    for ring in _rings(plan, reports):
        nodes_of.setdefault(ring.plan.buffer.name, set()).add(ring.node)
    for name, book in buffer_books(plan, reports).items():
        if book["waiting"] > 0:
            nodes = nodes_of[name]
            unknown = nodes & lost_nodes if len(nodes) > 1 else nodes & (lost_nodes - settled_nodes)
            found.append(
                f"buffer {name}: {events(book['waiting'])} not read as far as is known, and counted as lost; "
                f"what became of them is not known, for lack of word from {', '.join(sorted(unknown))}"
                if unknown
                else f"buffer {name}: {events(book['waiting'])} not read before the end, and lost"
            )
        for who, consumer in book["consumers"].items():
            extra = sum(consumer) - book["entered"]
            if extra > 0 and not nodes_of[name] & (lost_nodes - settled_nodes):  # their counts may be old
                written = book["entered"] - consumer.given_up
                found.append(
                    f"buffer {name}: the books do not balance: {who} read {consumer.read} and "
                    f"{consumer.rescued} were rescued, but only {written} were written"
                )
    for link in plan.links:
        if {link.from_node, link.to_node} & lost_nodes:
            continue  # what had been received and not acknowledged went back
        sender = _end(reports, link.from_node, link.name, "sent")
        receiver = _end(reports, link.to_node, link.name, "received")
        both_said_all = sender.get("final") and receiver.get("final")
        if both_said_all and sender["acknowledged"] != receiver["received"]:
            found.append(
                f"link {link.name}: the books do not balance: {receiver['received']} received, "
                f"{sender['acknowledged']} acknowledged"
            )
    return [*found, *_stored_wrongly(plan, reports, lost_nodes)]


def _stored_wrongly(plan: Plan, reports: Reports, lost_nodes: frozenset[str]) -> Iterator[str]:
    """Yield a text for each ring that only links write, and that has not got what they received."""
    for ring in _rings(plan, reports):
        node_plan = plan.nodes[ring.node]
        links = [link for link in node_plan.links_in if link.target_ring == ring.plan.ring]
        ends = [_end(reports, ring.node, link.name, "received") for link in links]
        others_write = len(links) < ring.plan.expected_writers
        if ring.node in lost_nodes or others_write or not all(end.get("final") for end in ends):
            continue
        received = sum(end["received"] - end.get("dropped", 0) for end in ends)
        if links and received != ring.statistics["written"]:
            yield (
                f"ring {ring.plan.ring} on node {ring.node}: the books do not balance: its links brought "
                f"{received}, but {ring.statistics['written']} were written"
            )


def events(count: int) -> str:
    """Return "1 event was" or "n events were"."""
    return f"{count} event was" if count == 1 else f"{count} events were"


def _buffers(plan: Plan) -> Iterator[Buffer]:
    seen = set()
    for node_plan in plan.nodes.values():
        for ring in node_plan.rings:
            if ring.buffer.name not in seen:
                seen.add(ring.buffer.name)
                yield ring.buffer


def _rings(plan: Plan, reports: Reports) -> Iterator[_Ring]:
    """Yield all rings that carry events of a buffer; views carry copies for observers only."""
    views = {(view.to_node, view.target_ring) for view in plan.views}
    for node, node_plan in plan.nodes.items():
        rings = reports.get(node, {}).get("rings", {})
        for ring in node_plan.rings:
            if (node, ring.ring) not in views:
                yield _Ring(node, ring, rings.get(ring.ring, _EMPTY))


def _buffer_book(plan: Plan, buffer: Buffer, rings: list[_Ring]) -> dict[str, Any]:
    (home,) = [ring for ring in rings if (ring.node, ring.plan.ring) == (buffer.node, buffer.name)]
    outs = {(link.from_node, link.source_ring) for link in plan.links if link.release == "published"}
    on_the_way = [ring for ring in rings if (ring.node, ring.plan.ring) in outs]
    copies = [ring for ring in rings if ring is not home and ring not in on_the_way]

    rescued_on_the_way = sum(_total(ring, "rescued") for ring in on_the_way)
    not_home_yet = sum(_total(ring, "undelivered") for ring in on_the_way)
    entered = home.statistics["written"] + not_home_yet + rescued_on_the_way
    consumers = {
        name: consumer._replace(rescued=consumer.rescued + rescued_on_the_way)
        for name, consumer in _consumers(plan, buffer, home, copies).items()
    }
    # The one that got least: so the columns of the whole buffer balance like those of each worker.
    least = min(
        consumers.values(),
        key=lambda consumer: (sum(consumer), -consumer.given_up),
        default=Consumer(entered - rescued_on_the_way, rescued_on_the_way),
    )
    refused = _sum(rings, "refused")
    book = {
        "node": buffer.node,
        "entered": entered,
        "written": entered - least.given_up,
        "read": least.read,
        "discarded_while_paused": _sum(rings, "discarded_while_paused"),
        "redelivered": _sum(rings, "redelivered"),
        "rescued": least.rescued,
        "given_up": least.given_up,
        "dropped": refused + least.given_up,
        "waiting": max(0, entered - sum(least)),
        "dead_time_s": _sum(rings, "dead_time_s"),
        "live_time_s": _sum(rings, "live_time_s"),
        "max_fill": _max_fill(plan, rings),
        "fill": max(ring.statistics["fill"] for ring in rings),
        "filled": home.statistics["filled"],
        "slot_count": buffer.slot_count,
        "paused": any(ring.statistics["paused"] for ring in rings),
        "ended": home.statistics["ended"],
        "consumers": consumers,
    }
    if buffer.delivery == "broadcast":
        book["by_worker"] = {
            name: {
                "read": consumer.read,
                "rescued": consumer.rescued,
                **_drops(buffer, consumer, entered, refused),
                "waiting": max(0, entered - sum(consumer)),
            }
            for name, consumer in consumers.items()
        }
        if behind := _behind(plan, buffer, home, copies):
            book["behind"] = behind
    return book


def _behind(plan: Plan, buffer: Buffer, home: _Ring, copies: list[_Ring]) -> dict[str, float]:
    """Return how far each worker was behind when the buffer was full: a share of its slots, 0 to 1."""
    found = dict(home.statistics.get("behind", {}))
    for group, link in _links_for_nodes(plan, buffer):
        share = found.pop(group, None)
        for ring in copies:
            if share is not None and (ring.node, ring.plan.ring) == (link.to_node, link.target_ring):
                # If the copy was never full, it is the link, or all of them.
                there = ring.statistics.get("behind", {})
                found |= {worker: min(share, there.get(worker, share)) for worker in ring.plan.groups}
    return found


def _drops(buffer: Buffer, consumer: Consumer, entered: int, refused: int) -> dict[str, int]:
    """Return what one consumer misses for lack of slots, and what it does not, if its buffer drops events."""
    if buffer.when_full == "block":
        return {}
    given_up = consumer.given_up
    return {"written": entered - given_up, "given_up": given_up, "dropped": refused + given_up}


def _max_fill(plan: Plan, rings: list[_Ring]) -> float:
    """Return the largest share of slots in use; that links claim free ones ahead does not count."""
    targets = {(link.to_node, link.target_ring) for link in plan.links}
    fills = (
        ring.statistics["fill" if (ring.node, ring.plan.ring) in targets else "max_fill"] for ring in rings
    )
    return float(max(fills))


def _consumers(plan: Plan, buffer: Buffer, home: _Ring, copies: list[_Ring]) -> dict[str, Consumer]:
    rescued_far: Counter[str] = Counter()
    for ring in copies:
        for group, count in ring.statistics["rescued"].items():
            rescued_far[group] += count
    at_home = {
        group: Consumer(
            home.statistics["read"].get(group, 0) - rescued_far[group],
            home.statistics["rescued"].get(group, 0) + rescued_far[group],
            home.statistics["given_up"].get(group, 0),
        )
        for group in home.plan.groups
    }
    if buffer.delivery == "shared":
        return at_home
    # A link for all single-node workers of another node is one group, `to.<node>`; its copy has their groups.
    consumers = {
        group: consumer for group, consumer in at_home.items() if not _serves_a_node(plan, buffer, group)
    }
    for ring in copies:
        for group in ring.plan.groups:
            if group not in consumers:
                consumers[group] = Consumer(
                    ring.statistics["read"].get(group, 0), ring.statistics["rescued"].get(group, 0)
                )
    for group, link in _links_for_nodes(plan, buffer):
        # What was rescued or given up before it got there is missing from each of its workers.
        rescued_at_home = home.statistics["rescued"].get(group, 0)
        given_up = home.statistics["given_up"].get(group, 0)
        for ring in copies:
            if (ring.node, ring.plan.ring) == (link.to_node, link.target_ring):
                for worker in ring.plan.groups:
                    read, rescued, _ = consumers[worker]
                    consumers[worker] = Consumer(read, rescued + rescued_at_home, given_up)
    return consumers


def _links_for_nodes(plan: Plan, buffer: Buffer) -> Iterator[tuple[str, LinkPlan]]:
    for link in plan.links:
        if (
            link.buffer == buffer.name
            and link.release == "read"
            and link.source_group == f"to.{link.to_node}"
        ):
            yield link.source_group, link


def _serves_a_node(plan: Plan, buffer: Buffer, group: str) -> bool:
    return any(group == name for name, _ in _links_for_nodes(plan, buffer))


def _total(ring: _Ring, column: str) -> int:
    return sum(int(count) for count in ring.statistics[column].values())


def _sum(rings: list[_Ring], column: str) -> Any:
    return sum(ring.statistics[column] for ring in rings)


def _end(reports: Reports, node: str, link: str, mark: str) -> Mapping[str, Any]:
    """Return the counts of a link's end; both ends are on one node only if a test plays so."""
    counts: Mapping[str, Any] = reports.get(node, {}).get("links", {}).get(link, {})
    return counts if mark in counts else {}
