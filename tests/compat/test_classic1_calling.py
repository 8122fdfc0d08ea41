"""The call of a function of mimoCoRB 1 in a worker, with the worker's own ends of its buffers."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mimocorb_dist.compat.classic1 import mimo_buffer as bm
from mimocorb_dist.compat.classic1 import place
from mimocorb_dist.compat.classic1.calling import call
from mimocorb_dist.compat.classic1.flags import Active
from mimocorb_dist.compat.classic1.place import Place
from mimocorb_dist.compat.classic1.templates import rbExport, rbImport, rbObserver, rbTransfer
from mimocorb_dist.errors import UfuncError
from mimocorb_dist.ring import BufferObserver, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.workers import BufferIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = BufferSpec("RB_1", 8, 2, np.dtype([("x", "i4"), ("y", "f4")]), ("Fkt_2", "Fkt_3"))


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring.create(tmp_path, SPEC)
    yield ring
    place.serve(None)
    place.Place(str(ring.path)).forget()
    ring.close()


def fill(ring: Ring, count: int) -> None:
    writer = BufferWriter(ring)
    for number in range(count):
        writer.put(np.full(2, number, np.int32), number, 1.0, 0.0)
    writer.close()


def read_by(ring: Ring, group: str = "Fkt_2") -> BufferIO:
    return BufferIO("Fkt_2", [BufferReader(ring, group)], run_dir="/somewhere", config={"a": 1})


def test_the_function_gets_what_mimocorb_1_gives_it(ring):
    given: list[Any] = []

    def function(*arguments: Any, **roles: str) -> str:
        given.append((arguments, roles))
        return "done"

    io = BufferIO(
        "Fkt_2", [], [BufferWriter(ring)], [BufferObserver(ring)], {"a": [1]}, run_dir="/somewhere",
        assigned={"RB_2": "observe", "RB_1": "write"},
    )  # fmt: skip
    assert call(function, io) == "done"
    (sources, sinks, observes, config), roles = given[0]
    assert sources is None
    assert [len(sinks), len(observes)] == [1, 1]
    assert type(config) is dict
    assert config == {"a": [1], "directory_prefix": "/somewhere/"}
    assert list(roles.items()) == [("RB_2", "observe"), ("RB_1", "write")]
    sink = sinks[0]
    assert sink["number_of_slots"] == 8
    assert sink["values_per_slot"] == 2
    assert sink["dtype"] == [("x", np.dtype("i4")), ("y", np.dtype("f4"))]
    assert sink["active"].is_set() and not sink["paused"].is_set()
    assert isinstance(sink["mshare_name"], str) and isinstance(sink["metadata_share_name"], str)
    assert sink["debug"] is False
    assert pickle.loads(pickle.dumps(sink)) == sink


def test_events_are_counted_and_the_last_one_is_done_when_the_function_returns(ring):
    fill(ring, 5)

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        reader = bm.Reader(source_list[0])
        for _ in range(3):
            reader.get()

    io = read_by(ring)
    call(function, io)
    io.finish()
    assert io.events == 3
    assert ring.statistics().read["Fkt_2"] == 3
    assert ring.statistics().redelivered == 0


def test_an_event_on_which_the_function_fails_is_not_read(ring):
    fill(ring, 5)

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        def ufunc(data: Any) -> None:
            if data["x"][0] == 2:
                raise ValueError("no")

        rbTransfer(source_list=source_list, sink_list=sink_list, ufunc=ufunc, **roles)()

    io = read_by(ring)
    with pytest.raises(
        UfuncError, match=r"worker Fkt_2, event 2: ValueError: no \(test_classic1_calling"
    ) as caught:
        call(function, io)
    io.fail(caught.value)
    assert io.events == ring.statistics().read["Fkt_2"] == 2
    assert [metadata["counter"][0] for metadata, _ in ring.rescue("Fkt_2")] == [2, 3, 4]


def test_templates_and_readers_may_be_made_anew_for_each_event(ring):
    fill(ring, 5)

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        counters = []
        while (event := next(rbExport(source_list, config, **roles)())) is not None:
            counters.append(event[1][0])
        assert counters == [0, 1, 2, 3, 4]

    io = read_by(ring)
    call(function, io)
    io.finish()
    assert io.events == ring.statistics().read["Fkt_2"] == 5


def test_two_readers_and_two_writers_of_a_buffer_hold_a_slot_each(ring):
    def write(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        first, second = bm.Writer(sink_list[0]), bm.Writer(sink_list[0])
        one, two = first.get_new_buffer(), second.get_new_buffer()
        one["x"], two["x"] = 1, 2
        second.process_buffer()
        first.process_buffer()

    def read(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        first, second = bm.Reader(source_list[0]), bm.Reader(source_list[0])
        assert [first.get()["x"][0], second.get()["x"][0]] == [2, 1]

    io = BufferIO("Fkt_1", [], [BufferWriter(ring)])
    call(write, io)
    io.finish()
    assert io.events == 2 and ring.ended
    io = read_by(ring)
    call(read, io)
    io.finish()
    assert ring.statistics().read["Fkt_2"] == 2


def test_a_source_ends_when_the_worker_is_to_stop_and_when_the_ring_is(ring):
    def endless() -> Any:
        number = 0
        while True:
            number += 1
            if number == 3:
                io.stop.requested = True
            yield [[number] * 2] * 2, None

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        importer = rbImport(sink_list=sink_list, config_dict=config, ufunc=endless, **roles)
        importer()
        assert importer.event_count == 3  # what the source has given is written
        assert not sink_list[0]["active"].is_set()

    io = BufferIO("Fkt_1", [], [BufferWriter(ring)])
    call(function, io)
    assert io.events == ring.statistics().written == 3
    assert ring.statistics().live_time_s > 0


def test_a_limit_of_events_ends_a_source(ring):
    ring.limit_events(4)

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        rbImport(sink_list, config, lambda: iter([([[1] * 2] * 2, None)] * 9), **roles)()

    io = BufferIO("Fkt_1", [], [BufferWriter(ring)])
    call(function, io)
    assert io.events == ring.statistics().written == 4


def test_batches_are_counted_and_end(ring):
    fill(ring, 5)
    found = []

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        for metadata, data in bm.Reader(source_list[0]).batches(2):
            assert len(metadata) == len(data) <= 2
            found.extend(data["x"][:, 0].tolist())

    io = read_by(ring)
    call(function, io)
    io.finish()
    assert found == [0, 1, 2, 3, 4]
    assert io.events == ring.statistics().read["Fkt_2"] == 5


def test_each_observer_sees_events_for_itself(ring):
    fill(ring, 5)

    def function(source_list: Any, sink_list: Any, observe_list: Any, config: Any, **roles: str) -> None:
        for _ in range(2):
            assert len(list(rbObserver(observe_list, config, **roles)())) == 2

    io = BufferIO("Fkt_4", [], [], [BufferObserver(ring)])
    call(function, io)
    assert io.events == 2


def test_a_source_is_active_until_the_last_event_that_was_taken_ahead_is_released(ring):
    fill(ring, 5)
    reader = BufferReader(ring, "Fkt_2")
    active = Active(Place(str(ring.path)), "read", "Fkt_2")
    runs: list[Any] = []
    while sum(run.count for run in runs) < 5:
        runs.append(reader.take(5))
    for run in runs:
        assert active.is_set()
        reader.release(run)
    assert not active.is_set()
