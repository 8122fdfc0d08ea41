"""A run takes the memory that its setup says, and not more the longer it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from mimocorb_dist.ring import BufferSpec
from mimocorb_dist.ring.layout import Layout
from mimocorb_dist.topology import load, plan
from mimocorb_dist.topology.sizes import ring_bytes
from tests.node.running import Started, record, write_setup
from tests.support import eventually, free_port, let_pass

if TYPE_CHECKING:
    from pathlib import Path

SETUP = """
Nodes: {daq: {}, filter: {}, storage: {}}
Broker: {node: storage, port: PORT}
Buffers:
  raw: {slot_count: 256, data_length: 1000, data_dtype: {number: int64}}
  good: {slot_count: 128, data_length: 1000, data_dtype: {number: int64}, delivery: broadcast}
Workers:
  source: {node: daq, file: f.py, function: source, sinks: [raw]}
  pick: {node: filter, file: f.py, function: everything, number_of_processes: 2, sources: [raw],
         sinks: [good]}
  save: {node: storage, function: exporters.drain, sources: [good]}
  near: {node: filter, function: exporters.drain, sources: [good]}
  look: {node: storage, file: f.py, function: look, observes: [raw]}
target_directory: target
"""
EVENTS = 12_000

OTHER_FILES_BYTES = 1 << 18
"""Jobs, cards and locks of a node, beside its rings."""
PROCESS_BYTES = 48 << 20
"""What an interpreter with its libraries takes: 17 to 28 MiB, seen here."""
GROWTH_BYTES = 4 << 20
"""What allocators need to settle; a leak of one event in a hundred would be more than that."""


def own_bytes(process: psutil.Process) -> int:
    """Return the memory of a process that it shares with nobody, without that of rings."""
    maps = process.memory_maps(grouped=False)
    return sum(part.private_dirty + part.private_clean for part in maps if not part.path.endswith(".ring"))


def exact_bytes(ring) -> int:
    buffer = ring.buffer
    spec = BufferSpec(buffer.name, ring.slot_count, buffer.data_length, buffer.data_dtype, ring.groups)
    return Layout(spec).total_bytes


def name_of(process: psutil.Process) -> str:
    """Return what tells processes of a run apart, which is the same when one is started again."""
    words = process.cmdline()
    return " ".join([words[3], *words[10:]] if "--job" in words else ["node"])


class Figures:
    """What a run uses at one moment: its processes, by their names, and its files in shared memory."""

    def __init__(self, run: Started) -> None:
        node = psutil.Process(run.process.pid)
        processes = {name_of(process): process for process in [node, *node.children(recursive=True)]}
        self.pids = {name: process.pid for name, process in processes.items()}
        self.own_bytes = {name: own_bytes(process) for name, process in processes.items()}
        self.descriptors = {name: process.num_fds() for name, process in processes.items()}
        self.threads = {name: process.num_threads() for name, process in processes.items()}
        files = [path for directory in run.runtime_directories() for path in directory.rglob("*")]
        self.shared_bytes = sum(path.stat().st_blocks * 512 for path in files if path.is_file())


def disturb(run: Started) -> None:
    """Kill a worker and both ends of a link, and break the connection of the other link."""
    victims = [*run.workers("raw@daq->filter"), run.workers("pick")[0]]
    for victim in victims:
        victim.kill()
    (receiver,) = [end for end in run.workers("good@filter->storage") if "receive" in end.cmdline()]
    before = reconnects(run)
    receiver.suspend()
    let_pass(3.0, "longer than a link waits for a sign of life")
    receiver.resume()
    eventually(lambda: reconnects(run) > before, 30, "a new connection")
    eventually(lambda: run.workers("pick")[1:] and run.workers("raw@daq->filter")[1:], 30, "their successors")


def reconnects(run: Started) -> int:
    overview = run.overview()
    assert overview is not None
    return int(overview["links"]["good@filter->storage"]["reconnects"])


def test_memory_is_what_the_setup_says_and_stays_so(tmp_path: Path) -> None:
    setup = write_setup(tmp_path, SETUP, PORT=str(free_port()))
    nodes = plan(load(setup)).nodes
    with Started(setup, "--all") as run:
        run.until("good", EVENTS)
        before = Figures(run)
        directories = {path.name.rpartition("-")[2]: path for path in run.runtime_directories()}
        assert set(directories) == set(nodes)
        for node, directory in directories.items():
            files = {path.name: path.stat() for path in directory.rglob("*") if path.is_file()}
            rings = {f"{ring.ring}.ring": ring for ring in nodes[node].rings}
            assert {name for name in files if name.endswith(".ring")} == set(rings)
            for name, ring in rings.items():
                stat = files.pop(name)
                exact = exact_bytes(ring)
                assert stat.st_size == exact
                assert stat.st_blocks * 512 == -(-exact // 4096) * 4096  # all of it is there from the start
                assert abs(ring_bytes(ring) - exact) < 0.01 * exact + 16_384  # what `check` shows
            assert sum(stat.st_size for stat in files.values()) < OTHER_FILES_BYTES
        run.until("good", 3 * EVENTS)
        after = Figures(run)
        disturb(run)
        run.until("good", run.written("good") + EVENTS)
        disturbed = Figures(run)
        run.interrupt()
        output = run.ends(0)
    assert "quality DEGRADED" in output
    assert [book["lost"] for book in record(tmp_path)["buffers"].values()] == [0, 0]
    flight = max(exact_bytes(ring) for node in nodes.values() for ring in node.rings)
    for later in (after, disturbed):
        for name, pid in later.pids.items():
            # What a link has under way lies in its rings, and once more, at most, in buffers of its sockets.
            assert later.own_bytes[name] < PROCESS_BYTES + flight, name
            is_another = pid != before.pids[name]  # it began anew, and perhaps with more under way
            allowed = GROWTH_BYTES + (flight if is_another else 0)
            assert later.own_bytes[name] - before.own_bytes[name] < allowed, name
        assert later.descriptors == before.descriptors
        assert later.threads == before.threads
        assert later.shared_bytes - before.shared_bytes < OTHER_FILES_BYTES
    assert after.pids == before.pids
    assert sum(disturbed.pids[name] != pid for name, pid in before.pids.items()) == 3
