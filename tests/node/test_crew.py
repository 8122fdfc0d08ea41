from __future__ import annotations

import signal

import pytest

from mimocorb_dist.node.crew import MAX_BARREN_DEATHS, Crew, Gone, Restart
from mimocorb_dist.node.tasks import LINK_STAGE, tasks_of
from tests.broker.plans import THREE_NODES, planned

KILLED = -signal.SIGKILL


@pytest.fixture
def plan(tmp_path):
    return planned(tmp_path, THREE_NODES)[1]


@pytest.fixture
def crew(plan):
    return Crew(tasks_of(plan.nodes["filter"], plan))


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
    assert crew.died(worker, -signal.SIGTERM) == Gone()
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
    assert crew.died(worker, 0) == Gone()
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
