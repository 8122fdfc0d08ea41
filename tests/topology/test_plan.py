"""The plan: rings, groups, writers and links of each node."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimocorb_dist.topology import LinkPlan, Plan, RingPlan, Topology, load, plan
from mimocorb_dist.topology.flow import Ends, depths, find_cycles

from .setups import BUFFERS, TAKE

if TYPE_CHECKING:
    from collections.abc import Callable

THREE = "Nodes: {daq: , filter: , storage: }\n"
USER = "file: modules/user.py"


def three(workers: str, raw: str = "", pulses: str = "") -> str:
    kind = "slot_count: 8, data_length: 4, data_dtype: {a: i4}"
    return f"{THREE}Buffers:\n  raw: {{{kind}{raw}}}\n  pulses: {{{kind}{pulses}}}\nWorkers:\n" + "".join(
        f"  {line}\n" for line in workers.strip().split("\n")
    )


CHAIN = f"""\
take: {{node: daq, {USER}, function: take, sinks: [raw]}}
find: {{node: filter, {USER}, function: find, number_of_processes: 2, sources: [raw], sinks: [pulses]}}
save: {{node: storage, {USER}, function: save, sources: [pulses]}}
scope: {{node: storage, {USER}, function: save, observes: [raw]}}
"""


def rings(made: Plan, node: str) -> dict[str, tuple[tuple[str, ...], int, int]]:
    """Return name -> groups, expected writers, slots."""
    return {
        ring.ring: (ring.groups, ring.expected_writers, ring.slot_count) for ring in made.nodes[node].rings
    }


def test_on_one_host_each_buffer_is_one_ring(setup: Callable[[str], Topology]) -> None:
    reader = f"a: {{{USER}, function: save, sources: [raw], number_of_processes: 3}}"
    text = f"{BUFFERS}Workers:\n  {TAKE}\n  {reader}\n"
    made = plan(setup(text))
    assert rings(made, "local") == {"raw": (("readers",), 1, 8)}
    assert made.links == made.views == ()
    _, part = made.nodes["local"].workers
    assert (part.sources, part.processes) == ((("raw", "readers", "raw"),), 3)
    assert part.sources[0].ring == "raw"


def test_only_the_home_ring_drops_events(setup: Callable[[str], Topology]) -> None:
    made = plan(
        setup(three(CHAIN, raw=", node: storage, when_full: drop_old", pulses=", when_full: drop_new"))
    )
    policies = {(name, ring.ring): ring.when_full for name, part in made.nodes.items() for ring in part.rings}
    assert policies == {
        ("daq", "raw.out"): "block",
        ("storage", "raw"): "drop_old",
        ("filter", "raw.in"): "block",
        ("filter", "pulses"): "drop_new",
        ("storage", "pulses.in"): "block",
    }


def test_under_broadcast_each_worker_is_a_group(setup: Callable[[str], Topology]) -> None:
    text = BUFFERS.replace("raw: {", "raw: {delivery: broadcast, ") + (
        f"Workers:\n  {TAKE}\n  a: {{{USER}, function: save, sources: [raw], number_of_processes: 2}}\n"
        f"  b: {{{USER}, function: save, sources: [raw]}}\n"
    )
    made = plan(setup(text))
    assert rings(made, "local") == {"raw": (("a", "b"), 1, 8)}
    assert made.nodes["local"].workers[2].sources == (("raw", "b", "raw"),)


def test_a_buffer_that_is_only_observed_has_no_group(setup: Callable[[str], Topology]) -> None:
    text = f"{BUFFERS}Workers:\n  {TAKE}\n  o: {{{USER}, function: save, observes: [raw]}}\n"
    made = plan(setup(text))
    assert rings(made, "local") == {"raw": ((), 1, 8)}
    assert made.nodes["local"].workers[1].observes == (("raw", "raw"),)


def test_a_chain_over_three_nodes(setup: Callable[[str], Topology]) -> None:
    made = plan(setup(three(CHAIN, pulses=", delivery: broadcast")))
    assert rings(made, "daq") == {"raw": (("readers",), 1, 8)}
    assert rings(made, "filter") == {"raw.in": (("readers",), 1, 8), "pulses": (("to.storage",), 2, 8)}
    assert rings(made, "storage") == {"raw.view": ((), 1, 4), "pulses.in": (("save",), 1, 8)}
    first, second = made.links
    assert first == LinkPlan("raw@daq->filter", "raw", "daq", "filter", "raw", "readers", "raw.in", "read")
    assert second.name == "pulses@filter->storage"
    assert (second.source_group, second.target_ring) == ("to.storage", "pulses.in")
    (view,) = made.views
    assert (view.name, view.source_ring, view.target_ring) == ("raw@daq~>storage", "raw", "raw.view")
    storage = made.nodes["storage"]
    assert (storage.links_in, storage.links_out, storage.views_in) == ((second,), (), (view,))
    assert made.nodes["daq"].views_out == (view,)
    assert storage.workers[1].observes == (("raw.view", "raw"),)


def test_a_buffer_away_from_its_writer_is_written_through_an_out_ring(
    setup: Callable[[str], Topology],
) -> None:
    made = plan(setup(three(CHAIN, raw=", node: filter")))
    assert rings(made, "daq") == {"raw.out": (("readers",), 1, 8)}
    assert rings(made, "filter")["raw"] == (("readers",), 1, 8)
    assert made.links[0] == LinkPlan(
        "raw@daq->filter", "raw", "daq", "filter", "raw.out", "readers", "raw", "published"
    )
    assert made.nodes["daq"].workers[0].sinks == (("raw.out", "raw"),)


def test_the_out_ring_of_a_broadcast_buffer_has_the_group_of_its_home(
    setup: Callable[[str], Topology],
) -> None:
    made = plan(setup(three(CHAIN, raw=", node: filter, delivery: broadcast")))
    assert rings(made, "daq") == {"raw.out": (("to.filter",), 1, 8)}
    assert rings(made, "filter")["raw"] == (("find",), 1, 8)


def test_writers_on_several_nodes_meet_in_the_home_ring(setup: Callable[[str], Topology]) -> None:
    workers = CHAIN.replace("find: {node: filter", "find: {node: [filter, daq]")
    made = plan(setup(three(workers)))
    assert rings(made, "filter")["pulses"] == (("readers",), 3, 8)  # two processes and a link
    assert rings(made, "daq")["pulses.out"] == (("readers",), 2, 8)
    assert [link.name for link in made.links] == [
        "raw@daq->filter",
        "pulses@daq->filter",
        "pulses@filter->storage",
    ]


def test_readers_on_several_nodes_share_a_shared_buffer(setup: Callable[[str], Topology]) -> None:
    workers = CHAIN.replace("find: {node: filter", "find: {node: [daq, filter, storage]")
    made = plan(setup(three(workers)))
    here, there, far = (made.nodes[node].workers for node in ("daq", "filter", "storage"))
    assert here[1].sources == (("raw", "readers", "raw"),)
    assert there[0].sources == far[0].sources == (("raw.in", "readers", "raw"),)
    groups = {link.source_group for link in made.links if link.source_ring == "raw"}
    assert groups == {"readers"}


def test_a_worker_on_several_nodes_is_one_group_of_a_broadcast_buffer(
    setup: Callable[[str], Topology],
) -> None:
    workers = CHAIN.replace("find: {node: filter", "find: {node: [daq, filter, storage]") + (
        f"also: {{node: filter, {USER}, function: save, sources: [raw]}}\n"
        f"more: {{node: filter, {USER}, function: save, sources: [raw]}}\n"
    )
    made = plan(setup(three(workers, raw=", delivery: broadcast")))
    assert rings(made, "daq")["raw"] == (("find", "to.filter"), 1, 8)
    assert rings(made, "filter")["raw.in.find"] == (("find",), 1, 8)
    assert rings(made, "filter")["raw.in"] == (("also", "more"), 1, 8)
    links = {link.name: (link.source_group, link.target_ring) for link in made.links if link.buffer == "raw"}
    assert links == {
        "raw@daq->filter#find": ("find", "raw.in.find"),
        "raw@daq->storage#find": ("find", "raw.in.find"),
        "raw@daq->filter": ("to.filter", "raw.in"),
    }


def test_a_list_of_one_node_is_as_one_node(setup: Callable[[str], Topology]) -> None:
    one, listed = (
        plan(setup(three(CHAIN.replace("node: filter", node), raw=", delivery: broadcast")))
        for node in ("node: filter", "node: [filter]")
    )
    assert one.links == listed.links


def test_observers_on_one_node_share_a_view(setup: Callable[[str], Topology]) -> None:
    workers = f"{CHAIN}scope2: {{node: storage, {USER}, function: save, observes: [raw, pulses]}}\n"
    made = plan(setup(three(workers)))
    assert [view.name for view in made.views] == ["raw@daq~>storage", "pulses@filter~>storage"]
    assert made.nodes["storage"].workers[2].observes == (("raw.view", "raw"), ("pulses.view", "pulses"))


def test_a_view_has_no_more_slots_than_its_buffer(setup: Callable[[str], Topology]) -> None:
    made = plan(setup(three(CHAIN).replace("slot_count: 8", "slot_count: 1")))
    assert rings(made, "storage")["raw.view"] == ((), 1, 1)


def test_stages_lead_from_importers_to_exporters(setup: Callable[[str], Topology]) -> None:
    made = plan(setup(three(CHAIN)))
    assert made.stages == (("take",), ("find", "scope"), ("save",))
    assert [made.depth(name) for name in ("take", "find", "scope", "save")] == [0, 1, 1, 2]
    with pytest.raises(KeyError):
        made.depth("nobody")


any_setup = settings(deadline=None, max_examples=60)
NODES = ["n0", "n1", "n2", "n3"]


@st.composite
def setups(draw: st.DrawFn) -> Topology:
    """Any setup without mistakes: data flow from buffers to later ones, workers and buffers on any nodes."""
    number = draw(st.integers(1, 5))
    buffers = [f"b{i}" for i in range(number)]
    nodes = draw(st.sampled_from([NODES[:1], NODES[:2], NODES]))
    where = st.lists(st.sampled_from(nodes), min_size=1, max_size=len(nodes), unique=True)
    lines = [f"Nodes: {{{', '.join(f'{node}: ' for node in nodes)}}}", "Buffers:"]
    for name in buffers:
        home = f", node: {draw(st.sampled_from(nodes))}" if draw(st.booleans()) else ""
        delivery = draw(st.sampled_from(["shared", "broadcast"]))
        slots = draw(st.integers(1, 9))
        lines.append(
            f"  {name}: {{slot_count: {slots}, data_length: 1, data_dtype: {{a: i4}}, "
            f"delivery: {delivery}{home}}}"
        )
    lines.append("Workers:")

    def worker(name: str, sources: list[str], sinks: list[str], observes: list[str]) -> None:
        lines.append(
            f"  {name}: {{{USER}, function: find, node: [{', '.join(draw(where))}], "
            f"number_of_processes: {draw(st.integers(1, 3))}, sources: [{', '.join(sources)}], "
            f"sinks: [{', '.join(sinks)}], observes: [{', '.join(observes)}]}}"
        )

    written: set[str] = set()
    read: set[str] = set()
    for i in range(draw(st.integers(0, 5))):
        cut = draw(st.integers(0, number))
        subset = {"unique": True, "max_size": 3}
        sources = draw(st.lists(st.sampled_from(buffers[:cut]), **subset)) if cut else []
        observes = draw(st.lists(st.sampled_from(buffers[:cut]), **subset)) if cut else []
        sinks = draw(st.lists(st.sampled_from(buffers[cut:]), **subset)) if cut < number else []
        if sources or sinks or observes:
            worker(f"w{i}", sources, sinks, observes)
            written.update(sinks)
            read.update(sources)
    for name in buffers:
        if name not in written:
            worker(f"write_{name}", [], [name], [])
        if name not in read:
            worker(f"read_{name}", [name], [], [])
    return load("setup.yaml", text="\n".join(lines) + "\n")


def ring_of(made: Plan, node: str, name: str) -> RingPlan:
    (ring,) = [ring for ring in made.nodes[node].rings if ring.ring == name]
    return ring


@given(setups())
@any_setup
def test_every_plan_holds_together(topology: Topology) -> None:
    made = plan(topology)
    writers: Counter[tuple[str, str]] = Counter()
    readers: dict[tuple[str, str], set[str]] = {}
    for name, node in made.nodes.items():
        assert len({ring.ring for ring in node.rings}) == len(node.rings)
        for part in node.workers:
            for source in part.sources:
                ring = ring_of(made, name, source.ring)
                assert ring.buffer.name == source.buffer
                assert source.group in ring.groups
                readers.setdefault((name, source.ring), set()).add(source.group)
            for sink in part.sinks:
                assert ring_of(made, name, sink.ring).buffer.name == sink.buffer
                writers[name, sink.ring] += part.processes
            for end in part.observes:
                assert ring_of(made, name, end.ring).buffer.name == end.buffer
                assert end.ring in (end.buffer, f"{end.buffer}.view")
    for link in made.links:
        assert link.from_node != link.to_node
        source, target = (
            ring_of(made, link.from_node, link.source_ring),
            ring_of(made, link.to_node, link.target_ring),
        )
        assert source.buffer is target.buffer
        assert link.source_group in source.groups
        readers.setdefault((link.from_node, link.source_ring), set()).add(link.source_group)
        writers[link.to_node, link.target_ring] += 1
        assert link.release == ("published" if link.source_ring.endswith(".out") else "read")
    for view in made.views:
        assert ring_of(made, view.from_node, view.source_ring).ring == view.buffer
        writers[view.to_node, view.target_ring] += 1
    for name, node in made.nodes.items():
        for ring in node.rings:
            assert ring.expected_writers == writers[name, ring.ring] > 0
            assert set(ring.groups) == readers.get((name, ring.ring), set())
    assert len({link.name for link in (*made.links, *made.views)}) == len(made.links) + len(made.views)
    assert set(made.links) == {link for node in made.nodes.values() for link in node.links_out}
    assert set(made.links) == {link for node in made.nodes.values() for link in node.links_in}


@given(setups())
@any_setup
def test_every_event_has_exactly_one_way_to_each_reader(topology: Topology) -> None:
    made = plan(topology)
    for buffer in topology.buffers.values():
        homes = [
            name for name, node in made.nodes.items() if buffer.name in {ring.ring for ring in node.rings}
        ]
        assert homes == [buffer.node]
        for worker in topology.workers.values():
            for node in worker.nodes:
                part = next(part for part in made.nodes[node].workers if part.worker is worker)
                if buffer.name in worker.sinks:
                    way = [sink.ring for sink in part.sinks if sink.buffer == buffer.name]
                    to_home = [
                        link for link in made.links if link.from_node == node and link.source_ring == way[0]
                    ]
                    if node == buffer.node:
                        assert way == [buffer.name]
                    else:
                        assert [link.to_node for link in to_home] == [buffer.node]
                if buffer.name in worker.sources and node != buffer.node:
                    ring = next(source.ring for source in part.sources if source.buffer == buffer.name)
                    (link,) = [
                        link for link in made.links if (link.to_node, link.target_ring) == (node, ring)
                    ]
                    assert (link.from_node, link.source_ring) == (buffer.node, buffer.name)


@given(setups())
@any_setup
def test_under_broadcast_each_worker_gets_every_event_once(topology: Topology) -> None:
    made = plan(topology)
    for buffer in topology.buffers.values():
        groups = set(ring_of(made, buffer.node, buffer.name).groups)
        readers = [worker for worker in topology.workers.values() if buffer.name in worker.sources]
        if buffer.delivery == "shared":
            assert groups == ({"readers"} if readers else set())
            continue
        own = {worker.name for worker in readers if len(worker.nodes) > 1 or worker.nodes == (buffer.node,)}
        away = {worker.nodes[0] for worker in readers if worker.name not in own}
        assert groups == own | {f"to.{node}" for node in away}


@given(setups())
@any_setup
def test_data_never_run_in_a_circle(topology: Topology) -> None:
    made = plan(topology)
    steps: dict[str, Ends] = {}
    for link in made.links:
        steps[link.name] = Ends(
            (f"{link.from_node}/{link.source_ring}",), (f"{link.to_node}/{link.target_ring}",)
        )
    for name, node in made.nodes.items():
        for part in node.workers:
            steps[f"{name}/{part.worker.name}"] = Ends(
                tuple(f"{name}/{source.ring}" for source in part.sources),
                tuple(f"{name}/{sink.ring}" for sink in part.sinks),
            )
    assert find_cycles(steps) == []


@given(setups())
@any_setup
def test_readers_of_a_buffer_are_in_later_stages_than_its_writers(topology: Topology) -> None:
    made = plan(topology)
    assert sorted(name for stage in made.stages for name in stage) == sorted(topology.workers)
    for buffer in topology.buffers:
        writers = [name for name, worker in topology.workers.items() if buffer in worker.sinks]
        readers = [
            name for name, worker in topology.workers.items() if buffer in worker.sources + worker.observes
        ]
        assert all(made.depth(writer) < made.depth(reader) for reader in readers for writer in writers)


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Ends]:
    buffers = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)
    return {f"w{i}": Ends(tuple(draw(buffers)), tuple(draw(buffers))) for i in range(draw(st.integers(0, 6)))}


@given(flows())
def test_a_circle_is_found_if_there_is_one_and_is_one(workers: dict[str, Ends]) -> None:
    left = dict(workers)
    while True:  # a worker whose inputs nobody left writes cannot be in a circle
        outputs = {output for ends in left.values() for output in ends.outputs}
        free = [name for name, ends in left.items() if not outputs & set(ends.inputs)]
        if not free:
            break
        for name in free:
            del left[name]
    cycles = find_cycles(workers)
    assert bool(cycles) == bool(left)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        for buffer, worker, following in zip(cycle[::2], cycle[1::2], cycle[2::2], strict=False):
            assert buffer in workers[worker].inputs
            assert following in workers[worker].outputs
    if not cycles:
        depth = depths(workers)
        for name, ends in workers.items():
            before = [
                depth[other] for other, theirs in workers.items() if set(theirs.outputs) & set(ends.inputs)
            ]
            assert depth[name] == max((number + 1 for number in before), default=0)
