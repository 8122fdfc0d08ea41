"""Real runs whose exporters are killed at random: every event is in every file once, in order."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.node import classic1, running
from tests.node.running import Started, assert_balanced, run_directory
from tests.support import eventually, free_port, let_pass

from .test_killed_exporters import numbers_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault

SHORT_AND_LONG = [
    (8, 1),
    *(pytest.param(60, seed, marks=[pytest.mark.soak, pytest.mark.timeout(900)]) for seed in range(2, 6)),
]
OWN = """
from mimocorb_dist.workers import Exporter

def own(io):
    exporter = Exporter(io)
    with exporter.open("own.own", "number\\n") as file:
        for data, metadata in exporter:
            file.write(f"{metadata['counter'][0]}\\n")
"""
SETUP = """
Nodes: {daq: {}, filter: {}, storage: {}}
Broker: {node: daq, port: PORT}
Buffers:
  raw: {slot_count: 256, data_length: 1, data_dtype: {number: int64}, delivery: broadcast}
Workers:
  source: {node: daq, file: f.py, function: source, sinks: [raw], config: {rate: 3000}}
  csv: {node: daq, function: exporters.csv, sources: [raw], config: {filename: csv}}
  parquet:
    node: filter
    function: exporters.parquet
    sources: [raw]
    config: {filename: parquet, group_megabytes: 0.02}
  mimo: {node: storage, function: data.export, sources: [raw], config: {filename: mimo}}
  own: {node: storage, file: f.py, function: own, sources: [raw], on_error: restart}
target_directory: target
"""
CLASSIC = """
output_directory: target
KBD_control: false
GUI_control: false
FunctionConfigs:
  source: {rate: 3000}
  text: {filename: txt}
  archive: {filename: tar}
RingBuffer:
  - RB_1: {number_of_slots: 256, channel_per_slot: 1, data_type: {1: [number, int64], 2: [double, float64]}}
Functions:
  - Fkt_main: {}
  - Fkt_1: {file_name: modules/f, fkt_name: source, num_process: 1, RB_assign: {RB_1: write}}
  - Fkt_2: {file_name: modules/g, fkt_name: text, num_process: 2, RB_assign: {RB_1: read}}
  - Fkt_3: {file_name: modules/g, fkt_name: archive, num_process: 1, RB_assign: {RB_1: read}}
"""
CLASSIC_FUNCTIONS = """
from mimocorb.buffer_control import rb_toParquetfile, rb_toTxtfile

def text(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list, config_dict, **rb_info)()

def archive(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toParquetfile(source_list, config_dict, **rb_info)()
"""


def kill_some(run: Started, buffer: str, workers: list[str], kills: int, seed: int) -> None:
    """Kill processes of workers, or ends of links, at random moments.

    Most are killed when they have dealt with events, some while they start: never again and again.
    """
    chance = random.Random(seed)
    for number in range(kills):
        name = workers[number % len(workers)]
        if number >= len(workers) and chance.random() < 0.8:
            events = handled(run, name)
            eventually(lambda name=name, events=events: handled(run, name) != events or name == "links", 60)
        let_pass(chance.uniform(0.5, 3.5) / len(workers), "deaths come at random moments")
        victim = chance.choice(eventually(lambda name=name: run.workers(name), 60))
        victim.send_signal(chance.choice([signal.SIGKILL, signal.SIGSEGV]))
        eventually(lambda victim=victim: not victim.is_running(), 60)
    written = run.written(buffer)
    run.until(buffer, written + 1000, 120)


def handled(run: Started, worker: str) -> int:
    overview = run.overview()
    return overview["workers"].get(worker, {}).get("events", 0) if overview else 0


def assert_exact(folder: Path, first: int, buffer: str, names: list[str]) -> None:
    content = running.record(folder)
    assert_balanced(content)
    book = content["buffers"][buffer]
    assert (book["lost"], book["rescued"]) == (0, 0)
    assert book["written"] > 1000
    for name in names:
        numbers = numbers_in(run_directory(folder) / name)
        assert len(numbers) == book["written"], name
        assert numbers == list(range(first, first + book["written"])), name
    hidden = {path.name for path in run_directory(folder).iterdir()} & {"parquet.rest.mimo"}
    assert not hidden


@pytest.mark.parametrize(("kills", "seed"), SHORT_AND_LONG)
def test_exporters_that_are_killed_lose_and_double_nothing(tmp_path: Path, kills: int, seed: int) -> None:
    (tmp_path / "f.py").write_text(running.FUNCTIONS + OWN)
    (tmp_path / "setup.yaml").write_text(SETUP.replace("PORT", str(free_port())))
    with Started(tmp_path / "setup.yaml", "--all") as run:
        run.until("raw", 100, 120)
        kill_some(run, "raw", ["csv", "parquet", "links", "mimo", "own"], kills, seed)
        run.interrupt()
        run.ends(0, 120)
    assert_exact(tmp_path, 0, "raw", ["csv.csv", "parquet.parquet", "mimo.mimo", "own.own"])


@pytest.mark.parametrize(("kills", "seed"), SHORT_AND_LONG)
def test_exporters_of_mimocorb_1_that_are_killed_lose_and_double_nothing(
    tmp_path: Path, kills: int, seed: int
) -> None:
    setup = classic1.write_setup(tmp_path, CLASSIC)
    (tmp_path / "modules" / "g.py").write_text(CLASSIC_FUNCTIONS)
    with classic1.started(setup) as run:
        run.until("RB_1", 100, 120)
        kill_some(run, "RB_1", ["Fkt_2", "Fkt_3"], kills, seed)
        run.interrupt()
        run.ends(0, 120)
    assert_exact(tmp_path, 1, "RB_1", ["txt.txt", "tar.tar"])
