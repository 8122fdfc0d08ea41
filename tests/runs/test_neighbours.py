from __future__ import annotations

from mimocorb_dist.runs.books import buffer_books, worker_books
from mimocorb_dist.runs.neighbours import caught_up
from tests.broker.plans import THREE_NODES, planned
from tests.runs.test_books import MOVED, node, ring, sender

GONE = frozenset({"filter"})


def reports(of_filter, good):
    return {
        "daq": node({"raw": ring(30, {"readers": 20})}, {"raw@daq->filter": sender(30, acknowledged=20)}),
        "filter": of_filter,
        "storage": node({"good": good, "good.in": good}, {"good@filter->storage": {"received": 12}}),
    }


def books(plan, known):
    raised = caught_up(plan, known, GONE)
    good = buffer_books(plan, raised)["good"]
    picked = worker_books(plan, raised)["pick"]["events"]
    return {name: good[name] for name in ("written", "read", "rescued", "waiting")} | {"picked": picked}


def test_what_reached_other_nodes_was_written_and_what_they_read_was_read(tmp_path):
    plan = planned(tmp_path, THREE_NODES)[1]  # `good` is at home on the node that has gone
    old = node({"raw.in": ring(15, {"readers": 14}), "good": ring(9, {"readers": 8})})
    known = reports(old, ring(12, {"readers": 11}, {"readers": 1}))
    assert books(plan, known) == {"written": 12, "read": 11, "rescued": 1, "waiting": 0, "picked": 20}
    assert caught_up(plan, known, frozenset()) == known


def test_what_came_home_is_not_counted_as_on_its_way_too(tmp_path):
    plan = planned(tmp_path, MOVED)[1]
    old = node({"raw.in": ring(15, {"readers": 14}), "good.out": ring(10, {"readers": 8})})
    known = reports(old, ring(12, {"readers": 12}))
    assert books(plan, known) == {"written": 12, "read": 12, "rescued": 0, "waiting": 0, "picked": 20}


def test_a_report_that_is_newer_than_what_neighbours_know_stays(tmp_path):
    plan = planned(tmp_path, THREE_NODES)[1]
    new = node({"raw.in": ring(25, {"readers": 24}), "good": ring(16, {"readers": 13})})
    known = reports(new, ring(12, {"readers": 12}))
    assert caught_up(plan, known, GONE) == known
