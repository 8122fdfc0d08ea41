"""Observers change neither what comes out nor its order; `benchmarks.observers` measures what they cost."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.classic import version_1, version_2


def books(run):
    return {name: (book["written"], book["read"]) for name, book in run.buffers.items()}


def test_version_1_without_observers(chain_without_observers):
    version_1.assert_outputs(chain_without_observers.directory)


def test_version_2_without_observers(whole_without_observers):
    version_2.assert_outputs(whole_without_observers.directory)


@pytest.mark.parametrize("name", ["parameters", "pulses"])
def test_rows_of_version_1_are_the_same_with_three_observers(chain, chain_without_observers, name):
    tables = [version_1.read_text(run.directory, name) for run in (chain, chain_without_observers)]
    assert version_1.rows_of(tables[0]) == version_1.rows_of(tables[1])
    assert books(chain) == books(chain_without_observers)


@pytest.mark.parametrize("name", ["parameters", "all_pulses"])
def test_rows_of_version_2_are_the_same_with_five_observers(whole, whole_without_observers, name):
    tables = [
        version_2.read_tables(run.directory, name).drop(columns=["timestamp", "deadtime"])
        for run in (whole, whole_without_observers)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert books(whole) == books(whole_without_observers)
