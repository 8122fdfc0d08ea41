from __future__ import annotations

import pytest

from mimocorb_dist.node.stalls import STALLED_AFTER_S, Stalls
from mimocorb_dist.node.tasks import tasks_of
from tests.broker.plans import THREE_NODES, planned


class Bench:
    """A worker between two rings, and what a node knows of them."""

    def __init__(self, tasks, buffers) -> None:
        self.stalls = Stalls(tasks, buffers)
        self.workers = {"pick": {"events": 5, "errors": 0, "restarts": 0, "alive": 1}}
        self.source = {"read": {"readers": 5}, "undelivered": {"readers": 3}, "fill": 1.0}
        self.sink = {"read": {"readers": 0}, "undelivered": {"readers": 0}, "fill": 0.0}

    def look(self, now_s):
        return self.stalls.look(self.workers, {"raw.in": self.source, "good": self.sink}, now_s)


@pytest.fixture
def bench(tmp_path):
    topology, plan = planned(tmp_path, THREE_NODES)
    return Bench(tasks_of(plan.nodes["filter"], plan), topology.buffers)


def test_a_worker_that_does_nothing_while_events_wait_is_stalled(bench):
    assert bench.look(100.0) == {}
    assert bench.look(100.0 + 0.9 * STALLED_AFTER_S) == {}
    assert bench.look(135.0) == {"pick": 35.0}


@pytest.mark.parametrize("when_full", ["drop_new", "drop_old"])
def test_a_worker_that_need_not_wait_for_room_is_stalled_though_there_is_none(tmp_path, when_full):
    text = THREE_NODES.replace("good: {", f"good: {{node: filter, when_full: {when_full}, ")
    topology, plan = planned(tmp_path, text)
    bench = Bench(tasks_of(plan.nodes["filter"], plan), topology.buffers)
    bench.sink["fill"] = 1.0
    bench.look(100.0)
    assert bench.look(135.0) == {"pick": 35.0}


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: bench.workers["pick"].update(events=6),
        lambda bench: bench.workers["pick"].update(errors=1),
        lambda bench: bench.workers["pick"].update(restarts=1),
        lambda bench: bench.source["read"].update(readers=6),
        lambda bench: bench.source["undelivered"].update(readers=0),
        lambda bench: bench.sink.update(fill=1.0),
        lambda bench: bench.workers["pick"].update(alive=0),
    ],
    ids=[
        "an event counted",
        "a failure",
        "a new start",
        "an event released",
        "nothing to do",
        "no room for what it makes",
        "it has ended",
    ],
)
def test_whoever_works_or_cannot_is_not_stalled(bench, change):
    bench.look(100.0)
    assert bench.look(135.0)
    change(bench)
    assert bench.look(136.0) == {}
