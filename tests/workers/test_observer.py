"""Observers, who see the latest event and take nothing."""

from __future__ import annotations

import time

import numpy as np

from mimocorb_dist import (
    IsAlive,
    Observer,
)
from mimocorb_dist.ring import BufferReader, BufferWriter
from tests.workers.harness import (
    counters,
    feed,
    worker_io,
)


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
