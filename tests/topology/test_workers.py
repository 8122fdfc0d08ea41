"""`Workers:`: their keys, nodes and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .setups import BUFFERS, NODES, SETUP, other, with_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology


def test_a_worker_is_read_as_it_stands(setup: Callable[[str], Topology], folder: Path) -> None:
    text = other(
        "file: modules/user.py, function: find, number_of_processes: 3, on_error: skip, config: {a: 1}"
    )
    worker = setup(text).workers["other"]
    assert (worker.function, worker.file) == ("find", folder / "modules" / "user.py")
    assert (worker.processes, worker.on_error, worker.config) == (3, "skip", {"a": 1})
    assert (worker.sources, worker.sinks, worker.observes) == (("raw",), (), ())
    assert str(worker.place) == "setup.yaml:6:3"


def test_what_is_not_said_has_its_default(setup: Callable[[str], Topology]) -> None:
    worker = setup(SETUP).workers["save"]
    assert (worker.nodes, worker.file, worker.config) == (("local",), None, {})
    assert (worker.processes, worker.on_error) == (1, "stop")


@pytest.mark.parametrize("file", ["", "''", "~"])
def test_an_empty_file_means_a_prebuilt_function(setup: Callable[[str], Topology], file: str) -> None:
    assert setup(other(f"file: {file}, function: exporters.parquet")).workers["other"].file is None


def test_a_worker_may_run_on_one_node_or_several(setup: Callable[[str], Topology]) -> None:
    text = NODES + SETUP.replace("take: {", "take: {node: daq, ").replace(
        "save: {", "save: {node: [daq, filter], "
    )
    workers = setup(text).workers
    assert (workers["take"].nodes, workers["save"].nodes) == (("daq",), ("daq", "filter"))


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("other: \u00a7exporters.parquet", ("worker 'other' is 'exporters.parquet', not a mapping",)),
        ("\u00a7other: {sources: [raw]}", ("the key 'function' is missing", "'function: exporters.csv'")),
        ("other: {function: \u00a73, sources: [raw]}", ("function is 3, not a text",)),
        ("other: {\u00a7function: '', sources: [raw]}", ("the key 'function' has no value",)),
        (
            "\u00a7other: {file: modules/user.py, sources: [raw]}",
            ("the key 'function' is missing; 'modules/user.py' defines: take, find, save",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], \u00a7sink: []}",
            ("unknown key 'sink'", "did you mean 'sinks'? (allowed: node, file"),
        ),
        ("other: {function: exporters.parquet, \u00a7source_list: [raw]}", ("it is now called 'sources'",)),
        (
            "other: {function: exporters.parquet, \u00a7num_process: 2, sources: [raw]}",
            ("now called 'number_of_processes'",),
        ),
        (
            "other: {function: exporters.parquet, sources: \u00a7raw}",
            ("sources is 'raw', not a list", "sources: [raw]"),
        ),
        ("other: {function: exporters.parquet, sources: \u00a7{}}", ("sources is a mapping, not a list",)),
        (
            "other: {function: exporters.parquet, sources: [\u00a73]}",
            ("sources lists 3, not the name of a buffer",),
        ),
        ("other: {function: exporters.parquet, sources: [raw, \u00a7raw]}", ("sources lists 'raw' twice",)),
        (
            "other: {function: exporters.parquet, sources: [\u00a7rwa]}",
            ("worker 'other': there is no buffer 'rwa'", "did you mean 'raw'?"),
        ),
        ("other: {file: modules/user.py, function: find, observes: [\u00a7xyz]}", ("buffers: raw",)),
        (
            "other: {function: exporters.parquet, sources: [raw], on_error: \u00a7skp}",
            ("on_error is 'skp'", "'skip'?"),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], on_error: \u00a71}",
            ("allowed: stop, skip, restart",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a70}",
            ("number_of_processes is 0", "from 1 to 250"),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a7two}",
            ("is 'two', a text",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a7true}",
            ("is true",),
        ),
        (
            "other: {function: find, sources: [raw], file: \u00a7[x]}",
            ("file is a list, not a text",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], node: \u00a7{}}",
            ("node is a mapping, not a list",),
        ),
    ],
)
def test_a_wrong_worker_is_a_mistake(
    mistakes: Callable[..., None], worker: str, words: tuple[str, ...]
) -> None:
    mistakes(with_worker(worker), words)


@pytest.mark.parametrize("node", ["\u00a7dak", "[daq, \u00a7dak]"])
def test_an_unknown_node_is_a_mistake_with_the_nearest_name(mistakes: Callable[..., None], node: str) -> None:
    text = NODES + SETUP.replace("take: {", f"take: {{node: {node}, ").replace(
        "save: {", "save: {node: storage, "
    )
    mistakes(
        text, ("worker 'take': there is no node 'dak'", "did you mean 'daq'? (nodes: daq, filter, storage)")
    )


def test_a_node_given_twice_is_a_mistake(mistakes: Callable[..., None]) -> None:
    text = NODES + SETUP.replace("take: {", "take: {node: daq, ").replace(
        "save: {", "save: {node: [daq, \u00a7daq], "
    )
    mistakes(text, "node lists 'daq' twice")


def test_a_worker_without_node_among_several_runs_on_the_first_with_a_warning(
    warnings: Callable[..., None],
) -> None:
    text = "Nodes: {daq: , storage: }\n" + SETUP.replace("save: {", "save: {node: storage, ")
    warnings(
        text.replace("take:", "\u00a7take:"), ("worker 'take' names no node", "runs on the first, 'daq'")
    )


@pytest.mark.parametrize("name", ["a b", "a/b", ".a", "a.b", "to.x"])
def test_a_worker_name_must_be_fit_for_file_names(mistakes: Callable[..., None], name: str) -> None:
    worker = f"\u00a7{name}: {{function: exporters.parquet, sources: [raw]}}"
    mistakes(with_worker(worker), ("cannot be the name of a worker", "letters, digits"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Workers: \u00a7[save]", ("Workers is a list, not a mapping",)),
        ("Workers: \u00a7{}", ("Workers is empty", "name at least one worker")),
        ("\u00a7Workers:", ("the key 'Workers' has no value",)),
        ("\u00a7Wokers: {}", ("there is no 'Workers:', but 'Wokers:'", "write 'Workers:'")),
        ("\u00a7Functions: {}", ("there is no 'Workers:', but 'Functions:'", "write 'Workers:'")),
    ],
)
def test_workers_must_be_there(mistakes: Callable[..., None], section: str, words: tuple[str, ...]) -> None:
    mistakes(BUFFERS + section + "\n", words)
