"""Nothing is lost at an end that comes early: stop with a backlog, after some events or some time.

The great runs have two processes for one function of each kind.
"""

from __future__ import annotations

import itertools
import json

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import change, completed, copy_of, function, result, started
from tests.support import eventually, let_pass, mimocorb_node

SLOTS = 128
"""In the first buffer, which is full when its reader takes its time."""
PAUSE_S = 1.0
DISCARDED = 100
"""How many events at least a source goes on to give in a pause."""
MAX_EVENTS = 2000
PARALLEL_1 = (2, 3, 4, 5, 7)
PARALLEL_2 = ("record", "choose", "keep", "analyse", "peaks", "table", "export")


def endless_1(setup):
    """Let the source of version 1 go on, and its first readers take 8 ms for an event."""

    def changes(document):
        version_1.without_observers(document)
        document["RingBuffer"][0]["RB_1"]["number_of_slots"] = SLOTS
        for index in PARALLEL_1:
            function(document, index)["num_process"] = 2

    change(setup, changes)
    change(
        setup.parent / "config" / "common.yaml",
        lambda config: (
            config.update(general={}),
            config["waveforms"].update(events=10**9, pause_s=0.0005),
            config["parameters"].update(takes_s=0.008),
        ),
    )


def endless_2(setup):
    def changes(document):
        version_2.without_observers(document)
        document["Buffers"]["recorded"]["slot_count"] = SLOTS
        for name in PARALLEL_2:
            document["Workers"][name]["number_of_processes"] = 2
        document["Workers"]["source"]["config"] = {"events": 10**9, "pause_s": 0.0005}
        document["Workers"]["choose"]["config"] = {"takes_s": 0.008}

    change(setup, changes)


def command(process, name):
    done = mimocorb_node(name, "--broker", process.broker())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stopped_1(tmp_path_factory):
    """Version 1: paused, resumed, and stopped with a backlog."""
    setup = copy_of("version_1", tmp_path_factory.mktemp("stopped")) / "chain_setup.yaml"
    endless_1(setup)
    with started(setup) as process:
        process.until("RB_1", 50)
        command(process, "pause")
        let_pass(PAUSE_S, "the pause lasts")
        command(process, "resume")
        process.until("RB_1", process.written("RB_1") + SLOTS + 50)
        process.interrupt()
        output = process.ends(0)
    return result(setup, output)


def test_version_1_loses_nothing_when_stopped_with_a_backlog(stopped_1):
    stopped_1.assert_good()
    assert stopped_1.buffers["RB_1"]["max_fill"] > 0.5
    version_1.assert_outputs(stopped_1.directory, range(1, stopped_1.buffers["RB_1"]["written"] + 1), 2)


def test_the_source_of_version_1_waits_in_a_pause(stopped_1):
    """So all counters are there, and between the times of two lies the pause."""
    assert stopped_1.buffers["RB_1"]["discarded_while_paused"] == 0
    lines, _ = version_1.read_sums(stopped_1.directory)
    times_s = sorted(line[1] for line in lines if line[0] % 2)
    assert max(after - before for before, after in itertools.pairwise(times_s)) > 0.9 * PAUSE_S


def assert_small(run):
    """All that the small lab's source has put is saved, in order."""
    written = run.buffers["RB_1"]["written"]
    (path,) = run.directory.glob("saved*.txt")
    assert [int(line) for line in path.read_text().split()] == list(range(1, written + 1))
    return written


@pytest.mark.parametrize("place", ["Fkt_main", "general"])
def test_version_1_ends_after_runevents(tmp_path, place):
    """What the common file says wins."""
    setup = copy_of("faults_1", tmp_path) / "put_setup.yaml"
    main = {"runevents": 120 if place == "Fkt_main" else 10**6}
    if place == "general":
        main["config_file"] = "common.yaml"
        (setup.parent / "common.yaml").write_text("general: {runevents: 120}\n")
    change(setup, lambda document: function(document, 0).update(main))
    written = assert_small(completed(setup))
    assert 120 <= written < 1000


def test_version_1_ends_after_runtime(tmp_path):
    setup = copy_of("faults_1", tmp_path) / "put_setup.yaml"
    change(setup, lambda document: function(document, 0).update(runtime=1, runevents=-1))
    run = completed(setup)
    assert_small(run)
    answers = [line.split() for line in (run.directory / "answers.txt").read_text().splitlines()]
    assert 0.5 < float(answers[-1][2]) - float(answers[0][2]) < 5


def test_version_2_loses_nothing_when_stopped_with_a_backlog(tmp_path):
    setup = copy_of("version_2", tmp_path) / "setup.yaml"
    endless_2(setup)
    with started(setup) as process:
        process.until("recorded", SLOTS + 50)
        process.interrupt()
        output = process.ends(0)
    run = result(setup, output, "results")
    run.assert_good()
    assert run.buffers["recorded"]["max_fill"] > 0.5
    version_2.assert_outputs(run.directory, range(run.buffers["raw"]["written"]), 2)


def discarded(buffers):
    return buffers["raw"]["discarded_while_paused"]


@pytest.fixture(scope="module")
def paused_2(tmp_path_factory):
    """Version 2: paused, resumed, and ended after a number of events."""
    setup = copy_of("version_2", tmp_path_factory.mktemp("paused")) / "by_hand.yaml"
    change(setup, lambda document: document["Workers"]["write"]["config"].update(events=10**9))
    with started(setup, "--max-events", str(MAX_EVENTS)) as process:
        process.until("raw", 20)
        command(process, "pause")
        eventually(
            lambda: discarded(process.overview()["buffers"]) > DISCARDED, 30.0, "events dropped in the pause"
        )
        command(process, "resume")
        output = process.ends(0)
    run = result(setup, output)
    run.assert_good()
    return run


def written_by_hand(run):
    events = json.loads((run.directory / "read.json").read_text())["events"]
    numbers = [int(event[0]) // 2 for event in events[::2]]
    assert numbers == [int(event[0]) // 2 for event in events[1::2]]
    return numbers


def test_version_2_ends_after_a_number_of_events(paused_2):
    assert MAX_EVENTS <= len(written_by_hand(paused_2)) < MAX_EVENTS + 1000


def test_the_source_of_version_2_goes_on_in_a_pause(paused_2):
    """What it gives then is counted and dropped; nothing else is missing, and the order is kept."""
    numbers = written_by_hand(paused_2)
    missing = discarded(paused_2.buffers)
    assert missing > DISCARDED
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    assert numbers[0] == 0
    assert sorted(steps) == [1] * (len(steps) - 1) + [missing + 1]
