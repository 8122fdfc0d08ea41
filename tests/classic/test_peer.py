"""The same setups in `mimocorb` from PyPI and here: the same files, event for event.

Run it with ``pytest -m peer``; CONTRIBUTING.md tells what it needs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.peer import display, peer_python, run_in_peer
from tests.classic import version_1
from tests.classic.running import change, completed, copy_of, function, runs_in
from tests.classic.test_scripts import NEW_BUFFER, check_new_buffer

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]


def in_parallel(document):
    """Filters only: several savers of the peer overwrite each other's files, or wait for ever at the end."""
    for index in (2, 3):
        function(document, index)["num_process"] = 2


def with_common_file(document):
    """The peer cannot do without one."""
    function(document, 0)["config_file"] = "config/empty.yaml"


# Setup, its output directory, what is changed in it.
CASES = {
    "chain": ("chain_setup.yaml", "target", lambda document: None),
    "chain in parallel": ("chain_setup.yaml", "target", in_parallel),
    "direct": ("direct_setup.yaml", "results/of_today", None),
    "put": ("put_setup.yaml", "target", with_common_file),
    "replay": ("replay_setup.yaml", "target", None),
}


def prepared(folder: Path, case: str) -> Path:
    setup_name, _, changes = CASES[case]
    setup = copy_of("version_1", folder) / setup_name
    (setup.parent / "config" / "empty.yaml").write_text("general: {}\n")
    recorded = setup.parent / "recorded"
    recorded.mkdir()
    version_1.write_accepted(recorded / "accepted.tar", version_1.EVENTS)
    setup.write_text(setup.read_text().replace("SOURCE", "recorded"))
    if changes:
        change(setup, changes)
    return setup


@pytest.fixture(scope="module")
def peer():
    """The display that the peer needs."""
    peer_python()
    with display() as name:
        yield name


@pytest.fixture(scope="module", params=CASES)
def both(request, peer, tmp_path_factory) -> tuple[str, Path, Path]:
    """The case, the peer's run directory, and ours."""
    case, (_, target, _) = request.param, CASES[request.param]
    setup = prepared(tmp_path_factory.mktemp("theirs"), case)
    run_in_peer(setup, peer)
    (theirs,) = runs_in(setup.parent / target)
    ours = completed(prepared(tmp_path_factory.mktemp("ours"), case), target=target)
    return case, theirs, ours.directory


def kind_of(path: Path) -> str:
    """Return the name of a file without numbers of processes and parts."""
    return re.sub(r"\.(part)?\d+(?=\.)", "", path.name)


def joined(directory: Path, pattern: str) -> list[str]:
    return [line for path in sorted(directory.glob(pattern)) for line in path.read_text().splitlines()]


def test_all_files_of_the_peer_are_here_too(both):
    _, theirs, ours = both
    assert {kind_of(path) for path in theirs.iterdir()} <= {kind_of(path) for path in ours.iterdir()}


def test_copies_of_setups_and_configs_are_the_same(both):
    _, theirs, ours = both
    copies = sorted(path.name for path in theirs.glob("*.yaml"))
    assert copies
    for name in copies:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_text_files_have_the_same_rows(both):
    """The header and rows with metadata of their own are the same to the letter."""
    case, theirs, ours = both
    names = sorted(path.name for path in theirs.glob("*.txt") if "\t" in path.read_text())
    assert bool(names) == (case.startswith("chain") or case == "direct")
    for name in names:
        texts = [joined(directory, name.replace(".txt", "*.txt")) for directory in (theirs, ours)]
        assert texts[0][0] == texts[1][0]
        own = [
            sorted(line for line in text if float(_cell(line, 1)) < 5000) for text in (t[1:] for t in texts)
        ]
        assert own[0] == own[1]
        assert len(own[0]) > 30
        tables = [pd.read_csv(directory / name, sep="\t") for directory in (theirs, ours)]
        assert tables[0].dtypes.to_dict() == tables[1].dtypes.to_dict()
        rows = [sorted(version_1.rows_of(table)) for table in tables]
        assert rows[0] == rows[1]
        if "parallel" not in case:
            assert version_1.rows_of(tables[0]) == version_1.rows_of(tables[1])


def _cell(line: str, column: int) -> str:
    return line.split("\t")[column]


def test_tar_files_have_the_same_members(both):
    case, theirs, ours = both
    names = sorted(path.stem for path in theirs.glob("*.tar"))
    assert bool(names) == (case != "direct")
    for name in names:
        members = [version_1.read_members(directory, name) for directory in (theirs, ours)]
        assert sorted(members[0]) == sorted(members[1])
        if "parallel" not in case:
            assert list(members[0]) == list(members[1])
        for counter, table in members[0].items():
            pd.testing.assert_frame_equal(table, members[1][counter])


def test_what_user_functions_write_is_the_same(both):
    case, theirs, ours = both
    if case.startswith("chain"):
        lines = [sorted(version_1.read_sums(directory)[0]) for directory in (theirs, ours)]
        without_times = [[(line[0], *line[3:]) for line in rows] for rows in lines]
        assert without_times[0] == without_times[1]
        arrays = [
            np.concatenate([np.load(path) for path in directory.glob("halves*.npy")])
            for directory in (theirs, ours)
        ]
        assert arrays[0].dtype == arrays[1].dtype
        assert sorted(arrays[0].tolist()) == sorted(arrays[1].tolist())
        assert joined(theirs, "without_buffers.txt") == joined(ours, "without_buffers.txt")
    if case == "direct":
        assert joined(theirs, "poll.txt") == joined(ours, "poll.txt")
    if case == "put":
        theirs_answers, ours_answers = (
            joined(directory, "put.json")[0].partition("config")[0] for directory in (theirs, ours)
        )
        assert theirs_answers == ours_answers


def test_the_rows_of_the_peer_are_the_expected_ones(both):
    """So that the expected rows, with which we are tested else, are those of the peer."""
    case, theirs, _ = both
    if case.startswith("chain"):
        version_1.assert_outputs(theirs, processes=2 if "parallel" in case else 1)


READ_WITH_THE_PEER = """
import json, sys
from mimocorb.parquetReader import parquetReader
reader = parquetReader({"path": sys.argv[1], "sleeptime": 0, "number_of_samples": 32})
reader.init(number_of_channels=2, number_of_values=32, channel_names=["ch1", "ch2"])
events = []
while (data := reader()) is not None:
    events.append([values.tolist() for values in data])
print(json.dumps(events))
"""


def test_the_peers_reader_reads_our_tar_files(chain, peer):
    done = subprocess.run(
        [str(peer_python()), "-c", READ_WITH_THE_PEER, str(chain.directory)],
        env={**os.environ, "DISPLAY": peer},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = version_1.accepted(version_1.EVENTS).values()
    assert json.loads(done.stdout) == [list(channels) for channels in expected]


def test_buffers_in_a_program_of_its_own_do_the_same_in_the_peer(peer):
    """The program and what is expected of it are those of `test_scripts`."""
    done = subprocess.run(
        [str(peer_python()), "-c", NEW_BUFFER, "fork"],
        env={**os.environ, "DISPLAY": peer},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    check_new_buffer(json.loads(done.stdout.splitlines()[-1]))
