"""The exporter for single events: what it gives, and when an event counts as read."""

from __future__ import annotations

from mimocorb_dist import (
    Exporter,
)
from tests.workers.harness import (
    counters,
    feed,
    worker_io,
)


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
