from __future__ import annotations

import json
import signal

import pytest

from mimocorb_dist.node.crew import (
    FAILURES_OF_AN_EVENT,
    MAX_BARREN_DEATHS,
    MAX_BARREN_FAILURES,
    MAX_IDLE_DEATHS,
    Crew,
    Gone,
    Restart,
)
from mimocorb_dist.node.tasks import LINK_STAGE, tasks_of
from mimocorb_dist.ring import Traces
from tests.broker.plans import THREE_NODES, planned

KILLED = -signal.SIGKILL


@pytest.fixture
def plan(tmp_path):
    return planned(tmp_path, THREE_NODES)[1]


@pytest.fixture
def crew(plan):
    return Crew(tasks_of(plan.nodes["filter"], plan))


def crew_of(tmp_path, on_error):
    text = THREE_NODES.replace("pick: {", f"pick: {{on_error: {on_error}, ")
    assert text != THREE_NODES
    plan = planned(tmp_path, text)[1]
    return Crew(tasks_of(plan.nodes["filter"], plan))


def fail(crew, worker):
    let_run(crew)
    crew.hear(worker, {"state": "failed", "error": "ValueError: no"})
    return crew.died(worker, 1)


def task_of(crew, kind):
    (task,) = [task for task in crew.left if task.kind == kind]
    return task


def let_run(crew):
    for task in crew.left:
        crew.hear(task, {"state": "ready"})
        crew.let_go(task)
        crew.hear(task, {"state": "running"})


def test_links_go_first_and_importers_last(plan):
    stages = {task.label: task.stage for node in plan.nodes.values() for task in tasks_of(node, plan)}
    assert stages["raw@daq->filter send"] == stages["raw@daq->filter receive"] == LINK_STAGE
    assert stages["save.0"] < stages["pick.0"] < stages["source.0"]


def test_tasks_know_the_rings_they_touch(crew):
    receiver, sender, worker = (task_of(crew, kind) for kind in ("receive", "send", "worker"))
    assert receiver.writes == ("raw.in",)
    assert sender.reads == (("good", "readers"),)
    assert (worker.reads, worker.writes) == ((("raw.in", "readers"),), ("good",))


def test_a_node_is_ready_when_all_processes_are(crew):
    *first, last = crew.left
    for task in first:
        crew.hear(task, {"state": "ready"})
    assert not crew.all_ready
    crew.hear(last, {"state": "bound", "port": 4711})
    crew.hear(last, {"state": "ready"})
    assert crew.all_ready
    assert crew.ports == {last.name: 4711}


def test_a_stage_runs_when_its_processes_run_or_have_ended(crew):
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "ready"})
    crew.let_go(worker)
    assert not crew.stage_runs(worker.stage)
    crew.hear(worker, {"state": "finished", "events": 3})
    crew.died(worker, 0)
    assert crew.stage_runs(worker.stage)


def test_a_signal_after_the_last_word_is_no_trouble(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "finished", "events": 7})
    assert crew.died(worker, -signal.SIGTERM) == Gone(finished=True)
    assert worker not in crew.left


def test_a_process_that_the_node_has_dismissed_does_not_come_back(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.dismiss(worker)
    assert crew.died(worker, -signal.SIGTERM) == Gone()
    assert crew.worker_counts()["pick"]["restarts"] == 0


def test_an_end_as_it_should_be_is_no_trouble(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "finished", "events": 7})
    assert crew.died(worker, 0) == Gone(finished=True)
    assert crew.worker_counts()["pick"] == {
        "alive": 0,
        "restarts": 0,
        "ends": [],
        "errors": 0,
        "events": 7,
    }


def test_an_exception_ends_a_process_for_good_and_says_where(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "failed", "error": "ValueError: no", "where": "f.py:12"})
    assert crew.died(worker, 1) == Gone("worker pick.0 failed: ValueError: no (f.py:12)")
    assert crew.worker_counts()["pick"]["errors"] == 1


def test_a_failure_names_its_worker_once(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "failed", "error": "worker pick: has no sinks"})
    assert crew.died(worker, 1, "12:00:05") == Gone("worker pick.0 failed: has no sinks, at 12:00:05")


def test_an_end_without_a_word_is_a_failure(crew):
    let_run(crew)
    meaning = crew.died(task_of(crew, "worker"), 0)
    assert isinstance(meaning, Gone)
    assert "without a word" in (meaning.trouble or "")


def test_a_killed_worker_is_started_again_and_keeps_its_events(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "counts", "events": 5})
    assert isinstance(crew.died(worker, KILLED, "12:00:05"), Restart)
    assert not crew.all_ready
    let_run(crew)
    crew.hear(worker, {"state": "finished", "events": 2})
    crew.died(worker, 0)
    counts = crew.worker_counts()["pick"]
    assert (counts["alive"], counts["restarts"], counts["errors"], counts["events"]) == (0, 1, 0, 7)
    assert counts["ends"] == ["pick.0 was killed (SIGKILL), at 12:00:05"]


def test_failures_for_one_reason_are_told_once_with_how_often_and_when(tmp_path):
    crew = crew_of(tmp_path, "skip")
    worker = task_of(crew, "worker")
    told = []
    for number in range(30):
        let_run(crew)
        crew.hear(worker, {"state": "failed", "error": f"event {number}: ValueError: no", "where": "f.py:3"})
        told.append(crew.died(worker, 1, f"12:00:{number:02}").told)
    assert [number for number, text in enumerate(told) if text] == [0, 1, 2, 9]
    assert told[0] == "worker pick.0 failed: event 0: ValueError: no (f.py:3), at 12:00:00"
    assert told[2] == "worker pick.0 failed in the same way, at 12:00:02, 3 times by now"
    assert "for the 10th time, and no event was handled so far" in told[9]
    ends = crew.worker_counts()["pick"]["ends"]
    assert ends == ["pick.0 failed: ValueError: no (f.py:3), 30 times from 12:00:00 to 12:00:29"]


def test_of_different_failures_some_are_told_and_the_others_counted(tmp_path):
    crew = crew_of(tmp_path, "skip")
    worker = task_of(crew, "worker")
    for number in range(7):
        let_run(crew)
        crew.hear(worker, {"state": "failed", "error": f"event {number}: ValueError: {number}", "events": 1})
        assert f"ValueError: {number}" in crew.died(worker, 1).told
    ends = crew.worker_counts()["pick"]["ends"]
    assert ends == [f"pick.0 failed: event {k}: ValueError: {k}" for k in range(5)] + ["and 2 more"]


def test_a_worker_that_handles_some_events_before_it_fails_is_not_asked_whether_it_is_right(tmp_path):
    crew = crew_of(tmp_path, "restart")
    worker = task_of(crew, "worker")
    for _ in range(2 * MAX_BARREN_FAILURES):
        let_run(crew)
        crew.hear(worker, {"state": "failed", "error": "ValueError: no", "events": 3})
        restart = crew.died(worker, 1)
        assert isinstance(restart, Restart)
        assert "no event was handled" not in restart.told
    assert crew.worker_counts()["pick"]["events"] == 6 * MAX_BARREN_FAILURES


def test_a_worker_that_is_killed_again_and_again_without_an_event_is_given_up(crew):
    worker = task_of(crew, "worker")
    for _ in range(MAX_BARREN_DEATHS - 1):
        let_run(crew)
        assert isinstance(crew.died(worker, KILLED), Restart)
    let_run(crew)
    meaning = crew.died(worker, KILLED)
    assert isinstance(meaning, Gone)
    assert "SIGKILL" in (meaning.trouble or "")


def test_a_worker_that_makes_progress_between_kills_is_not_given_up(crew):
    worker = task_of(crew, "worker")
    for _ in range(10 * MAX_BARREN_DEATHS):
        let_run(crew)
        crew.hear(worker, {"state": "counts", "events": 1})
        assert isinstance(crew.died(worker, KILLED), Restart)


def test_a_view_that_makes_progress_between_kills_is_not_given_up(tmp_path):
    """It counts anew each time, and may live shorter than the first one."""
    text = THREE_NODES + "  look: {node: storage, file: f.py, function: save, observes: [raw]}\n"
    plan = planned(tmp_path, text)[1]
    crew = Crew(tasks_of(plan.nodes["daq"], plan))
    sender = task_of(crew, "view-send")
    for life in range(2 * MAX_IDLE_DEATHS):
        let_run(crew)
        crew.hear(sender, {"state": "counts", "sent": 1 if life else 1000, "bytes": 1})
        assert isinstance(crew.died(sender, KILLED, "", Traces()), Restart)


def test_what_the_rings_tell_is_progress_even_if_a_worker_did_not_live_to_say_it(crew):
    worker = task_of(crew, "worker")
    for _ in range(10 * MAX_BARREN_DEATHS):
        let_run(crew)
        assert isinstance(crew.died(worker, KILLED, "", Traces(done=1, in_hand=3)), Restart)


def test_a_worker_that_had_nothing_to_do_is_given_up_later_than_one_with_an_event_in_hand(crew):
    worker = task_of(crew, "worker")
    for _ in range(MAX_IDLE_DEATHS - 1):
        let_run(crew)
        assert isinstance(crew.died(worker, KILLED, "", Traces()), Restart)
    for _ in range(MAX_BARREN_DEATHS - 1):
        let_run(crew)
        assert isinstance(crew.died(worker, KILLED, "", Traces(in_hand=1)), Restart)
    let_run(crew)
    assert isinstance(crew.died(worker, KILLED, "", Traces(in_hand=1)), Gone)


def test_a_killed_importer_is_not_started_again(plan):
    crew = Crew(tasks_of(plan.nodes["daq"], plan))
    let_run(crew)
    assert isinstance(crew.died(task_of(crew, "worker"), KILLED), Gone)


def test_a_process_that_never_went_ends_quietly_when_the_run_ends(crew):
    crew.stopping = True
    assert crew.died(task_of(crew, "worker"), KILLED) == Gone()


def test_a_restart_comes_back_even_while_the_run_ends(crew):
    let_run(crew)
    crew.stopping = True
    assert isinstance(crew.died(task_of(crew, "worker"), KILLED), Restart)


def test_a_group_has_readers_until_the_last_has_ended(crew):
    let_run(crew)
    worker = task_of(crew, "worker")
    assert crew.has_reader("raw.in", "readers")
    crew.hear(worker, {"state": "failed", "error": "x"})
    crew.died(worker, 1)
    assert not crew.has_reader("raw.in", "readers")


def test_with_restart_an_event_is_put_aside_at_its_third_failure_and_the_next_one_has_three_as_well(tmp_path):
    crew = crew_of(tmp_path, "restart")
    worker = task_of(crew, "worker")
    for _ in range(2):
        asides = [fail(crew, worker).aside for _ in range(FAILURES_OF_AN_EVENT)]
        assert asides == [False, False, True]
        crew.event_is_aside(*worker.reads[0])


def test_with_restart_a_function_that_does_nothing_but_fail_is_given_up(tmp_path):
    crew = crew_of(tmp_path, "restart")
    worker = task_of(crew, "worker")
    restarts = [fail(crew, worker) for _ in range(MAX_BARREN_FAILURES - 1)]
    assert all(isinstance(restart, Restart) for restart in restarts)
    assert [restart.delay_s for restart in restarts[:4]] == [0.1, 0.5, 2.0, 2.0]
    assert fail(crew, worker) == Gone(
        f"worker pick.0 failed {MAX_BARREN_FAILURES} times in a row, and is not started again: ValueError: no"
    )


def test_a_function_that_handles_an_event_between_its_failures_is_not_given_up(tmp_path):
    crew = crew_of(tmp_path, "restart")
    worker = task_of(crew, "worker")
    for _ in range(2 * MAX_BARREN_FAILURES):
        assert isinstance(fail(crew, worker), Restart)
        crew.hear(worker, {"state": "counts", "events": 1})


def test_skip_goes_on_however_many_events_fail_without_waiting(tmp_path):
    crew = crew_of(tmp_path, "skip")
    worker = task_of(crew, "worker")
    restarts = [fail(crew, worker) for _ in range(2 * MAX_BARREN_FAILURES)]
    assert all(restart.aside and restart.delay_s == 0.0 for restart in restarts)


@pytest.mark.parametrize("on_error", ["restart", "skip"])
def test_the_end_of_a_run_does_not_wait_for_a_function_that_does_nothing_but_fail(tmp_path, on_error):
    crew = crew_of(tmp_path, on_error)
    worker = task_of(crew, "worker")
    fail(crew, worker)
    crew.stopping = True
    assert crew.give_up(worker) is None
    deaths = [fail(crew, worker) for _ in range(MAX_BARREN_FAILURES)]
    assert any(isinstance(death, Gone) for death in deaths)


def test_a_process_that_waits_to_be_started_again_is_given_up_when_the_run_ends(tmp_path):
    crew = crew_of(tmp_path, "restart")
    worker = task_of(crew, "worker")
    for _ in range(MAX_BARREN_FAILURES - 1):
        fail(crew, worker)
    crew.stopping = True
    assert "not started again as the run ends" in crew.give_up(worker).trouble
    assert worker not in crew.left


def test_an_heir_knows_what_the_node_before_it_knew(tmp_path):
    crew = crew_of(tmp_path, "restart")
    receiver, sender, worker = (task_of(crew, kind) for kind in ("receive", "send", "worker"))
    crew.hear(receiver, {"state": "bound", "port": 4711})
    let_run(crew)
    crew.hear(worker, {"state": "told", "text": "a row is lost", "number": 1})
    crew.hear(worker, {"state": "counts", "events": 5})
    assert isinstance(crew.died(worker, KILLED, "12:00:05"), Restart)
    crew.hear(sender, {"state": "finished", "sent": 3})
    assert crew.died(sender, 0) == Gone(finished=True)
    crew.hear(receiver, {"state": "failed", "error": "no port"})
    gone = crew.died(receiver, 1)
    crew.stopping = True

    heir = Crew([*crew.left, sender, receiver])
    heir.restore(json.loads(json.dumps(crew.to_plain())))
    assert heir.stopping
    assert heir.ports == {receiver.name: 4711}
    assert heir.worker_counts() == crew.worker_counts()
    assert heir.link_counts() == crew.link_counts()
    assert [heir.phase(task) for task in (receiver, sender, worker)] == ["failed", "ended", "starting"]
    assert heir.end_of(receiver) == gone
    assert heir.end_of(sender) == Gone(finished=True)
    assert heir.went(worker)
    heir.hear(worker, {"state": "told", "text": "a row is lost", "number": 1})  # said again to the heir
    assert heir.died(worker, KILLED).why == crew.died(worker, KILLED).why


def test_a_process_whose_node_died_before_it_went_is_started_again_and_that_counts_for_nothing(crew):
    worker = task_of(crew, "worker")
    crew.hear(worker, {"state": "ready"})
    assert crew.deserted(worker) == Restart(0.0, "", "")
    assert crew.phase(worker) == "starting"
    assert crew.worker_counts()[worker.name]["restarts"] == 0
    crew.stopping = True
    assert crew.deserted(worker) == Gone()
