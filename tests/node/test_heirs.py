"""Nodes that are killed, and started again while their processes work on."""

from __future__ import annotations

import contextlib
import random
import time

import psutil

from mimocorb_dist.errors import MimocorbError
from mimocorb_dist.node import client
from tests.node.running import Started, assert_balanced, record, run_directory, saved, write_setup
from tests.node.test_three_nodes import NODES, three
from tests.support import eventually, mimocorb_node

PATIENT = {"silence_s": 300.0, "grace_s": 300.0}
RECOVERY_S = 120.0
"""How long a node may take to be back on a machine that has other things to do, too."""


def done(broker, node):
    """Return how far a run is, as only this node can tell."""
    try:
        overview = client.overview(broker)
    except MimocorbError:
        return -1
    assert overview["run"]["reasons"] == []
    if node == "storage":
        return overview["workers"]["save"]["events"]
    return overview["buffers"]["good" if node == "filter" else "raw"]["written"]


def until_done(broker, node, count, timeout_s=120.0):
    eventually(lambda: done(broker, node) >= count, timeout_s, f"{count} events on node {node}")


def until_known(run, node):
    """Wait until other programs on this machine can find a node by its card."""

    def is_known():
        return any((card["node"], card["pid"]) == (node, run.process.pid) for card in client._cards())

    eventually(is_known, RECOVERY_S)


def kill(run):
    run.process.kill()
    run.process.wait()


def processes(name, folder):
    """Return the processes of a worker or link, whoever has started them."""
    commands = {each: each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])}
    found = [
        each for each, words in commands.items() if name in words and any(str(folder) in w for w in words)
    ]
    assert found
    return found


def assert_all_once(folder):
    """Check that each even number is in the files once, and return the record."""
    content = record(folder)
    assert_balanced(content)
    assert sorted(saved(folder)) == list(range(0, content["buffers"]["raw"]["written"], 2))
    assert all(book["lost"] == book["rescued"] == 0 for book in content["buffers"].values())
    assert content["run"]["state"] == "finished"
    return content


def test_a_host_whose_node_and_broker_are_killed_goes_on_when_it_is_started_again(tmp_path):
    setup = write_setup(tmp_path, SOURCE="rate: 1000")
    with Started(setup, **PATIENT) as run:
        run.until("good", 50)
        broker, code = run.broker(), (tmp_path / "f.py").read_text()
        (broker_process,) = run.workers("broker")
        kill(run)
        broker_process.kill()
        killed_s = time.monotonic()
        assert "its node has died, and its processes work on and wait for it" in mimocorb_node("clean").stdout
        (tmp_path / "f.py").write_text(code + "# another version\n")
        with Started(setup, **PATIENT) as other:
            assert "but function file f.py has been changed since: put back what it was" in other.ends(2)
        (tmp_path / "f.py").write_text(code)
        away_s = time.monotonic() - killed_s
        with Started(setup, **PATIENT) as heir:
            until_done(broker, "local", 50, RECOVERY_S)
            until_done(broker, "local", done(broker, "local") + 500)
            processes("pick", tmp_path)[0].kill()  # the heir has not started it itself
            eventually(lambda: client.overview(broker)["workers"]["pick"]["restarts"] == 1)
            heir.interrupt()
            output = heir.ends(0)
    content = assert_all_once(tmp_path)
    assert "node local had died: taking over the run" in output
    assert "save.0 | saved by save\n" in output
    assert content["run"]["quality"] == "DEGRADED", "because of the killed worker"
    assert content["nodes"]["local"]["restarts"] == 1
    assert sorted(row["where"] for row in content["incidents"]) == ["broker", "local"]
    assert all(row["duration_s"] > away_s - 1.0 for row in content["incidents"]), (
        away_s,
        content["incidents"],
    )
    head, *rows = [line.split(",") for line in (run_directory(tmp_path) / "stats.csv").read_text().split()]
    ages = [float(row[head.index("time_active")]) for row in rows]
    assert ages == sorted(ages)


def test_nodes_that_are_killed_and_started_again_lose_and_double_nothing(tmp_path):
    """With links, ends of which are killed while there is no node, and an heir that is killed, too."""
    setup, broker = three(tmp_path, SOURCE="rate: 1500")
    moments = random.Random(1)
    with contextlib.ExitStack() as stack:

        def start(node):
            return stack.enter_context(Started(setup, "--node", node, **PATIENT))

        runs = {node: start(node) for node in NODES}
        until_done(broker, "storage", 50)
        for node in NODES:
            until_done(broker, node, done(broker, node) + moments.randrange(300))
            kill(runs[node])
            if node == "filter":
                for name in ("pick", "raw@daq->filter"):
                    moments.choice(processes(name, tmp_path)).kill()
                heir = start(node)
                until_known(heir, node)
                kill(heir)
            before = done(broker, node)
            runs[node] = start(node)
            until_done(broker, node, before + 1, RECOVERY_S)
        client.command("stop", broker)
        output = {node: run.ends(0) for node, run in runs.items()}
    content = assert_all_once(tmp_path)
    assert all(f"node {node} had died: taking over the run" in output[node] for node in NODES)
    assert content["nodes"]["daq"]["restarts"] == content["nodes"]["storage"]["restarts"] == 1
    assert {row["where"] for row in content["incidents"]} >= set(NODES)
    assert content["run"]["quality"] == "DEGRADED", "because of the killed worker"
    assert "raw@daq->filter" in " ".join(content["run"]["reasons"])
