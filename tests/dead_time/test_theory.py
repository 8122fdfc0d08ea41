"""The formulas of dead time agree with each other, and with events that are followed one by one."""

from __future__ import annotations

import numpy as np
import pytest

from .theory import Floats, rate_hz, waits, with_any_service, with_exponential_service, with_one_slot

EVENTS = 100_000


def share_of(waited: Floats, live: Floats) -> float:
    return float(waited.sum() / (waited.sum() + live.sum()))


def error_of(waited: Floats, live: Floats) -> float:
    """Return the statistical error of the share, from its scatter between parts of the events."""
    parts = [
        share_of(w, v) for w, v in zip(np.array_split(waited, 20), np.array_split(live, 20), strict=True)
    ]
    return float(np.std(parts, ddof=1) / np.sqrt(len(parts)))


@pytest.mark.parametrize("load", [0.2, 1.0, 3.0])
def test_formulas_agree(load: float) -> None:
    assert with_any_service(load / 0.01, [0.01], 1) == pytest.approx(with_one_slot(load / 0.01, 0.01))
    quantiles = -np.log1p(-(np.arange(100_000) + 0.5) / 100_000)
    for slots in (1, 4):
        exponential = with_exponential_service(load, 1.0, slots)
        assert with_any_service(load, quantiles, slots) == pytest.approx(exponential, rel=1e-3)


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("exponential", [False, True])
def test_followed_events_have_the_dead_time_of_the_formulas(slots: int, exponential: bool) -> None:
    random = np.random.default_rng(1)
    live = random.exponential(1.0, EVENTS)
    service = random.exponential(0.8, EVENTS) if exponential else np.full(EVENTS, 0.8)
    expected = with_exponential_service(1.0, 0.8, slots) if exponential else with_any_service(1, [0.8], slots)
    (waited,) = waits([live], service, slots)
    assert error_of(waited, live) < 0.02 * expected
    assert share_of(waited, live) == pytest.approx(expected, abs=4 * error_of(waited, live))


def test_the_rate_of_a_source_follows_from_exported_events() -> None:
    random = np.random.default_rng(3)
    live = random.exponential(1.0, EVENTS)
    (waited,) = waits([live], random.exponential(1.2, EVENTS), 2)
    timestamps = np.cumsum(live) + np.concatenate([[0], np.cumsum(waited)[:-1]])
    shares = waited / (waited + live)
    assert rate_hz(timestamps, shares) == pytest.approx(1.0, rel=0.02)
    assert abs(shares.mean() / share_of(waited, live) - 1) > 0.05, "their mean is something else"


def test_two_importers_wait_for_each_other() -> None:
    random = np.random.default_rng(2)
    lives = [random.exponential(1.0, EVENTS) for _ in range(2)]
    waited = waits(lives, random.exponential(0.5, 2 * EVENTS), slots=2)
    for each, live in zip(waited, lives, strict=True):
        expected = with_exponential_service(1.0, 0.5, slots=2, importers=2)
        assert share_of(each, live) == pytest.approx(expected, abs=4 * error_of(each, live))
    # Waiting leaves less to wait for than losing does: the same two sources are no source of twice the rate.
    assert share_of(waited[0], lives[0]) < with_exponential_service(2.0, 0.5, slots=2)
