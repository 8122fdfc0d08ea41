"""The examples run as their READMEs say, and give what they say."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.image import imread
from mimocorb_dist.functions.muons import fit_times

from tests.support import REPOSITORY, free_port, mimocorb_node, shared_data

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = REPOSITORY / "examples"


def copy_of(example: str, directory: Path) -> Path:
    """Copy an example to where it lies beside no recorded data, and may write."""
    target = directory / "repository" / "examples" / example
    shutil.copytree(EXAMPLES / example, target, ignore=shutil.ignore_patterns("target", "__pycache__"))
    return target


def run(directory: Path, *arguments: str) -> tuple[Path, dict[str, Any]]:
    """Start a setup, and return the run directory and the record."""
    done = mimocorb_node("start", *arguments, cwd=directory, env={"DISPLAY": "", "WAYLAND_DISPLAY": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    (run_directory,) = (directory / "target").iterdir()
    record: dict[str, Any] = json.loads((run_directory / "run.json").read_text())
    assert record["run"]["quality"] == "GOOD", record["run"]["reasons"]
    assert all(buffer["lost"] == 0 for buffer in record["buffers"].values())
    return run_directory, record


def is_picture(path: Path) -> bool:
    return imread(path).shape[2] == 4


def files_named_in(readme: Path) -> set[str]:
    """Names of files in the first column of the README's table."""
    rows = re.findall(r"(?m)^ *\| (`.*?`) \|", readme.read_text())
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_quickstart(tmp_path: Path) -> None:
    directory = copy_of("quickstart", tmp_path)
    setup = directory / "setup.yaml"
    assert len(setup.read_text().splitlines()) <= 35
    setup.write_text(setup.read_text().replace("rate: 500", "rate: 2000"))
    run_directory, record = run(directory)
    for name in files_named_in(directory / "README.md"):
        assert (run_directory / name).exists(), name
    assert record["buffers"]["raw"]["written"] == 5000
    table = pd.read_csv(run_directory / "pulses.csv")
    assert len(table) == record["buffers"]["pulses"]["written"] > 3000
    counts = np.load(run_directory / "Histograms_pulses" / "peak_heights.npy")
    heights = table["peak_heights"]
    assert counts.tolist() == np.histogram(heights, np.linspace(0, 1, 101))[0].tolist()
    assert is_picture(run_directory / "picture.png")
    assert is_picture(run_directory / "scope.png")


def test_classic(tmp_path: Path) -> None:
    directory = copy_of("classic", tmp_path)
    source = directory / "config" / "source.yaml"
    source.write_text(source.read_text().replace("sleep: 0.002", "sleep: 0.0002"))
    run_directory, record = run(directory)
    assert record["buffers"]["InputBuffer"]["written"] == 2000
    table = pd.read_csv(run_directory / "heights.csv")
    assert len(table) == record["buffers"]["PulseHeights"]["written"] > 100
    assert (table["ch1_height"] > 0.2).all()
    assert (table["ch2_height"] > 0.2).all()
    np.testing.assert_allclose(table["ratio"], table["ch2_height"] / table["ch1_height"])
    assert is_picture(run_directory / "oscilloscope.png")


@pytest.mark.parametrize("nodes", [False, True], ids=["one host", "three nodes"])
def test_classic1(tmp_path: Path, nodes: bool) -> None:
    directory = copy_of("classic1", tmp_path)
    config = directory / "config" / "common.yaml"
    config.write_text(
        config.read_text().replace("2000 ", "400 ").replace("sleeptime: 0.002", "sleeptime: 0.0005")
    )
    setup = directory / "pulses_setup.yaml"
    arguments = [setup.name]
    if nodes:
        text = setup.read_text()
        for number, node in enumerate(("daq", "filter", "storage", "storage", "daq"), 1):
            text = text.replace(f"- Fkt_{number}:\n", f"- Fkt_{number}:\n      node: {node}\n")
        names = "Nodes: {daq: {}, filter: {}, storage: {}}\nBroker: {node: storage, port: PORT}\n"
        setup.write_text(names.replace("PORT", str(free_port())) + text)
        arguments.append("--all")
    run_directory, record = run(directory, *arguments)
    assert re.fullmatch(r"pulses_\d{4}-\d\d-\d\d_\d{4}", run_directory.name)
    assert record["buffers"]["RB_1"]["written"] == 400
    table = pd.read_csv(run_directory / "pulses.txt", sep="\t")
    assert table.columns.tolist() == ["event", "timestamp", "deadtime", "sample", "height_A", "height_B"]
    assert len(table) == record["buffers"]["RB_3"]["written"] > 100
    assert (table[["height_A", "height_B"]] > 100).all(axis=None)
    assert table["sample"].dtype == np.int64 and (table["sample"] == 50).mean() > 0.9
    with tarfile.open(run_directory / "waveforms.tar") as archive:
        members = {member.name: member for member in archive}
        assert set(members) == {f"waveforms_{number}.parquet" for number in table["event"]}
        row = table.iloc[7]
        waveform = pd.read_parquet(archive.extractfile(members[f"waveforms_{int(row['event'])}.parquet"]))
    assert waveform["chA"].max() == pytest.approx(row["height_A"])
    for name in files_named_in(directory / "README.md"):
        assert (run_directory / name).exists(), name


def muon_lifetime(tmp_path: Path, *, recorded: bool) -> Path:
    directory = copy_of("muon_lifetime", tmp_path)
    if recorded:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared" / "data").symlink_to(shared_data())
    setup = directory / "setup.yaml"
    setup.write_text(setup.read_text().replace("node: storage}", f"node: storage, port: {free_port()}}}", 1))
    return directory


def rows_of(run_directory: Path) -> pd.DataFrame:
    """Read the rows of a run in the order of their counters, and check that csv and parquet agree."""
    table = pd.read_csv(run_directory / "pulses.csv").sort_values("counter", ignore_index=True)
    archive = pd.read_parquet(run_directory / "pulses.parquet").sort_values("counter", ignore_index=True)
    assert table.columns.tolist() == archive.columns.tolist()
    np.testing.assert_array_equal(table.to_numpy(), archive.to_numpy(np.float64))
    return archive.drop(columns=["timestamp", "deadtime"])


@pytest.mark.parametrize("arguments", [("single_host.yaml",), ("--all",)], ids=["single host", "three nodes"])
def test_recorded_muons(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    run_directory, record = run(muon_lifetime(tmp_path, recorded=True), *arguments)
    assert {buffer["written"] for buffer in record["buffers"].values()} == {1081}
    rows = rows_of(run_directory)
    assert rows["counter"].tolist() == list(range(1081))
    published = pd.read_csv(shared_data() / "kamiokanne_2018_published.csv")["tau_us"]
    assert np.count_nonzero(np.abs(rows["tau_us"] - published) <= 0.040) >= 1060
    fit = json.loads((run_directory / "lifetime.json").read_text())
    assert fit["tau_us"] == pytest.approx(fit_times(published).tau_us, abs=0.1)
    assert fit["tau_us"] == pytest.approx(fit_times(rows["tau_us"]).tau_us, rel=1e-3)
    for name in files_named_in(EXAMPLES / "muon_lifetime" / "README.md"):
        assert (run_directory / name).exists(), name
    assert is_picture(run_directory / "lifetime.png")


def test_recorded_muons_give_the_same_rows_on_one_host_and_on_three_nodes(tmp_path: Path) -> None:
    rows = []
    for name, arguments in (("one", ["single_host.yaml"]), ("three", ["--all"])):
        (tmp_path / name).mkdir()
        run_directory, _ = run(muon_lifetime(tmp_path / name, recorded=True), *arguments)
        rows.append(rows_of(run_directory))
    pd.testing.assert_frame_equal(*rows)


def test_simulated_muons(tmp_path: Path) -> None:
    run_directory, record = run(muon_lifetime(tmp_path, recorded=False), "single_host.yaml")
    assert record["buffers"]["raw"]["written"] == 5000
    fit = json.loads((run_directory / "lifetime.json").read_text())
    assert fit["tau_us"] == pytest.approx(2.197, abs=4 * fit["tau_error_us"])
    logs = "".join(path.read_text() for path in (run_directory / "logs").iterdir())
    assert "the muons are simulated" in logs


def test_one_host_and_three_nodes_have_the_same_workers() -> None:
    three = yaml.safe_load((EXAMPLES / "muon_lifetime" / "setup.yaml").read_text())
    one = yaml.safe_load((EXAMPLES / "muon_lifetime" / "single_host.yaml").read_text())
    for worker in three["Workers"].values():
        del worker["node"]
    del three["Nodes"], three["Broker"]
    assert one == three
