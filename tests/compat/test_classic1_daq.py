"""Main scripts of mimoCoRB 1, as their users have them, under `mimocorb-node python`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.daq import run_mimoDAQ
from mimocorb_dist.errors import SetupError
from tests.support import mimocorb_node

if TYPE_CHECKING:
    from pathlib import Path

SETUP = """\
output_directory: results
RingBuffer:
  - RB_1: {number_of_slots: 16, channel_per_slot: 1, data_type: {1: [x, float32], 2: [n, int32]}}
Functions:
  - Fkt_main: {runevents: 50}
  - Fkt_1: {file_name: functions, fkt_name: numbers, num_process: 1, RB_assign: {RB_1: write}}
  - Fkt_2: {file_name: functions, fkt_name: save, num_process: 2, RB_assign: {RB_1: read}}
FunctionConfigs:
  save: {filename: numbers, header_alias: {x: value}}
"""
FUNCTIONS = """\
import itertools
from mimocorb.buffer_control import rbImport, rb_toTxtfile

def numbers(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def count():
        for number in itertools.count():
            yield ([number / 4], [number]), None
    rbImport(config_dict=config_dict, sink_list=sink_list, ufunc=count, **rb_info)()

def save(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)()
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_setup.yaml").write_text(SETUP)
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("made", ["run_mimoDAQ(sys.argv[1])", "run_mimoDAQ(verbose=1)"])
def test_a_main_script_runs_unchanged(lab: Path, made: str) -> None:
    (lab / "main.py").write_text(
        "import sys\n"
        "from mimocorb.buffer_control import run_mimoDAQ\n"
        f"daq = {made}\n"
        "daq.setup()\ndaq.run()\ndaq.end()\n"
        "print('output is in', daq.directory_prefix)\n"
    )
    done = mimocorb_node("python", "main.py", "test_setup.yaml", cwd=lab)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Fkt_2" in done.stdout
    assert "no display for the control window" in done.stdout
    (directory,) = (lab / "results").iterdir()
    assert directory.name.startswith("test_")
    assert f"output is in {directory}/" in done.stdout
    rows = [line.split("\t") for line in (directory / "numbers.txt").read_text().splitlines()]
    assert rows[0] == ["counter", "timestamp", "deadtime", "value", "n"]
    assert [int(row[0]) for row in rows[1:]] == list(range(1, 51))
    assert [row[3:] for row in rows[1:]] == [[str(number / 4), str(number)] for number in range(50)]


def test_a_script_without_a_setup_is_told(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["main.py"])
    with pytest.raises(SetupError, match="no setup is given"):
        run_mimoDAQ()


def test_mistakes_are_told_before_the_run(lab: Path) -> None:
    (lab / "test_setup.yaml").write_text(SETUP.replace("number_of_slots", "number_of_slot"))
    with pytest.raises(SetupError, match=r"test_setup\.yaml:3:.*number_of_slot"):
        run_mimoDAQ("test_setup.yaml")
