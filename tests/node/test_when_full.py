"""Runs with an exporter that cannot keep up, and buffers that do not make the importer wait for it."""

from __future__ import annotations

import pytest

from mimocorb_dist.runs import report
from tests.node.running import Started, assert_balanced, record, run_directory, saved, write_setup
from tests.support import free_port

COUNT = 2000

BUFFER = """
Buffers:
  raw: {slot_count: 16, data_length: 2, data_dtype: {number: int64}, when_full: POLICY, delivery: DELIVERY}
target_directory: target
Workers:
  source: {NODE_1file: f.py, function: source, sinks: [raw], config: {events: 2000, rate: 4000}}
  save: {NODE_2file: f.py, function: save, sources: [raw], config: {takes_s: 0.005}}
"""
TWO_NODES = "Nodes: {daq: {}, storage: {}}\nBroker: {node: storage, port: PORT}\n"


def one_host(folder, policy, delivery="shared", more=""):
    text = (BUFFER + more).replace("NODE_1", "").replace("NODE_2", "")
    return write_setup(folder, text.replace("POLICY", policy).replace("DELIVERY", delivery))


def two_nodes(folder, policy, home="daq"):
    text = TWO_NODES + BUFFER.replace("NODE_1", "node: daq, ").replace("NODE_2", "node: storage, ")
    text = text.replace("slot_count:", f"node: {home}, slot_count:")
    text = text.replace("POLICY", policy).replace("DELIVERY", "shared")
    return write_setup(folder, text, PORT=str(free_port()))


def check_gaps_are_counted(folder, policy, numbers=None, book=None):
    """Check that what an exporter got is all but what was dropped, in order; return its books."""
    content = record(folder)
    numbers = saved(folder) if numbers is None else numbers
    whole = content["buffers"]["raw"]
    book = book or whole
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "GOOD")
    (reason,) = content["run"]["reasons"]
    text = f"buffer raw: {whole['dropped']} events were dropped while it was full"
    assert reason.startswith(f"{text}, as the setup wants (when_full: {policy}")
    assert numbers == sorted(set(numbers))
    gaps = COUNT - len(numbers)
    assert gaps == book["dropped"] > 100
    assert (book["read"], book["rescued"], book["lost"]) == (len(numbers), 0, 0)
    assert book["written"] == len(numbers)
    assert content["workers"]["source"]["events"] == COUNT
    if policy == "drop_new":
        assert book["given_up"] == 0
        assert numbers[:16] == list(range(16))
    else:
        assert book["given_up"] > 100
        assert numbers[-1] == COUNT - 1
    assert whole["dead_time_s"] < whole["live_time_s"]  # if it waited it were ten times as long
    return whole


def test_one_host(tmp_path):
    with Started(one_host(tmp_path, "drop_new")) as run:
        output = run.ends(0)
    book = check_gaps_are_counted(tmp_path, "drop_new")
    assert_balanced(record(tmp_path))
    assert f"raw: {book['dropped']} events were dropped" in report(run_directory(tmp_path))
    assert "paused_count" in (run_directory(tmp_path) / "stats.csv").read_text()
    assert f"  buffer raw: {book['dropped']} events were dropped while it was full" in output


def test_under_broadcast_each_worker_misses_its_own(tmp_path):
    fast = "  fast: {file: f.py, function: save, sources: [raw]}\n"
    with Started(one_host(tmp_path, "drop_old", "broadcast", fast)) as run:
        run.ends(0)
    books = record(tmp_path)["buffers"]["raw"]["by_worker"]
    for name, book in books.items():
        numbers = saved(tmp_path, name)
        if name == "save":
            check_gaps_are_counted(tmp_path, "drop_old", numbers, book)
        assert COUNT - len(numbers) == book["dropped"]
    assert books["fast"]["dropped"] < books["save"]["dropped"]


@pytest.mark.parametrize(("policy", "home"), [("drop_old", "daq"), ("drop_new", "storage")])
def test_two_nodes_wherever_the_buffer_lives(tmp_path, policy, home):
    with Started(two_nodes(tmp_path, policy, home), "--all") as run:
        run.ends(0)
    check_gaps_are_counted(tmp_path, policy)
    assert_balanced(record(tmp_path))


def test_killed_readers_and_what_was_dropped_account_for_every_event(tmp_path):
    setup = one_host(tmp_path, "drop_old")
    setup.write_text(setup.read_text().replace("rate: 4000", "rate: 500"))
    with Started(setup) as run:
        for count in (100, 200, 300):
            run.until("raw", count)
            for process in run.workers("save")[:1]:
                process.kill()
        run.ends(0)
    content = record(tmp_path)
    book = content["buffers"]["raw"]
    assert_balanced(content)
    assert content["run"]["quality"] == "DEGRADED"
    assert book["written"] + book["dropped"] == COUNT
    numbers = saved(tmp_path)
    assert len(set(numbers)) == book["read"] == COUNT - book["dropped"]
    assert len(numbers) - len(set(numbers)) <= book["redelivered"]
