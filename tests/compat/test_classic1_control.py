"""A script that runs the functions of a setup itself, with `buffer_control` of mimoCoRB 1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from mimocorb_dist.compat.classic1.control import buffer_control
from mimocorb_dist.errors import SetupError
from tests.support import at_rest, eventually

from .classic1_buffers import wait_for_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = """\
import time
from mimocorb.mimo_buffer import Reader, Writer
from neighbour import OFFSET

def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    assert source_list is None and observe_list is None and rb_info == {"RB_1": "write"}
    writer, count = Writer(sink_list[0]), 0
    while writer._active.is_set() and count < config_dict["events"]:
        writer.get_new_buffer()["x"][:] = OFFSET + count
        count += 1
        writer.set_metadata(count, time.time(), 0.0)
        time.sleep(0.001)
    writer.process_buffer()

def slow(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    reader, writer = Reader(source_list[0]), Writer(sink_list[0])
    while True:
        data = reader.get()
        writer.get_new_buffer()["top"][:] = data["x"].max()
        writer.set_metadata(*reader.get_metadata())
        writer.process_buffer()
        time.sleep(config_dict["sleep"])

def forever(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    while True:
        time.sleep(10)
"""
SAVE = """\
from mimocorb.buffer_control import rb_toTxtfile

def save(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list, config_dict, **rb_info)()
"""
BUFFERS = [
    {"RB_1": {"number_of_slots": 16, "channel_per_slot": 10, "data_type": {1: ["x", "float32"]}}},
    {"RB_2": {"number_of_slots": 128, "channel_per_slot": 1, "data_type": {1: ["top", "float32"]}}},
]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with user files, in which the script runs."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "source.py").write_text(SOURCE)
    (tmp_path / "modules" / "neighbour.py").write_text("OFFSET = 10\n")
    (tmp_path / "save.py").write_text(SAVE)
    (tmp_path / "common.yaml").write_text(
        "general: {runevents: 77}\nslow: {sleep: 0.006}\nsave: {filename: no}\n"
    )
    (tmp_path / "save.yaml").write_text("filename: tops\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def functions(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {
        "Fkt_main": {"config_file": "common.yaml", "runtime": 5, "runevents": 3},
        "Fkt_1": {"file_name": "modules/source", "fkt_name": "source", "num_process": 1,
                  "RB_assign": {"RB_1": "write"}},
        "Fkt_2": {"file_name": "modules/source", "fkt_name": "slow", "num_process": 2,
                  "RB_assign": {"RB_1": "read", "RB_2": "write"}},
        "Fkt_3": {"file_name": "save", "fkt_name": "save", "num_process": 2, "config_file": "save.yaml",
                  "RB_assign": {"RB_2": "read"}},
    }  # fmt: skip
    return [{name: {**entries.get(name, {}), **changes.get(name, {})}} for name in {**entries, **changes}]


@pytest.fixture
def control(lab: Path) -> Iterator[buffer_control]:
    made = buffer_control(BUFFERS, functions(), {"source": {"events": 10_000}, "slow": {"sleep": 9}}, "out")
    yield made
    if made.status not in ("Initialized", "Shutdown"):
        made.shutdown()


def test_all_events_come_through_pause_resume_and_a_stop_with_a_backlog(
    control: buffer_control, lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert control.status == "Initialized"
    assert control.setup_buffers() is control.ringbuffers
    control.setup_workers()
    assert (control.runtime, control.runevents) == (5, 77)
    control.display_layout()
    control.display_functions()
    shown = capsys.readouterr().out
    assert "RB_1 16 10" in shown
    assert "Fkt_2 slow (2) {'RB_1': 'read', 'RB_2': 'write'}" in shown
    started_s = time.time()
    processes = control.start_workers()
    assert [process.name for process in processes] == ["save", "save", "slow", "slow", "source"]
    assert control.start_time >= started_s
    wait_for_lines(lab / "out" / "tops.txt", 20)
    control.pause()
    assert control.status == "Paused"
    first = control.ringbuffers["RB_1"]
    paused_at = at_rest(lambda: first.buffer_status()[0], 0.3)
    control.resume()
    assert control.status == "Running"
    assert control.cumulative_pause_time >= 0.3
    eventually(lambda: first.buffer_status()[0] > paused_at + 20 and first.buffer_status()[1] > 4)
    control.stop()
    assert control.status == "Stopped"
    control.shutdown()
    assert control.status == "Shutdown"
    assert [process.exitcode for process in processes] == [0] * 5
    rows = [line.split("\t") for line in (lab / "out" / "tops.txt").read_text().splitlines()]
    assert rows[0] == ["counter", "timestamp", "deadtime", "top"]
    assert sorted(int(row[0]) for row in rows[1:]) == list(range(1, len(rows)))
    assert all(float(row[3]) == int(row[0]) + 9 for row in rows[1:])
    assert len(rows) > paused_at
    assert sorted(path.name for path in (lab / "out").iterdir()) == ["common.yaml", "save.yaml", "tops.txt"]


def test_a_paused_run_can_be_ended_and_who_goes_on_is_ended(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = {"file_name": "modules/source", "fkt_name": "forever", "num_process": 1}
    control = buffer_control(BUFFERS, functions(Fkt_4=endless), {"source": {"events": 10_000}}, "out/")
    control.setup_buffers()
    control.setup_workers()
    control.setup_workers()
    processes = control.start_workers()
    assert control.start_workers() is processes
    wait_for_lines(lab / "out" / "tops.txt", 5)
    control.pause()
    control.shutdown()
    control.resume()
    shown = capsys.readouterr().out
    assert "set up already" in shown and "started already" in shown
    assert "ending forever" in shown
    assert "nothing to resume" in shown
    assert [process.exitcode for process in processes] == [-15, 0, 0, 0, 0, 0]


def test_the_oldest_form_has_no_function_configs(lab: Path) -> None:
    main = {"config_file": None}
    items = functions(Fkt_main=main)
    del items[0]["Fkt_main"]["config_file"]
    control = buffer_control(BUFFERS, items, "out")
    assert control.out_dir == "out/"
    control.setup_buffers()
    control.setup_workers()
    assert (control.runtime, control.runevents) == (5, 3)
    control.shutdown()


@pytest.mark.parametrize(
    ("buffers", "changes", "message"),
    [
        ([{"RB_2": {}}], {}, "where RB_1 is due there is {'RB_2': {}}"),
        ([{"RB_1": {"number_of_slots": 3, "data_type": "f4"}}], {}, "RB_1 has no channel_per_slot"),
        ([{"RB_1": {**BUFFERS[0]["RB_1"], "data_type": {1: ["x", "flot"]}}}], {}, "RB_1: data_type .*flot"),
        (BUFFERS, {"Fkt_1": {"file_name": "modules/nothing"}}, "no file .*modules/nothing.py"),
        (
            BUFFERS,
            {"Fkt_2": {"RB_assign": {"RB_7": "read"}}},
            "Fkt_2: RB_assign has RB_7: read; there are RB_1",
        ),
        (BUFFERS, {"Fkt_2": {"RB_assign": {"RB_1": "reed"}}}, "RB_1: reed; .* to read, write, observe"),
        (BUFFERS, {"Fkt_3": {"config_file": "no.yaml"}}, "Fkt_3: config_file .*no.yaml cannot be read"),
    ],
)
def test_mistakes_are_told(lab: Path, buffers: Any, changes: dict[str, Any], message: str) -> None:
    control = buffer_control(buffers, functions(**changes), {}, "out")

    def set_up() -> None:
        control.setup_buffers()
        control.setup_workers()

    with pytest.raises(SetupError, match=message):
        set_up()
    for buffer in control.ringbuffers.values():
        buffer.close()


def test_a_plain_type_is_kept(lab: Path) -> None:
    control = buffer_control(
        [{"RB_1": {"number_of_slots": 3, "channel_per_slot": 2, "data_type": "float32"}}], [], {}, "out"
    )
    assert control.setup_buffers()["RB_1"].dtype == "float32"
    control.shutdown()
