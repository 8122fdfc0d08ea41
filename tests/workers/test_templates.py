"""The templates for single events: mimoCoRB2's behaviour, with its faults done right."""

from __future__ import annotations

import itertools
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimocorb_dist import (
    BatchImporter,
    Exporter,
    Filter,
    Importer,
    IsAlive,
    Observer,
    Processor,
    SetupError,
    UfuncError,
)
from mimocorb_dist.ring import BufferReader, BufferWriter
from mimocorb_dist.workers.places import describe_error
from tests.support import eventually
from tests.workers.harness import PAIR, SUM, Bench, contents, counters, feed, worker_io

WAVE = np.dtype([("ch1", "<i2"), ("ch2", "<i2")])


def import_all(ring, values, **config):
    io = worker_io(sinks=[ring], **config)
    Importer(io)(lambda: iter(values))
    return io


# Importer.


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
    time.sleep(held_s)
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

    (BatchImporter if many else Importer)(worker_io(sinks=[raw]))(ufunc)
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


def test_a_slow_source_makes_live_time(bench):
    raw = bench.ring()

    def slow():
        for number in range(3):
            time.sleep(0.05)
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
    assert f"(test_templates.py:{line})" in str(caught.value)
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


# Filter.


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


# Processor.


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


# Exporter.


def test_an_exporter_gives_data_then_metadata_and_copies_to_its_sinks_first(bench):
    raw, copy = bench.ring(), bench.ring("copy")
    feed(raw, 3)
    io = worker_io([raw], [copy])
    for number, (data, metadata) in enumerate(Exporter(io)):
        assert data["a"][0] == metadata["counter"][0] == number
        assert copy.statistics().written == number + 1
    assert counters(copy) == [0, 1, 2]
    assert io.events == 3


def test_an_event_counts_as_read_when_the_next_is_asked_for(bench):
    raw = bench.ring()
    feed(raw, 3)
    iterator = iter(Exporter(worker_io([raw])))
    for number in range(3):
        next(iterator)
        assert raw.statistics().read["readers"] == number
    assert list(iterator) == []
    assert raw.statistics().read["readers"] == 3


def test_an_exporter_that_is_left_has_read_its_event(bench):
    raw = bench.ring()
    feed(raw, 5)
    io = worker_io([raw])
    exporter = Exporter(io)
    for _ in exporter:
        break
    for _, metadata in exporter:
        assert metadata["counter"][0] == 1
        break
    io.finish()
    assert raw.statistics().read["readers"] == 2
    assert counters(raw) == [2, 3, 4]


def test_the_older_call_gives_none_at_the_end(bench):
    raw = bench.ring()
    feed(raw, 2)
    generator = Exporter(worker_io([raw]))()
    seen = []
    while (event := next(generator))[0] is not None:
        seen.append(int(event[1]["counter"][0]))
    assert event == (None, None)
    assert seen == [0, 1]


# Observer and IsAlive.


def test_an_observer_sees_the_latest_event_and_none_at_the_end(bench):
    raw = bench.ring()
    writer = feed(raw, 3, close=False)
    generator = Observer(worker_io(observes=[raw]))()
    data, metadata = next(generator)
    assert metadata["counter"][0] == data["a"][0] == 2
    writer.close()
    assert next(generator) == (None, None)
    assert list(generator) == []
    assert counters(raw) == [0, 1, 2], "an observer takes nothing"


def test_an_observer_does_not_take_a_core_for_itself(bench):
    raw = bench.ring()
    writer = BufferWriter(raw)
    generator = Observer(worker_io(observes=[raw]))()
    start_s = time.monotonic()
    for number in range(6):
        writer.put(np.zeros(raw.spec.data_length, raw.spec.data_dtype), number, 0.0, 0.0)
        _, metadata = next(generator)
        assert metadata["counter"][0] == number
        with BufferReader(raw):
            pass
    assert time.monotonic() - start_s >= 5 * 0.01
    writer.close()
    assert next(generator) == (None, None)


def test_is_alive_until_the_stream_has_ended(bench):
    raw = bench.ring()
    writer = feed(raw, 1, close=False)
    is_alive = IsAlive(worker_io(observes=[raw]))
    assert is_alive() is True
    writer.close()
    assert is_alive() is False


# Setups that do not fit.


@pytest.mark.parametrize(
    ("template", "ends", "told"),
    [
        (Importer, (1, 1, 0), "Importer needs 0 sources, but the worker has 1 (s0); change its sources"),
        (Importer, (0, 0, 0), "Importer needs 1 sink, but the worker has none; change its sinks"),
        (Importer, (0, 2, 0), "Importer needs 1 sink, but the worker has 2 (t0, t1)"),
        (
            Importer,
            (0, 1, 1),
            "Importer needs 0 observed buffers, but the worker has 1 (o0); change its observes",
        ),
        (Exporter, (0, 0, 0), "Exporter needs 1 source, but the worker has none"),
        (Exporter, (1, 0, 1), "Exporter needs 0 observed buffers"),
        (Filter, (1, 0, 0), "Filter needs 1 or more sinks, but the worker has none"),
        (Processor, (2, 1, 0), "Processor needs 1 source, but the worker has 2 (s0, s1)"),
        (Observer, (0, 0, 2), "Observer needs 1 observed buffer, but the worker has 2 (o0, o1)"),
        (IsAlive, (1, 0, 1), "IsAlive needs 0 sources"),
    ],
)
def test_wrong_numbers_of_buffers_are_told(bench, template, ends, told):
    rings = [
        [bench.ring(f"{kind}{n}") for n in range(count)] for kind, count in zip("sto", ends, strict=True)
    ]
    with pytest.raises(SetupError) as caught:
        template(worker_io(*rings))
    assert str(caught.value).startswith(f"worker find: {told}")
    assert not any(ring.ended for ring in itertools.chain(*rings))


@pytest.mark.parametrize("template", [Filter, Exporter])
@pytest.mark.parametrize(("length", "dtype"), [(5, PAIR), (4, WAVE)])
def test_sinks_must_be_of_the_sources_type(bench, template, length, dtype):
    raw, other = bench.ring(), bench.ring("other", length, dtype)
    with pytest.raises(
        SetupError, match=r"source raw \(4 x {a: float64, b: float64}\) and its sink other \("
    ):
        template(worker_io([raw], [other]))


def test_a_processor_may_change_the_type(bench):
    Processor(worker_io([bench.ring()], [bench.ring("other", 5, WAVE)]))


# The attributes that user code relies on.


def test_attributes_of_templates(bench):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    io = worker_io([raw], [sums], bins=5)
    processor = Processor(io)
    assert processor.io is io
    assert processor.read is processor.sources is io.read
    assert processor.write is processor.sinks is processor.writers is io.write
    assert processor.observe is processor.observes is io.observe
    assert processor.reader is io.read[0]
    assert processor.writer is io.write[0]
    assert processor.config["bins"] == 5
    assert processor.name == "find"
    assert processor.logger is io.logger
    assert processor.run_dir == io.run_dir
    assert processor.setup_dir == io.setup_dir
    assert processor.data_example.shape == processor.data_in_example.shape == (4,)
    assert processor.data_out_example.dtype == SUM
    assert processor.metadata_example.shape == (1,)
    assert processor.reader.buffer.name == "raw"
    assert processor.shutdown_sinks == io.shutdown_sinks
    with pytest.raises(AttributeError):
        _ = processor.no_such_thing
    importer = Importer(worker_io(sinks=[sums]))
    assert importer.data_example.dtype == SUM
    observer = Observer(worker_io(observes=[raw]))
    assert observer.observer.name == "raw"
    assert observer.data_example.dtype == PAIR


@pytest.mark.parametrize("form", ["io", "tuple of io", "list of io", "four"])
def test_forms_in_which_a_template_takes_its_buffers(bench, form):
    raw = bench.ring()
    io = worker_io(sinks=[raw], name="find")
    arguments = {
        "io": io,
        "tuple of io": (io,),
        "list of io": [io],
        "four": (io.read, io.write, io.observe, {"name": "find", "run_directory": "/there", "debug": True}),
    }[form]
    importer = Importer(arguments)
    assert importer.name == "find"
    importer(lambda: iter([1, 2]))
    assert counters(raw) == [0, 1]


@pytest.mark.parametrize("arguments", [None, "io", (), [1, 2, 3], ([], [], [])])
def test_anything_else_is_told(arguments):
    with pytest.raises(SetupError, match="give it the BufferIO"):
        Importer(arguments)


def test_draining_the_sources(bench):
    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 5)
    Filter(worker_io([raw], [chosen])).drain_sources()
    assert raw.drained


def test_events_of_plain_functions_go_through_untouched(bench):
    """The context managers that mimoCoRB2 users know, without any template."""
    raw, copy = bench.ring(), bench.ring("copy")
    io = worker_io([raw], [copy])
    feed(raw, 3)
    while True:
        with io.read[0] as (metadata, data):
            if data is None:
                break
            with io.write[0] as (metadata_out, data_out):
                data_out[:] = data
                metadata_out[:] = metadata
    io.shutdown_sinks()
    assert [data["a"][0] for _, data in contents(copy)] == [0, 1, 2]
    assert math.isclose(raw.statistics().fill, 0.0)


def test_an_exception_while_writing_publishes_nothing(bench):
    raw = bench.ring()
    io = worker_io(sinks=[raw])
    with pytest.raises(ValueError, match="broadcast"), io.write[0] as (_, data):
        data["a"] = np.zeros(3)
    io.shutdown_sinks()
    assert counters(raw) == []


def test_writing_to_data_that_others_get_is_told_with_its_remedy():
    data = np.zeros(3)
    data.flags.writeable = False
    with pytest.raises(ValueError, match="read-only") as caught:
        data[0] = 1
    assert describe_error(caught.value).endswith("; other workers get these data, too: change a copy of them")
