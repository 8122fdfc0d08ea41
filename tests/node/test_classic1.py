"""Setups of mimoCoRB 1 are run as their authors know it, and end well."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time

import pytest

from mimocorb_dist.node import client
from tests.support import at_rest, eventually, free_port, let_pass, mimocorb_node, small_disk

from .classic1 import SETUP, assert_all_saved, record, rows, run_directories, started, write_setup
from .running import assert_balanced

REPORTED_S = 1.1
"""Longer than from one overview to the next."""
OWN_NAME = r"\d{4}-\d\d-\d\d_\d{4}"


def test_a_run_ends_with_its_source_and_leaves_what_was_used(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "common.yaml").write_text("general: {runtime: 60}\nsource: {events: 99}\n")
    (tmp_path / "configs" / "source.yaml").write_text("events: 300\n")
    text = SETUP.replace("fkt_name: source,", "fkt_name: source, config_file: configs/source.yaml,")
    setup = write_setup(
        tmp_path, text, "pulses_setup.yaml", MAIN="config_file: configs/common.yaml", SOURCE="events: 5"
    )
    with started(setup) as run:
        run.ends(0)
    assert_all_saved(tmp_path, 300)
    (directory,) = run_directories(tmp_path)
    assert re.fullmatch(f"pulses_{OWN_NAME}", directory.name)
    names = {
        "run.json",
        "data_flow.svg",
        "stats.csv",
        "logs",
        "pulses_setup.yaml",
        "common.yaml",
        "source.yaml",
    }
    assert names <= {path.name for path in directory.iterdir()}
    assert not (directory / "setup.yaml").exists()
    assert (directory / "pulses_setup.yaml").read_text() == setup.read_text()
    assert_balanced(record(tmp_path))


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_any_number_of_processes_gives_the_same_events(tmp_path, processes):
    text = SETUP.replace("num_process: 1, RB_assign: {RB_2", f"num_process: {processes}, RB_assign: {{RB_2")
    text = text.replace(
        "num_process: 1, RB_assign: {RB_1: read", f"num_process: {processes}, RB_assign: {{RB_1: read"
    )
    text = text.replace("num_process: 2", f"num_process: {processes}")
    with started(write_setup(tmp_path, text, SOURCE="events: 500")) as run:
        run.ends(0)
    assert_all_saved(tmp_path, 500)


def test_a_setup_in_another_folder_is_relative_to_the_working_directory(tmp_path):
    setup = write_setup(tmp_path, SOURCE="events: 10")
    (tmp_path / "setups").mkdir()
    moved = setup.rename(tmp_path / "setups" / setup.name)
    done = mimocorb_node("start", f"setups/{moved.name}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_all_saved(tmp_path, 10)


def test_runs_of_one_minute_have_directories_of_their_own(tmp_path):
    setup = write_setup(tmp_path, SOURCE="events: 3", name="setup.yaml")
    with started(setup) as one, started(setup) as two:
        one.ends(0)
        two.ends(0)
    names = [path.name for path in run_directories(tmp_path)]
    assert len(names) == 2
    assert all(re.fullmatch(f"{OWN_NAME}(_2)?", name) for name in names)
    assert "GOOD" in mimocorb_node("runs", cwd=tmp_path).stdout
    listed = mimocorb_node("runs", cwd=tmp_path).stdout
    assert all(name in listed for name in names)
    report = mimocorb_node("report", f"target/{names[0]}", cwd=tmp_path).stdout
    assert "GOOD" in report and "RB_1" in report


# Ends.


@pytest.mark.parametrize("count", [1, 250])
def test_runevents_counts_the_events_of_the_first_buffer(tmp_path, count):
    with started(write_setup(tmp_path, MAIN=f"runevents: {count}")) as run:
        assert "the event limit is reached" in run.ends(0)
    assert_all_saved(tmp_path, count)


def test_the_command_line_overrides_the_limits_of_the_setup(tmp_path):
    with started(
        write_setup(tmp_path, MAIN="runevents: 10, runtime: 1"), "--max-events", "700", "--max-time", "60"
    ) as run:
        run.ends(0)
    assert_all_saved(tmp_path, 700)


def test_runtime_ends_the_run(tmp_path):
    with started(write_setup(tmp_path, MAIN="runtime: 0.5", SOURCE="rate: 100")) as run:
        assert "the time is over" in run.ends(0)
    assert_all_saved(tmp_path, record(tmp_path)["buffers"]["RB_1"]["written"])


@pytest.mark.parametrize("end", ["stop", "signal"])
def test_a_stop_with_a_backlog_loses_nothing(tmp_path, end):
    with started(write_setup(tmp_path, ODD="work_s: 0.02")) as run:
        run.until("RB_2", 20)
        if end == "stop":
            client.command("stop", run.broker())
        else:
            run.process.send_signal(signal.SIGINT)
        run.ends(0)
    assert_all_saved(tmp_path, record(tmp_path)["buffers"]["RB_1"]["written"])


TWO_SOURCES = (
    SETUP
    + """
  - Fkt_5: {file_name: modules/f, fkt_name: source, num_process: 1, RB_assign: {RB_3: write},
            config_file: endless.yaml}
  - Fkt_6: {file_name: modules/f, fkt_name: save, num_process: 1, RB_assign: {RB_3: read}}
"""
)
THIRD_BUFFER = """\
  - RB_3:
      number_of_slots: 8
      channel_per_slot: 1
      data_type: {1: [number, int64], 2: [double, float64]}
"""


def with_third_buffer(text):
    return text.replace("BUFFERS\n", "BUFFERS\n" + THIRD_BUFFER)


def test_the_end_of_the_first_function_ends_the_run(tmp_path):
    (tmp_path / "endless.yaml").write_text("rate: 200\n")
    with started(write_setup(tmp_path, with_third_buffer(TWO_SOURCES), SOURCE="events: 40")) as run:
        assert "Fkt_1 has ended, and with it the run" in run.ends(0)
    assert_all_saved(tmp_path, 40)
    book = record(tmp_path)["buffers"]["RB_3"]
    assert book["written"] == book["read"] == len(rows(tmp_path, "RB_3"))


def test_the_end_of_another_source_does_not(tmp_path):
    (tmp_path / "endless.yaml").write_text("events: 1\n")
    with started(
        write_setup(tmp_path, with_third_buffer(TWO_SOURCES), SOURCE="events: 100, rate: 200")
    ) as run:
        run.ends(0)
    assert_all_saved(tmp_path, 100)
    assert record(tmp_path)["buffers"]["RB_3"]["written"] == 1


def test_a_first_function_that_reads_ends_the_run_too(tmp_path):
    text = SETUP.replace("fkt_name: source", "fkt_name: FIRST").replace(
        "fkt_name: save, num_process: 1, RB_assign: {RB_1: read}",
        "fkt_name: source, num_process: 1, RB_assign: {RB_1: write}",
    )
    text = text.replace(
        "fkt_name: FIRST, num_process: 1, RB_assign: {RB_1: write}",
        "fkt_name: some, num_process: 1, RB_assign: {RB_1: read}",
    )
    with started(write_setup(tmp_path, text, SOME="events: 20")) as run:
        assert "Fkt_1 has ended, and with it the run" in run.ends(0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "DEGRADED")
    assert "rescued to rescue/RB_1.mimo" in content["run"]["reasons"][0]
    assert_balanced(content)
    assert content["buffers"]["RB_1"]["lost"] == 0
    numbers = [counter for counter, _ in rows(tmp_path, "RB_2")]
    assert numbers == list(range(1, content["buffers"]["RB_1"]["written"] + 1, 2))


WITH_ALONE = SETUP + "  - Fkt_5: {file_name: modules/f, fkt_name: alone, num_process: 2}\n"


@pytest.mark.parametrize("goes_on", ["true", "false"])
def test_a_function_without_buffers_does_not_hold_up_the_end(tmp_path, goes_on):
    with started(
        write_setup(tmp_path, WITH_ALONE, SOURCE="events: 200, rate: 200", ALONE=f"goes_on: {goes_on}")
    ) as run:
        since_s = time.monotonic()
        output = run.ends(0)
    assert time.monotonic() - since_s < 10
    assert f"lists: None None None {{}} {tmp_path}" in output
    assert "killed" not in output
    assert_all_saved(tmp_path, 200)


def test_a_function_that_fails_ends_the_run_with_its_reason(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 200", ODD="work_s: nothing")
    with started(setup) as run:
        output = run.ends(1)
    assert "Fkt_2" in output and "TypeError" in output
    assert_balanced(record(tmp_path))


# A pause.


def test_in_a_pause_sources_wait_and_nothing_is_discarded(tmp_path):
    with started(write_setup(tmp_path, MAIN="runtime: 4", SOURCE="rate: 100")) as run:
        run.until("RB_1", 20)
        client.command("pause", run.broker())
        (directory,) = run_directories(tmp_path)

        def asked():
            text = eventually((directory / "asked_RB_1.txt").read_text, 10.0, "what is just being written")
            return int(text)

        at_rest(asked, REPORTED_S)
        eventually(lambda: run.written("RB_1") >= asked() - 1, 30.0, "all that was asked for is reported")
        written = run.written("RB_1")
        let_pass(3.0, "with what has gone before longer than the run has left")
        overview = run.overview()
        assert overview["run"]["state"] == "paused"
        assert overview["buffers"]["RB_1"]["written"] == written
        assert overview["buffers"]["RB_1"]["paused"]
        assert asked() <= written + 1
        client.command("resume", run.broker())
        assert "the time is over" in run.ends(0)
    content = record(tmp_path)
    assert content["buffers"]["RB_1"]["discarded_while_paused"] == 0
    assert content["buffers"]["RB_1"]["dead_time_s"] < 0.5
    assert content["buffers"]["RB_1"]["written"] > written
    assert_all_saved(tmp_path, content["buffers"]["RB_1"]["written"])


def test_a_stop_ends_a_paused_run(tmp_path):
    with started(write_setup(tmp_path, SOURCE="rate: 100")) as run:
        run.until("RB_1", 10)
        client.command("pause", run.broker())
        client.command("stop", run.broker())
        run.ends(0)
    assert_all_saved(tmp_path, record(tmp_path)["buffers"]["RB_1"]["written"])


def test_sources_wait_for_room_on_the_disk_and_that_is_dead_time(tmp_path):
    text = SETUP + "Disk: {warn: 40 %, pause: 20 %}\n"
    setup = write_setup(tmp_path, text, SOURCE="rate: 100, events: 400")
    with small_disk(tmp_path / "target", "4m"), started(setup) as run:
        run.until("RB_1", 20)
        (directory,) = run_directories(tmp_path)
        (others := directory / "others").write_bytes(bytes(3_600_000))
        eventually(lambda: state(run) == "paused", 20.0, "the disk is nearly full")
        written = at_rest(lambda: run.written("RB_1"), REPORTED_S)
        assert int((directory / "asked_RB_1.txt").read_text()) <= written + 1
        assert run.written("RB_1") == written < 400
        others.unlink()
        assert "there is room on the disk again; running" in run.ends(0)
        content = record(tmp_path)
        assert_all_saved(tmp_path, 400)
    (held,) = content["incidents"]
    book = content["buffers"]["RB_1"]
    assert (book["written"], book["discarded_while_paused"]) == (400, 0)
    assert book["dead_time_s"] == pytest.approx(held["duration_s"], abs=1.0)


def state(run):
    return (run.overview() or {"run": {}})["run"].get("state")


def test_letters_are_commands_where_the_setup_wants_keys(tmp_path):
    text = SETUP.replace("KBD_control: false", "KBD_control: true")
    with started(write_setup(tmp_path, text, SOURCE="rate: 100"), stdin=subprocess.PIPE) as run:
        keys = run.process.stdin
        for letter, reached in (("P", "paused"), ("R", "running")):
            run.until("RB_1", 5)
            keys.write(f"{letter}\n")
            keys.flush()
            eventually(lambda state=reached: (run.overview() or {"run": {}})["run"].get("state") == state, 20)
        keys.write("E\n")
        keys.flush()
        run.ends(0)
    assert_all_saved(tmp_path, record(tmp_path)["buffers"]["RB_1"]["written"])


def test_without_keys_nothing_is_read_from_the_standard_input(tmp_path):
    with started(write_setup(tmp_path, SOURCE="events: 50, rate: 100"), stdin=subprocess.PIPE) as run:
        run.process.stdin.write("E\n")
        run.process.stdin.flush()
        run.ends(0)
    assert_all_saved(tmp_path, 50)


# Observers, and mistakes.


def test_observers_see_events_and_end(tmp_path):
    text = SETUP + (
        "  - Fkt_5: {file_name: modules/f, fkt_name: watch, num_process: 1, RB_assign: {RB_1: observe}}\n"
        "  - Fkt_6: {file_name: modules/f, fkt_name: watch, num_process: 1, RB_assign: {RB_2: observe}}\n"
    )
    with started(write_setup(tmp_path, text, SOURCE="events: 100, rate: 100")) as run:
        run.ends(0)
    assert_all_saved(tmp_path, 100)
    (directory,) = run_directories(tmp_path)
    for buffer in ("RB_1", "RB_2"):
        seen = [int(line) for line in (directory / f"seen.{buffer}.txt").read_text().split()]
        assert seen == sorted(set(seen)) and 3 < len(seen) < 100


def test_a_mistake_starts_nothing(tmp_path):
    setup = write_setup(tmp_path, SETUP.replace("fkt_name: odd", "fkt_name: od"))
    done = mimocorb_node("start", setup.name, cwd=tmp_path)
    assert done.returncode == 2
    assert "test_setup.yaml:" in done.stderr and "did you mean 'odd'?" in done.stderr
    assert not (tmp_path / "target").exists()


def test_a_function_file_that_fails_leaves_no_directory(tmp_path):
    setup = write_setup(tmp_path, SOURCE="events: 5")
    (tmp_path / "modules" / "beside.py").unlink()
    with started(setup) as run:
        assert "No module named 'beside'" in run.ends(2)
    assert not list((tmp_path / "target").iterdir())


# Several nodes.

NODES = "Nodes: {daq: {}, filter: {}, storage: {}}\nBroker: {node: storage, port: PORT}\n"


def on_nodes(text, *nodes):
    """Put the functions of a setup on nodes, in their order."""
    for number, node in enumerate(nodes, 1):
        text = re.sub(rf"(- Fkt_{number}: {{)", rf"\1node: {node}, ", text)
    return NODES.replace("PORT", str(free_port())) + text


@pytest.mark.parametrize(
    "nodes",
    [
        ("daq", "filter", "storage", "storage", "storage", "filter"),
        ("daq", "[filter, storage]", "daq", "storage", "daq", "storage"),
        ("daq", "daq", "daq", "daq", "filter", "storage"),
    ],
)
def test_several_nodes_give_the_same_rows(tmp_path, nodes):
    text = (
        WITH_ALONE
        + "  - Fkt_6: {file_name: modules/f, fkt_name: watch, num_process: 1, RB_assign: {RB_2: observe}}\n"
    )
    with started(
        write_setup(tmp_path, on_nodes(text, *nodes), SOURCE="events: 400, rate: 800"), "--all"
    ) as run:
        output = run.ends(0)
    assert "killed" not in output, output
    assert_all_saved(tmp_path, 400)


def test_limits_and_pauses_work_across_nodes(tmp_path):
    text = on_nodes(SETUP, "daq", "filter", "storage", "filter").replace(
        "- RB_2: {", "- RB_2: {node: storage, "
    )
    with started(write_setup(tmp_path, text, SOURCE="rate: 300", MAIN="runevents: 400"), "--all") as run:
        run.until("RB_1", 50)
        client.command("pause", run.broker())
        eventually(lambda: run.overview()["buffers"]["RB_1"]["paused"], 10)
        client.command("resume", run.broker())
        run.ends(0)
    assert_all_saved(tmp_path, 400)
    assert record(tmp_path)["buffers"]["RB_1"]["discarded_while_paused"] == 0


def test_a_node_that_only_observes_is_there_to_the_end(tmp_path):
    text = (
        SETUP
        + "  - Fkt_5: {file_name: modules/f, fkt_name: watch, num_process: 1, RB_assign: {RB_1: observe}}\n"
    )
    text = on_nodes(text, "daq", "daq", "daq", "daq", "storage").replace(", filter: {}", "")
    with started(write_setup(tmp_path, text, SOURCE="events: 500, rate: 100"), "--all") as run:
        run.ends(0)
    assert_all_saved(tmp_path, 500)
    (directory,) = run_directories(tmp_path)
    seen = [int(line) for line in (directory / "seen.RB_1.txt").read_text().split()]
    assert seen[-1] > 450
    shutil.rmtree(directory)


def test_nodes_with_working_directories_of_their_own(tmp_path):
    text = on_nodes(SETUP, "daq", "daq", "storage", "storage").replace(", filter: {}", "")
    one, other = (write_setup(tmp_path / name, text, SOURCE="events: 100") for name in ("one", "other"))
    with started(one, "--node", "storage") as storage, started(other, "--node", "daq") as daq:
        daq.ends(0)
        storage.ends(0)
    assert_all_saved(tmp_path / "one", 100)
    names = [run_directories(tmp_path / name)[0].name for name in ("one", "other")]
    assert names[0] == names[1]
    assert (run_directories(tmp_path / "other")[0] / "test_setup.yaml").exists()


def test_an_event_that_a_function_cannot_stand_is_put_aside(tmp_path):
    text = SETUP.replace("fkt_name: odd,", "fkt_name: odd, on_error: skip,")
    setup = write_setup(tmp_path, text, SOURCE="events: 60")
    functions = tmp_path / "modules" / "f.py"
    functions.write_text(
        functions.read_text().replace(
            "def is_odd(data):", "def is_odd(data):\n        1 / (int(data['number'][0]) - 8)"
        )
    )
    with started(setup) as run:
        run.ends(0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "DEGRADED")
    assert rows(tmp_path, "RB_2") == [(number, float(number)) for number in range(1, 61, 2)]
    assert content["buffers"]["RB_1"]["by_worker"]["Fkt_2"] == {"read": 59, "rescued": 1, "lost": 0}
    assert content["buffers"]["RB_1"]["by_worker"]["Fkt_4"] == {"read": 60, "rescued": 0, "lost": 0}


def test_killed_functions_lose_and_double_nothing(tmp_path):
    with started(write_setup(tmp_path, SOURCE="events: 1800, rate: 300")) as run:
        for count in (50, 200, 350):
            run.until("RB_2", count // 2)
            run.workers("Fkt_2")[0].kill()
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["state"] == "finished"
    assert 1 <= content["workers"]["Fkt_2"]["restarts"] <= 3
    assert rows(tmp_path, "RB_1") == [(number, 2.0 * number) for number in range(1, 1801)]
    assert sorted(set(rows(tmp_path, "RB_2"))) == [(number, float(number)) for number in range(1, 1801, 2)]


def test_a_buffer_that_nobody_reads_is_never_full(tmp_path):
    without = re.sub(r"  - Fkt_3: .*\n", "", SETUP).replace("Fkt_4", "Fkt_3")
    with started(write_setup(tmp_path, without, SOURCE="events: 300")) as run:
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD", content["run"]["reasons"]
    assert content["buffers"]["RB_2"]["written"] == 150
    assert len(rows(tmp_path, "RB_1")) == 300
    assert_balanced(content)
