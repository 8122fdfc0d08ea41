from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from mimocorb_dist.errors import RunError
from mimocorb_dist.runs.books import buffer_books, imbalances, link_books, worker_books
from mimocorb_dist.runs.overview import OverviewMaker
from mimocorb_dist.runs.parts import add_part
from mimocorb_dist.runs.record import RunRecord, own_part
from mimocorb_dist.runs.report import report_text
from tests.broker.plans import ONE_NODE, THREE_NODES, planned

BROADCAST = """
Nodes: {a: {}, b: {}, c: {}}
Buffers:
  raw: {slot_count: 16, data_length: 4, data_dtype: {ch1: float32}, delivery: broadcast}
Workers:
  source: {node: a, file: f.py, function: source, sinks: [raw]}
  near: {node: a, file: f.py, function: save, sources: [raw]}
  far: {node: b, file: f.py, function: save, sources: [raw]}
  wide: {node: [a, c], file: f.py, function: save, sources: [raw]}
"""


def ring(written=0, read=None, rescued=None, given_up=None, **other):
    read, rescued, given_up = read or {}, rescued or {}, given_up or {}
    groups = {*read, *rescued, *given_up}
    away = {name: rescued.get(name, 0) + given_up.get(name, 0) for name in groups}
    return {
        "written": written,
        "read": read,
        "rescued": rescued,
        "undelivered": {name: written - read.get(name, 0) - away[name] for name in groups},
        "given_up": given_up,
        "refused": 0,
        "redelivered": 0,
        "filled": 0,
        "fill": 0.0,
        "max_fill": 0.5,
        "discarded_while_paused": 0,
        "dead_time_s": 1.0,
        "live_time_s": 3.0,
        "paused": False,
        "ended": True,
    } | other


def node(rings, links=None, workers=None):
    return {"rings": rings, "links": links or {}, "workers": workers or {}}


def sender(sent, **other):
    counts = {"sent": sent, "acknowledged": sent, "resent": 0, "reconnects": 0, "bytes": 0, "final": True}
    return counts | other


def through_three_nodes(picked=10, saved=10, sent=10):
    return {
        "daq": node(
            {"raw": ring(10, {"readers": 10})},
            {"raw@daq->filter": sender(10, reconnects=2, bytes=160)},
        ),
        "filter": node(
            {"raw.in": ring(10, {"readers": picked}), "good.out": ring(10, {"readers": sent})},
            {
                "raw@daq->filter": {"received": 10, "final": True},
                "good@filter->storage": sender(10, acknowledged=sent, resent=1, bytes=9),
            },
        ),
        "storage": node(
            {"good": ring(10, {"readers": saved})}, {"good@filter->storage": {"received": 10, "final": True}}
        ),
    }


# The buffer `good` lives with its first writer, so here it is moved to where it is read.
MOVED = THREE_NODES.replace("good: {slot", "good: {node: storage, slot")


@pytest.fixture
def plan(tmp_path):
    return planned(tmp_path, MOVED)[1]


def test_an_event_that_passes_several_rings_is_counted_once(plan):
    books = buffer_books(plan, through_three_nodes())
    for name in ("raw", "good"):
        assert (books[name]["written"], books[name]["read"], books[name]["waiting"]) == (10, 10, 0)
    assert imbalances(plan, through_three_nodes()) == []


def test_events_that_nobody_read_are_waiting_and_lost_at_the_end(plan):
    reports = through_three_nodes(saved=7)
    assert buffer_books(plan, reports)["good"]["waiting"] == 3
    assert imbalances(plan, reports) == ["buffer good: 3 events were not read before the end, and lost"]


def test_events_on_their_way_home_count_as_written(plan):
    reports = through_three_nodes()
    reports["filter"]["rings"]["good.out"] = ring(14, {"readers": 10})
    books = buffer_books(plan, reports)["good"]
    assert (books["written"], books["read"], books["waiting"]) == (14, 10, 4)


def test_events_rescued_far_away_move_from_read_to_rescued(plan):
    reports = through_three_nodes()
    reports["filter"]["rings"]["raw.in"] = ring(10, {"readers": 6}, {"readers": 4})
    books = buffer_books(plan, reports)["raw"]
    assert (books["written"], books["read"], books["rescued"], books["waiting"]) == (10, 6, 4, 0)


def test_events_rescued_on_their_way_home_balance_too(plan):
    reports = through_three_nodes(saved=7)
    reports["filter"]["rings"]["good.out"] = ring(10, {"readers": 7}, {"readers": 3})
    reports["storage"]["rings"]["good"] = ring(7, {"readers": 7})
    books = buffer_books(plan, reports)["good"]
    assert (books["written"], books["read"], books["rescued"], books["waiting"]) == (10, 7, 3, 0)


def test_a_link_whose_ends_disagree_is_named(plan):
    reports = through_three_nodes()
    reports["daq"]["links"]["raw@daq->filter"]["acknowledged"] = 9
    assert imbalances(plan, reports) == [
        "link raw@daq->filter: the books do not balance: 10 received, 9 acknowledged"
    ]
    reports["filter"]["links"]["raw@daq->filter"]["final"] = False  # it was killed before it could count on
    assert imbalances(plan, reports) == []
    assert link_books(plan, reports)["raw@daq->filter"]["final"] is True


def test_a_ring_without_what_its_links_brought_is_named(plan):
    reports = through_three_nodes(picked=9)
    reports["filter"]["rings"]["raw.in"] = ring(9, {"readers": 9})
    missed = "ring raw.in on node filter: the books do not balance: its links brought 10, but 9 were written"
    assert imbalances(plan, reports) == [missed]
    reports["filter"]["links"]["raw@daq->filter"]["dropped"] = 1  # beyond the limit of the run
    assert imbalances(plan, reports) == []
    reports["filter"]["links"]["raw@daq->filter"] = {"received": 10, "final": False}
    assert imbalances(plan, reports) == []


def test_more_read_than_written_is_named(plan):
    reports = through_three_nodes()
    reports["storage"]["rings"]["good"] = ring(10, {"readers": 12})
    assert "12 and 0 were rescued, but only 10 were written" in imbalances(plan, reports)[0]
    assert imbalances(plan, reports, frozenset({"filter"})) == []  # that may have written more since its word


def test_links_and_workers_are_summed_over_nodes(plan):
    assert link_books(plan, through_three_nodes())["raw@daq->filter"] == {
        "sent": 10,
        "acknowledged": 10,
        "resent": 0,
        "reconnects": 2,
        "bytes": 160,
        "final": True,
    }
    assert worker_books(plan, {})["pick"]["node"] == "filter"


def test_events_of_a_worker_that_was_killed_are_taken_from_the_books_of_its_ring(plan):
    reports = through_three_nodes(picked=9, saved=8)
    reports["filter"]["workers"] = {"pick": {"alive": 0, "restarts": 1, "errors": 0, "events": 5}}
    books = worker_books(plan, reports)
    assert {name: book["events"] for name, book in books.items()} == {"source": 10, "pick": 9, "save": 8}


def test_slots_that_a_link_claims_ahead_are_not_in_use(plan):
    reports = through_three_nodes()
    reports["filter"]["rings"]["raw.in"] = ring(10, {"readers": 10}, max_fill=1.0, fill=0.25)
    assert buffer_books(plan, reports)["raw"]["max_fill"] == 0.5


def test_what_became_of_events_on_a_dead_node_is_not_claimed_to_be_known(plan, tmp_path):
    reports = through_three_nodes(saved=7)
    (text,) = imbalances(plan, reports, frozenset({"storage"}), frozenset({"storage"}))
    assert text.endswith("what became of them is not known, for lack of word from storage")
    alone = planned(tmp_path, ONE_NODE)[1]
    reports = {"local": node({"raw": ring(5, {"readers": 3})})}
    assert "not known" in imbalances(alone, reports, frozenset({"local"}))[0]
    settled = imbalances(alone, reports, frozenset({"local"}), frozenset({"local"}))
    assert settled == ["buffer raw: 2 events were not read before the end, and lost"]


@pytest.mark.parametrize(
    ("restarts", "ends", "text"),
    [
        (1, ["save.0 was killed (SIGKILL), at 12:00:05"], "once: save.0 was killed (SIGKILL), at 12:00:05"),
        (2, ["a", "b"], "2 times: a; b"),
        (9, ["a, 5 times", "b", "and 3 more"], "9 times: a, 5 times; b; and 3 more"),
    ],
)
def test_restarts_are_told_with_what_led_to_them(tmp_path, restarts, ends, text):
    workers = {"save": {"alive": 0, "restarts": restarts, "ends": ends, "errors": 0, "events": 5}}
    made, end = record(tmp_path, {"local": node({"raw": ring(5, {"readers": 5})}, workers=workers)})
    content = made.ended(False, end).to_dict()
    assert content["run"]["reasons"] == [f"worker save: restarted {text}"]
    assert set(content["workers"]["save"]) == {"node", "processes", "restarts", "errors", "events"}


DROPPING = """
Buffers:
  raw: {slot_count: 8, data_length: 2, data_dtype: {number: int64}, when_full: drop_old}
Workers:
  source: {file: f.py, function: source, sinks: [raw]}
  save: {file: f.py, function: save, sources: [raw]}
target_directory: target
"""


def test_what_was_dropped_as_the_setup_wants_is_in_the_books_and_no_flaw(tmp_path):
    plan = planned(tmp_path, DROPPING)[1]
    begun = datetime(2026, 2, 3, 12).astimezone()
    reports = {"local": node({"raw": ring(100, {"readers": 70}, {}, {"readers": 30}, refused=7)})}
    content = RunRecord(plan, {}, "id", begun, reports=reports).ended(False, begun).to_dict()
    book = content["buffers"]["raw"]
    assert (book["written"], book["read"], book["lost"]) == (70, 70, 0)
    assert (book["given_up"], book["dropped"]) == (30, 37)
    text = "buffer raw: 37 events were dropped while it was full, as the setup wants (when_full: drop_old)"
    assert (content["run"]["quality"], content["run"]["reasons"]) == ("GOOD", [text])
    assert content["workers"]["source"]["events"] == 107
    assert text in report_text(content)


def test_under_broadcast_what_a_buffer_gave_up_is_missing_from_those_who_had_it_still_to_come(tmp_path):
    plan = planned(tmp_path, BROADCAST.replace("delivery:", "when_full: drop_old, delivery:"))[1]
    given_up = {"near": 1, "to.b": 4, "wide": 2}
    reports = {
        "a": node(
            {"raw": ring(10, {"near": 9, "to.b": 6, "wide": 8}, {}, given_up, refused=3)},
            {"raw@a->b": sender(6), "raw@a->c#wide": sender(4)},
        ),
        "b": node({"raw.in": ring(6, {"far": 5}, {"far": 1})}, {"raw@a->b": {"received": 6, "final": True}}),
        "c": node({"raw.in.wide": ring(4, {"wide": 4})}, {"raw@a->c#wide": {"received": 4, "final": True}}),
    }
    assert imbalances(plan, reports) == []
    book = buffer_books(plan, reports)["raw"]
    assert book["by_worker"] == {
        "near": {"written": 9, "read": 9, "rescued": 0, "given_up": 1, "dropped": 4, "waiting": 0},
        "far": {"written": 6, "read": 5, "rescued": 1, "given_up": 4, "dropped": 7, "waiting": 0},
        "wide": {"written": 8, "read": 8, "rescued": 0, "given_up": 2, "dropped": 5, "waiting": 0},
    }
    assert (book["read"], book["rescued"], book["given_up"], book["dropped"]) == (5, 1, 4, 7)
    assert (book["entered"], book["written"]) == (10, 6)
    begun = datetime(2026, 2, 3, 12).astimezone()
    content = RunRecord(plan, {}, "id", begun, reports=reports).ended(False, begun).to_dict()
    assert content["run"]["reasons"][-1].endswith("drop_old; near misses 4, wide misses 5, far misses 7)")


def test_under_broadcast_the_books_balance_for_each_worker(tmp_path):
    plan = planned(tmp_path, BROADCAST)[1]
    reports = {
        "a": node(
            {"raw": ring(10, {"near": 10, "to.b": 10, "wide": 10})},
            {"raw@a->b": sender(10), "raw@a->c#wide": sender(4)},
        ),
        "b": node(
            {"raw.in": ring(10, {"far": 8}, {"far": 2})}, {"raw@a->b": {"received": 10, "final": True}}
        ),
        "c": node({"raw.in.wide": ring(4, {"wide": 4})}, {"raw@a->c#wide": {"received": 4, "final": True}}),
    }
    assert imbalances(plan, reports) == []
    book = buffer_books(plan, reports)["raw"]
    assert book["by_worker"] == {
        "near": {"read": 10, "rescued": 0, "waiting": 0},
        "far": {"read": 8, "rescued": 2, "waiting": 0},
        "wide": {"read": 10, "rescued": 0, "waiting": 0},
    }
    assert book["written"] == book["read"] + book["rescued"] == 10


@pytest.mark.parametrize(
    ("at_home", "far_away", "expected"),
    [
        (None, None, None),
        ({"near": 1.0, "to.b": 0.1, "wide": 0.2}, None, {"near": 1.0, "far": 0.1, "other": 0.1, "wide": 0.2}),
        (
            {"near": 0.0, "to.b": 1.0, "wide": 0.2},
            {"far": 0.9, "other": 0.1},
            {"near": 0.0, "far": 0.9, "other": 0.1, "wide": 0.2},
        ),
    ],
    ids=["never full", "a slow one at home", "one of two behind a link"],
)
def test_under_broadcast_it_is_known_who_was_behind_when_a_buffer_was_full(
    tmp_path, at_home, far_away, expected
):
    other = "  other: {node: b, file: f.py, function: save, sources: [raw]}\n"
    home, copy = ring(10, {"near": 10, "to.b": 10, "wide": 10}), ring(10, {"far": 10, "other": 10})
    if at_home:
        home["behind"] = at_home
    if far_away:
        copy["behind"] = far_away
    reports = {"a": node({"raw": home}), "b": node({"raw.in": copy})}
    book = buffer_books(planned(tmp_path, BROADCAST + other)[1], reports)["raw"]
    assert book.get("behind") == expected
    made, end = record(tmp_path, reports, BROADCAST + other)
    assert made.ended(False, end).to_dict()["buffers"]["raw"].get("behind") == expected


def record(tmp_path, reports, text=ONE_NODE, **facts):
    topology, plan = planned(tmp_path, text)
    started = datetime.now().astimezone()
    made = RunRecord(plan, topology.resolved, "id", started, reports=reports, **facts)
    return made, started + timedelta(seconds=3)


WELL = {
    "local": node(
        {"raw": ring(5, {"readers": 5})},
        workers={"save": {"alive": 0, "restarts": 0, "errors": 0, "events": 5}},
    )
}


def test_a_run_that_went_well_is_good(tmp_path):
    made, end = record(tmp_path, WELL)
    content = made.ended(False, end).to_dict()
    assert (content["run"]["state"], content["run"]["quality"], content["run"]["reasons"]) == (
        "finished",
        "GOOD",
        [],
    )
    assert content["buffers"]["raw"]["lost"] == 0


def test_a_running_record_claims_neither_losses_nor_quality(tmp_path):
    made, _ = record(tmp_path, {"local": node({"raw": ring(5, {"readers": 2})})})
    content = made.to_dict()
    assert (content["run"]["state"], content["run"]["quality"]) == ("running", "INCOMPLETE")
    assert content["buffers"]["raw"]["lost"] == 0


@pytest.mark.parametrize(
    ("failed", "aborted", "read", "restarts", "quality"),
    [
        (False, False, 5, 1, "DEGRADED"),
        (True, False, 5, 0, "INCOMPLETE"),
        (False, False, 4, 0, "INCOMPLETE"),
        (True, True, 4, 0, "ABORTED"),
    ],
)
def test_quality_tells_what_the_data_are_worth(tmp_path, failed, aborted, read, restarts, quality):
    reports = {
        "local": node(
            {"raw": ring(5, {"readers": read})},
            workers={"save": {"alive": 0, "restarts": restarts, "errors": 0, "events": 5}},
        )
    }
    made, end = record(tmp_path, reports, aborted=aborted)
    content = made.ended(failed, end).to_dict()
    assert content["run"]["quality"] == quality
    assert content["buffers"]["raw"]["lost"] == 5 - read
    if read < 5 or restarts:
        assert content["run"]["reasons"]


def test_each_node_keeps_its_own_part(tmp_path):
    made, end = record(tmp_path, through_three_nodes(), MOVED)
    part = own_part(made.ended(False, end).to_dict(), ["filter"])
    assert list(part["buffers"]) == []
    assert list(part["workers"]) == ["pick"]
    assert list(part["links"]) == ["raw@daq->filter", "good@filter->storage"]


def test_nodes_that_end_without_their_broker_complete_the_record_one_after_the_other(tmp_path):
    plan = planned(tmp_path, BROADCAST)[1]
    reports = {
        "a": node(
            {"raw": ring(10, {"near": 10, "to.b": 10, "wide": 10})},
            {"raw@a->b": sender(10), "raw@a->c#wide": sender(4)},
        ),
        "b": node(
            {"raw.in": ring(10, {"far": 8}, {"far": 2})}, {"raw@a->b": {"received": 10, "final": True}}
        ),
        "c": node({"raw.in.wide": ring(4, {"wide": 4})}, {"raw@a->c#wide": {"received": 4, "final": True}}),
    }
    early = {
        "a": node({"raw": ring(6, {"near": 6, "to.b": 6, "wide": 6})}, {"raw@a->b": sender(6)}),
        "b": node({"raw.in": ring(6, {"far": 6})}),
    }
    path = tmp_path / "run.json"
    begun = RunRecord(plan, {}, "id", datetime(2026, 2, 3, 12).astimezone(), reports=early, reasons=("old",))
    begun.write(path)
    later = datetime(2026, 2, 3, 13).astimezone()
    for name in ("b", "c", "a"):
        own = RunRecord(
            plan, {}, "id", later, reports={name: reports[name]}, reasons=(f"node {name}: alone",)
        )
        content = add_part(path, own, name)
        assert json.loads(path.read_text()) == content
        # Nobody's word makes poorer what was known before, and b knows what came from a.
        assert content["buffers"]["raw"]["written"] == 10
        assert ("parts" in content) == (name != "a")
    assert content["run"]["started"].startswith("2026-02-03T12:00")
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "INCOMPLETE")
    assert content["run"]["reasons"] == ["old", "node b: alone", "node c: alone", "node a: alone"]
    assert content["buffers"]["raw"]["by_worker"]["far"] == {"read": 8, "rescued": 2, "lost": 0}
    assert content["links"]["raw@a->c#wide"]["sent"] == 4


def test_a_node_with_a_record_of_its_own_tells_only_what_it_knows(tmp_path):
    plan = planned(tmp_path, MOVED)[1]
    reports = through_three_nodes()
    path = tmp_path / "run.json"
    RunRecord(plan, {}, "id", datetime(2026, 2, 3, 12).astimezone()).write(path)
    own = RunRecord(plan, {}, "id", datetime.now().astimezone(), reports={"filter": reports["filter"]})
    content = add_part(path, own, "filter")
    assert (list(content["buffers"]), list(content["workers"])) == ([], ["pick"])
    assert list(content["links"]) == ["good@filter->storage"]


def test_a_part_of_a_record_that_is_none_is_an_error(tmp_path):
    plan = planned(tmp_path, MOVED)[1]
    own = RunRecord(plan, {}, "id", datetime.now().astimezone())
    with pytest.raises(RunError, match="cannot be brought up to date"):
        add_part(tmp_path / "run.json", own, "filter")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="is not a record"):
        add_part(tmp_path / "run.json", own, "filter")


def test_dead_time_is_that_of_the_moment_and_there_is_none_when_no_importer_takes_data(tmp_path):
    maker = OverviewMaker(planned(tmp_path, ONE_NODE)[1])
    shares = []
    for now_s, dead_s, alive in ((1.0, 1.0, 1), (2.0, 4.0, 1), (3.0, 4.0, 1), (4.0, 4.0, 0)):
        rings = {"raw": ring(9, {"readers": 9}, dead_time_s=dead_s, live_time_s=3.0)}
        reports = {"local": node(rings, workers={"source": {"alive": alive}})}
        shares.append(maker.overview({}, reports, now_s)["buffers"]["raw"]["dead_time_share"])
    assert shares == [0.25, 1.0, 1.0, None]
