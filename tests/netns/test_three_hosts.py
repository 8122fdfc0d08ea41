"""Three hosts with addresses of their own, each with its `mimocorb-node start`."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from tests.counting import NAMES, arrived, counted, write_counting
from tests.support import eventually, let_pass, shared_data

from .network import Host, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

NODE = [sys.executable, "-m", "mimocorb_dist.cli"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "muon_lifetime"

ADDRESSES = """
Nodes:
  daq: {host: 10.77.0.1}
  filter: {host: 10.77.0.2}
  storage: {host: 10.77.0.3}
Broker: {node: storage}
"""


@contextmanager
def started(hosts: dict[str, Host], folder: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start each host's node; kill what still runs at the end."""
    processes = {}
    try:
        for name, host in hosts.items():
            log = folder / f"{name}.log"
            processes[name] = host.popen(*NODE, "start", "-c", "none", cwd=folder / name, log=log)
        yield processes
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def statuses(processes: dict[str, subprocess.Popen[bytes]], folder: Path, timeout_s: float) -> None:
    """Wait until all nodes have ended, and demand that all is well."""
    deadline = monotonic() + timeout_s
    ended = {name: process.wait(max(1.0, deadline - monotonic())) for name, process in processes.items()}
    texts = "\n".join((folder / f"{name}.log").read_text()[-3000:] for name in processes)
    assert ended == dict.fromkeys(processes, 0), texts


def only_run(folder: Path) -> Path:
    (run,) = (folder / "target").glob("run_*")
    return run


def rows(run: Path) -> list[tuple[str, ...]]:
    """Return the rows of the pulse table by counter, without times that differ from run to run."""
    with (run / "pulses.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    fields = ("counter", "tau_us", "height_1", "height_2")
    return sorted((tuple(row[field] for field in fields) for row in table), key=lambda row: float(row[0]))


def assert_books(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["run"]["state"] == "finished" and record["run"]["quality"] == "GOOD", record["run"]
    assert all(book["lost"] == 0 for book in record["buffers"].values()), record["buffers"]


def test_real_muons_give_the_same_rows_on_one_host_and_on_three(tmp_path: Path) -> None:
    data = shared_data()
    with ExitStack() as stack:
        hosts = stack.enter_context(network(*NAMES))
        single = tmp_path / "single"
        for name in (*NAMES, "single", "all"):
            shutil.copytree(EXAMPLE, tmp_path / name, ignore=shutil.ignore_patterns("target"))
            for setup in (tmp_path / name).glob("*.yaml"):
                text = setup.read_text().replace("../../../shared/data", str(data))
                if name in NAMES:
                    for host in hosts.values():
                        text = text.replace(
                            f"  {host.name}: {{}}", f"  {host.name}: {{host: {host.address}}}"
                        )
                    text = text.replace("Broker:", "security: none\nBroker:")
                setup.write_text(text)
        for folder, arguments in ((single, ["single_host.yaml"]), (tmp_path / "all", ["--all"])):
            subprocess.run(
                [*NODE, "start", *arguments, "-c", "none"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                check=True,
                capture_output=True,
                timeout=100,
            )
        with started(hosts, tmp_path) as processes:
            statuses(processes, tmp_path, 100)
    runs = [only_run(tmp_path / name) for name in ("single", "all", "storage")]
    expected = rows(runs[0])
    assert len(expected) == 1081
    for run in runs:
        assert rows(run) == expected
        assert_books(run)
    published = np.genfromtxt(data / "kamiokanne_2018_published.csv", delimiter=",", names=True)["tau_us"]
    found = np.array([float(row[1] or "nan") for row in expected])
    assert np.count_nonzero(np.abs(found - published) < 0.040) >= 1060
    fit = json.loads((runs[2] / "lifetime.json").read_text())
    assert abs(fit["tau_us"] - 2.13) < 0.1


CUTS = ("down", "reset", "silence", "down", "long down")


@pytest.mark.fault
@pytest.mark.soak
def test_cut_connections_lose_double_and_reorder_nothing(tmp_path: Path) -> None:
    """Neither events, nor the order to stop, which is given in the middle of a cut."""
    for name in NAMES:
        write_counting(tmp_path / name, f"security: none{ADDRESSES}")
    with network(*NAMES) as hosts, started(hosts, tmp_path) as processes:
        storage = tmp_path / "storage"

        def await_more(what: str) -> None:
            before = arrived(storage)
            eventually(lambda: arrived(storage) > before + 5000, 20, what)

        eventually(lambda: arrived(storage), 60, "the first events")
        for number, cut in enumerate(CUTS):
            await_more("events between two cuts")
            host = list(hosts.values())[number % 3]
            if cut.endswith("down"):
                host.pull_cable()
                let_pass(30.0 if cut == "long down" else 3.0, "longer than a dead process is waited for")
                host.plug_cable()
            elif cut == "reset":
                with host.resetting():
                    let_pass(0.5, "the connections break again and again")
            else:
                host.silence()
                let_pass(4.0, "long enough to be noticed")
                host.listen_again()
            await_more(f"events after {cut} of {host.name}")
        with hosts["daq"].resetting(), hosts["filter"].resetting():
            processes["storage"].send_signal(signal.SIGTERM)
            let_pass(1.0, "the order comes while the connections break")
        statuses(processes, tmp_path, 60)
    assert_books(only_run(storage))
    record = counted(only_run(storage))
    assert sum(link["reconnects"] for link in record["links"].values()) >= len(CUTS)
