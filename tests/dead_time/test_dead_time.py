"""The dead time of a run is the one that theory gives: real sources, buffers, links and consumers.

Sources and consumers have seeds, so it is known when each event comes and how long it is worked on, and
what theory expects of just these events has no statistical error. That it is right for random events at
large is tested beside this, and here in the long run: ``pytest -m soak tests/dead_time``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .running import Chain, Outcome, run, share
from .theory import rate_hz, with_any_service, with_exponential_service

WAKING_S = 2e-3
"""What it may take on a busy machine until a process runs that could."""


def chains(events: int, service_s: float = 0.05) -> list[Chain]:
    rate_hz = 1 / service_s
    return [
        Chain("one", rate_hz, service_s, False, 1, events),
        Chain("four", 1.25 * rate_hz, service_s, True, 4, events),
        Chain("pair", 0.75 * rate_hz, 0.8 * service_s, True, 2, events, importers=2),
        Chain("far", 1.25 * rate_hz, service_s, True, 4, events, far=True),
    ]


FEW = [chain for chain in chains(80) if chain.name != "four"]


def check_times(chain: Chain, outcome: Outcome, waking_s: float, tolerance: float) -> None:
    """Check dead and live time of a buffer's books, and of its events."""
    dead_s, live_s = outcome.book["dead_time_s"], outcome.book["live_time_s"]
    waited, lives = np.concatenate(chain.waited), np.concatenate(chain.lives)
    late_s = waking_s * np.count_nonzero(waited)
    assert dead_s == pytest.approx(waited.sum(), rel=tolerance, abs=late_s), chain
    # The rate that is corrected for dead time is the rate of the sources, to the last event.
    assert live_s == pytest.approx(lives.sum(), rel=2e-3, abs=0.01), chain
    assert outcome.book["written"] == outcome.book["read"] == chain.events
    # Importers look or wait, and do nothing else, from the begin of the run on until they have written all.
    spans = np.ptp(outcome.events["timestamp"])
    assert spans * (chain.importers - 0.5) < dead_s + live_s < spans * chain.importers + 2 * late_s + 1.0
    if chain.importers == 1:
        expected = waited / (waited + lives)
        assert np.abs(outcome.events["deadtime"] - expected).mean() < 0.02 + late_s / (dead_s + live_s)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return run(tmp_path_factory.mktemp("short"), FEW, 100)


@pytest.mark.parametrize("chain", FEW, ids=lambda chain: chain.name)
def test_dead_time_is_what_theory_says(short: dict[str, Outcome], chain: Chain) -> None:
    check_times(chain, short[chain.name], WAKING_S, 0.05 if chain.importers == 1 else 0.1)


def test_dead_time_stands_at_the_buffer_that_the_source_waits_for(short: dict[str, Outcome]) -> None:
    behind = short["far"].behind
    assert behind["written"] == short["far"].book["written"]
    assert behind["dead_time_s"] == behind["live_time_s"] == 0
    for name, outcome in short.items():
        assert f"{name}_raw was full: {name}_work" in outcome.report


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_dead_time_is_right_within_one_percent(tmp_path: Path) -> None:
    slowly = chains(800, service_s=0.25)  # so that what the system takes to wake a process matters little
    outcomes = run(tmp_path, slowly, 1000)
    for chain in slowly:
        outcome = outcomes[chain.name]
        # Which of two importers that wait gets the next slot is not known, so neither is what comes when.
        tolerance = 0.01 if chain.importers == 1 else 0.03
        check_times(chain, outcome, 0.0, tolerance)
        if chain.exponential:
            theory = with_exponential_service(chain.rate_hz, chain.service_s, chain.slots, chain.importers)
        else:
            theory = with_any_service(chain.rate_hz, [chain.service_s], chain.slots)
        waited, lives = np.concatenate(chain.waited), np.concatenate(chain.lives)
        by_chance = share(waited.sum(), lives.sum()) / theory  # just these events have so much more of it
        found = share(outcome.book["dead_time_s"], outcome.book["live_time_s"])
        print(f"{chain.name}: {found:.4f}, theory {theory:.4f}, of these events {by_chance * theory:.4f}")
        assert found / by_chance == pytest.approx(theory, rel=tolerance)
        assert by_chance == pytest.approx(1.0, abs=0.15)
        if chain.importers == 1:
            rate = rate_hz(outcome.events["timestamp"], outcome.events["deadtime"])
            assert rate == pytest.approx(chain.rate_hz, rel=0.12)
