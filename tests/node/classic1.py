"""A setup of mimoCoRB 1 and its functions, for tests of running it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .running import Started

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = """
import os, sys, time
import beside                     # a file in the same folder
from shared.more import factor    # a file that is found from the working directory
from mimocorb.buffer_control import rbExport, rbImport, rbObserver, rbTransfer
from mimocorb.mimo_buffer import Reader

LISTS = "source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info"

def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def events():
        number = 0
        while config_dict.get("events") is None or number < config_dict["events"]:
            number += 1
            with open(config_dict["directory_prefix"] + f"asked_{rb_info_name}.txt", "w") as file:
                file.write(str(number))
            if config_dict.get("rate"):
                time.sleep(1 / config_dict["rate"])
            yield [[number], [number * factor * beside.ONE]], None
        yield None, None
    rb_info_name = next(iter(rb_info))
    rbImport(config_dict=config_dict, sink_list=sink_list, ufunc=events, **rb_info)()

def odd(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def is_odd(data):
        time.sleep(config_dict.get("work_s", 0))
        return [float(data["number"][0])] if data["number"][0] % 2 else None
    rbTransfer(source_list, sink_list, config_dict, is_odd, **rb_info)()

def save(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    export = rbExport(source_list=source_list, config_dict=config_dict, **rb_info)
    name = next(iter(rb_info))
    with open(f"{config_dict['directory_prefix']}/{name}.{os.getpid()}.txt", "w", buffering=1) as file:
        for event in export():
            if event is None:
                break
            data, metadata = event
            value = data["double"][0] if data.dtype.names else data[0]
            file.write(f"{int(metadata[0])} {float(value)}\\n")

def some(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    reader = Reader(source_list[0])
    for _ in range(config_dict["events"]):
        reader.get()

def watch(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    with open(f"{config_dict['directory_prefix']}seen.{next(iter(rb_info))}.txt", "w", buffering=1) as file:
        for event in rbObserver(observe_list=observe_list, config_dict=config_dict, **rb_info)():
            if event is None:
                break
            data, metadata = event
            file.write(f"{int(metadata['counter'][0])}\\n")

def alone(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    print("lists:", source_list, sink_list, observe_list, rb_info, os.getcwd())
    while config_dict.get("goes_on", True):
        time.sleep(0.1)
"""
BUFFERS = """
RingBuffer:
  - RB_1:
      number_of_slots: 32
      channel_per_slot: 1
      data_type: {1: [number, int64], 2: [double, float64]}
  - RB_2: {number_of_slots: 16, channel_per_slot: 1, data_type: float64}
"""
SETUP = """
output_directory: target
KBD_control: false
GUI_control: false
FunctionConfigs:
  source: {SOURCE}
  odd: {ODD}
  some: {SOME}
  alone: {ALONE}
BUFFERS
Functions:
  - Fkt_main: {MAIN}
  - Fkt_1: {file_name: modules/f, fkt_name: source, num_process: 1, RB_assign: {RB_1: write}}
  - Fkt_2: {file_name: modules/f, fkt_name: odd, num_process: 2, RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {file_name: modules/f, fkt_name: save, num_process: 1, RB_assign: {RB_2: read}}
  - Fkt_4: {file_name: modules/f, fkt_name: save, num_process: 1, RB_assign: {RB_1: read}}
"""


def write_setup(folder: Path, text: str = SETUP, name: str = "test_setup.yaml", **values: str) -> Path:
    """Write a setup with its functions; `values` take the place of words in capitals in its text."""
    for part in ("modules", "shared"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "modules" / "f.py").write_text(FUNCTIONS)
    (folder / "modules" / "beside.py").write_text("ONE = 1\n")
    (folder / "shared" / "more.py").write_text("factor = 2\n")
    for word, default in (
        ("BUFFERS", BUFFERS),
        ("SOURCE", ""),
        ("ODD", ""),
        ("SOME", ""),
        ("ALONE", ""),
        ("MAIN", ""),
    ):
        text = text.replace(word, values.get(word, default))
    setup = folder / name
    setup.write_text(text)
    return setup


def started(setup: Path, *arguments: str, **popen: Any) -> Started:
    """Start a setup in its folder."""
    return Started(setup, *arguments, cwd=setup.parent, **popen)


def run_directories(folder: Path) -> list[Path]:
    """Return the run directories, oldest first."""
    return sorted((folder / "target").iterdir(), key=lambda path: path.stat().st_ctime)


def record(folder: Path) -> dict[str, Any]:
    """Return the record of the only run."""
    (directory,) = run_directories(folder)
    content: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return content


def rows(folder: Path, buffer: str) -> list[tuple[int, float]]:
    """Return what was saved of a buffer's events, sorted: counter and value."""
    (directory,) = run_directories(folder)
    lines = [
        line.split() for file in directory.glob(f"{buffer}.*.txt") for line in file.read_text().splitlines()
    ]
    return sorted((int(counter), float(value)) for counter, value in lines)


def assert_all_saved(folder: Path, count: int) -> None:
    """Check that the run is good, and every event of a source with so many was read by both its readers."""
    content = record(folder)
    assert (content["run"]["state"], content["run"]["quality"]) == ("finished", "GOOD"), content["run"][
        "reasons"
    ]
    assert content["buffers"]["RB_1"]["written"] == count
    assert rows(folder, "RB_1") == [(number, 2.0 * number) for number in range(1, count + 1)]
    assert rows(folder, "RB_2") == [(number, float(number)) for number in range(1, count + 1, 2)]
