"""Nothing is lost at an end that comes early: stop with a backlog, after some events or some time."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import change, completed, copy_of, function, result, started
from tests.support import mimocorb_node

SLOTS = 128
"""In the first buffer, which is full when its reader takes its time."""
PAUSE_S = 1.0


def endless_1(setup):
    """Let the source of version 1 go on, and its first reader take 4 ms for an event."""

    def changes(document):
        version_1.without_observers(document)
        document["RingBuffer"][0]["RB_1"]["number_of_slots"] = SLOTS

    change(setup, changes)
    change(
        setup.parent / "config" / "common.yaml",
        lambda config: (
            config.update(general={}),
            config["waveforms"].update(events=10**9, pause_s=0.0005),
            config["parameters"].update(takes_s=0.004),
        ),
    )


def endless_2(setup):
    def changes(document):
        version_2.without_observers(document)
        document["Buffers"]["recorded"]["slot_count"] = SLOTS
        document["Workers"]["source"]["config"] = {"events": 10**9, "pause_s": 0.0005}
        document["Workers"]["choose"]["config"] = {"takes_s": 0.004}

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
        time.sleep(PAUSE_S)
        command(process, "resume")
        process.until("RB_1", process.written("RB_1") + SLOTS + 50)
        process.interrupt()
        output = process.ends(0)
    return result(setup, output)


def test_version_1_loses_nothing_when_stopped_with_a_backlog(stopped_1):
    stopped_1.assert_good()
    assert stopped_1.buffers["RB_1"]["max_fill"] > 0.5
    version_1.assert_outputs(stopped_1.directory, range(1, stopped_1.buffers["RB_1"]["written"] + 1))


def test_the_source_of_version_1_waits_in_a_pause(stopped_1):
    """So all counters are there, and between the times of two lies the pause."""
    assert stopped_1.buffers["RB_1"]["discarded_while_paused"] == 0
    lines, _ = version_1.read_sums(stopped_1.directory)
    times_s = [line[1] for line in lines if line[0] % 2]
    *steps_s, longest_s = sorted(after - before for before, after in itertools.pairwise(times_s))
    assert longest_s > 0.9 * PAUSE_S > steps_s[-1]


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


@pytest.fixture(scope="module")
def stopped_2(tmp_path_factory):
    """Version 2: paused, resumed, and stopped with a backlog."""
    setup = copy_of("version_2", tmp_path_factory.mktemp("stopped")) / "setup.yaml"
    endless_2(setup)
    with started(setup) as process:
        process.until("raw", 50)
        command(process, "pause")
        time.sleep(PAUSE_S)
        command(process, "resume")
        process.until("recorded", SLOTS + 50)
        process.interrupt()
        output = process.ends(0)
    return result(setup, output, "results")


def test_version_2_loses_nothing_when_stopped_with_a_backlog(stopped_2):
    stopped_2.assert_good()
    assert stopped_2.buffers["recorded"]["max_fill"] > 0.5
    lines, _ = version_2.read_lines(stopped_2.directory, "sums*.csv", ",")
    assert len(lines) == stopped_2.buffers["raw"]["written"]


def test_the_source_of_version_2_goes_on_in_a_pause(stopped_2):
    """Its events are counted, and nobody gets them."""
    assert stopped_2.buffers["raw"]["discarded_while_paused"] > 0


def test_version_2_ends_after_a_number_of_events(tmp_path):
    setup = copy_of("version_2", tmp_path) / "by_hand.yaml"
    change(setup, lambda document: document["Workers"]["write"]["config"].update(events=10**9))
    run = completed(setup, "--max-events", "120")
    written = run.buffers["raw"]["written"]
    assert 120 <= written < 2000
    events = json.loads((run.directory / "read.json").read_text())["events"]
    assert [event[0] for event in events] == [2 * n for n in range(written) for _ in range(2)]
