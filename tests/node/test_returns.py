"""Hosts that die with all that they hold, and nodes that come back to their run from nothing."""

from __future__ import annotations

import contextlib
import json

import psutil
import pytest

from mimocorb_dist.errors import MimocorbError
from mimocorb_dist.node import client
from mimocorb_dist.ring.runtime import runtime_directories
from tests.node.running import THREE_NODES, Started, assert_balanced, record, run_directory, write_setup
from tests.support import eventually, free_port

PATIENT = {"silence_s": 300.0, "grace_s": 300.0}
TWO_FILTERS = (
    THREE_NODES.replace("filter: {}", "filter: {}, other: {}")
    .replace("node: filter", "node: [filter, other]")
    .replace("good: {", "good: {node: storage, ")
)


@pytest.fixture
def hosts(tmp_path):
    """Start nodes, each as if on a host of its own; all are ended after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda setup, *nodes, **limits: [
            stack.enter_context(Started(setup, "--node", node, **(PATIENT | limits))) for node in nodes
        ]


def a_setup(folder, text=THREE_NODES, **values):
    port = str(free_port())
    return write_setup(folder, text, PORT=port, **values), f"tcp://127.0.0.1:{port}"


def seen(broker):
    try:
        return client.overview(broker)
    except MimocorbError:
        return None


def written(broker, buffer):
    overview = seen(broker)
    return overview["buffers"][buffer]["written"] if overview else 0


def until(broker, buffer, count):
    eventually(lambda: written(broker, buffer) >= count, 120.0, f"{count} events in {buffer}")


def switch_off(run):
    """Let a node and all its processes end in one instant, and nobody know any more what they held."""
    node = psutil.Process(run.process.pid)
    everybody = [node, *node.children(recursive=True)]
    for process in everybody:
        process.suspend()
    for process in everybody:
        process.kill()
    run.process.wait()
    psutil.wait_procs(everybody, 10.0)
    for directory in runtime_directories():
        notes = directory / "notes.json"
        if notes.exists() and json.loads(notes.read_text())["nodes"] == [node.pid]:
            notes.unlink()


def saved_numbers(folder):
    files = run_directory(folder).rglob("save.*.txt")
    return sorted(int(line) for path in files for line in path.read_text().splitlines())


def assert_all_there(folder, content):
    """Check that each even number was saved, once unless it was given out again, or is told to be lost."""
    assert_balanced(content)
    numbers = saved_numbers(folder)
    missing = set(range(0, content["buffers"]["raw"]["written"], 2)) - set(numbers)
    lost = sum(book["lost"] for book in content["buffers"].values())
    assert len(missing) <= lost <= 64  # what was on its way from the node that died
    assert len(numbers) - len(set(numbers)) <= content["buffers"]["raw"]["redelivered"]
    assert content["run"]["state"] == "finished"
    assert content["run"]["quality"] == ("INCOMPLETE" if lost else "DEGRADED")
    assert ("counted as lost" in " ".join(content["run"]["reasons"])) is (lost > 0)


def test_a_host_that_died_with_its_filter_comes_back_to_its_run(tmp_path, hosts):
    setup, broker = a_setup(tmp_path, SOURCE="rate: 1000")
    storage, daq, dying = hosts(setup, "storage", "daq", "filter")
    until(broker, "good", 200)
    switch_off(dying)
    before = written(broker, "good")
    (again,) = hosts(setup, "filter")
    until(broker, "good", before + 300)
    daq.interrupt()
    for run in (storage, daq, again):
        output = run.ends(0)
        assert "node filter is back in the run" in output
    content = record(tmp_path)
    assert "node filter lost all that it held" in " ".join(content["run"]["reasons"])
    assert_all_there(tmp_path, content)


def test_a_host_that_died_with_its_importer_comes_back_and_goes_on_with_new_events(tmp_path, hosts):
    setup, broker = a_setup(tmp_path, SOURCE="rate: 1000")
    storage, dying, picking = hosts(setup, "storage", "daq", "filter")
    until(broker, "good", 200)
    switch_off(dying)
    before = written(broker, "raw")
    (again,) = hosts(setup, "daq")
    until(broker, "raw", before + 300)
    storage.interrupt()
    for run in (storage, picking, again):
        run.ends(0)
    content = record(tmp_path)
    assert content["run"]["state"] == "finished"
    assert_balanced(content)
    books = content["buffers"]
    numbers = saved_numbers(tmp_path)
    assert len(numbers) == books["good"]["read"] == books["good"]["written"]
    assert books["raw"]["read"] + books["raw"]["lost"] == books["raw"]["written"]
    assert numbers.count(0) == 2  # the source counts from 0 in each of its lives
    assert ("buffer raw" in " ".join(content["run"]["reasons"])) is (books["raw"]["lost"] > 0)


def test_a_host_that_died_with_its_files_leaves_them_alone_when_it_comes_back(tmp_path, hosts):
    setup, broker = a_setup(tmp_path / "main", SOURCE="rate: 1000")
    (far := tmp_path / "far").mkdir()
    for name in ("f.py", "setup.yaml"):
        (far / name).write_text(
            (tmp_path / "main" / name).read_text().replace("node: storage, port", "node: daq, port")
        )
    (tmp_path / "main" / "setup.yaml").write_text((far / "setup.yaml").read_text())
    daq, picking = hosts(setup, "daq", "filter")
    (dying,) = hosts(far / "setup.yaml", "storage")
    until(broker, "good", 200)
    switch_off(dying)
    before = written(broker, "good")
    (again,) = hosts(far / "setup.yaml", "storage")
    until(broker, "good", before + 300)
    daq.interrupt()
    for run in (daq, picking, again):
        run.ends(0)
    content = record(tmp_path / "main")
    assert_balanced(content)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "DEGRADED")
    own = record(far)
    assert own["run"]["quality"] == "DEGRADED"
    first, second = sorted(run_directory(far).rglob("save.*.txt"))
    assert {first.parent.name, second.parent.name} == {run_directory(far).name, "return-1"}
    numbers = saved_numbers(far)
    assert sorted(set(numbers)) == list(range(0, content["buffers"]["raw"]["written"], 2))
    assert len(numbers) - len(set(numbers)) <= content["buffers"]["good"]["redelivered"]


def test_a_run_goes_on_without_a_host_whose_workers_others_have_and_takes_it_back(tmp_path, hosts):
    setup, broker = a_setup(tmp_path, TWO_FILTERS, SOURCE="rate: 1000", PICK="takes_s: 0.001")
    storage, daq, dying, other = hosts(setup, "storage", "daq", "filter", "other", grace_s=0.0)
    until(broker, "good", 200)
    switch_off(dying)
    eventually(lambda: "vanished" in seen(broker)["run"]["nodes"].values(), 60.0, "the node is given up")
    before = written(broker, "good")
    until(broker, "good", before + 300)
    (again,) = hosts(setup, "filter")
    eventually(lambda: "vanished" not in seen(broker)["run"]["nodes"].values(), 60.0, "the node is back")
    before = written(broker, "good")
    until(broker, "good", before + 300)
    daq.interrupt()
    outputs = [run.ends(0) for run in (storage, daq, other, again)]
    assert "go on without it until it is back" in outputs[0]
    content = record(tmp_path)
    assert content["workers"]["pick"]["events"] >= content["buffers"]["raw"]["written"]
    assert_all_there(tmp_path, content)


def test_a_run_ends_well_without_a_host_that_does_not_come_back(tmp_path, hosts):
    setup, broker = a_setup(tmp_path, TWO_FILTERS, SOURCE="rate: 1000, events: 3000")
    storage, daq, dying, other = hosts(setup, "storage", "daq", "filter", "other", grace_s=0.0)
    until(broker, "good", 200)
    switch_off(dying)
    for run in (storage, daq, other):
        run.ends(0)
    content = record(tmp_path)
    assert "node filter has died" in " ".join(content["run"]["reasons"])
    assert_all_there(tmp_path, content)
