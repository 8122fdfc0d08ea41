"""Nodes whose host has died, and that come back to their run."""

from __future__ import annotations

import json

import pytest

from mimocorb_dist.broker.control import RunControl
from mimocorb_dist.broker.effects import Notice, Push
from mimocorb_dist.broker.state import State
from mimocorb_dist.errors import RefusedError

from .plans import TWO_FILTERS, planned
from .registrations import registration

NODES = ("daq", "filter", "other", "storage")
PORTS = {
    "daq": {},
    "filter": {"raw@daq->filter": 1},
    "other": {"raw@daq->other": 2},
    "storage": {"good@filter->storage": 3, "good@other->storage": 4},
}
STAGES = 4


@pytest.fixture
def control(tmp_path):
    _, plan = planned(tmp_path, TWO_FILTERS)
    control = RunControl(plan, 5.0)
    for node in NODES:
        control.register(registration(node), 0.0)
    control.run_made("id", "run_1")
    for node, ports in PORTS.items():
        control.node_ready(node, ports)
    for stage in range(STAGES):
        for node in NODES:
            control.node_started(node, stage)
    assert control.state is State.RUNNING
    control.take_effects()
    return control


def pushes(control):
    return [
        (effect.node, effect.kind, effect.fields)
        for effect in control.take_effects()
        if isinstance(effect, Push)
    ]


def kinds(control):
    return [(node, kind) for node, kind, _ in pushes(control)]


def all_but(control, silent, now_s):
    for node in NODES:
        if node != silent:
            control.heard(node, now_s)
    control.tick(now_s)


def lose(control, node, now_s=30.0):
    all_but(control, node, now_s)
    assert node in control.lost_nodes


def bring_back(control, node, now_s=31.0):
    assert control.register(registration(node, pid=2), now_s)


def test_the_run_goes_on_without_a_node_whose_workers_others_have(control):
    lose(control, "filter")
    assert control.state is State.RUNNING
    assert (control.reasons, len(control.flaws)) == ([], 1)
    assert control.missed_nodes == set()
    assert kinds(control) == [(node, "node_lost") for node in ("daq", "other", "storage")]


@pytest.mark.parametrize("node", ["daq", "storage"])
def test_the_run_ends_without_a_node_that_it_needs(control, node):
    lose(control, node)
    assert control.state is State.DRAINING
    assert control.missed_nodes == {node}
    assert len(control.reasons) == 1


def test_the_run_ends_when_the_last_of_several_nodes_is_lost(control):
    lose(control, "filter")
    all_but(control, "other", 60.0)
    assert control.state is State.DRAINING
    assert control.missed_nodes == {"other"}


def test_a_node_that_comes_back_begins_when_all_links_with_it_are_new(control):
    lose(control, "filter")
    control.take_effects()
    bring_back(control, "filter")
    told = pushes(control)
    assert [(node, kind) for node, kind, _ in told] == [
        ("filter", "registered"),
        ("daq", "renew"),
        ("storage", "renew"),
        ("filter", "prepare"),
    ]
    assert told[1][2] == {"returned": "filter", "life": 1}
    assert (told[3][2]["lives"], told[3][2]["was"]) == ({"filter": 1}, 1)
    control.node_ready("filter", {"raw@daq->filter": 11})
    control.node_renewed("daq", "filter", {})
    assert kinds(control) == []
    control.node_renewed("storage", "filter", {"good@filter->storage": 13, "good@other->storage": 4})
    gone = {(node, kind): fields for node, kind, fields in pushes(control)}
    assert list(gone) == [("filter", "go"), ("daq", "go"), ("storage", "go")]
    assert gone["filter", "go"] == {"stage": 0, "addresses": {"good@filter->storage": "tcp://127.0.0.1:13"}}
    assert gone["daq", "go"]["addresses"]["raw@daq->filter"] == "tcp://127.0.0.1:11"
    for stage in range(1, STAGES):
        control.node_started("filter", stage - 1)
        assert [(fields["stage"], node) for node, _, fields in pushes(control)] == [(stage, "filter")]
    control.node_started("filter", STAGES - 1)
    (notice,) = [effect.text for effect in control.take_effects() if isinstance(effect, Notice)]
    assert notice == "node filter is back in the run"
    assert set(control.present) == set(NODES)


def test_a_node_that_is_heard_cannot_be_replaced(control):
    assert not control.register(registration("filter", pid=2), 1.0)  # that is not certain yet
    control.heard("filter", 1.5)
    with pytest.raises(RefusedError, match="two nodes of the name filter"):
        control.register(registration("filter", pid=2), 2.5)


def test_a_node_that_is_not_heard_any_more_is_replaced_when_the_new_one_asks_again(control):
    assert not control.register(registration("filter", pid=2), 1.0)
    assert control.register(registration("filter", pid=2), 2.5)
    assert ("filter", "prepare") in kinds(control)


def test_a_node_with_another_setup_does_not_come_back(control):
    lose(control, "filter")
    with pytest.raises(RefusedError, match="setup"):
        control.register(registration("filter", setup_hash="x"), 31.0)
    assert control.state is State.RUNNING


def test_a_node_comes_too_late_when_the_run_ends(control):
    lose(control, "daq")
    with pytest.raises(RefusedError, match="comes too late: the run is draining"):
        control.register(registration("daq"), 31.0)


def test_a_node_comes_too_late_when_its_streams_have_ended(control):
    control.report("storage", {"links": {"good@filter->storage": {"final": True}}}, 1.0)
    lose(control, "filter")
    with pytest.raises(RefusedError, match="has ended its streams"):
        control.register(registration("filter"), 31.0)


def test_nobody_waits_for_a_node_that_is_lost_while_another_comes_back(control):
    lose(control, "filter")
    bring_back(control, "filter")
    control.node_ready("filter", PORTS["filter"])
    control.node_renewed("daq", "filter", {})
    all_but(control, "storage", 60.0)
    assert control.state is State.DRAINING
    assert ("filter", "go") in kinds(control)


def test_a_node_that_dies_again_while_it_comes_back_may_come_once_more(control):
    lose(control, "filter")
    bring_back(control, "filter")
    lose(control, "filter", 60.0)
    control.take_effects()
    bring_back(control, "filter", 61.0)
    told = {kind: fields for _, kind, fields in pushes(control)}
    assert told["renew"] == {"returned": "filter", "life": 2}
    assert len(control.flaws) == 4


def test_a_pause_holds_for_a_node_that_comes_back(control):
    control.command("pause", "roots")
    lose(control, "filter")
    control.take_effects()
    bring_back(control, "filter")
    assert kinds(control)[-1] == ("filter", "pause")


def test_a_run_that_is_stopped_waits_for_a_node_that_comes_back(control):
    lose(control, "filter")
    bring_back(control, "filter")
    control.take_effects()
    control.command("stop")
    assert kinds(control) == [(node, "stop") for node in ("daq", "other", "storage")]
    control.node_ready("filter", PORTS["filter"])
    for other in ("daq", "storage"):
        control.node_renewed(other, "filter", PORTS[other])
    for stage in range(STAGES):
        control.node_started("filter", stage)
    assert kinds(control)[-1] == ("filter", "stop")


def test_a_receiver_that_could_not_start_has_no_address(control):
    lose(control, "filter")
    bring_back(control, "filter")
    control.take_effects()
    control.node_ready("filter", {})
    for other in ("daq", "storage"):
        control.node_renewed(other, "filter", PORTS[other])
    (addresses,) = [
        fields["addresses"] for node, kind, fields in pushes(control) if (node, kind) == ("daq", "go")
    ]
    assert addresses == {"raw@daq->other": "tcp://127.0.0.1:2"}


def test_books_and_limits_are_those_of_all_lives(control):
    ring = {
        "written": 40,
        "read": {"readers": 30},
        "rescued": {},
        "undelivered": {"readers": 10},
        "given_up": {"readers": 0},
        "max_fill": 0.5,
        "dead_time_s": 1.0,
    }
    control.report("filter", {"rings": {"raw.in": ring}, "workers": {"pick": {"events": 30}}}, 1.0)
    lose(control, "filter")
    bring_back(control, "filter")
    now = {**ring, "written": 2, "read": {"readers": 2}, "undelivered": {"readers": 0}, "max_fill": 0.1}
    control.report("filter", {"rings": {"raw.in": now}, "workers": {"pick": {"events": 2}}}, 32.0)
    book = control.reports["filter"]["rings"]["raw.in"]
    assert (book["written"], book["read"], book["undelivered"]) == (42, {"readers": 32}, {"readers": 10})
    assert (book["max_fill"], book["dead_time_s"]) == (0.5, 2.0)
    assert control.reports["filter"]["workers"]["pick"]["events"] == 32


def test_a_broker_that_takes_the_place_of_another_goes_on_with_a_return(control):
    lose(control, "filter")
    bring_back(control, "filter")
    control.node_ready("filter", PORTS["filter"])
    control.node_renewed("daq", "filter", {})
    noted = json.loads(json.dumps(control.to_plain()))
    heir = RunControl(control._plan)
    heir.recall(*noted, 31.0, 32.0)
    assert json.loads(json.dumps(heir.to_plain())) == noted
    heir.node_renewed("storage", "filter", PORTS["storage"])
    assert ("filter", "go") in kinds(heir)
