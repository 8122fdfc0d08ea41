from __future__ import annotations

import contextlib
import json
import signal
import socket
import time

import pytest

from mimocorb_dist.node import client
from tests.node.running import (
    THREE_NODES,
    Started,
    assert_balanced,
    record,
    run_directory,
    saved,
    write_setup,
)
from tests.support import eventually, free_port

NODES = ("daq", "filter", "storage")


def three(folder, **values):
    port = str(free_port())
    return write_setup(folder, THREE_NODES, PORT=port, **values), f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def started(setup, nodes=NODES, **options):
    with contextlib.ExitStack() as stack:
        yield {node: stack.enter_context(Started(setup, "--node", node, **options)) for node in nodes}


def written(broker, buffer):
    try:
        return client.overview(broker)["buffers"][buffer]["written"]
    except client.UnreachableError:
        return 0


def until(broker, buffer, count):
    eventually(lambda: written(broker, buffer) >= count, 60.0, f"{count} events in {buffer}")


def test_all_nodes_in_one_process(tmp_path):
    setup, _ = three(tmp_path, SOURCE="events: 1000")
    with Started(setup, "--all") as run:
        output = run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD", output
    assert_balanced(content)
    assert content["links"]["raw@daq->filter"]["acknowledged"] == 1000
    assert saved(tmp_path) == list(range(0, 1000, 2))


@pytest.mark.parametrize("order", [NODES, NODES[::-1]])
def test_nodes_start_in_any_order_and_ctrl_c_on_any_ends_the_run_on_all(tmp_path, order):
    setup, broker = three(tmp_path, SOURCE="rate: 1000")
    with started(setup, order) as runs:
        until(broker, "good", 50)
        runs[order[1 if order == NODES else 2]].interrupt()
        for run in runs.values():
            run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD"
    assert_balanced(content)
    assert saved(tmp_path) == list(range(0, content["buffers"]["raw"]["written"], 2))


def test_nodes_with_directories_of_their_own_keep_their_part(tmp_path):
    port = str(free_port())
    folders = {node: tmp_path / node for node in NODES}
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(
                Started(
                    write_setup(folder, THREE_NODES, PORT=port, SOURCE="events: 100, rate: 100"),
                    "--node",
                    node,
                )
            )
            for node, folder in folders.items()
        ]
        eventually(lambda: list((folders["daq"]).glob("target/*/run.json")), 60.0)
        assert record(folders["daq"])["run"]["state"] == "running"
        for run in runs:
            run.ends(0)
    records = {node: record(folder) for node, folder in folders.items()}
    assert len({content["run"]["id"] for content in records.values()}) == 1
    assert list(records["storage"]["buffers"]) == ["raw", "good"]
    assert list(records["daq"]["buffers"]) == ["raw"]
    assert list(records["filter"]["workers"]) == ["pick"]
    assert saved(folders["storage"]) == list(range(0, 100, 2))


def test_a_function_file_that_differs_is_named_with_the_nodes(tmp_path):
    port = str(free_port())
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        write_setup(folder, THREE_NODES, PORT=port)
    with (folders[1] / "f.py").open("a") as file:
        file.write("# changed\n")
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(Started(folders[node == "filter"] / "setup.yaml", "--node", node))
            for node in ("storage", "filter")
        ]
        output = "".join(run.ends(2) for run in runs)
    assert "function file f.py differs between nodes" in output


def test_a_setup_that_differs_is_named_with_the_nodes(tmp_path):
    port = str(free_port())
    setups = [
        write_setup(tmp_path / "here", THREE_NODES, PORT=port, SOURCE="events: 1"),
        write_setup(tmp_path / "there", THREE_NODES, PORT=port, SOURCE="events: 2"),
    ]
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(Started(setups[node == "filter"], "--node", node))
            for node in ("storage", "filter")
        ]
        output = "".join(run.ends(2) for run in runs)
    assert "setup file setup.yaml differs between nodes" in output


def test_a_config_file_that_differs_is_named_with_the_nodes(tmp_path):
    port = str(free_port())
    setups = [
        write_setup(tmp_path / place, f"base_config: c.yaml\n{THREE_NODES}", PORT=port)
        for place in ("here", "there")
    ]
    for count, setup in enumerate(setups):
        (setup.parent / "c.yaml").write_text(f"count: {count}\n")
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(Started(setups[node == "filter"], "--node", node))
            for node in ("storage", "filter")
        ]
        output = "".join(run.ends(2) for run in runs)
    assert "config file c.yaml differs between nodes" in output
    assert "setup file" not in output


def test_two_nodes_of_one_name_are_refused(tmp_path):
    setup, broker = three(tmp_path)
    with started(setup, ("storage",)) as runs:
        eventually(lambda: _here(broker, "storage"), 60.0)
        with Started(setup, "--node", "daq") as daq:
            eventually(lambda: _here(broker, "daq"), 60.0)
            with Started(setup, "--node", "daq") as second:
                assert "two nodes of the name daq" in second.ends(2)
            client.command("stop", broker)
            daq.ends(0)
        runs["storage"].ends(0)


def _here(broker, node):
    try:
        return client.overview(broker)["run"]["nodes"][node] == "here"
    except client.UnreachableError:
        return False


@pytest.mark.parametrize(("leaves", "stays"), [("daq", "storage"), ("storage", "daq")])
def test_a_node_that_leaves_while_others_are_missing_can_come_back(tmp_path, leaves, stays):
    """Also the one with the broker: the others wait for another."""
    setup, broker = three(tmp_path, SOURCE="events: 10")
    with started(setup, ("storage", "daq")) as runs:
        eventually(lambda: _here(broker, "daq"), 60.0)
        runs[leaves].interrupt()
        runs[leaves].ends(0)
        with started(setup, ("filter", leaves)) as others:
            for run in (runs[stays], *others.values()):
                run.ends(0)
    assert record(tmp_path)["run"]["quality"] == "GOOD"


def test_a_run_goes_on_to_a_good_end_without_its_broker(tmp_path):
    setup, broker = three(tmp_path, SOURCE="rate: 500")
    with started(setup, silence_s=3.0, broker_lives=1) as runs:
        until(broker, "good", 50)
        (process,) = runs["storage"].workers("broker")
        process.kill()
        for run in runs.values():
            output = run.ends(1, timeout_s=60.0)
            assert f"run failed, quality INCOMPLETE: {run_directory(tmp_path)}\n" in output
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "INCOMPLETE")
    assert "node storage: the broker was killed (SIGKILL)" in content["run"]["reasons"]
    assert content["buffers"].keys() == {"raw", "good"} and "parts" not in content
    assert_balanced(content)
    assert all(book["lost"] == 0 for book in content["buffers"].values())
    assert all(link["sent"] == link["acknowledged"] > 0 for link in content["links"].values())


def kill_broker(run, broker, state):
    """Kill the broker, and wait until the one in its place knows of a run in this state."""
    (process,) = run.workers("broker")
    process.kill()

    def is_back():
        try:
            return process.pid not in [other.pid for other in run.workers("broker")] and (
                client.overview(broker)["run"]["state"] == state
            )
        except client.UnreachableError:
            return False

    eventually(is_back, 60.0, f"a broker that knows of a run that is {state}")


def test_a_broker_that_is_killed_comes_back_and_its_run_is_as_it_was(tmp_path):
    """Paused, running and draining: state, commands and the record go on, and the data do not notice."""
    setup, broker = three(tmp_path, SOURCE="rate: 2000", SAVE="takes_s: 0.002")
    with started(setup, silence_s=60.0) as runs:
        storage = runs["storage"]
        until(broker, "good", 50)
        runs["daq"].process.send_signal(signal.SIGSTOP)
        stopped_s = time.monotonic()
        eventually(lambda: client.overview(broker)["run"]["nodes"]["daq"] == "silent", 30.0)
        kill_broker(storage, broker, "running")
        seen = eventually(lambda: (seen := client.overview(broker)["run"])["remarks"] and seen, 10.0)
        assert seen["nodes"]["daq"] == "silent"
        assert seen["remarks"][0].startswith("no word from node daq for")
        silent_s = time.monotonic() - stopped_s
        runs["daq"].process.send_signal(signal.SIGCONT)
        until(broker, "good", written(broker, "good") + 50)
        client.command("pause", broker)
        kill_broker(storage, broker, "paused")
        client.command("resume", broker)
        until(broker, "good", written(broker, "good") + 50)
        storage.process.send_signal(signal.SIGSTOP)  # so that it is killed before it has told anybody
        client.command("stop", broker)
        (process,) = storage.workers("broker")
        process.kill()
        storage.process.send_signal(signal.SIGCONT)
        output = {node: run.ends(0) for node, run in runs.items()}
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "GOOD"), output
    assert [row["kind"] for row in content["incidents"]] == ["gone", "unheard", "gone", "gone"]
    assert content["incidents"][1]["where"] == "daq"
    assert content["incidents"][1]["duration_s"] > silent_s - 1.0
    assert "the broker was killed (SIGKILL)" in output["storage"]
    assert_balanced(content)
    book = content["buffers"]["raw"]
    assert len(saved(tmp_path)) == content["buffers"]["good"]["written"] > 150
    assert saved(tmp_path) == sorted(set(saved(tmp_path)))
    assert (book["lost"], book["rescued"]) == (0, 0)


def test_a_broker_that_is_killed_before_the_run_lets_the_nodes_come(tmp_path):
    setup, broker = three(tmp_path, SOURCE="events: 100")
    with started(setup, ("storage", "daq")) as runs:
        eventually(lambda: _here(broker, "daq"), 60.0)
        kill_broker(runs["storage"], broker, "waiting")
        assert _here(broker, "daq")
        with started(setup, ("filter",)) as others:
            for run in (*runs.values(), *others.values()):
                run.ends(0)
    assert record(tmp_path)["run"]["quality"] == "GOOD"
    assert saved(tmp_path) == list(range(0, 100, 2))


def test_a_broker_that_is_not_there_is_waited_for_and_named(tmp_path):
    setup, broker = three(tmp_path)
    with Started(setup, "--node", "daq") as run:
        lines = []
        while "waiting for the broker" not in (lines[-1] if lines else ""):
            lines.append(run.process.stdout.readline())
            assert lines[-1], lines
        assert broker in lines[-1]
        run.interrupt()
        run.ends(0)


def test_nodes_that_do_not_come_are_named(tmp_path):
    setup, _ = three(tmp_path)
    with Started(setup, "--node", "storage", "--wait", "3") as run:
        assert "nodes daq, filter have not come after 3 s" in run.ends(2)


def test_what_keeps_all_nodes_in_one_process_from_starting_is_told_once(tmp_path):
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        with Started(write_setup(tmp_path, THREE_NODES, PORT=str(port)), "--all") as run:
            assert run.ends(2).count(f"port {port} on 127.0.0.1 is in use") == 1


@pytest.mark.parametrize("victim", ["filter", "storage"])
def test_a_node_that_is_killed_ends_the_run_on_the_others(tmp_path, victim):
    """Even if it is the broker's node: the broker stays until it has written the record."""
    setup, broker = three(tmp_path, SOURCE="rate: 500")
    with started(setup) as runs:
        until(broker, "good", 50)
        children = runs[victim].workers("workers") + runs[victim].workers("links")
        runs[victim].process.kill()
        for node in set(NODES) - {victim}:
            runs[node].ends(1, timeout_s=60.0)
        runs[victim].process.wait()
        eventually(lambda: not any(child.is_running() for child in children), 60.0)
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("failed", "ABORTED")
    assert (
        f"node {victim} has died: its process {runs[victim].process.pid} on" in content["run"]["reasons"][0]
    )
    assert_balanced(content)


def test_pause_and_max_events_work_across_nodes(tmp_path):
    setup, _ = three(tmp_path, SOURCE="rate: 100")
    with Started(setup, "--all", "--max-events", "300") as run:
        run.until("good", 20)
        address = run.broker()
        client.command("pause", address)
        eventually(lambda: client.overview(address)["buffers"]["raw"]["discarded_while_paused"] > 10)
        client.command("resume", address)
        run.ends(0)
    content = record(tmp_path)
    assert content["buffers"]["raw"]["written"] == 300
    assert content["buffers"]["raw"]["discarded_while_paused"] > 10
    assert content["run"]["quality"] == "GOOD"
    assert_balanced(content)


def test_a_failed_worker_far_away_rescues_its_events(tmp_path):
    setup, _ = three(tmp_path, SOURCE="rate: 2000", PICK="fails_at: 100")
    with Started(setup, "--all") as run:
        run.ends(1)
    content = record(tmp_path)
    assert_balanced(content)
    raw = content["buffers"]["raw"]
    assert raw["lost"] == 0
    assert raw["rescued"] == raw["written"] - 100
    assert any("cannot stand 100" in reason for reason in content["run"]["reasons"])
    assert json.dumps(content)


@pytest.mark.parametrize("end", ["send", "receive"])
def test_a_link_end_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path, end):
    setup, _ = three(tmp_path, SOURCE="rate: 500")
    with Started(setup, "--all") as run:
        run.until("good", 50)
        for _ in range(2):
            (victim,) = [process for process in run.workers(end) if "raw@daq->filter" in process.cmdline()]
            before = run.written("good")
            victim.kill()
            run.until("good", before + 100)
        run.interrupt()
        said = run.ends(0)
    assert f"link raw@daq->filter {end} was killed" in said
    content = record(tmp_path)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "DEGRADED")
    (reason,) = content["run"]["reasons"]
    assert reason.startswith("link raw@daq->filter: restarted 2 times: ")
    assert f"raw@daq->filter {end} was killed (SIGKILL)" in reason
    assert_balanced(content)
    raw, link = content["buffers"]["raw"], content["links"]["raw@daq->filter"]
    assert raw["read"] == raw["written"] == link["sent"] == link["acknowledged"]
    assert link["reconnects"] == 2


def test_a_view_that_is_killed_does_not_end_the_run(tmp_path):
    setup, _ = three(tmp_path, SOURCE="rate: 200")
    with Started(setup, "--all") as run:
        run.until("good", 20)
        for process in run.workers("view-send"):
            process.kill()
        run.until("good", run.written("good") + 50)
        run.interrupt()
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["quality"] == "GOOD"
    assert content["buffers"]["raw"]["read"] == content["buffers"]["raw"]["written"]
