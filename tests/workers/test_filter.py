"""The filter for single events: what it may return, and what becomes of an event."""

from __future__ import annotations

import numpy as np
import pytest

from mimocorb_dist import (
    Filter,
    UfuncError,
)
from mimocorb_dist.ring import BufferReader
from tests.workers.harness import (
    counters,
    feed,
    worker_io,
)


def filter_all(bench, ufunc, sinks=1, events=6):
    raw = bench.ring()
    feed(raw, events)
    rings = [bench.ring(f"sink{number}") for number in range(sinks)]
    Filter(worker_io([raw], rings))(ufunc)
    return [counters(ring) for ring in rings]


@pytest.mark.parametrize("kind", [bool, np.bool_, np.array, int])
def test_a_filter_takes_truth_values_of_all_kinds(bench, kind):
    assert filter_all(bench, lambda data: kind(bool(data["a"][0] > 2)), sinks=2) == [[3, 4, 5], [3, 4, 5]]


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_a_filter_with_a_list_publishes_for_true_only(bench, kind):
    even, odd = filter_all(bench, lambda data: kind([data["a"][0] % 2 == 0, data["a"][0] % 2 == 1]), sinks=2)
    assert (even, odd) == ([0, 2, 4], [1, 3, 5])


def test_a_filter_may_return_none(bench):
    assert filter_all(bench, lambda data: None) == [[]]


def test_filtered_events_keep_data_and_metadata(bench):
    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 3)
    Filter(worker_io([raw], [chosen]))(lambda data: True)
    reader = BufferReader(chosen)
    for number in range(3):
        with reader as (metadata, data):
            assert metadata[0].tolist() == (number, 100.0 + number, number / 1000)
            assert data.tolist() == [(number, number)] * 4
    reader.close()


@pytest.mark.parametrize(
    ("result", "sinks", "told"),
    [
        (np.array([True] * 4), 1, r"an array of shape \(4,\) and dtype bool, not True or False; np.any"),
        ([True, False, True], 2, "a list of 3: .*, not True, False, or a list of 2"),
        ("yes", 1, "str 'yes'"),
        (0.5, 1, "float 0.5"),
        (7, 1, "int 7"),
        ([0.5, 1], 2, "a list of 2"),
    ],
)
def test_a_result_that_a_filter_cannot_use_is_told(bench, result, sinks, told):
    with pytest.raises(UfuncError, match=f"worker find, event 0: the filter function returned {told}"):
        filter_all(bench, lambda data: result, sinks=sinks)


def test_an_error_in_a_filter_leaves_the_event_for_the_next_reader(bench):
    def ufunc(data):
        return 1 / (data["a"][0] - 2) < 0

    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 5)
    io = worker_io([raw], [chosen])
    with np.errstate(divide="raise"), pytest.raises(UfuncError, match="event 2: FloatingPointError"):
        Filter(io)(ufunc)
    assert not chosen.ended
    io.fail(ZeroDivisionError())
    assert counters(raw) == [2, 3, 4]
    assert raw.statistics().undelivered["readers"] == 0
