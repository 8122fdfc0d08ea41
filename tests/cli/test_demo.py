"""The demonstration does what the front page says."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import mimocorb_node


def _said(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    assert found, text
    return found


def test_the_demonstration_measures_the_lifetime_of_the_muon(tmp_path: Path) -> None:
    begin_s = time.monotonic()
    result = mimocorb_node("demo", cwd=tmp_path)
    duration_s = time.monotonic() - begin_s

    assert result.returncode == 0, result.stdout + result.stderr
    assert duration_s < 40
    fit = _said(r"lifetime of the muon +\(([\d.]+) \+- ([\d.]+)\) us", result.stdout)
    assert float(fit[1]) == pytest.approx(2.197, abs=3 * float(fit[2]))
    for name in ("lifetime.png", "scope.png"):
        picture = tmp_path / _said(rf"\S+{name}", result.stdout)[0]
        assert picture.read_bytes().startswith(b"\x89PNG")

    record = json.loads(next(tmp_path.glob("mimocorb_demo/run_*/run.json")).read_text())
    assert (record["run"]["state"], record["run"]["quality"]) == ("finished", "GOOD")
    assert {node["node"] for node in record["workers"].values()} == {"daq", "filter", "storage"}
    for book in record["buffers"].values():
        assert book["lost"] == 0
    assert "quality GOOD" in result.stdout


def test_a_changed_setup_is_not_overwritten(tmp_path: Path) -> None:
    setup = tmp_path / "mimocorb_demo" / "setup.yaml"
    setup.parent.mkdir()
    setup.write_text("Buffers: {}\n")
    result = mimocorb_node("demo", cwd=tmp_path)
    assert result.returncode == 2
    assert "--directory" in result.stderr
    assert setup.read_text() == "Buffers: {}\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = mimocorb_node("demo", "--directory", "file/inside", cwd=tmp_path)
    assert result.returncode == 2
    assert "file" in result.stderr
    assert "--directory" in result.stderr


def test_the_setup_of_the_demonstration_avoids_a_port_in_use(tmp_path: Path) -> None:
    from mimocorb_dist.demo import place_setup

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setup = place_setup(tmp_path, usual_port=port)
        assert f"port: {port}}}" not in setup.read_text()
    assert f"port: {port}}}" in place_setup(tmp_path, usual_port=port).read_text()


def test_a_demonstration_that_is_interrupted_ends_in_good_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mimocorb_dist.cli", "demo"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        said = []
        while (line := demo.stdout.readline()) not in ("running\n", ""):
            said.append(line)
        demo.send_signal(signal.SIGINT)
        said.append(demo.stdout.read())
    # A machine with other things to do may have taken enough events for a fit before it could be interrupted.
    is_measured = "lifetime of the muon" in said[-1]
    assert demo.returncode == (0 if is_measured else 1), "".join(said)
    assert is_measured or "no lifetime" in said[-1]
    assert "Traceback" not in "".join(said)
