"""Events are handed out when they are due, by a clock that the tests move."""

from __future__ import annotations

import numpy as np
import pytest
from mimocorb_dist.functions import _mimo
from mimocorb_dist.functions._pace import Pacer, as_recorded, poisson, random_numbers, uniform

from mimocorb_dist.workers import BufferIO


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, time_s: float) -> None:
        assert time_s > 0
        self.now_s += time_s


def batches(count: int, size: int, stamps: np.ndarray | None = None) -> list:
    metadata = np.zeros(count, _mimo.METADATA)
    metadata["timestamp"] = np.arange(count) if stamps is None else stamps
    return [
        (metadata[start : start + size], np.arange(start, min(start + size, count)))
        for start in range(0, count, size)
    ]


def times(pacer: Pacer, clock: Clock, source: list, work_s: float = 0.0) -> tuple[list[float], list[int]]:
    """Note when each event was handed out, and its number."""
    when: list[float] = []
    events: list[int] = []
    for _, data in pacer.pace(source):
        when += [clock.now_s - 100] * len(data)
        events += data.tolist()
        clock.now_s += work_s
    return when, events


@pytest.mark.parametrize("size", [1, 3, 100])
def test_uniform_rate(size: int) -> None:
    clock = Clock()
    when, events = times(Pacer(uniform(50), clock, clock.sleep), clock, batches(20, size))
    assert events == list(range(20))
    np.testing.assert_allclose(when, np.arange(1, 21) / 50)


def test_poisson_distances_are_exponential() -> None:
    clock = Clock()
    when, _ = times(
        Pacer(poisson(50, np.random.default_rng(1)), clock, clock.sleep), clock, batches(5000, 100)
    )
    waits = np.diff(when)
    assert waits.mean() == pytest.approx(1 / 50, rel=0.05)
    assert waits.std() == pytest.approx(1 / 50, rel=0.05)
    assert np.median(waits) == pytest.approx(np.log(2) / 50, rel=0.08)


def test_processes_of_a_source_have_random_numbers_of_their_own() -> None:
    def first(number: int, seed: int | None) -> float:
        return float(random_numbers(BufferIO("source", number=number), seed).random())

    assert first(0, 7) == first(0, 7) == np.random.default_rng(7).random()
    assert first(1, 7) == first(1, 7)
    assert len({first(number, 7) for number in range(4)}) == 4
    assert first(0, None) != first(0, None)


def test_recorded_distances_are_kept_and_a_repetition_follows_at_the_usual_distance() -> None:
    clock = Clock()
    stamps = np.array([1000.0, 1000.5, 1002.0, 1002.5])
    source = batches(4, 3, stamps) * 2
    when, _ = times(Pacer(as_recorded(), clock, clock.sleep), clock, source)
    np.testing.assert_allclose(when, [0, 0.5, 2.0, 2.5, 3.5, 4.0, 5.5, 6.0])


def test_work_does_not_change_the_rate() -> None:
    clock = Clock()
    when, _ = times(Pacer(uniform(100), clock, clock.sleep), clock, batches(1000, 1), work_s=0.007)
    np.testing.assert_allclose(when, np.arange(1, 1001) / 100)


def test_what_is_due_together_comes_together() -> None:
    clock = Clock()
    pacer = Pacer(uniform(1000), clock, clock.sleep)
    sizes = []
    for _, data in pacer.pace(batches(1000, 500)):
        sizes.append(len(data))
        clock.now_s += 0.05
    assert max(sizes) == 50


def test_a_stopped_source_goes_on_at_its_rate() -> None:
    clock = Clock()
    pacer = Pacer(uniform(10), clock, clock.sleep)
    when = []
    for _, data in pacer.pace(batches(10, 5)):
        when += [round(clock.now_s - 100, 6)] * len(data)
        if len(when) == 3:
            clock.now_s += 60
    assert when[:3] == [0.1, 0.2, 0.3]
    np.testing.assert_allclose(when[3:], 60.3 + 0.1 * np.arange(7), atol=1e-6)
