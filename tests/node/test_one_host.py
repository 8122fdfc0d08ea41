from __future__ import annotations

import os
import pickle
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from mimocorb_dist.node import client
from tests.node.running import (
    BUFFERS,
    ONE_HOST,
    Started,
    assert_balanced,
    record,
    run_directory,
    saved,
    write_setup,
)
from tests.support import eventually, let_pass, small_disk


def test_a_run_ends_by_itself_with_status_0_and_a_complete_directory(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="events: 1000")) as run:
        output = run.ends(0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "GOOD"), output
    assert (content["buffers"]["raw"]["written"], content["buffers"]["good"]["read"]) == (1000, 500)
    assert content["workers"]["pick"] == {
        "node": "local",
        "processes": 2,
        "restarts": 0,
        "errors": 0,
        "events": 1000,
    }
    assert_balanced(content)
    assert sorted(saved(tmp_path)) == list(range(0, 1000, 2))
    files = {path.name for path in run_directory(tmp_path).iterdir()}
    assert {"run.json", "setup.yaml", "data_flow.svg", "stats.csv", "logs"} <= files
    assert "saved by save\n" in (run_directory(tmp_path) / "logs" / "save.log").read_text()
    assert "save.0 | saved by save" in output


def test_ctrl_c_stops_the_importer_and_drains(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 2000", SAVE="takes_s: 0.002")) as run:
        run.until("good", 100)
        run.interrupt()
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD"
    assert_balanced(content)
    assert content["buffers"]["raw"]["lost"] == content["buffers"]["good"]["lost"] == 0
    assert len(saved(tmp_path)) == content["buffers"]["good"]["written"]


def test_sigterm_is_the_same_and_ends_an_importer_that_waits_for_its_source_too(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 0.02")) as run:
        eventually(lambda: (run.overview() or {}).get("run", {}).get("state") == "running", 30.0)
        run.process.terminate()
        run.ends(0, timeout_s=20.0)
    assert record(tmp_path)["run"]["quality"] == "GOOD"


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 2000", SAVE="takes_s: 1")) as run:
        run.until("good", 20)
        run.interrupt()
        eventually(lambda: run.overview()["run"]["state"] == "draining", 30.0)
        run.interrupt()
        run.ends(1, timeout_s=8.0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "ABORTED")
    assert_balanced(content)
    assert content["buffers"]["good"]["lost"] > 0
    assert any("good" in reason for reason in content["run"]["reasons"])


def test_killed_readers_lose_and_double_nothing(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 3000", PICK="takes_s: 0.0002")
    with Started(setup) as run:
        for number in range(1, 5):
            run.until("good", 200 * number)
            victim = run.workers("pick")[number % 2]
            victim.kill()
            eventually(lambda gone=victim.pid: gone not in [process.pid for process in run.workers("pick")])
            eventually(lambda: len(run.workers("pick")) == 2)
        run.interrupt()
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "DEGRADED"
    assert content["workers"]["pick"]["restarts"] == 4
    assert content["workers"]["pick"]["events"] == content["buffers"]["raw"]["written"]
    (reason,) = content["run"]["reasons"]
    assert reason.startswith("worker pick: restarted 4 times: pick")
    assert "was killed (SIGKILL), 4 times from " in reason
    assert (run_directory(tmp_path) / "logs" / "pick.log").read_text().count("was killed (SIGKILL)\n") == 4
    assert_balanced(content)
    assert content["buffers"]["raw"]["lost"] == 0
    numbers = saved(tmp_path)
    assert sorted(set(numbers)) == list(range(0, content["buffers"]["raw"]["written"], 2))


def test_a_killed_importer_ends_the_run_in_good_order(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 1000")) as run:
        run.until("good", 50)
        run.workers("source")[0].kill()
        run.ends(1)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "INCOMPLETE")
    assert "source.0 was killed (SIGKILL)" in content["run"]["reasons"][0]
    assert_balanced(content)
    assert content["buffers"]["raw"]["lost"] == 0


def test_a_failed_worker_ends_the_run_and_its_events_are_rescued(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 2000", PICK="fails_at: 200")) as run:
        output = run.ends(1)
    assert "cannot stand 200" in output
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "INCOMPLETE")
    assert any("ValueError: cannot stand 200" in reason for reason in content["run"]["reasons"])
    assert content["workers"]["pick"]["errors"] == 2  # the event went to the other process, too
    assert_balanced(content)
    raw = content["buffers"]["raw"]
    assert raw["lost"] == 0
    assert raw["rescued"] > 0
    with (run_directory(tmp_path) / "rescue" / "raw.mimo").open("rb") as file:
        header = pickle.load(file)
        events = np.fromfile(
            file,
            np.dtype([("data", header["data_dtype"], (header["data_length"],)), ("metadata", "V24")]),
        )
    rescued = events["data"]["number"][:, 0]
    assert len(rescued) == raw["rescued"]
    assert sorted({*rescued[rescued % 2 == 0], *saved(tmp_path)}) == list(range(0, raw["written"], 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("import a_module_that_is_nowhere", "a_module_that_is_nowhere"),
        ("def source(", "not valid Python"),
    ],
)
def test_functions_that_cannot_be_imported_end_the_start_with_status_2(tmp_path, text, words):
    setup = write_setup(tmp_path)
    (tmp_path / "f.py").write_text(text + "\ndef source(io): ...\ndef even(io): ...\ndef save(io): ...\n")
    with Started(setup) as run:
        assert words in run.ends(2)
    assert not list(tmp_path.glob("target/*"))  # what could not begin leaves no run


def test_a_worker_that_does_not_get_ready_is_named_and_ctrl_c_ends_the_start(tmp_path):
    setup = write_setup(tmp_path)
    with (tmp_path / "f.py").open("a") as code:
        code.write("\ntime.sleep(600)\n")
    with Started(setup, bufsize=0) as run:
        eventually(lambda: "still not ready" in run.process.stdout.readline(), 30.0)
        run.interrupt()
        run.ends(1)
    assert record(tmp_path)["run"]["quality"] == "ABORTED"


def test_a_full_disk_ends_the_run_with_its_reason_and_a_true_record(tmp_path):
    setup = write_setup(tmp_path, DISK_FILLING)
    with small_disk(tmp_path / "target", "2m"), Started(setup) as run:
        output = run.ends(1)
        content = record(tmp_path)
        stored = (run_directory(tmp_path) / "raw.mimo").stat().st_size
    assert "Traceback" not in output
    assert "run failed, quality INCOMPLETE" in output
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "INCOMPLETE")
    assert "No space left on device: " in content["run"]["reasons"][0]
    assert "free space and start again" in content["run"]["reasons"][0]
    raw = content["buffers"]["raw"]
    assert_balanced(content)
    assert 0 < stored - 80_024 * raw["read"] < 80_024  # the header, and no event that does not count as read
    assert raw["lost"] > 0


def test_a_disk_too_full_for_the_record_starts_nothing_and_leaves_nothing(tmp_path):
    with small_disk(tmp_path / "target", "256k") as disk:
        (disk / "others").write_bytes(bytes(250_000))
        with Started(write_setup(tmp_path)) as run:
            output = run.ends(2)
        assert [path.name for path in disk.iterdir()] == ["others"]
    assert output.count("No space left on device); free space and start again") == 1


@pytest.mark.parametrize("count", [1, 1000])
def test_max_events_is_exact(tmp_path, count):
    with Started(write_setup(tmp_path), "--max-events", str(count)) as run:
        run.ends(0)
    content = record(tmp_path)
    assert content["buffers"]["raw"]["written"] == count
    assert content["run"]["quality"] == "GOOD"
    assert_balanced(content)


def test_max_time_ends_the_run_and_what_is_typed_too_early_does_not(tmp_path):
    setup = write_setup(tmp_path, ONE_HOST + "\nBufers: {}\n", SOURCE="rate: 100")
    with Started(setup, "--max-time", "1", "-c", "kbd", stdin=subprocess.PIPE) as run:
        run.process.stdin.write("shutdown workers\n")
        run.process.stdin.flush()
        output = run.ends(0)
    assert "the run has not begun" in output
    assert f"warning: {setup}:" in output
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD"
    assert 1 < content["buffers"]["raw"]["written"] < 250


def test_pause_discards_and_counts_and_resume_goes_on(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 500")) as run:
        run.until("good", 50)
        assert client.command("pause", run.broker()) == "paused (root buffers)"
        eventually(lambda: run.overview()["buffers"]["raw"]["discarded_while_paused"] > 100)
        written = run.written("raw")
        assert run.overview()["run"]["state"] == "paused"
        assert run.written("raw") == written
        client.command("resume", run.broker())
        run.until("raw", written + 50)
        client.command("stop", run.broker())
        run.ends(0)
    content = record(tmp_path)
    assert content["buffers"]["raw"]["discarded_while_paused"] > 100
    assert content["buffers"]["good"]["discarded_while_paused"] == 0
    assert_balanced(content)


def test_a_flood_of_output_reaches_the_log_and_stops_nothing(tmp_path):
    text = BUFFERS + (
        "Workers:\n"
        "  source: {file: f.py, function: source, sinks: [raw], config: {events: 20000}}\n"
        "  save: {file: f.py, function: chatter, sources: [raw]}\n"
    )
    text = text.replace("  good: {slot_count: 64, data_length: 2, data_dtype: {number: int64}}\n", "")
    setup = write_setup(tmp_path, text)
    with Started(setup, stdout=subprocess.DEVNULL) as run:
        run.ends(0)
    lines = (run_directory(tmp_path) / "logs" / "save.log").read_text().splitlines()
    assert sum(line == "x" * 1000 for line in lines) == 20000


def test_an_observer_that_does_not_end_is_ended(tmp_path):
    text = ONE_HOST + "  look: {file: f.py, function: stubborn, observes: [raw]}\n"
    with Started(write_setup(tmp_path, text, SOURCE="events: 10")) as run:
        output = run.ends(0, timeout_s=25.0)
    assert "look.0 does not end" in output


def test_an_exporter_that_leaves_early_ends_the_run_and_nothing_is_lost(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 1000")
    code = (tmp_path / "f.py").read_text()
    (tmp_path / "f.py").write_text(code.replace("file.flush()", "file.flush(); break"))
    with Started(setup) as run:
        run.ends(1)
    content = record(tmp_path)
    assert "nobody reads good any more" in content["run"]["reasons"][0]
    assert_balanced(content)
    assert content["buffers"]["good"]["lost"] == 0


def test_when_the_node_is_killed_the_record_tells_what_its_processes_did_without_it(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 1000", SAVE="takes_s: 0.005")
    with Started(setup, grace_s=1.0) as run:
        run.until("good", 50)
        children = psutil.Process(run.process.pid).children(recursive=True)
        (broker,) = run.workers("broker")
        eventually(lambda: any(".ring" in mapped.path for mapped in broker.memory_maps()), what="its rings")
        broker.suspend()  # it does not see what happens before it is too late
        run.process.kill()
        run.process.wait()
        eventually(lambda: not any(child.is_running() for child in children if child != broker), 60.0)
        # Any other start on this machine does the same.
        with Started(write_setup(tmp_path / "next", SOURCE="events: 10")) as other:
            other.ends(0)
        assert not run.runtime_directories()
        broker.resume()
        eventually(lambda: not broker.is_running(), 60.0)
    content = eventually(lambda: (found := record(tmp_path))["run"]["finished"] and found, 10.0)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "ABORTED")
    assert len(content["run"]["reasons"]) == 1, content
    (reason,) = content["run"]["reasons"]
    assert reason.startswith(f"node local has died: its process {run.process.pid} on")
    assert_balanced(content)
    assert content["buffers"]["raw"]["lost"] == content["buffers"]["good"]["lost"] == 0
    assert sorted(saved(tmp_path)) == list(range(0, content["buffers"]["raw"]["written"], 2))
    assert content["workers"]["save"]["events"] == len(saved(tmp_path))


def test_a_target_that_cannot_be_made_ends_with_status_2(tmp_path):
    setup = write_setup(tmp_path)
    (tmp_path / "target").write_text("a file")
    with Started(setup) as run:
        assert "target_directory" in run.ends(2)


def test_a_port_in_use_ends_with_status_2_and_names_it(tmp_path):
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        setup = write_setup(tmp_path, ONE_HOST + f"\nBroker: {{port: {port}}}\n")
        with Started(setup) as run:
            output = run.ends(2)
    assert f"port {port}" in output
    assert "in use" in output


def test_a_mistake_in_the_setup_starts_nothing(tmp_path):
    setup = write_setup(tmp_path, ONE_HOST.replace("sources: [raw]", "source: [raw]"))
    with Started(setup) as run:
        assert "setup.yaml:" in run.ends(2)
    assert not (tmp_path / "target").exists()


def test_two_starts_in_one_second_have_directories_of_their_own(tmp_path):
    setup = write_setup(tmp_path, SOURCE="events: 10")
    with Started(setup) as one, Started(setup) as other:
        one.ends(0)
        other.ends(0)
    assert len(list((tmp_path / "target").iterdir())) == 2


def test_a_closed_standard_input_does_no_harm(tmp_path):
    setup = write_setup(tmp_path, SOURCE="events: 100")
    command = f"exec {sys.executable} -m mimocorb_dist.cli start {setup} -c kbd+stats <&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_output_that_nobody_reads_does_no_harm(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 500")
    with Started(setup) as run:
        run.until("good", 10)
        run.process.stdout.close()
        run.until("good", 100)
        run.interrupt()
        assert run.process.wait(20) == 0


DISK_FILLING = """
Buffers:
  raw: {slot_count: 64, data_length: 10000, data_dtype: {number: int64}}
Workers:
  source: {file: f.py, function: source, sinks: [raw], config: {rate: 1000}}
  save: {function: data.export, sources: [raw]}
target_directory: target
"""


class Terminal:
    """A terminal in which the node runs, as a user would have it."""

    def __init__(self, setup: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.seen = ""
        self.run = Started(
            setup, *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}
        )
        os.close(theirs)
        os.set_blocking(ours, False)

    def look(self) -> str:
        try:
            while chunk := os.read(self._fd, 65536):
                self.seen += chunk.decode(errors="replace")
        except OSError:
            return self.seen
        return self.seen

    def hang_up(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def type(self, line: str) -> None:
        os.write(self._fd, (line + "\n").encode())

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.run.__exit__()
        if self._fd >= 0:
            self.hang_up()


@pytest.fixture
def heard_hangups():
    """Start processes that do not ignore SIGHUP, even if the tests themselves run under nohup."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, previous)


@pytest.mark.usefixtures("heard_hangups")
def test_a_terminal_that_goes_ends_the_run_in_good_order(tmp_path):
    with Terminal(write_setup(tmp_path, SOURCE="rate: 300")) as terminal:
        terminal.run.until("good", 10)
        terminal.hang_up()
        for _ in range(2):  # as the kernel and a shell say it both
            terminal.run.process.send_signal(signal.SIGHUP)
            let_pass(0.1, "these are two signals, not one")
        assert terminal.run.process.wait(30) == 0
        assert not terminal.run.runtime_directories()
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "GOOD")
    assert content["buffers"]["raw"]["lost"] == 0


def test_classic_commands_are_typed_in_a_terminal(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 300")
    with Terminal(setup) as terminal:
        eventually(lambda: ": running" in terminal.look(), 60.0)
        terminal.type("pause roots")
        eventually(lambda: "paused (root buffers)" in terminal.look(), 30.0)
        terminal.type("nonsense")
        eventually(lambda: "'nonsense' is not known" in terminal.look(), 30.0)
        terminal.type("resume roots")
        eventually(lambda: terminal.look().count("running") > 1, 30.0)
        terminal.type("help")
        eventually(lambda: "shutdown workers" in terminal.look(), 30.0)
        terminal.type("shutdown roots")
        eventually(lambda: (terminal.look(), terminal.run.process.poll() is not None)[1], 20.0)
        assert terminal.run.process.returncode == 0, terminal.seen
    assert record(tmp_path)["run"]["quality"] == "GOOD"


def test_shutdown_workers_ends_all_at_once(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 300")
    with Terminal(setup, "-c", "kbd") as terminal:
        terminal.run.until("good", 10)
        terminal.type("shutdown workers")
        eventually(lambda: (terminal.look(), terminal.run.process.poll() is not None)[1], 60.0)
        assert terminal.run.process.returncode == 1, terminal.seen
    assert record(tmp_path)["run"]["quality"] == "ABORTED"


def test_a_broker_that_is_killed_for_good_does_not_stop_the_data(tmp_path):
    with Started(write_setup(tmp_path, SOURCE="rate: 500"), broker_lives=1) as run:
        run.until("good", 50)
        (broker,) = run.workers("broker")
        os.kill(broker.pid, signal.SIGKILL)
        run.ends(1)
    content = record(tmp_path)
    assert content["run"]["state"] == "failed"
    assert_balanced(content)
    assert content["buffers"]["good"]["lost"] == 0


@pytest.mark.parametrize(("on_error", "errors"), [("skip", 1), ("restart", 3)])
def test_an_event_that_a_function_cannot_stand_is_put_aside_with_its_traceback(tmp_path, on_error, errors):
    text = ONE_HOST.replace("number_of_processes: 2", f"on_error: {on_error}")
    with Started(write_setup(tmp_path, text, SOURCE="events: 300", PICK="fails_at: 100")) as run:
        run.ends(0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "DEGRADED")
    assert content["workers"]["pick"]["errors"] == errors
    assert (content["buffers"]["raw"]["rescued"], content["buffers"]["raw"]["lost"]) == (1, 0)
    assert_balanced(content)
    assert saved(tmp_path) == [number for number in range(0, 300, 2) if number != 100]
    note = (run_directory(tmp_path) / "rescue" / "raw.log").read_text()
    assert note.startswith("event 100: worker pick.0 failed")
    assert "cannot stand 100" in note


def test_several_processes_put_the_right_event_aside(tmp_path):
    text = ONE_HOST.replace("number_of_processes: 2", "number_of_processes: 2, on_error: skip")
    with Started(write_setup(tmp_path, text, SOURCE="events: 300", PICK="fails_at: 100")) as run:
        run.ends(0)
    content = record(tmp_path)
    assert content["buffers"]["raw"]["rescued"] == 1
    assert_balanced(content)
    assert sorted(saved(tmp_path)) == [number for number in range(0, 300, 2) if number != 100]


def test_what_is_lost_with_a_killed_exporter_stands_in_the_record(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 1000")
    save = re.search(r"^  save: .*$", setup.read_text(), re.MULTILINE)
    assert save is not None
    counts = "  save: {function: exporters.histogram, sources: [good], config: {bins: {number: [0, 9, 4]}}}"
    text = setup.read_text().replace(save.group(), counts)
    setup.write_text(text.replace("data_length: 2", "data_length: 1"))
    with Started(setup) as run:
        run.until("good", 50)
        run.workers("save")[0].kill()
        run.until("good", run.written("good") + 50)
        run.interrupt()
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "DEGRADED"
    (reason,) = content["run"]["reasons"]
    assert "s before it may be in no histogram" in reason
    assert_balanced(content)
