"""Five processes for a function: the same events as of one, in the same number.

Two processes for each are in the runs of `test_ends`, one in those of `test_observers`.
"""

from __future__ import annotations

from tests.classic import version_1, version_2
from tests.classic.running import change, completed, copy_of, function

PROCESSES = 5
# A filter and a saver.
PARALLEL_1 = (2, 5)
PARALLEL_2 = ("choose", "table")


def test_version_1(tmp_path):
    setup = copy_of("version_1", tmp_path) / "chain_setup.yaml"

    def changes(document):
        version_1.without_observers(document)
        for index in PARALLEL_1:
            function(document, index)["num_process"] = PROCESSES

    change(setup, changes)
    run = completed(setup)
    version_1.assert_outputs(run.directory, processes=PROCESSES)
    assert {name: book["written"] for name, book in run.buffers.items()} == {
        "RB_1": 200, "RB_2": 120, "RB_3": 120, "RB_4": 100, "RB_5": 200
    }  # fmt: skip


def test_version_2(tmp_path):
    setup = copy_of("version_2", tmp_path) / "setup.yaml"

    def changes(document):
        version_2.without_observers(document)
        for name in PARALLEL_2:
            document["Workers"][name]["number_of_processes"] = PROCESSES

    change(setup, changes)
    run = completed(setup, target="results")
    version_2.assert_outputs(run.directory, processes=PROCESSES)
    assert run.buffers["raw"]["written"] == 200
