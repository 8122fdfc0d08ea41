from __future__ import annotations

import shutil

import pytest

from mimocorb_dist.broker.remains import Deaths, Remains, directory_of
from mimocorb_dist.ring import BufferSpec, Ring
from mimocorb_dist.ring.runtime import RuntimeDirectory
from tests.broker.plans import ONE_NODE, planned
from tests.ring.rings import FIELD, fill


def test_nodes_on_this_machine_are_seen_to_end_with_and_without_cleaning_up():
    run_id = "deaths-of-a-test"
    deaths = Deaths(run_id)
    runtimes = {node: RuntimeDirectory.create(run_id, node) for node in ("ends", "dies", "lives")}
    try:
        nodes = dict.fromkeys(("ends", "dies", "lives", "elsewhere"), 0)
        assert deaths.look(nodes) == {}
        runtimes["ends"].remove()
        assert deaths.look(nodes) == {"ends": True}
        (directory_of(run_id, "dies", 0) / "lock").unlink()
        (directory_of(run_id, "dies", 0) / "lock").touch()  # as one whose owner is no more
        assert deaths.look(nodes) == {"ends": True, "dies": False}
    finally:
        for node, runtime in runtimes.items():
            runtime.remove()
            shutil.rmtree(directory_of(run_id, node, 0), ignore_errors=True)


@pytest.fixture
def left(tmp_path):
    """The ring of a node that has died, and what the broker makes of it."""
    run_id = "remains-of-a-test"
    (node_plan,) = planned(tmp_path, ONE_NODE)[1].nodes.values()
    runtime = RuntimeDirectory.create(run_id, node_plan.node.name)
    (ring_plan,) = node_plan.rings
    spec = BufferSpec(ring_plan.ring, 4, 4, FIELD, tuple(ring_plan.groups))
    ring = Ring.create(runtime.path, spec, expected_writers=2)
    yield ring, Remains(run_id, node_plan, 0, now_s=0.0)
    ring.close()
    runtime.remove()


def test_processes_without_a_node_are_not_given_up_because_the_machine_stood_still(left):
    ring, remains = left
    writer = fill(ring, 1)
    remains.look(0.1)
    for now_s in (10.0, 20.0, 30.0):
        remains.look(now_s)
        assert not remains.over
    for now_s in range(31, 50):
        remains.look(now_s)
    assert remains.over
    assert not remains.settled
    writer.close()


def test_a_writer_that_ends_in_order_while_it_is_looked_at_is_counted_once(left, monkeypatch):
    ring, remains = left
    writer = fill(ring, 1)

    def ends_now(pid):
        writer.close()
        return False

    monkeypatch.setattr("psutil.pid_exists", ends_now)
    remains.look(0.1)
    assert not ring.ended
