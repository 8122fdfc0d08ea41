"""Setups and user functions of version 1, unchanged: the rows that come out, computed in `version_1`."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pandas as pd
import pytest

from tests.classic import version_1
from tests.classic.running import (
    Run,
    change,
    completed,
    copy_of,
    function,
    is_run_directory_of_version_1,
    with_nodes,
)

CHAIN = "chain_setup.yaml"


def over_nodes(document):
    with_nodes(document)
    document["RingBuffer"][0]["RB_1"]["node"] = "daq"
    for index, node in {1: "daq", 2: "filter", 3: "filter", 10: "storage"}.items():
        function(document, index)["node"] = node
    for index in (4, 5, 6, 7, 8, 9, 11, 12, 13):
        function(document, index)["node"] = "storage"


@pytest.fixture(scope="module")
def chain_over_nodes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole chain over three nodes."""
    setup = copy_of("version_1", tmp_path_factory.mktemp("nodes")) / CHAIN
    change(setup, over_nodes)
    return completed(setup, "--all")


def test_all_rows_on_one_host(chain):
    version_1.assert_outputs(chain.directory)


def test_the_same_rows_over_three_nodes(chain_over_nodes):
    version_1.assert_outputs(chain_over_nodes.directory)
    assert chain_over_nodes.record["links"]


def test_one_host_and_three_nodes_count_the_same(chain, chain_over_nodes):
    def books(run):
        return {name: (book["written"], book["read"]) for name, book in run.buffers.items()}

    assert {name: written for name, (written, _) in books(chain).items()} == {
        "RB_1": 200, "RB_2": 120, "RB_3": 120, "RB_4": 100, "RB_5": 200
    }  # fmt: skip
    assert books(chain) == books(chain_over_nodes)


@pytest.mark.parametrize("where", ["chain", "chain_over_nodes"])
@pytest.mark.parametrize(
    ("name", "numbers"),
    [("watch.txt", version_1.EVENTS), ("watch_slowly.txt", version_1.accepted(version_1.EVENTS))],
)
def test_observers_see_whole_events_in_order_and_the_end(where, name, numbers, request):
    version_1.assert_watched(request.getfixturevalue(where).directory / name, numbers)


def test_the_run_directory_is_named_as_before_and_has_the_used_files(chain):
    assert is_run_directory_of_version_1(chain.directory, "chain_")
    lab = chain.directory.parent.parent
    for name in (CHAIN, "config/common.yaml", "config/save_parameters.yaml"):
        copy = chain.directory / name.rpartition("/")[2]
        assert copy.read_text() == (lab / name).read_text()
    assert "\n" in (chain.directory / "message.txt").read_text()  # of rbDrain


def test_a_function_without_buffers_is_called_with_nothing(chain):
    assert (chain.directory / "without_buffers.txt").read_text() == "no buffers None None None {}\n"


def test_text_files_have_the_types_of_the_fields(chain):
    """Integers stay integers; a name of the header stands where its field does."""
    lines = (chain.directory / "parameters.txt").read_text().splitlines()
    assert lines[0] == "event\ttimestamp\tdeadtime\tnumber\tU_max\twidth\tflag"
    assert lines[1] == "2\t1000.25\t0.125\t2\t24.5\t16.0\t74"


def test_tar_members_are_named_after_counters(chain):
    with tarfile.open(chain.directory / "accepted.tar") as tar:
        assert tar.getnames()[:3] == ["accepted_1.parquet", "accepted_2.parquet", "accepted_3.parquet"]


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Reader, Writer and Observer without templates."""
    setup = copy_of("version_1", tmp_path_factory.mktemp("direct")) / "direct_setup.yaml"
    return completed(setup, target="results/of_today")


def totals() -> list[tuple[float, ...]]:
    """The rows of the setup `direct`."""
    return [(n + 5, 3000 + n / 4, 0.5, 5 * n, n / 4, n, -1.0) for n in range(100)]


def test_reader_and_writer_without_templates(direct):
    table = pd.read_csv(direct.directory / "totals.txt", sep="\t")
    assert list(table.columns) == [
        "counter", "timestamp", "deadtime", "total", "value", "own_counter", "own_deadtime"
    ]  # fmt: skip
    assert list(table.itertuples(index=False, name=None)) == totals()
    assert [str(table[name].dtype) for name in ("counter", "total", "own_counter")] == ["int64"] * 3


def test_a_buffer_of_a_plain_type_goes_to_each_of_its_reader_groups(direct):
    lines = (direct.directory / "poll.txt").read_text().splitlines()
    assert [list(map(int, line.split())) for line in lines] == [
        [n + 5, n, 2 * n, 3 * n, -n] for n in range(100)
    ]


def test_an_observer_without_a_template(direct):
    version_1.assert_watched(direct.directory / "look.txt", range(100))


def test_a_repeated_key_is_told_and_the_last_one_is_taken(direct):
    assert "data_type" in direct.output


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A source that puts events, and three places for configs."""
    return completed(copy_of("version_1", tmp_path_factory.mktemp("put")) / "put_setup.yaml")


def put_values(number: int) -> dict[str, list[float]]:
    return {"a": [number, -number, 0], "b": [number / 2, number / 4, number / 8]}


@pytest.mark.parametrize("name", ["first", "second"])
def test_events_that_are_put(put, name):
    members = version_1.read_members(put.directory, name)
    assert list(members) == list(range(1, 51))
    for number, table in members.items():
        assert table.to_dict("list") == put_values(number)
        assert [str(kind) for kind in table.dtypes] == ["int32", "float64"]


def test_put_tells_whether_the_buffer_is_active_and_its_config_is_taken_whole(put):
    content = json.loads((put.directory / "put.json").read_text())
    assert content["answers"] == [True] * 51
    prefix = content["config"].pop("directory_prefix")
    assert content["config"] == {"events": 50}
    assert prefix.endswith("/")
    assert (put.directory.parent.parent / prefix).resolve() == put.directory.resolve()


@pytest.mark.parametrize("form", ["first", "second"])
def test_functions_of_the_first_manual(tmp_path, form):
    setup = copy_of("version_1", tmp_path) / "older_setup.yaml"
    setup.write_text(setup.read_text().replace("FORM", f"older_{form}"))
    run = completed(setup)
    table = version_1.read_text(run.directory, "found")
    assert list(table.columns) == ["counter", "timestamp", "deadtime", "No", "sum"]
    kept = [number for number in range(1, 61) if number % 3]
    found = [number for number in kept if number % 3 == 2]
    assert version_1.rows_of(table) == [(number, number, 16 * number + 4) for number in found]
    members = version_1.read_members(run.directory, "kept")
    assert list(members) == kept
    for number, waveforms in members.items():
        assert waveforms["chA"].tolist() == [number] * 8
        assert waveforms["chB"].tolist() == [number + 0.5] * 8
    version_1.assert_watched(run.directory / "look.txt", range(1, 61))


def test_recorded_tar_files_are_read_again_by_the_classic_reader(chain, tmp_path):
    """And windows that cannot be opened do no harm."""
    lab = copy_of("version_1", tmp_path)
    (lab / "recorded").mkdir()
    (lab / "recorded" / "accepted.tar").write_bytes((chain.directory / "accepted.tar").read_bytes())
    setup = lab / "replay_setup.yaml"
    setup.write_text(setup.read_text().replace("SOURCE", "recorded"))
    again = version_1.read_members(completed(setup).directory, "again")
    expected = version_1.accepted(version_1.EVENTS)
    assert list(again) == list(range(1, len(expected) + 1))
    for table, (first, second) in zip(again.values(), expected.values(), strict=True):
        assert table["ch1"].tolist() == first
        assert table["ch2"].tolist() == second


def test_simulated_pulses(tmp_path):
    setup = copy_of("version_1", tmp_path) / "replay_setup.yaml"
    setup.write_text(setup.read_text().replace("SOURCE", "simulated"))
    change(setup, lambda document: document["Functions"].__delitem__(slice(3, None)))  # no windows
    members = version_1.read_members(completed(setup).directory, "again")
    assert list(members) == list(range(1, 101))
    waveforms = np.array([table["ch1"] for table in members.values()])
    assert waveforms.dtype == np.float32
    # Pulses of 250 mV on average start at the trigger, on an offset of -100 mV, with some noise.
    assert waveforms[:, :4].mean() == pytest.approx(-100, abs=10)
    assert waveforms[:, 5].mean() > 50
