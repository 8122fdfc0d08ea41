"""Two and five processes for a function: the same events as of one, in the same number."""

from __future__ import annotations

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import change, completed, copy_of, function

# With two processes one function for each template, with five those that a lab would let work in parallel.
PARALLEL_1 = {2: (2, 3, 4, 5, 7), 5: (2, 5)}
PARALLEL_2 = {
    2: ("record", "choose", "keep", "analyse", "peaks", "table", "export"),
    5: ("choose", "table"),
}


@pytest.mark.parametrize("processes", PARALLEL_1)
def test_version_1(tmp_path, processes):
    setup = copy_of("version_1", tmp_path) / "chain_setup.yaml"

    def changes(document):
        version_1.without_observers(document)
        for index in PARALLEL_1[processes]:
            function(document, index)["num_process"] = processes

    change(setup, changes)
    run = completed(setup)
    version_1.assert_outputs(run.directory, processes=processes)
    assert {name: book["written"] for name, book in run.buffers.items()} == {
        "RB_1": 200, "RB_2": 120, "RB_3": 120, "RB_4": 100, "RB_5": 200
    }  # fmt: skip


@pytest.mark.parametrize("processes", PARALLEL_2)
def test_version_2(tmp_path, processes):
    setup = copy_of("version_2", tmp_path) / "setup.yaml"

    def changes(document):
        version_2.without_observers(document)
        for name in PARALLEL_2[processes]:
            document["Workers"][name]["number_of_processes"] = processes

    change(setup, changes)
    run = completed(setup, target="results")
    version_2.assert_outputs(run.directory, processes=processes)
    assert run.buffers["raw"]["written"] == 200
