"""Each fault of version 1 has a test here, named after it, of what is right.

In the end are two that its setups show besides.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.classic import version_1
from tests.classic.running import (
    Run,
    change,
    completed,
    copy_of,
    is_run_directory_of_version_1,
    result,
    runs_in,
    started,
)
from tests.support import eventually, let_pass, mimocorb_node

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = range(1, 151)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of("faults_1", tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def small(lab: Path) -> Run:
    """A run of the small setup."""
    with started(lab / "small_setup.yaml", stdin=subprocess.PIPE) as process:
        process.process.wait(60)  # communicate() would close the pipe
        output = process.ends(0)
    return result(lab / "small_setup.yaml", output)


def put_lab(folder: Path, **config: float) -> Path:
    """Return a setup in which 200 events wait for their reader soon."""
    setup = copy_of("faults_1", folder) / "put_setup.yaml"
    change(setup, lambda document: document["FunctionConfigs"]["put"].update(config))
    return setup


def saved(directory: Path) -> list[int]:
    texts = [path.read_text() for path in sorted(directory.glob("saved*.txt"))]
    return [int(line) for text in texts for line in text.split()]


def test_a_dead_reader_waits_for_ever(tmp_path):
    """Another process takes its place, and gets what it had not finished."""
    setup = put_lab(tmp_path)
    with started(setup) as process:
        process.until("RB_1", 100)
        (reader,) = process.workers("Fkt_2")
        reader.kill()
        killed_at = process.written("RB_1")
        process.until("RB_1", killed_at + 300)
        process.interrupt()
        output = process.ends(0, 30.0)
    run = result(setup, output)
    book = run.buffers["RB_1"]
    assert book["written"] == book["read"] == len(set(saved(run.directory)))
    assert "Fkt_2" in " ".join(run.record["run"]["reasons"])


def test_ctrl_c_waits_for_ever(tmp_path):
    setup = put_lab(tmp_path, pause_s=0.05)
    with started(setup) as process:
        process.until("RB_1", 5)
        begin_s = time.monotonic()
        process.interrupt()
        process.ends(0, 20.0)
        assert time.monotonic() - begin_s < 10
    result(setup).assert_good()


STOPPED_WITH_A_BACKLOG = """
import os, sys, time
import yaml
from mimocorb.buffer_control import buffer_control

if __name__ == "__main__":
    with open("put_setup.yaml") as file:
        setup = yaml.safe_load(file)
    os.makedirs("out", exist_ok=True)
    control = buffer_control(setup["RingBuffer"], setup["Functions"], setup["FunctionConfigs"], "out/")
    buffers = control.setup_buffers()
    control.setup_workers()
    control.start_workers()
    while buffers["RB_1"].buffer_status()[0] < 150:
        time.sleep(0.01)
    control.stop()
    control.shutdown()
"""


def test_stop_with_a_backlog_loses_events(tmp_path):
    setup = put_lab(tmp_path)
    change(setup, lambda document: document["Functions"][0]["Fkt_main"].update(config_file="common.yaml"))
    (setup.parent / "common.yaml").write_text("general: {}\n")
    script = setup.parent / "script.py"
    script.write_text(STOPPED_WITH_A_BACKLOG)
    done = mimocorb_node("python", script, cwd=setup.parent, timeout_s=60)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = saved(setup.parent / "out")
    answers = (setup.parent / "out" / "answers.txt").read_text().splitlines()
    put = [int(line.split()[0]) for line in answers if line.split()[1] == "True"]
    assert len(put) >= 150
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(put) - 1 <= len(numbers) <= len(put) + 1


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory):
    """Paused, resumed and ended with keys, without a window."""
    setup = put_lab(tmp_path_factory.mktemp("keys"), pause_s=0.01)
    with started(setup, "-c", "kbd", stdin=subprocess.PIPE) as process:

        def key(letter):
            process.process.stdin.write(f"{letter}\n")
            process.process.stdin.flush()

        def state_is(state):
            eventually(lambda: process.overview()["run"]["state"] == state, 20.0, f"the run is {state}")

        process.until("RB_1", 20)
        key("P")
        state_is("paused")
        let_pass(0.7, "the pause lasts")
        key("R")
        state_is("running")
        before = process.written("RB_1")
        process.until("RB_1", before + 20)
        key("E")
        output = process.ends(0, 30.0)
    run = result(setup, output)
    run.assert_good()
    return run, [line.split() for line in (run.directory / "answers.txt").read_text().splitlines()]


def test_without_a_window_any_command_crashes(commanded):
    run, _ = commanded
    assert "Traceback" not in run.output
    assert saved(run.directory) == list(range(1, run.buffers["RB_1"]["written"] + 1))


def test_rb_put_returns_none_while_paused(commanded):
    """It waits as the source does in version 1, and then says whether the buffer is active."""
    _, answers = commanded
    assert {answer for _, answer, _ in answers[:-1]} == {"True"}
    times = [float(time_s) for _, _, time_s in answers]
    assert max(after - before for before, after in itertools.pairwise(times)) > 0.5


def test_standard_input_from_a_pipe_hangs_every_worker(small):
    small.assert_good()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("number_of_slots: 200", "number_of_slot: 200", ["number_of_slot", "number_of_slots"]),
        ("number_of_slots: 200", "number_of_slots: 0", ["number_of_slots", "0"]),
        ('["number", "int64"]', '["number", "int65"]', ["int65"]),
        ('fkt_name: "put"', 'fkt_name: "putt"', ["putt", "put"]),
        ('file_name: "modules/small"\n      fkt_name: "put"', 'fkt_name: "put"', ["file_name"]),
        ('RB_assign: {RB_1: "read"}', 'RB_assign: {RB_2: "read"}', ["RB_2", "RB_1"]),
        ('RB_assign: {RB_1: "read"}', 'RB_assign: {RB_1: "reed"}', ["reed", "read"]),
        ("  - Fkt_2:", "  - Fkt_3:", ["Fkt_3", "Fkt_2"]),
        ("  - Fkt_main:\n      runtime: 0\n", "", ["Fkt_main"]),
        ("RingBuffer:", "RingBufer:", ["RingBufer", "RingBuffer"]),
    ],
)
def test_bad_setups_hang_with_a_bare_key_error(tmp_path, old, new, says):
    """They start nothing, and are told with file, line and the key that the user wrote."""
    setup = put_lab(tmp_path)
    setup.write_text((copy_of("faults_1", tmp_path / "again") / "put_setup.yaml").read_text())
    text = setup.read_text()
    assert old in text
    setup.write_text(text.replace(old, new))
    done = mimocorb_node("start", setup.name, cwd=setup.parent, timeout_s=20)
    message = done.stdout + done.stderr
    assert done.returncode == 2, message
    assert "Traceback" not in message
    assert re.search(rf"{re.escape(setup.name)}:\d+:\d+", message), message
    for words in says:
        assert words in message
    assert not list(setup.parent.glob("target/*"))


def test_runs_in_one_minute_share_a_directory_and_overwrite(tmp_path):
    setup = put_lab(tmp_path, events=10, pause_s=0)
    first = completed(setup)
    before = {path.name: path.read_bytes() for path in first.directory.iterdir() if path.is_file()}
    with started(setup) as process:
        process.ends(0)
    directories = runs_in(setup.parent / "target")
    assert len(directories) == 2
    assert all(is_run_directory_of_version_1(path, "put_") for path in directories)
    for name, content in before.items():
        assert (first.directory / name).read_bytes() == content
    assert [saved(path) for path in directories] == [list(range(1, 11))] * 2


def test_a_generator_that_ends_loses_the_last_event(small):
    assert small.buffers["RB_1"]["written"] == len(EVENTS)
    table = version_1.read_text(small.directory, "numbers")
    assert sorted(table["number"]) == list(EVENTS)


@pytest.mark.parametrize("name", ["look.txt", "look_again.txt"])
def test_a_second_observer_starves_the_first(small, name):
    version_1.assert_watched(small.directory / name, EVENTS)
    assert len((small.directory / name).read_text().splitlines()) > 5


def test_an_observed_buffer_without_events_cannot_be_ended(small):
    assert small.buffers["RB_3"]["written"] == 0
    assert (small.directory / "look_in_vain.txt").read_text() == "end\n"


def test_a_plain_string_dtype_stays_0(small):
    lines = (small.directory / "triples.csv").read_text().splitlines()
    assert lines == [f"{n},{2 * n},{3 * n}" for n in range(1, 21, 2)]


MODULES = (
    "activity_logger",
    "buffer_control",
    "bufferinfoGUI",
    "histogram_buffer",
    "mimo_buffer",
    "parquetReader",
    "plot_buffer",
    "pulseSimulator",
)


def test_importing_needs_a_display_even_without_a_window(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("".join(f"import mimocorb.{name}\n" for name in MODULES) + "print('imported')\n")
    done = mimocorb_node("python", script, env={"DISPLAY": "", "WAYLAND_DISPLAY": ""})
    assert done.stdout == "imported\n", done.stderr


def test_a_setup_without_a_common_config_file_is_a_type_error(small):
    assert (small.directory / "numbers.txt").is_file()  # its name stands in FunctionConfigs


def test_several_processes_of_a_saver_overwrite_each_other(small):
    table = version_1.read_text(small.directory, "numbers")
    assert sorted(table["counter"]) == sorted(table["number"]) == list(EVENTS)
