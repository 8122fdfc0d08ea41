"""The templates of mimoCoRB 1 with buffers of a script, all in this process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mimocorb_dist.compat.classic1.mimo_buffer import NewBuffer, Reader, Writer
from mimocorb_dist.compat.classic1.older import BufferToBuffer, ObserverData, SourceToBuffer
from mimocorb_dist.compat.classic1.templates import (
    rbDrain,
    rbExport,
    rbImport,
    rbObserver,
    rbProcess,
    rbPut,
    rbTransfer,
    rbWSObserver,
)
from mimocorb_dist.errors import SetupError, UfuncError
from tests.support import eventually, let_pass

if TYPE_CHECKING:
    from collections.abc import Iterator

WAVE = [("a", np.dtype("f4")), ("b", np.dtype("i2"))]
HEIGHT = [("height", np.dtype("f8")), ("n", np.dtype("i4"))]


class Buffers:
    """Buffers that are closed at the end of a test."""

    def __init__(self) -> None:
        self.made: list[NewBuffer] = []

    def __call__(self, slots: int = 16, values: int = 3, dtype: Any = WAVE) -> NewBuffer:
        self.made.append(NewBuffer(slots, values, dtype))
        return self.made[-1]


@pytest.fixture
def new() -> Iterator[Buffers]:
    buffers = Buffers()
    yield buffers
    for buffer in buffers.made:
        buffer.close()


def end(buffer: NewBuffer) -> None:
    """End a stream whose events are still to be read."""
    buffer.set_ending()
    ring = buffer._place.ring()
    assert ring is not None
    ring.expect_writers(0)


def read(buffer: NewBuffer, group: dict[str, Any]) -> list[tuple[int, Any]]:
    """End a stream; return counters and data of its events."""
    end(buffer)
    events = []
    for event in rbExport(source_list=[group], RB_1="read")():
        if event is None:
            break
        data, metadata = event
        events.append((int(metadata[0]), data.tolist()))
    return events


def put(buffer: NewBuffer, count: int) -> None:
    """Write events 1, 2, ..., whose data are their number."""
    put_one = rbPut(sink_list=[buffer.new_writer()], RB_1="write")
    for number in range(1, count + 1):
        channels = [np.full(buffer.values_per_slot, number)] * max(1, len(np.dtype(buffer.dtype).names or ()))
        assert put_one(channels, (number, 10.0 * number, 0.125)) is True


# What comes in.


def source(*items: Any) -> Any:
    def ufunc() -> Iterator[Any]:
        yield from items

    return ufunc


def test_import_takes_lists_and_arrays_and_counts_from_one(new):
    buffer = new()
    group = buffer.new_reader_group()
    importer = rbImport(
        sink_list=[buffer.new_writer()],
        config_dict={"directory_prefix": "./"},
        ufunc=source(
            ([[1, 2, 3], [4, 5, 6]], None), (np.arange(6).reshape(2, 3), None), (None, None), "never"
        ),
        RB_1="write",
    )
    before = time.time()
    importer()
    assert importer.event_count == 2
    assert (importer.number_of_channels, importer.chnams) == (2, ["a", "b"])
    end(buffer)
    reader = Reader(group)
    assert reader.get().tolist() == [(1.0, 4), (2.0, 5), (3.0, 6)]
    counter, timestamp, deadtime = reader.get_metadata()
    assert counter == 1 and before <= timestamp <= time.time() and 0 <= deadtime < 1
    assert reader.get()["b"].tolist() == [3, 4, 5]
    assert reader.get_metadata()[0] == 2
    with pytest.raises(SystemExit):
        reader.get()


@pytest.mark.parametrize("ending", [(), (None,), ((None, None),), ([None, None],)])
def test_an_import_whose_generator_ends_loses_nothing(new, ending):
    buffer = new()
    group = buffer.new_reader_group()
    rbImport([buffer.new_writer()], {}, source(([[1] * 3, [2] * 3], (7, 1.5, 0.25)), *ending))()
    assert read(buffer, group) == [(7, [(1.0, 2)] * 3)]


def test_a_source_that_exits_has_ended_in_order(new):
    buffer = new()
    group = buffer.new_reader_group()

    def ufunc() -> Iterator[Any]:
        yield [[1] * 3, [2] * 3], None
        raise SystemExit

    rbImport(sink_list=[buffer.new_writer()], ufunc=ufunc)()
    assert len(read(buffer, group)) == 1


def test_dead_time_is_the_share_in_which_events_waited_for_a_slot(new):
    buffer = new(slots=1)
    group = buffer.new_reader_group()
    reader = Reader(group)

    def ufunc() -> Iterator[Any]:
        for _ in range(2):
            let_pass(0.02, "the source is slow")
            yield [[1] * 3, [2] * 3], None

    sink = Writer(buffer.new_writer())
    sink.get_new_buffer()
    sink.process_buffer()
    reader.get()
    importer = rbImport(sink_list=[buffer.new_writer()], ufunc=ufunc)
    importer_thread = threading.Thread(target=importer)
    importer_thread.start()
    ring = buffer._place.ring()
    eventually(lambda: ring.statistics().dead_time_s > 0.08, what="an event that waits for its slot")
    eventually(reader.data_available)  # lets go of the event in hand
    reader.get()
    assert 0.3 < reader.get_metadata()[2] < 0.95
    reader.data_available()
    importer_thread.join(10)
    reader.get()
    assert reader.get_metadata()[2] < 0.6
    assert 0.1 < buffer.buffer_status()[3] < 0.95


@pytest.mark.parametrize("dtype", ["float32", np.int32])
def test_a_plain_dtype_is_filled(new, dtype):
    buffer = new(dtype=dtype)
    group = buffer.new_reader_group()
    rbImport(sink_list=[buffer.new_writer()], ufunc=source(([1, 2, 3], None), ([[4, 5, 6]], None)))()
    assert read(buffer, group) == [(1, [1, 2, 3]), (2, [4, 5, 6])]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([([[1, 2, 3]], None)], "event 1: .*1 arrays for 2 channels"),
        ([([[1, 2], [1, 2]], None)], r"event 1: .*does not fit into an event of buffer .*\(3,\)"),
        ([([[1] * 3] * 2, (1, 2))], r"event 1: the metadata are .*not \(counter, timestamp, deadtime\)"),
        ([[[1] * 3] * 3], r"event 1: the generator yielded .*not \(data, metadata\)"),
    ],
)
def test_what_a_source_must_not_give_is_told(new, items, told):
    buffer = new()
    importer = rbImport(sink_list=[buffer.new_writer()], ufunc=source(*items))
    with pytest.raises(UfuncError, match=told):
        importer()
    assert buffer.buffer_status()[0] == 0


def test_put_tells_whether_to_go_on(new):
    buffer = new()
    group = buffer.new_reader_group()
    put_one = rbPut(sink_list=[buffer.new_writer()], config_dict=None, RB_1="write")
    assert put_one([[1] * 3, [2] * 3], None) is True
    assert put_one([[3] * 3, [4] * 3], (5, 6.0, 0.5)) is True
    assert put_one(None, None) is True
    buffer.set_ending()
    assert put_one([[1] * 3, [2] * 3], None) is False
    assert read(buffer, group) == [(1, [(1.0, 2)] * 3), (5, [(3.0, 4)] * 3)]


def test_put_waits_while_paused_and_loses_nothing(new):
    buffer = new()
    group = buffer.new_reader_group()
    put(buffer, 1)
    buffer.pause()
    thread = threading.Thread(target=put, args=(buffer, 1))
    thread.start()
    thread.join(0.2)  # which it does not, for it waits
    assert thread.is_alive()
    assert buffer.buffer_status()[0] == 1 and group["paused"].is_set()
    buffer.resume()
    thread.join(10)
    assert not group["paused"].is_set()
    assert len(read(buffer, group)) == 2


# What is computed.


def transfer(new: Buffers, template: Any, ufunc: Any, sinks: int, dtypes: Any = None) -> list[Any]:
    """Let a template work on three events; return what is in its sinks then."""
    buffer = new()
    group = buffer.new_reader_group()
    put(buffer, 3)
    end(buffer)
    out = [new(values=3 if dtype == WAVE else 1, dtype=dtype) for dtype in dtypes or [WAVE] * sinks]
    groups = [sink.new_reader_group() for sink in out]
    template(
        source_list=[group],
        sink_list=[sink.new_writer() for sink in out],
        config_dict={},
        ufunc=ufunc,
        RB_1="read",
        RB_2="write",
    )()
    return [read(*pair) for pair in zip(out, groups, strict=True)]


def raw(*numbers: int) -> list[Any]:
    return [(number, [(float(number), number)] * 3) for number in numbers]


def heights(*numbers: int) -> list[Any]:
    return [(number, [(10.0 * number, 0)]) for number in numbers]


def height(data: Any) -> Any:
    result = np.zeros(1, [("height", "f8")])
    result["height"] = 10 * data["a"][0]
    return result


@pytest.mark.parametrize(
    ("ufunc", "expected"),
    [
        (lambda data: None, [[], []]),
        (lambda data: 1, [raw(1, 2, 3), []]),
        (lambda data: 0, [raw(1, 2, 3), []]),
        (lambda data: data, [raw(1, 2, 3), []]),
        (lambda data: [height(data)], [raw(1, 2, 3), heights(1, 2, 3)]),
        (lambda data: (data, height(data)), [raw(1, 2, 3), heights(1, 2, 3)]),
        (lambda data: [None, height(data)], [[], heights(1, 2, 3)]),
        (lambda data: [], [raw(1, 2, 3), []]),
        (lambda data: [data, None] if data["b"][0] == 2 else None, [raw(2), []]),
    ],
)
def test_transfer(new, ufunc, expected):
    assert transfer(new, rbTransfer, ufunc, 2, [WAVE, HEIGHT]) == expected


@pytest.mark.parametrize(
    ("ufunc", "expected"),
    [
        (lambda data: None, [[], []]),
        (lambda data: [None, True], [[], raw(1, 2, 3)]),
        (lambda data: [data, None], [raw(1, 2, 3), []]),
        (lambda data: [[data, None, data], True], [[*raw(1, 1), *raw(2, 2), *raw(3, 3)], raw(1, 2, 3)]),
        (lambda data: [np.bool_(data["b"][0] > 1), False], [raw(2, 3), []]),
    ],
)
def test_process(new, ufunc, expected):
    assert transfer(new, rbProcess, ufunc, 2) == expected


def test_metadata_go_with_the_events(new):
    buffer, out = new(), new()
    group, out_group = buffer.new_reader_group(), out.new_reader_group()
    put(buffer, 2)
    end(buffer)
    rbTransfer([group], [out.new_writer()], None, lambda data: 1)()
    end(out)
    reader = Reader(out_group)
    reader.get()
    assert reader.get_metadata() == (1, 10.0, 0.125)


@pytest.mark.parametrize(
    ("template", "ufunc", "told"),
    [
        (
            rbTransfer,
            lambda data: [data, data, data],
            "event 1: the function returned a list of 3.* for 2 sinks",
        ),
        (
            rbTransfer,
            lambda data: [data[:2], None],
            "event 1: an array .* does not fit into an event of buffer",
        ),
        (rbTransfer, lambda data: data["c"], r"event 1: ValueError: no field of name c \(test_classic1_temp"),
        (rbProcess, lambda data: [data], "event 1: .*not None or a list of 2: one item for each sink"),
        (rbProcess, lambda data: data, "event 1: .*not None or a list of 2"),
        (rbProcess, lambda data: [True, height(data)], "event 1: .*does not fit"),
    ],
)
def test_what_a_function_must_not_return_is_told(new, template, ufunc, told):
    with pytest.raises(UfuncError, match=told):
        transfer(new, template, ufunc, 2)


def test_a_function_may_change_what_other_groups_get_too(new):
    buffer, out = new(), new()
    groups = [buffer.new_reader_group() for _ in range(2)]
    out_group = out.new_reader_group()
    put(buffer, 2)
    end(buffer)

    def ufunc(data: Any) -> int:
        data["a"] += 100
        return 1

    rbTransfer([groups[0]], [out.new_writer()], {}, ufunc)()
    assert [data[0] for _, data in read(out, out_group)] == [(101.0, 1), (102.0, 2)]
    assert read(buffer, groups[1]) == raw(1, 2)


def test_a_transfer_without_sinks_may_look_at_events(new):
    buffer = new()
    group = buffer.new_reader_group()
    put(buffer, 3)
    end(buffer)
    seen = []
    rbTransfer(source_list=[group], sink_list=None, ufunc=lambda data: seen.append(int(data["b"][0])))()
    assert seen == [1, 2, 3]


# What goes out.


def test_export_gives_none_at_the_end_and_can_be_begun_anew_for_each_event(new):
    buffer = new()
    group = buffer.new_reader_group()
    put(buffer, 3)
    end(buffer)
    export = rbExport(source_list=[group], config_dict={}, RB_1="read")
    counters = []
    while (event := next(export())) is not None:
        data, metadata = event
        assert metadata.tolist() == [data["b"][0], 10.0 * data["b"][0], 0.125]
        counters.append(metadata[0])
    assert counters == [1, 2, 3]
    assert next(export()) is None
    assert buffer.buffer_status()[:2] == (3, 0)


def test_drain_reads_all_and_says_what_it_does(new, tmp_path):
    buffer = new()
    group = buffer.new_reader_group()
    put(buffer, 3)
    end(buffer)
    rbDrain(source_list=[group], config_dict={"directory_prefix": str(tmp_path)}, RB_1="read")()
    assert buffer.buffer_status()[:2] == (3, 0)
    assert "rbDrain" in (tmp_path / "message.txt").read_text()


@pytest.mark.parametrize("template", [rbObserver, rbWSObserver])
def test_observers_see_the_newest_event_and_then_none(new, template):
    buffer = new()
    buffer.new_reader_group()
    observer = template(
        observe_list=[buffer.new_observer()], config_dict={"min_sleeptime": 0.01}, RB_1="observe"
    )
    put(buffer, 3)
    events = observer()
    data, metadata = next(events)
    assert (metadata["counter"].tolist(), data.tolist()) == ([3], raw(3)[0][1])
    end(buffer)
    assert list(events) == [None]
    assert observer.min_sleeptime == 0.01
    assert observer.source.dataQ.empty() and observer.source.dataQ.get() is None


# Older names.


@pytest.mark.parametrize("name", ["data_source", "ufunc"])
@pytest.mark.parametrize("call", [SourceToBuffer.start_data_capture, SourceToBuffer.__call__])
def test_source_to_buffer(new, name, call):
    buffer = new()
    group = buffer.new_reader_group()
    numbers = iter(range(1, 4))

    def ufunc(channels: int) -> Any:
        number = next(numbers, None)
        return None if number is None else [[number] * 3] * channels

    call(SourceToBuffer(None, [buffer.new_writer()], None, {}, **{name: ufunc}, RB_1="write"))
    assert read(buffer, group) == raw(1, 2, 3)


def test_source_to_buffer_takes_generators_and_exits(new):
    buffer = new()
    group = buffer.new_reader_group()

    def ufunc(channels: int) -> Any:
        for number in range(1, 4):
            yield [[number] * 3] * channels
        raise SystemExit

    SourceToBuffer(sink_list=[buffer.new_writer()], ufunc=ufunc)()
    assert read(buffer, group) == raw(1, 2, 3)


@pytest.mark.parametrize(
    ("ufunc", "expected"),
    [
        (lambda data: 1, [raw(1, 2, 3), []]),
        (height, [[], heights(1, 2, 3)]),
        (lambda data: (data, height(data)), [raw(1, 2, 3), heights(1, 2, 3)]),
    ],
)
@pytest.mark.parametrize("call", [BufferToBuffer.process_data, BufferToBuffer.__call__])
def test_buffer_to_buffer(new, ufunc, expected, call):
    def template(source_list: Any, sink_list: Any, config_dict: Any, ufunc: Any, **rb_info: Any) -> Any:
        own = BufferToBuffer(source_list, sink_list, None, config_dict, filter=ufunc, **rb_info)
        return lambda: call(own)

    assert transfer(new, template, ufunc, 2, [WAVE, HEIGHT]) == expected


def test_observer_data(new):
    buffer = new()
    put(buffer, 1)
    observer = ObserverData(None, None, [buffer.new_observer()], {}, RB_1="observe")
    data, _ = next(observer.start())
    assert data.tolist() == raw(1)[0][1]


# What is missing.


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: rbImport(ufunc=source()),
            "rbImport needs a buffer to write, but its sink_list is None; add `RB_i",
        ),
        (lambda: rbImport(sink_list=[], ufunc=source()), "rbImport needs a buffer to write"),
        (lambda: rbPut(), "rbPut needs a buffer to write"),
        (lambda: rbTransfer(ufunc=len), "rbTransfer needs a buffer to read, but its source_list is None"),
        (lambda: rbProcess(ufunc=None), "rbProcess was made with ufunc=None; give it a function"),
        (lambda: rbExport(), "rbExport needs a buffer to read"),
        (lambda: rbDrain(), "rbDrain needs a buffer to read"),
        (lambda: rbObserver(), "rbObserver needs a buffer to observe, but its observe_list is None"),
        (lambda: rbExport([{}], RB_3="write"), "rbExport does not write buffers, but RB_3 is assigned so"),
        (lambda: rbImport([{}], RB_3="read"), "rbImport does not read buffers, but RB_3 is assigned so"),
    ],
)
def test_templates_without_their_buffers_say_what_to_change(make, told):
    with pytest.raises(SetupError, match=told):
        make()
    with pytest.raises(ValueError, match=told):  # as in mimoCoRB 1
        make()
