"""Setups and workers of version 2, unchanged: the rows that come out, computed in `version_2`."""

from __future__ import annotations

import json

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import Run, change, completed, copy_of, with_nodes

TARGET = "results"


def over_nodes(document):
    with_nodes(document)
    for name in ("show_histogram", "show_table"):
        del document["Workers"][name]  # they look at files, not at buffers
    on_daq, on_storage = (
        ("source", "record"),
        ("table", "pulse_table", "peak_table", "export", "drain", "scope"),
    )
    for name, worker in document["Workers"].items():
        worker["node"] = "daq" if name in on_daq else "storage" if name in on_storage else "filter"
    document["Buffers"]["recorded"] = {**document["Buffers"]["recorded"], "node": "filter"}


@pytest.fixture(scope="module")
def whole_over_nodes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All workers over three nodes."""
    setup = copy_of("version_2", tmp_path_factory.mktemp("nodes")) / "setup.yaml"
    change(setup, over_nodes)
    return completed(setup, "--all", target=TARGET)


def test_all_rows_on_one_host(whole):
    version_2.assert_outputs(whole.directory)


def test_the_same_rows_over_three_nodes(whole_over_nodes):
    version_2.assert_outputs(whole_over_nodes.directory)
    assert whole_over_nodes.record["links"]


def test_one_host_and_three_nodes_count_the_same(whole, whole_over_nodes):
    def books(run):
        return {name: (book["written"], book["read"]) for name, book in run.buffers.items()}

    assert books(whole) == books(whole_over_nodes)
    assert books(whole)["raw"] == (200, 200)
    assert books(whole)["pulses"] == (80, 80)


@pytest.mark.parametrize("where", ["whole", "whole_over_nodes"])
def test_observers_see_whole_events_in_order_and_the_end(where, request):
    directory = request.getfixturevalue(where).directory
    version_1.assert_watched(directory / "watch.txt", version_2.EVENTS)
    assert int((directory / "alive.txt").read_text()) > 0


def test_observers_and_visualizers_draw_without_a_display(whole):
    for name in ("scope", "show_histogram", "show_table"):
        assert (whole.directory / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name


def test_buffers_by_hand(tmp_path):
    setup = copy_of("version_2", tmp_path) / "by_hand.yaml"
    run = completed(setup)
    facts = json.loads((run.directory / "read.json").read_text())
    events = facts.pop("events")
    rows = []
    for n in range(100):
        metadata = [2 * n, 4000 + n / 8, 0.25]
        rows += [[*metadata, n, n / 2, 0, 0], [*metadata, n / 4, -n, 1, 1]]
    assert events == rows
    assert facts == {
        "name": "read",
        "in": ["twice"],
        "out": [],
        "observe": [],
        "missing": 5,
        "example": "[('value', '<f8'), ('at', '<i4')]",
        "metadata_example": ["counter", "timestamp", "deadtime"],
        "setup_dir": str(setup.parent),
        "slot_count": 8,
        "is_shutdown": True,
    }
    version_1.assert_watched(run.directory / "watch.txt", range(0, 200, 2))


def test_recorded_mimo_files_are_played_again(whole, tmp_path):
    setup = copy_of("version_2", tmp_path) / "replay.yaml"
    recorded = (whole.directory / "rejected.mimo").read_bytes()
    (setup.parent / "recorded").mkdir()
    for path in ("rejected.mimo", "recorded/rejected.mimo"):
        (setup.parent / path).write_bytes(recorded)
    run = completed(setup)
    for name in ("simulated", "clocked"):
        events = version_2.read_mimo(run.directory, name)
        assert [int(metadata["counter"]) for metadata, _ in events] == list(range(40))
        for (_, data), number in zip(events, version_2.rejected(version_2.EVENTS), strict=True):
            assert data["ch1"].tolist() == version_1.channel_1(number)
            assert data["ch2"].tolist() == version_1.channel_2(number)


def test_workers_of_the_spring_and_before(tmp_path):
    setup = copy_of("version_2", tmp_path) / "older.yaml"
    completed(setup)
    rows, _ = version_2.read_lines(setup.parent, "saved.txt", " ")
    assert rows == [(n, n, max(version_1.channel_1(n))) for n in range(60) if n % 3]
    version_1.assert_watched(setup.parent / "watch.txt", range(60))
