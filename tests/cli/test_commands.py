"""The commands that need no running run."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mimocorb_dist import __version__
from mimocorb_dist.cli import cli
from mimocorb_dist.errors import TopologyError
from tests.support import mimocorb_node

COMMANDS = (
    "start", "check", "graph", "status", "pause", "resume", "stop", "runs", "report", "keys", "demo", "clean",
)  # fmt: skip
SETUP = """\
Buffers:
  raw: {slot_count: 16, data_length: 4, data_dtype: {ch1: float32}}
Workers:
  take: {file: user.py, function: take, sinks: [raw]}
  drain: {file: user.py, function: drain, sources: [raw]}
"""
USER_FILE = """\
def take(io):
    pass

def drain(io):
    pass
"""


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    (tmp_path / "user.py").write_text(USER_FILE)
    path = tmp_path / "setup.yaml"
    path.write_text(SETUP)
    return path


def test_help_names_every_command() -> None:
    result = mimocorb_node("--help")
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, mimocorb_dist.cli as c\n"
        "heavy = {'numpy', 'zmq', 'yaml', 'rich', 'psutil', 'pandas', 'scipy', 'matplotlib', 'msgpack'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_is_the_packages() -> None:
    result = mimocorb_node("--version")
    assert result.returncode == 0
    assert __version__ in result.stdout


def test_check_shows_the_plan(setup: Path) -> None:
    result = mimocorb_node("check", setup)
    assert (result.returncode, result.stderr) == (0, "")
    for name in ("raw", "take", "drain"):
        assert name in result.stdout


def test_check_warns_of_more_memory_than_the_machine_has(setup: Path) -> None:
    huge = "slot_count: 65536, data_length: 200000000"
    setup.write_text(SETUP.replace("slot_count: 16, data_length: 4", huge))
    result = mimocorb_node("check", "setup.yaml", cwd=setup.parent)
    assert result.returncode == 0
    assert result.stderr.startswith("warning: setup.yaml:2:3: the buffers need 524")
    assert "lower slot_count of the largest, 'raw'" in result.stderr


def test_check_warns_where_no_node_can_be_started_for_want_of_keys(setup: Path) -> None:
    hosts = "Nodes: {one: {host: 10.0.0.1}, two: {host: 10.0.0.2}}\nBroker: {node: one}\n"
    setup.write_text(
        hosts + SETUP.replace("{file", "{node: one, file").replace("{function", "{node: two, function")
    )
    result = mimocorb_node("check", setup, env={**os.environ, "MIMOCORB_KEYS": str(setup.parent / "none")})
    assert result.returncode == 0
    assert "no node of this setup can be started" in result.stderr
    assert "there is no own key" in result.stderr


def test_check_looks_at_the_data_files_of_the_node_that_this_machine_is(
    setup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = "".join(
        f"  {name}: {{node: {name}, function: data.replay, sinks: [raw], config: {{filename: {name}.npy}}}}\n"
        for name in ("daq", "other")
    )
    nodes = "Nodes: {daq: {host: 192.0.2.1}, other: {host: 192.0.2.2}}\nsecurity: none\n"
    setup.write_text(
        nodes + SETUP.replace("  take: {file: user.py, function: take, sinks: [raw]}\n", workers)
    )
    monkeypatch.setattr("mimocorb_dist.node.identity.find_node", lambda *_: "daq")
    with pytest.raises(TopologyError) as caught:
        cli.main(["check", str(setup)], standalone_mode=False)
    (mistake,) = caught.value.mistakes
    assert "daq.npy: there is no such file" in mistake


def test_check_tells_all_mistakes_with_their_places(setup: Path) -> None:
    setup.write_text(
        SETUP.replace("slot_count: 16", "slot_cuont: 16").replace("sources: [raw]", "sources: [rwa]")
    )
    result = mimocorb_node("check", "setup.yaml", cwd=setup.parent)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "setup.yaml:2:" in result.stderr
    assert "'slot_count'" in result.stderr
    assert "setup.yaml:5:" in result.stderr
    assert "'raw'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["setup.yaml", "topology.yaml"])
def test_without_a_name_the_setup_in_the_working_directory_is_taken(setup: Path, name: str) -> None:
    setup.rename(setup.with_name(name))
    result = mimocorb_node("check", cwd=setup.parent)
    assert result.returncode == 0
    assert name in result.stdout


@pytest.mark.parametrize("command", ["start", "check", "graph"])
def test_without_any_setup_the_message_says_which_names_were_looked_for(tmp_path: Path, command: str) -> None:
    result = mimocorb_node(command, cwd=tmp_path)
    assert result.returncode == 2
    assert "setup.yaml" in result.stderr
    assert "topology.yaml" in result.stderr


@pytest.mark.parametrize(("suffix", "signature"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_graph_draws_in_the_format_of_the_suffix(setup: Path, suffix: str, signature: bytes) -> None:
    result = mimocorb_node("graph", setup, "-o", f"flow.{suffix}", cwd=setup.parent)
    assert result.returncode == 0, result.stderr
    assert signature in (setup.parent / f"flow.{suffix}").read_bytes()[:1000]


def test_graph_refuses_other_formats(setup: Path) -> None:
    result = mimocorb_node("graph", setup, "-o", "flow.bmp", cwd=setup.parent)
    assert result.returncode == 2
    assert "svg, png or pdf" in result.stderr


@pytest.mark.parametrize("mode", ["web", "kbd+web"])
def test_modes_of_later_releases_say_so(setup: Path, mode: str) -> None:
    result = mimocorb_node("start", setup, "-c", mode)
    assert result.returncode == 2
    assert "later release" in result.stderr


@pytest.mark.parametrize("mode", ["", "nix", "kbd+", "stats,kbd", "none+kbd"])
def test_unknown_modes_are_refused(setup: Path, mode: str) -> None:
    result = mimocorb_node("start", setup, "-c", mode)
    assert result.returncode == 2
    assert "-c" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-events", "0", "'0' is not a whole number above 0; write for example --max-events 1000"),
        ("--max-events", "many", "'many' is not a whole number above 0"),
        ("--max-time", "nan", "'nan' is not a number of seconds above 0; write for example --max-time 60"),
        ("--wait", "-1", "'-1' is not a number of seconds; write for example --wait 60"),
        ("--all", "--node=daq", "exclude each other"),
        ("--node", "'--node' requires an argument"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_remedy(
    setup: Path, arguments: tuple[str, ...]
) -> None:
    *options, words = arguments
    result = mimocorb_node("start", setup, *options)
    assert result.returncode == 2
    assert arguments[0] in result.stderr
    assert words in result.stderr
    assert "Try 'mimocorb-node start --help'" in result.stderr


@pytest.mark.parametrize("arguments", [("runs", "nowhere"), ("report", "nowhere")])
def test_directories_that_are_not_there_are_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = mimocorb_node(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_clean_removes_what_a_dead_run_left_and_says_so() -> None:
    directory = Path(f"/dev/shm/mimocorb-test-{os.getpid()}-dead")
    directory.mkdir()
    (directory / "lock").touch()
    (directory / "raw.ring").write_bytes(bytes(64))

    result = mimocorb_node("clean")

    assert result.returncode == 0
    assert f"removed {directory}" in result.stdout
    assert not directory.exists()


def test_errors_are_red_on_a_terminal_and_plain_elsewhere(tmp_path: Path) -> None:
    assert "\x1b" not in mimocorb_node("runs", "nowhere", cwd=tmp_path).stderr
    assert b"\x1b[31m" in _errors_on_a_terminal("runs", "nowhere", cwd=tmp_path)


def _errors_on_a_terminal(*arguments: str, cwd: Path) -> bytes:
    """Run a command whose standard error is a terminal, and return what it writes there."""
    supervisor, terminal = pty.openpty()
    try:
        command = [sys.executable, "-m", "mimocorb_dist.cli", *arguments]
        subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stderr=terminal, timeout=30, check=False)
        os.close(terminal)
        return os.read(supervisor, 10_000)
    finally:
        os.close(supervisor)
