"""Runs that Python scripts start, in the scripts' own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import yaml

from mimocorb_dist.control import Control
from mimocorb_dist.errors import RunError, SetupError, TopologyError
from tests.support import REPOSITORY, eventually

FUNCTIONS = """
import time
import numpy as np
from mimocorb2 import Exporter, Importer

def source(io):
    def count():
        for number in range(io["events"]):
            yield np.full(1, number)
            time.sleep(io.get("pause", 0))
    Importer(io)(count)

def save(io):
    with (io.run_dir / "numbers.txt").open("w", buffering=1) as file:
        for data, _ in Exporter(io):
            print(data["n"][0], file=file)
            if "fail" in io:
                raise ValueError("as it should")
"""
SETUP = """
Buffers: {raw: {slot_count: 16, data_length: 1, data_dtype: {n: int64}}}
Workers:
  source: {file: f.py, function: source, sinks: [raw], config: {events: 50}}
  save: {file: f.py, function: save, sources: [raw]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "f.py").write_text(FUNCTIONS)
    (tmp_path / "setup.yaml").write_text(SETUP)
    return tmp_path


def numbers(control: Control) -> list[int]:
    assert control.run_dir is not None
    return [int(line) for line in (control.run_dir / "numbers.txt").read_text().split()]


def quality(control: Control) -> str:
    assert control.run_dir is not None
    content: dict[str, Any] = json.loads((control.run_dir / "run.json").read_text())
    return str(content["run"]["quality"])


def test_a_setup_file_is_run_to_its_end(folder):
    control = Control.from_setup_file(folder / "setup.yaml", mode="stats")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    control()
    assert numbers(control) == list(range(50))
    assert quality(control) == "GOOD"
    assert control.run_dir.parent == folder / "target"
    assert yaml.safe_load((control.run_dir / "setup.yaml").read_text())["Workers"]["source"]["config"] == {
        "events": 50
    }
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_setup_made_by_a_script_is_run_and_names_are_relative_to_its_folder(folder):
    setup = yaml.safe_load(SETUP)
    setup["Workers"]["source"]["config"] = {"events": np.int64(7), "list": (1, 2), "array": np.arange(2)}
    setup["Buffers"]["raw"]["data_dtype"] = {"n": np.dtype("int64")}
    setup["target_directory"] = folder / "elsewhere"
    control = Control(setup, folder, "none")
    control()
    assert numbers(control) == list(range(7))
    assert control.run_dir.parent == folder / "elsewhere"
    written = yaml.safe_load((control.run_dir / "setup.yaml").read_text())
    assert written["Workers"]["source"]["config"] == {"events": 7, "list": [1, 2], "array": [0, 1]}


def test_all_mistakes_are_raised_at_once_before_the_run(folder):
    setup = yaml.safe_load(SETUP)
    setup["Buffers"]["raw"]["slot_count"] = -1
    setup["Workers"]["source"]["sink"] = setup["Workers"]["source"].pop("sinks")
    with pytest.raises(SetupError) as caught:
        Control(setup, folder)
    assert isinstance(caught.value, TopologyError)
    assert [text.split(": ")[0] for text in caught.value.mistakes] == [
        "setup['Buffers']['raw']['slot_count']",
        "setup['Workers']['source']['sink']",
    ]
    (folder / "setup.yaml").write_text(SETUP.replace("slot_count: 16", "slot_count: 0"))
    with pytest.raises(SetupError, match=r"setup.yaml:2:29: buffer 'raw': slot_count is 0"):
        Control.from_setup_file(folder / "setup.yaml")
    with pytest.raises(SetupError, match="there is no such file; did you mean"):
        Control.from_setup_file(folder / "setups.yaml")
    assert not (folder / "target").exists()


def test_what_no_setup_can_hold_is_named(folder):
    for value, words in ((object(), "is object"), (lambda: 0, "is function"), (b"x", "is bytes")):
        setup = yaml.safe_load(SETUP)
        setup["Workers"]["save"]["config"] = {"list": [1, value]}
        with pytest.raises(SetupError) as caught:
            Control(setup, folder)
        assert str(caught.value).startswith(f"setup['Workers']['save']['config']['list'][1] {words}")
    with pytest.raises(SetupError, match=r"Control\.from_setup_file"):
        Control("setup.yaml", folder)  # type: ignore[arg-type]
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(SetupError, match="contains itself"):
        Control(endless, folder)
    with pytest.raises(SetupError, match="'window' is no control mode; there are kbd, stats, gui, none"):
        Control(yaml.safe_load(SETUP), folder, "window")


def test_a_failed_run_is_an_error_of_the_script(folder):
    setup = yaml.safe_load(SETUP)
    setup["Workers"]["save"]["config"] = {"fail": True}
    control = Control(setup, folder, mode="none")
    with pytest.raises(RunError, match=r"the run has failed, or was ended at once; .* has its"):
        control()
    assert quality(control) == "INCOMPLETE"


def test_other_threads_are_told_to_use_the_main_one(folder):
    control = Control.from_setup_file(folder / "setup.yaml")
    raised: list[BaseException] = []

    def run() -> None:
        try:
            control()
        except RunError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert "main thread" in str(raised[0])
    assert not (folder / "target").exists()


SCRIPT = """
    import atexit, sys
    from mimocorb_dist import compat
    compat.install()
    from mimocorb2 import Control
    from mimocorb2.control import Control as same
    assert Control is same
    atexit.register(print, "at exit")
    control = Control.from_setup_file(sys.argv[1], mode="none", max_time_s=60)
    control()
    print("after the run", len((control.run_dir / "numbers.txt").read_text().split()) > 5)
"""


@pytest.mark.parametrize(
    ("number", "goes_on"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)]
)
def test_signals_end_the_run_in_good_order_and_all_but_ctrl_c_the_script_as_well(folder, number, goes_on):
    (folder / "setup.yaml").write_text(SETUP.replace("events: 50", "events: 1000000, pause: 0.01"))
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(SCRIPT), str(folder / "setup.yaml")],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        eventually(lambda: [p for p in folder.glob("target/*/numbers.txt") if p.stat().st_size > 20], 30.0)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "quality GOOD" in output
    assert ("after the run True" in output) == goes_on
    assert output.endswith("at exit\n")


def test_a_script_ends_with_status_1_after_a_failed_run(folder):
    (folder / "setup.yaml").write_text(SETUP.replace("save, ", "save, config: {fail: 1}, "))
    done = subprocess.run(
        [sys.executable, "-c", dedent(SCRIPT), str(folder / "setup.yaml")],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RunError: the run has failed" in done.stderr
    assert "after the run" not in done.stdout
