"""The importer for single events: its counts and times, when it ends, and what it may yield."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimocorb_dist import (
    BatchImporter,
    Importer,
    UfuncError,
)
from mimocorb_dist.ring import BufferReader
from tests.support import eventually, let_pass
from tests.workers.harness import (
    WAVE,
    Bench,
    contents,
    counters,
    worker_io,
)


def import_all(ring, values, **config):
    io = worker_io(sinks=[ring], **config)
    Importer(io)(lambda: iter(values))
    return io


def test_counter_time_stamp_and_dead_time_of_imported_events(bench):
    raw = bench.ring()
    before = time.time()
    io = import_all(raw, [1, 2, 3])
    after = time.time()
    reader = BufferReader(raw)
    for counter in range(3):
        with reader as (metadata, _):
            assert metadata["counter"][0] == counter
            assert before - 0.001 <= metadata["timestamp"][0] <= after + 0.001
            assert 0 <= metadata["deadtime"][0] < 1
    reader.close()
    assert io.events == 3
    assert raw.ended


def test_dead_time_is_the_share_of_waiting_for_a_slot(bench):
    raw = bench.ring(slots=1)
    importer = threading.Thread(target=import_all, args=(raw, [1, 2]))
    importer.start()
    eventually(lambda: raw.statistics().filled == 1)
    held_s = 0.3
    let_pass(held_s, "the slot is held")
    reader = BufferReader(raw)
    with reader:
        pass
    with reader as (metadata, _):
        assert metadata["deadtime"][0] > 0.95
    importer.join()
    reader.close()
    statistics = raw.statistics()
    assert statistics.dead_time_s == pytest.approx(held_s, abs=0.2)
    assert statistics.live_time_s < 0.1


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("dead", [False, True])
def test_time_in_which_the_sink_is_held_is_dead_or_nothing_at_all(bench, dead, many):
    raw = bench.ring()
    held_s = 0.3

    def ufunc():
        for number in range(3):
            if number == 1:
                raw.pause(hold=True, dead=dead)
                threading.Timer(held_s, raw.resume).start()
            yield np.full((1, 4), number) if many else number

    importer = (BatchImporter if many else Importer)(worker_io(sinks=[raw]))
    importer(ufunc)
    assert importer.live_time_s() < 0.15, "this clock stands still when nobody looks"
    statistics = raw.statistics()
    assert statistics.live_time_s < 0.15
    assert statistics.dead_time_s == pytest.approx(held_s if dead else 0.0, abs=0.15)
    shares = []
    reader = BufferReader(raw)
    for _ in range(3):
        with reader as (metadata, _data):
            shares.append(metadata["deadtime"][0])
    reader.close()
    # The event that was held had been read before; it is the next one that was not read in time.
    assert bool(shares[2] > 0.9) is dead


@pytest.mark.parametrize("many", [False, True])
def test_the_clock_of_a_source_stands_still_while_it_waits_for_a_slot(bench, many):
    raw = bench.ring(slots=1)
    clock = []
    importer = (BatchImporter if many else Importer)(worker_io(sinks=[raw]))

    def ufunc():
        for number in range(2):
            yield np.full((1, 4), number) if many else number
            clock.append(importer.live_time_s())

    thread = threading.Thread(target=importer, args=(ufunc,))
    thread.start()
    eventually(lambda: raw.statistics().filled == 1)
    let_pass(0.3, "the second event waits for the slot of the first one")
    reader = BufferReader(raw)
    with reader:
        pass
    thread.join()
    reader.close()
    assert clock[1] - clock[0] < 0.15


def test_a_slow_source_makes_live_time(bench):
    raw = bench.ring()

    def slow():
        for number in range(3):
            let_pass(0.05, "the source is slow")
            yield number

    Importer(worker_io(sinks=[raw]))(slow)
    statistics = raw.statistics()
    assert 0.14 < statistics.live_time_s < 1
    assert statistics.dead_time_s < 0.05


def test_none_ends_the_import_and_what_comes_after_is_not_asked_for(bench):
    raw = bench.ring()
    asked = []

    def ufunc():
        yield 1
        yield None
        asked.append("more")
        yield 2

    Importer(worker_io(sinks=[raw]))(ufunc)
    assert counters(raw) == [0]
    assert asked == []


def test_a_source_left_early_is_closed(bench):
    raw = bench.ring()
    raw.limit_events(2)
    closed = []

    def ufunc():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    Importer(worker_io(sinks=[raw]))(ufunc)
    assert counters(raw) == [0, 1]
    assert closed == [True]


def test_while_paused_events_are_counted_on_and_discarded(bench):
    raw = bench.ring()

    def ufunc():
        yield 0
        raw.pause()
        yield 1
        yield 2
        raw.resume()
        yield 3

    Importer(worker_io(sinks=[raw]))(ufunc)
    assert counters(raw) == [0, 3]
    assert raw.statistics().discarded_while_paused == 2


COLUMN = np.arange(4)

FITTING = {
    "record array": (np.rec.fromarrays([COLUMN, -COLUMN], dtype=WAVE), COLUMN, -COLUMN),
    "other number types": (
        np.rec.fromarrays([COLUMN, -COLUMN], dtype=[("x", "<f4"), ("y", "<i8")]),
        COLUMN,
        -COLUMN,
    ),
    "plain array, to every field": (COLUMN.astype(float), COLUMN, COLUMN),
    "plain list, to every field": (COLUMN.tolist(), COLUMN, COLUMN),
    "number": (7, np.full(4, 7), np.full(4, 7)),
    "list of arrays": ([COLUMN, -COLUMN], COLUMN, -COLUMN),
    "tuple of arrays": ((COLUMN, -COLUMN), COLUMN, -COLUMN),
    "array with a row for each field": (np.array([COLUMN, -COLUMN]), COLUMN, -COLUMN),
    "list of number and array": ([3, COLUMN], np.full(4, 3), COLUMN),
    "mapping": ({"ch2": -COLUMN, "ch1": COLUMN}, COLUMN, -COLUMN),
    "array not in order": (
        np.rec.fromarrays([COLUMN.repeat(2), -COLUMN.repeat(2)], dtype=WAVE)[::2],
        COLUMN,
        -COLUMN,
    ),
}


@pytest.mark.parametrize("form", FITTING)
def test_what_an_importer_may_yield(bench, form):
    value, ch1, ch2 = FITTING[form]
    raw = bench.ring(dtype=WAVE)
    import_all(raw, [value])
    ((_, data),) = contents(raw)
    assert data["ch1"].tolist() == ch1.tolist()
    assert data["ch2"].tolist() == ch2.tolist()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.zeros(5), "an array of shape (5,) and dtype float64"),
        (np.zeros(5, WAVE), "5 x {ch1: int16, ch2: int16}"),
        (np.zeros(4, [("a", "f4"), ("b", "f4"), ("c", "f4")]), "4 x {a: float32, b: float32, c: float32}"),
        ([COLUMN, COLUMN, COLUMN], "a list of 3"),
        ({"ch1": COLUMN}, "['ch1'] are not those of the buffer"),
        ({"ch1": COLUMN, "ch3": COLUMN}, "['ch1', 'ch3'] are not those of the buffer"),
        ("text", "str 'text'"),
        (object(), "object <object"),
    ],
)
def test_what_does_not_fit_is_told_with_both_shapes_and_types(bench, value, told):
    raw = bench.ring(dtype=WAVE)
    with pytest.raises(UfuncError) as caught:
        import_all(raw, [1, value])
    message = str(caught.value)
    assert message.startswith("worker find, event 1: ")
    assert told in message
    assert "buffer raw: shape (4,) and dtype [('ch1', '<i2'), ('ch2', '<i2')]" in message
    assert not raw.ended, "whoever watches over the worker decides"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**15), 2**15 - 1), st.integers(-(2**15), 2**15 - 1)), min_size=4, max_size=4
    ),
    form=st.sampled_from(["record", "list", "dict", "strided"]),
)
def test_every_form_gives_the_same_event(tmp_path_factory, rows, form):
    bench = Bench(tmp_path_factory.mktemp("ring"))
    raw = bench.ring(dtype=WAVE)
    record = np.array(rows, dtype=WAVE)
    value = {
        "record": record,
        "list": [record["ch1"], record["ch2"]],
        "dict": {"ch1": record["ch1"].tolist(), "ch2": record["ch2"]},
        "strided": np.repeat(record, 3)[1::3],
    }[form]
    import_all(raw, [value])
    ((_, data),) = contents(raw)
    assert data.tolist() == rows
    bench.close()


def test_an_error_in_the_source_is_told_with_worker_event_and_place(bench):
    def ufunc():
        yield 1
        yield 2
        raise OSError("device is off")

    raw = bench.ring()
    with pytest.raises(UfuncError, match=r"worker find, event 2: OSError: device is off") as caught:
        Importer(worker_io(sinks=[raw]))(ufunc)
    line = ufunc.__code__.co_firstlineno + 3
    assert f"(test_importer.py:{line})" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert raw.statistics().written == 2


def test_a_function_that_is_no_source_is_told(bench):
    io = worker_io(sinks=[bench.ring()])
    with pytest.raises(UfuncError, match="returned NoneType None, not a generator; it must `yield` data"):
        Importer(io)(lambda: None)
    with pytest.raises(UfuncError, match="was called with 5"):
        Importer(io)(5)
    with pytest.raises(UfuncError, match="was called with None"):
        Importer(io)()
