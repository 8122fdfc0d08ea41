from __future__ import annotations

import json
from datetime import datetime

import pytest

from mimocorb_dist.broker.control import RunControl
from mimocorb_dist.broker.effects import MakeRun, Notice, Over, Push
from mimocorb_dist.broker.registration import differences
from mimocorb_dist.broker.state import State
from mimocorb_dist.errors import RefusedError

from .plans import ONE_NODE, THREE_NODES, planned
from .registrations import PORTS, registration


@pytest.fixture
def control(tmp_path):
    _, plan = planned(tmp_path, THREE_NODES)
    return RunControl(plan, 5.0, epoch_s=datetime(2026, 2, 3, 12).timestamp())


def pushes(control):
    return [effect for effect in control.take_effects() if isinstance(effect, Push)]


def kinds(control, node=None):
    return [push.kind for push in pushes(control) if node in (None, push.node)]


def gather(control, **changes):
    for node in ("storage", "daq", "filter"):
        control.register(registration(node, **changes), 0.0)
    control.take_effects()
    control.run_made("id", "run_1")
    control.take_effects()


def run_up(control, **changes):
    gather(control, **changes)
    for node, ports in PORTS.items():
        control.node_ready(node, ports)
    for stage in range(4):
        for node in PORTS:
            control.node_started(node, stage)


def close_all(control):
    for node in PORTS:
        control.node_closed(node, {})


def test_the_run_is_made_when_the_last_node_has_come(control):
    control.register(registration("storage"), 0.0)
    control.register(registration("filter"), 0.0)
    assert control.missing == ["daq"]
    assert not any(isinstance(effect, MakeRun) for effect in control.take_effects())
    control.register(registration("daq"), 0.0)
    assert any(isinstance(effect, MakeRun) for effect in control.take_effects())


def test_all_are_let_go_stage_by_stage_with_links_first_and_importers_last(control):
    gather(control)
    control.node_ready("daq", {})
    control.node_ready("filter", PORTS["filter"])
    assert not pushes(control)
    control.node_ready("storage", PORTS["storage"])
    assert control.state is State.READY
    first = {push.node: push.fields for push in pushes(control)}
    assert {fields["stage"] for fields in first.values()} == {0}
    assert first["daq"]["addresses"] == {"raw@daq->filter": "tcp://127.0.0.1:1"}
    assert first["filter"]["addresses"] == {"good@filter->storage": "tcp://127.0.0.1:2"}
    for stage in range(1, 4):
        for node in PORTS:
            assert control.state is State.READY
            control.node_started(node, stage - 1)
        assert {push.fields["stage"] for push in pushes(control)} == {stage}
    for node in PORTS:
        control.node_started(node, 3)
    assert control.state is State.RUNNING


def test_a_run_whose_importers_end_is_drained_and_finished(control):
    run_up(control)
    control.report("daq", {"workers": {"source": {"alive": 0}}}, 1.0)
    assert control.state is State.DRAINING
    close_all(control)
    assert control.state is State.FINISHED
    assert any(isinstance(effect, Over) for effect in control.take_effects())
    assert control.exit_status == 0


def test_pause_and_resume_reach_every_node_and_are_refused_where_nothing_would_change(control):
    run_up(control)
    control.take_effects()
    control.command("pause")
    assert control.state is State.PAUSED
    assert kinds(control) == ["pause"] * 3
    with pytest.raises(RefusedError, match="paused"):
        control.command("pause")
    control.command("pause", "all")
    control.command("resume", "roots")
    assert control.state is State.PAUSED
    control.command("resume", "all")
    assert control.state is State.RUNNING
    with pytest.raises(RefusedError, match="running"):
        control.command("resume")


def disk_report(room):
    return {
        "workers": {"source": {"alive": 1}},
        "disk": {"room": room, "text": f"room: {room}", "free_bytes": 1},
    }


def test_importers_of_all_nodes_wait_while_the_disk_of_one_is_full(control):
    run_up(control)
    control.take_effects()
    control.report("storage", disk_report("none"), 1.0)
    assert control.state is State.PAUSED
    assert kinds(control) == ["hold"] * 3
    assert control.held == {"storage": "node storage: room: none"}
    control.report("storage", disk_report("none"), 2.0)
    assert not control.take_effects()
    with pytest.raises(RefusedError, match="cannot resume: node storage: room: none"):
        control.command("resume")
    control.report("storage", disk_report("little"), 3.0)
    assert control.state is State.RUNNING
    assert kinds(control) == ["release"] * 3


def test_a_node_that_does_not_know_of_it_is_told_again(control):
    run_up(control)
    control.report("storage", disk_report("none"), 1.0)
    control.take_effects()
    for held, told in ((True, []), (False, ["hold"])):
        control.report("daq", {"held": held}, 2.0)
        assert kinds(control) == told
    control.report("storage", disk_report("enough"), 3.0)
    control.take_effects()
    control.report("daq", {"held": True}, 4.0)
    assert kinds(control, "daq") == ["release"]


def test_a_full_disk_at_the_start_lets_importers_wait_from_the_beginning(control):
    gather(control)
    control.report("storage", disk_report("none"), 0.0)
    control.take_effects()
    for node, ports in PORTS.items():
        control.node_ready(node, ports)
    assert kinds(control, "daq") == ["hold", "go"]
    for stage in range(4):
        for node in PORTS:
            control.node_started(node, stage)
    assert control.state is State.PAUSED


def test_a_full_disk_does_not_keep_a_run_from_its_end_nor_count_for_its_length(control):
    run_up(control, max_time_s=10.0)
    control.tick(0.0)
    control.report("storage", disk_report("none"), 1.0)
    for now_s in (1.0, 50.0):
        for node in PORTS:
            control.heard(node, now_s)
        control.tick(now_s)
    assert control.state is State.PAUSED
    control.command("stop")
    assert control.held == {}
    close_all(control)
    assert control.state is State.FINISHED


def test_a_node_that_is_lost_holds_nobody_any_more(control):
    run_up(control)
    control.report("storage", disk_report("none"), 1.0)
    control.node_lost("storage", "has died")
    control.report("storage", disk_report("none"), 2.0)
    assert not control.pauses.full


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_commands_that_do_not_fit_are_refused_with_the_state(control, command):
    with pytest.raises(RefusedError, match="the run is waiting"):
        control.command(command)


def test_unknown_commands_are_refused(control):
    with pytest.raises(RefusedError, match="no command 'explode'"):
        control.command("explode")


def test_stop_drains_and_a_second_stop_is_refused(control):
    run_up(control)
    control.take_effects()
    control.command("stop")
    assert kinds(control, "daq") == ["stop"]
    with pytest.raises(RefusedError, match="draining already"):
        control.command("stop")
    close_all(control)
    assert control.state is State.FINISHED


def test_stop_while_nodes_are_missing_ends_the_waiting(control):
    control.register(registration("daq"), 0.0)
    assert control.command("stop") == "stopped before it began"
    assert (control.state, control.exit_status) == (State.FINISHED, 0)


@pytest.mark.parametrize("command", ["stop", "abort"])
@pytest.mark.parametrize("all_ready", [False, True])
def test_a_run_that_is_stopped_before_importers_take_data_is_no_good_run(control, command, all_ready):
    gather(control)
    if all_ready:
        for node, ports in PORTS.items():
            control.node_ready(node, ports)
        assert control.state is State.READY
    control.command(command)
    if all_ready:
        close_all(control)
    assert (control.state, control.exit_status, control.aborted) == (State.FAILED, 1, True)
    assert len(control.reasons) == 1


def test_abort_ends_at_once_with_status_1(control):
    run_up(control)
    control.command("abort")
    assert kinds(control, "filter")[-1] == "abort"
    close_all(control)
    assert (control.state, control.exit_status) == (State.FAILED, 1)


def test_trouble_before_the_start_ends_all_with_status_2(control):
    gather(control)
    control.trouble("filter", "pick could not start: no module f")
    assert (control.state, control.exit_status) == (State.FAILED, 2)
    assert control.reasons == ["node filter: pick could not start: no module f"]


def test_trouble_in_a_run_drains_it(control):
    run_up(control)
    control.take_effects()
    control.trouble("filter", "pick failed")
    assert control.state is State.DRAINING
    assert kinds(control, "daq") == ["stop"]
    close_all(control)
    assert (control.state, control.exit_status) == (State.FAILED, 1)


def test_fatal_trouble_in_a_run_ends_it_at_once(control):
    run_up(control)
    control.take_effects()
    control.trouble("storage", "disk full", fatal=True)
    assert kinds(control, "daq") == ["abort"]


def test_a_node_that_is_silent_is_lost_and_the_others_end(control):
    run_up(control)
    for node in ("daq", "storage"):
        control.report(node, {}, 6.0)
    control.take_effects()
    control.tick(6.0)
    assert control.lost_nodes == {"filter"}
    assert kinds(control, "daq") == ["node_lost", "stop"]
    for node in ("daq", "storage"):
        control.node_closed(node, {})
    assert control.state is State.FAILED
    assert control.reasons == ["node filter has vanished: no word since 12:00:00"]


@pytest.fixture
def patient(tmp_path):
    """A run that has begun and would wait for a silent node for ten minutes."""
    _, plan = planned(tmp_path, THREE_NODES)
    control = RunControl(plan)
    run_up(control)
    return control


def hear_all_but_filter(control, now_s):
    for node in ("daq", "storage"):
        control.heard(node, now_s)
    control.tick(now_s)
    return control.lost_nodes


def test_a_node_whose_line_is_cut_is_waited_for_and_one_that_hung_up_not_so_long(patient):
    patient.hung_up("filter", 5.0)  # noticed so late only if nothing came through for a while
    assert hear_all_but_filter(patient, 300.0) == set()
    assert patient.silent == ["filter"]
    patient.heard("filter", 301.0)
    assert patient.silent == []
    patient.hung_up("filter", 302.0)
    assert hear_all_but_filter(patient, 600.0) == set()  # its host may be starting again
    assert hear_all_but_filter(patient, 602.0) == {"filter"}


def test_who_comes_back_after_hanging_up_is_waited_for_again(patient):
    patient.hung_up("filter", 1.0)
    patient.heard("filter", 2.0)
    assert hear_all_but_filter(patient, 300.0) == set()


@pytest.mark.parametrize("draining", [False, True])
def test_stop_shortens_the_wait_for_a_silent_node(patient, draining):
    if draining:
        patient.trouble("daq", "something")
    assert hear_all_but_filter(patient, 100.0) == set()
    assert not patient.ending
    patient.command("stop")
    assert hear_all_but_filter(patient, 100.5) == {"filter"}
    with pytest.raises(RefusedError, match="draining already"):
        patient.command("stop")


def test_a_node_that_comes_after_a_failed_start_is_told_why(control):
    control.register(registration("daq"), 0.0)
    control.register(registration("filter", setup_hash="other"), 0.0)
    with pytest.raises(RefusedError, match=r"too late.*setup.yaml differs between nodes daq and filter"):
        control.register(registration("storage"), 1.0)


def test_a_node_whose_process_has_ended_is_named_with_the_times(control):
    run_up(control)
    control.report("filter", {}, 3.0)
    control.node_died("filter", 4.0)
    assert control.lost_nodes == {"filter"}
    assert control.reasons == [
        "node filter has died: its process 1 on host-of-filter ended before 12:00:04, "
        "its last word came at 12:00:03"
    ]


def test_a_node_that_ended_alone_is_not_said_to_have_died(control):
    run_up(control)
    control.node_died("filter", 4.0, in_order=True)
    assert control.lost_nodes == {"filter"}
    assert control.reasons[0].startswith("node filter has ended alone: its process 1 on host-of-filter ended")


@pytest.fixture
def gracious(tmp_path):
    """A run whose nodes may be started again within a minute."""
    control = RunControl(planned(tmp_path, THREE_NODES)[1], 600.0, grace_s=60.0)
    run_up(control)
    control.take_effects()
    return control


def hear_others(control, now_s):
    for node in ("daq", "storage"):
        control.heard(node, now_s)


def test_a_node_that_has_died_is_waited_for_and_may_come_back(gracious):
    gracious.report("filter", {}, 3.0)
    for now_s in (4.0, 5.0, 30.0, 64.0):
        hear_others(gracious, now_s)
        gracious.node_died("filter", now_s)
        gracious.tick(now_s)
    (notice,) = [effect for effect in gracious.take_effects() if isinstance(effect, Notice)]
    assert "node filter has died; start it again" in notice.text
    assert gracious.unheard == {"filter": 3.0}
    gracious.heard("filter", 65.0)
    assert gracious.unheard == {}
    why = gracious.node_returned("filter", 2)
    assert why == "its process 1 died, and process 2 went on in its place"
    assert gracious.registrations["filter"].facts()["restarts"] == 1
    hear_others(gracious, 120.0)
    gracious.tick(120.0)
    assert gracious.lost_nodes == set()
    assert gracious.state is State.RUNNING
    gracious.node_died("filter", 121.0)  # and once more: the wait begins anew
    assert gracious.lost_nodes == set()


@pytest.mark.parametrize(("stopped", "lost_s"), [(False, 70.0), (True, 25.0)])
def test_a_dead_node_that_is_not_started_again_is_lost(gracious, stopped, lost_s):
    if stopped:
        gracious.command("stop")
    for now_s in (4.0, lost_s - 2.0):
        gracious.node_died("filter", now_s)
        assert gracious.lost_nodes == set()
    gracious.node_died("filter", lost_s)
    assert gracious.lost_nodes == {"filter"}


def test_a_node_whose_processes_have_ended_without_it_cannot_come_back(gracious):
    hear_others(gracious, 60.0)
    gracious.hung_up("filter", 1.0)
    gracious.report("storage", {"links": {"good@filter->storage": {"final": True}}}, 60.0)
    gracious.tick(60.0)
    assert gracious.lost_nodes == set()
    gracious.tick(66.0)
    assert gracious.lost_nodes == {"filter"}


def test_a_node_that_dies_before_anything_was_let_go_is_not_waited_for(tmp_path):
    control = RunControl(planned(tmp_path, THREE_NODES)[1], 600.0, grace_s=60.0)
    gather(control)
    control.node_died("filter", 1.0)
    assert control.lost_nodes == {"filter"}
    assert control.state is State.FAILED


def test_a_silent_node_does_not_read_of_its_silence_when_it_is_back(patient):
    for node in ("daq", "storage"):
        patient.heard(node, 6.0)
    patient.take_effects()
    patient.tick(6.0)
    (notice,) = [effect for effect in patient.take_effects() if isinstance(effect, Notice)]
    assert notice.text.startswith("no word from node filter")
    assert notice.but_at == "filter"
    assert patient.unheard == {"filter": 0.0}


def test_a_broker_in_the_place_of_another_knows_since_when_a_node_is_silent(patient):
    for node in ("daq", "storage"):
        patient.heard(node, 6.0)
    patient.tick(6.0)
    heir = RunControl(patient._plan, 600.0)
    heir.recall(*json.loads(json.dumps(patient.to_plain())), 7.0, 12.0)
    assert heir.unheard == {"filter": 0.0}
    heir.tick(18.0)
    assert heir.unheard == {"daq": 7.0, "filter": 0.0, "storage": 7.0}
    for node in ("daq", "filter", "storage"):
        heir.heard(node, 18.5)
    assert heir.unheard == {}


def test_a_node_that_vanishes_before_the_run_is_waited_for_again(control):
    control.register(registration("daq"), 0.0)
    control.tick(6.0)
    assert control.missing == ["daq", "filter", "storage"]
    control.register(registration("daq"), 7.0)


def test_two_nodes_of_one_name_are_refused(control):
    control.register(registration("daq"), 0.0)
    with pytest.raises(RefusedError, match=r"two nodes of the name daq.*host-of-daq"):
        control.register(registration("daq"), 0.0)


def test_unknown_nodes_are_refused(control):
    with pytest.raises(RefusedError, match=r"no node attic.*daq, filter, storage"):
        control.register(registration("attic"), 0.0)


def test_nodes_that_come_too_late_are_refused(control):
    gather(control)
    control.node_lost("daq", "test")
    with pytest.raises(RefusedError):
        control.register(registration("daq"), 0.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"setup_hash": "other"}, "setup file setup.yaml differs between nodes daq and filter"),
        ({"function_files": {"f.py": "2"}}, "function file f.py differs between nodes daq and filter"),
        ({"function_files": {}}, "function file f.py is missing on node filter"),
        ({"versions": {"mimocorb_dist": "2"}}, "different versions of mimocorb_dist"),
    ],
)
def test_differences_between_nodes_end_the_start_and_name_the_file_and_the_nodes(control, changes, words):
    control.register(registration("daq"), 0.0)
    control.register(registration("filter", **changes), 0.0)
    assert words in control.reasons[0]
    assert (control.state, control.exit_status) == (State.FAILED, 2)
    assert kinds(control, "daq")[-1] == "abort"


@pytest.mark.parametrize(
    ("yaml_files", "named"),
    [
        ({"setup.yaml": "1", "config/x.yaml": "2"}, ["config file config/x.yaml"]),
        ({"setup.yaml": "2", "config/x.yaml": "1"}, ["setup file setup.yaml"]),
        ({"setup.yaml": "2", "config/x.yaml": "2"}, ["setup file setup.yaml", "config file config/x.yaml"]),
        ({"setup.yaml": "2"}, ["setup file setup.yaml"]),
    ],
)
def test_of_setups_that_differ_the_files_are_named_that_do(yaml_files, named):
    other = registration("filter", setup_hash="other", yaml_files=yaml_files)
    rest = "differs between nodes daq and filter; copy the right one to both"
    assert list(differences(registration("daq"), other)) == [f"{file} {rest}" for file in named]


def test_the_time_limit_counts_from_the_start_of_the_importers(control):
    for node in PORTS:
        control.register(registration(node, max_time_s=10.0 if node == "daq" else None), 0.0)
    control.run_made("id", "run_1")
    for node, ports in PORTS.items():
        control.node_ready(node, ports)
    for stage in range(4):
        for node in PORTS:
            control.node_started(node, stage)
    for now_s in (100.0, 109.9, 110.0):
        for node in PORTS:
            control.heard(node, now_s)
        control.tick(now_s)
        assert (control.state is State.DRAINING) == (now_s == 110.0)


def test_the_event_limit_goes_to_the_ring_that_the_importer_writes(control):
    for node in PORTS:
        control.register(registration(node, max_events=1000), 0.0)
    control.take_effects()
    control.run_made("id", "run_1")
    assert {push.node: push.fields["limits"] for push in pushes(control)} == {
        "daq": {"raw": 1000},
        "filter": {},
        "storage": {},
    }


def test_a_run_on_one_node_goes_through_the_same_states(tmp_path):
    _, plan = planned(tmp_path, ONE_NODE)
    control = RunControl(plan, 5.0)
    control.register(registration("local"), 0.0)
    control.run_made("id", "run_1")
    control.node_ready("local", {})
    for stage in range(3):
        control.node_started("local", stage)
    assert control.state is State.RUNNING
    control.node_closed("local", {})
    assert control.state is State.FINISHED
