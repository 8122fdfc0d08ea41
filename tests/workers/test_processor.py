"""The processor for single events: what it may return."""

from __future__ import annotations

import numpy as np
import pytest

from mimocorb_dist import (
    Processor,
    UfuncError,
)
from tests.workers.harness import (
    SUM,
    contents,
    counters,
    feed,
    worker_io,
)


def test_a_processor_writes_results_with_the_events_metadata(bench):
    raw, sums, copies = bench.ring(), bench.ring("sums", 1, SUM), bench.ring("copies")
    feed(raw, 4)

    def ufunc(data):
        number = data["a"][0]
        if number == 0:
            return None
        return [data["a"].sum() if number != 1 else None, data if number != 2 else None]

    Processor(worker_io([raw], [sums, copies]))(ufunc)
    assert [(counter, data["sum"][0]) for counter, data in contents(sums)] == [(2, 8.0), (3, 12.0)]
    assert counters(copies) == [1, 3]


@pytest.mark.parametrize(
    "result",
    [
        [2.5],
        [np.array(2.5)],
        [np.array([2.5])],
        [np.array([(2.5,)], SUM)],
        [np.array([(2.5,)], SUM)[0]],
        [{"sum": 2.5}],
        ([2.5],),
        np.array([2.5]),
        np.array([(2.5,)], SUM),
    ],
)
def test_what_a_processor_may_return(bench, result):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 1)
    Processor(worker_io([raw], [sums]))(lambda data: result)
    assert [data["sum"][0] for _, data in contents(sums)] == [2.5]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ([1.0], "a list of 1: .*, not None or a list of 2"),
        (5, "int 5, not None or a list of 2"),
        ("ab", "str 'ab', not None or a list of 2"),
        ([1.0, np.zeros(3)], r"an array of shape \(3,\) and dtype float64 does not fit .* of buffer copies"),
    ],
)
def test_a_result_that_a_processor_cannot_use_is_told_and_nothing_is_written(bench, result, told):
    raw, sums, copies = bench.ring(), bench.ring("sums", 1, SUM), bench.ring("copies")
    feed(raw, 1)
    with pytest.raises(UfuncError, match=f"worker find, event 0: .*{told}"):
        Processor(worker_io([raw], [sums, copies]))(lambda data: result)
    assert sums.statistics().written == 0
    assert copies.statistics().written == 0
