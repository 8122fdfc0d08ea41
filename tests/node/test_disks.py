"""A disk that runs full pauses the run before anything is lost; it goes on when there is room again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mimocorb_dist.functions._mimo import read_events, read_header

from mimocorb_dist.errors import RefusedError
from mimocorb_dist.node import client
from tests.node.running import Started, assert_balanced, record, run_directory, write_setup
from tests.support import eventually, free_port, let_pass, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = 1500
BALLAST_BYTES = 4 << 20

ONE = """
Disk: {warn: 5 MB, pause: 2 MB}
Buffers:
  raw: {slot_count: 16, data_length: 512, data_dtype: {number: int64}}
Workers:
  source: {file: f.py, function: source, sinks: [raw], config: {SOURCE}}
  save: {function: data.export, sources: [raw]}
target_directory: target
""".replace("{SOURCE}", f"{{events: {EVENTS}, rate: 300}}")


@contextmanager
def nearly_full_disk(folder: Path) -> Iterator[Path]:
    """Make a disk of 8 MiB, half of it taken by others."""
    with small_disk(folder, "8m") as disk:
        (disk / "others").write_bytes(bytes(BALLAST_BYTES))
        yield disk


def state(run: Started) -> str:
    overview = run.overview()
    return overview["run"]["state"] if overview else ""


def held(content) -> list:
    return [row for row in content["incidents"] if row["kind"] == "held"]


def stored(run: Path) -> tuple[np.ndarray, list[int]]:
    """Return metadata and numbers of the events that were written to a file."""
    path = run / "raw.mimo"
    metadata, data = zip(*read_events(path, read_header(path)), strict=True)
    return np.concatenate(metadata), np.concatenate(data)["number"][:, 0].tolist()


def test_a_run_waits_for_room_and_goes_on_with_nothing_lost(tmp_path):
    setup = write_setup(tmp_path, ONE)
    with nearly_full_disk(tmp_path / "target") as disk, Started(setup) as run:
        eventually(lambda: state(run) == "paused", 30.0)
        assert any("importers wait until it has" in text for text in run.overview()["run"]["remarks"])
        with pytest.raises(RefusedError, match=r"cannot resume: the disk of .* importers wait until it has"):
            client.command("resume", run.broker())
        eventually(lambda: (raw := run.overview()["buffers"]["raw"])["paused"] and not raw["filled"], 10.0)
        written = run.written("raw")
        let_pass(1.5, "the pause lasts, longer than from one overview to the next")
        assert run.written("raw") == written < EVENTS
        (disk / "others").unlink()
        output = run.ends(0)
        content = record(tmp_path)
        metadata, events = stored(run_directory(tmp_path))
    assert events == list(range(EVENTS))
    assert (content["run"]["quality"], content["run"]["reasons"]) == ("GOOD", []), output
    assert_balanced(content)
    raw = content["buffers"]["raw"]
    assert (raw["written"], raw["discarded_while_paused"], raw["lost"]) == (EVENTS, 0, 0)
    (hold,) = held(content)
    assert hold["where"] == "local" and "free" in hold["why"] and hold["to"] is not None
    assert hold["duration_s"] > 1.5
    # The time is dead time, in the books and in the metadata of the event that came after it.
    assert raw["dead_time_s"] == pytest.approx(hold["duration_s"], abs=1.5)
    gap = int(np.argmax(np.diff(metadata["timestamp"]))) + 1
    assert metadata["deadtime"][gap] > 0.9
    assert "the run pauses below 2 MB" in output
    assert output.count("importers wait until it has 2.75 MB") == 1 + output.count("cannot resume")
    assert "there is room on the disk again; running" in output


def test_stop_works_on_a_full_disk_and_writes_what_is_there(tmp_path):
    setup = write_setup(tmp_path, ONE)
    with nearly_full_disk(tmp_path / "target") as disk, Started(setup) as run:
        eventually(lambda: state(run) == "paused", 30.0)
        assert "draining" in client.command("stop", run.broker())
        output = run.ends(0)
        (disk / "others").unlink()
        content = record(tmp_path)
        _, events = stored(run_directory(tmp_path))
    assert events == list(range(content["buffers"]["raw"]["written"]))
    assert content["run"]["quality"] == "GOOD", output
    assert len(held(content)) == 1


def test_a_pause_of_the_user_outlasts_that_of_the_disk(tmp_path):
    setup = write_setup(tmp_path, ONE)
    with nearly_full_disk(tmp_path / "target") as disk, Started(setup) as run:
        eventually(lambda: state(run) == "paused", 30.0)
        assert client.command("pause", run.broker()).startswith("paused (root buffers; the disk of ")
        (disk / "others").unlink()
        eventually(lambda: not run.overview()["run"]["remarks"], 20.0, "room again")
        assert state(run) == "paused"
        eventually(lambda: run.overview()["buffers"]["raw"]["discarded_while_paused"] > 0, 20.0)
        client.command("resume", run.broker())
        output = run.ends(0)
        content = record(tmp_path)
        _, events = stored(run_directory(tmp_path))
    assert "there is room on the disk again; paused (root buffers)" in output
    raw = content["buffers"]["raw"]
    assert raw["written"] + raw["discarded_while_paused"] == EVENTS
    assert len(events) == raw["written"] and events == sorted(set(events))
    assert_balanced(content)


def test_all_importers_wait_when_the_disk_of_one_host_is_full(tmp_path):
    nodes = f"Nodes: {{daq: {{}}, storage: {{}}}}\nBroker: {{node: daq, port: {free_port()}}}\n"
    text = nodes + ONE.replace("source: {", "source: {node: daq, ").replace(
        "save: {", "save: {node: storage, "
    )
    daq, storage = tmp_path / "daq", tmp_path / "storage"
    setups = [write_setup(folder, text) for folder in (daq, storage)]
    with (
        nearly_full_disk(storage / "target") as disk,
        Started(setups[0], "--node", "daq") as first,
        Started(setups[1], "--node", "storage") as second,
    ):
        eventually(lambda: state(first) == "paused", 30.0)
        (text,) = first.overview()["run"]["remarks"]
        assert text.startswith(f"node storage: the disk of {storage / 'target'}")
        (disk / "others").unlink()
        outputs = [run.ends(0) for run in (first, second)]
        _, events = stored(run_directory(storage))
    content = record(daq)
    assert events == list(range(EVENTS))
    assert content["run"]["quality"] == "GOOD"
    assert [row["where"] for row in held(content)] == ["storage"]
    for output in outputs:
        assert "node storage: the disk of" in output
