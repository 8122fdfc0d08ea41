"""Templates that work on many events at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimocorb_dist import BatchExporter, BatchFilter, BatchImporter, BatchProcessor, SetupError, UfuncError
from mimocorb_dist.ring import BufferReader
from tests.workers.harness import PAIR, SUM, Bench, contents, counters, feed, metadata_of, worker_io


def test_a_batch_filter_does_what_a_filter_does(bench):
    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 20)
    sizes = []

    def ufunc(data):
        assert data.shape[1:] == (4,)
        sizes.append(len(data))
        return data["a"][:, 0] % 3 == 0

    io = worker_io([raw], [chosen])
    BatchFilter(io)(ufunc)
    assert sum(sizes) == io.events == 20
    assert len(sizes) < 20
    events = contents(chosen)
    assert [counter for counter, _ in events] == [0, 3, 6, 9, 12, 15, 18]
    assert all((data["b"] == counter).all() for counter, data in events)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (True, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        (np.True_, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        (False, [[], []]),
        (None, [[], []]),
        ([True, None], [[0, 1, 2, 3], []]),
        (np.array([True, False, False, True]), [[0, 3], [0, 3]]),
        ([[True, False, False, False], np.array([False, True, True, False])], [[0], [1, 2]]),
    ],
)
def test_what_a_batch_filter_may_return(bench, result, expected):
    raw, sinks = bench.ring(), [bench.ring("s0"), bench.ring("s1")]
    feed(raw, 4)
    BatchFilter(worker_io([raw], sinks))(lambda data: result)
    assert [counters(ring) for ring in sinks] == expected


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (np.array([True, False]), r"an array of shape \(2,\) and dtype bool; return 4 truth values"),
        (np.zeros((4, 4), bool), r"an array of shape \(4, 4\)"),
        (np.array([0, 1]), "return 4 truth values"),
        ([True], "a list of 1: .*; return an array of 4 truth values"),
    ],
)
def test_what_a_batch_filter_cannot_use_is_told(bench, result, told):
    raw, sinks = bench.ring(), [bench.ring("s0"), bench.ring("s1")]
    feed(raw, 4)
    io = worker_io([raw], sinks)
    with pytest.raises(UfuncError, match=f"worker find, event 0: .*{told}") as caught:
        BatchFilter(io)(lambda data: result)
    io.fail(caught.value)
    assert counters(raw) == [0, 1, 2, 3]
    assert not sinks[0].ended


def test_a_batch_processor_writes_all_some_or_no_events(bench):
    raw, sums, some, none = (
        bench.ring(),
        bench.ring("sums", 1, SUM),
        bench.ring("some"),
        bench.ring("none", 1, SUM),
    )
    feed(raw, 6)

    def ufunc(data):
        odd = data["a"][:, 0] % 2 == 1
        return [data["a"].sum(axis=1), (odd, data[odd]), None]

    BatchProcessor(worker_io([raw], [sums, some, none]))(ufunc)
    assert [(counter, data["sum"][0]) for counter, data in contents(sums)] == [(n, 4.0 * n) for n in range(6)]
    assert [(counter, data["b"][3]) for counter, data in contents(some)] == [(1, 1), (3, 3), (5, 5)]
    assert counters(none) == []


@pytest.mark.parametrize(
    "item",
    [
        {"sum": np.arange(3.0)},
        {"sum": np.arange(3.0)[:, np.newaxis]},
        np.arange(3.0),
        np.arange(3.0).reshape(3, 1),
        np.rec.fromarrays([np.arange(3.0)], dtype=SUM),
        np.rec.fromarrays([np.arange(3.0)], dtype=SUM).reshape(3, 1),
        (np.array([0, 1, 2]), np.arange(3.0)),
        (True, [0, 1, 2]),
    ],
)
def test_forms_of_data_for_many_events(bench, item):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 3)
    BatchProcessor(worker_io([raw], [sums]))(lambda data: [item])
    assert [(counter, data["sum"][0]) for counter, data in contents(sums)] == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_metadata_go_with_chosen_events_in_the_order_of_choice(bench):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 4)
    BatchProcessor(worker_io([raw], [sums]))(lambda data: [(np.array([3, 1]), np.array([0.3, 0.1]))])
    reader = BufferReader(sums)
    for number in (3, 1):
        with reader as (metadata, data):
            assert metadata[0].tolist() == (number, 100.0 + number, number / 1000)
            assert data["sum"][0] == number / 10
    reader.close()


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ([np.zeros(3)], "the function returned 3 events for 4 of the source"),
        ([(np.array([1, 2]), np.zeros(4))], "the function returned 4 events for 2 of the source"),
        ([(np.array([1, 9]), np.zeros(2))], "chose events by"),
        ([(np.array([-1]), np.zeros(1))], "chose events by"),
        ([np.zeros((4, 2))], r"an array of shape \(4, 2\) and dtype float64 does not fit"),
        ([5.0], "float 5.0 is no array of events of buffer sums"),
        ([None, None], "a list of 2: .*, not None or a list of 1"),
        ([{"other": np.zeros(4)}], r"\['other'\] are not those of the buffer"),
    ],
)
def test_what_a_batch_processor_cannot_use_is_told(bench, result, told):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 4)
    with pytest.raises(UfuncError, match=f"worker find, event 0: .*{told}"):
        BatchProcessor(worker_io([raw], [sums]))(lambda data: result)
    assert sums.statistics().written == 0


def test_an_error_in_a_batch_function_keeps_its_events(bench):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 4)
    io = worker_io([raw], [sums])
    with pytest.raises(UfuncError, match=r"event 0: KeyError: 'x' \(test_batch.py:"):
        BatchProcessor(io)(lambda data: [{}["x"]])
    io.fail(KeyError())
    assert counters(raw) == [0, 1, 2, 3]


def test_a_batch_exporter_gives_views_of_many_events_and_copies_them_first(bench):
    raw, copy = bench.ring(), bench.ring("copy")
    feed(raw, 10)
    io = worker_io([raw], [copy])
    seen = []
    for data, metadata in BatchExporter(io, limit=4):
        assert 1 <= len(data) == len(metadata) <= 4
        assert copy.statistics().written >= len(seen) + len(data)
        assert np.shares_memory(data, raw.all_data)
        seen += metadata["counter"].tolist()
    assert seen == counters(copy) == list(range(10))
    assert io.events == 10


def test_a_batch_importer_counts_on_over_batches_of_all_sizes(bench):
    raw = bench.ring(slots=256)
    batches = [np.full((count, 4), count, float) for count in (1, 7, 0, 100)]
    io = worker_io(sinks=[raw])
    BatchImporter(io)(lambda: iter([*batches, None, batches[0]]))
    events = contents(raw)
    assert [counter for counter, _ in events] == list(range(108))
    assert [data["b"][3] for _, data in events] == [1] + [7] * 7 + [100] * 100
    assert io.events == 108
    assert raw.statistics().live_time_s > 0


def test_a_batch_importer_writes_events_with_metadata_of_their_own(bench):
    raw = bench.ring()
    metadata = metadata_of(5)
    metadata["counter"] += 70
    metadata["timestamp"] = 1e9
    batches = [(np.ones((5, 4), PAIR), metadata), (np.full((2, 4), 7.0), metadata[:2])]
    BatchImporter(worker_io(sinks=[raw]))(lambda: iter(batches))
    with BufferReader(raw).batch() as (written, data):
        assert written.tolist() == [*metadata.tolist(), *metadata[:2].tolist()]
        assert data["a"][:, 0].tolist() == [1] * 5 + [7] * 2
    assert raw.statistics().live_time_s > 0
    with pytest.raises(UfuncError, match=r"metadata of shape \(5,\) were given for 2 events"):
        BatchImporter(worker_io(sinks=[raw]))(lambda: iter([(np.ones((2, 4), PAIR), metadata)]))


def test_a_batch_importer_stops_exactly_at_the_limit(bench):
    raw = bench.ring()
    raw.limit_events(10)
    BatchImporter(worker_io(sinks=[raw]))(lambda: iter([np.zeros((7, 4), PAIR)] * 5))
    assert counters(raw) == list(range(10))


def test_what_a_batch_importer_cannot_use_is_told(bench):
    raw = bench.ring()
    with pytest.raises(
        UfuncError, match=r"event 0: an array of shape \(3, 5\) and dtype float64 does not fit"
    ):
        BatchImporter(worker_io(sinks=[raw]))(lambda: iter([np.zeros((3, 5))]))


def test_types_and_numbers_of_buffers_are_checked(bench):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    with pytest.raises(SetupError, match="BatchFilter copies events"):
        BatchFilter(worker_io([raw], [sums]))
    with pytest.raises(SetupError, match="BatchProcessor needs 1 or more sinks"):
        BatchProcessor(worker_io([raw]))


@settings(max_examples=40, deadline=None)
@given(
    keep=st.lists(st.booleans(), min_size=1, max_size=120),
    limit=st.integers(1, 50),
    length=st.sampled_from([1, 3, 40]),
)
def test_batches_and_single_events_give_the_same(tmp_path_factory, keep, limit, length):
    bench = Bench(tmp_path_factory.mktemp("rings"))
    raw, chosen, squares = (
        bench.ring(length=length, slots=128),
        bench.ring("chosen", length=length, slots=128),
        bench.ring("squares", 1, SUM, slots=128),
    )
    feed(raw, len(keep))
    mask = np.array(keep)
    BatchFilter(worker_io([raw], [chosen]), limit=limit)(lambda data: mask[data["a"][:, 0].astype(int)])
    BatchProcessor(worker_io([chosen], [squares]), limit=limit)(lambda data: [data["a"][:, -1] ** 2])
    expected = [(number, float(number) ** 2) for number in np.flatnonzero(keep)]
    assert [(counter, data["sum"][0]) for counter, data in contents(squares)] == expected
    bench.close()
