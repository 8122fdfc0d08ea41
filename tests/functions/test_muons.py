"""The muon analysis: on simulated pulses whose truth is known, and on the recorded ones."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from mimocorb_dist.functions._muons.lifetime import fit_times
from mimocorb_dist.functions._muons.pulses import PulseSearch, double_pulses
from mimocorb_dist.functions._muons.simulation import MuonPulses

from tests.support import shared_data


def published_times() -> np.ndarray:
    with (shared_data() / "kamiokanne_2018_published.csv").open() as file:
        return np.array([float(row["tau_us"]) for row in csv.DictReader(file)])


def recorded_waveforms() -> np.ndarray:
    with np.load(shared_data() / "kamiokanne_2018.npz") as file:
        return file["waveform"]


def test_recorded_double_pulses_agree_with_the_published_times() -> None:
    found = double_pulses(recorded_waveforms())["tau_us"]
    assert np.count_nonzero(np.abs(found - published_times()) <= 0.040) >= 1070  # of 1081


def test_recorded_lifetime_agrees_with_the_fit_to_the_published_times() -> None:
    published = fit_times(published_times())
    assert published.tau_us == pytest.approx(2.13, abs=0.005)
    assert published.background == pytest.approx(0.51, abs=0.005)
    own = fit_times(double_pulses(recorded_waveforms())["tau_us"])
    assert own.tau_us == pytest.approx(2.13, abs=0.1)


def test_events_in_batches_and_alone_give_the_same() -> None:
    waveforms, _ = MuonPulses().generate(np.random.default_rng(3), 50)
    alone = np.concatenate([double_pulses(waveform[None]) for waveform in waveforms])
    together = double_pulses(waveforms)
    for name in ("tau_us", "height_1", "height_2"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-6)


def test_simulated_times_are_found_again() -> None:
    waveforms, true_us = MuonPulses(background_share=0.5).generate(np.random.default_rng(1), 1000)
    found = double_pulses(waveforms)["tau_us"]
    # Very close pulses are one pulse, and of a pulse cut off by the end of the record no height is left.
    clear = (true_us > 0.1) & (true_us < 15.1)
    assert np.mean(np.abs(found - true_us)[clear] < 0.012) > 0.97


def test_single_pulses_are_not_taken_for_double_ones() -> None:
    waveforms, true_us = MuonPulses(double_share=0.0).generate(np.random.default_rng(2), 1000)
    assert np.isnan(true_us).all()
    pulses = double_pulses(waveforms)
    assert np.isnan(pulses["tau_us"]).all()
    assert (pulses["height_2"] == 0).all()
    assert (pulses["height_1"] > 0.04).all()


def test_positive_pulses_and_integer_samples() -> None:
    simulated = MuonPulses(polarity=1)
    waveforms, true_us = simulated.generate(np.random.default_rng(4), 200)
    counts = (waveforms * 8192).astype(np.int16)
    pulses = double_pulses(counts, PulseSearch(polarity=1, minimum_height=0.035 * 8192))
    clear = (true_us > 0.2) & (true_us < 15)
    assert np.mean(np.abs(pulses["tau_us"] - true_us)[clear] < 0.02) > 0.95


def test_waveforms_too_short_for_the_trigger_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 236 samples"):
        double_pulses(np.zeros((1, 235)))
    double_pulses(np.zeros((1, 236)))


@pytest.mark.parametrize(("tau_us", "background"), [(2.2, 0.0), (2.2, 0.5), (1.0, 0.2)])
def test_fit_finds_lifetime_and_background_within_its_errors(tau_us: float, background: float) -> None:
    random = np.random.default_rng(5)
    pulls = []
    for _ in range(20):
        decays = 1.5 + random.exponential(tau_us, 20000)
        decays = decays[decays < 15][: int(2000 * (1 - background))]
        fit = fit_times(np.concatenate([decays, random.uniform(1.5, 15, int(2000 * background))]))
        assert abs(fit.background - background) < 0.1
        pulls.append((fit.tau_us - tau_us) / fit.tau_error_us)
    assert 0.5 < np.std(pulls) < 1.6
    assert abs(np.mean(pulls)) < 1


def test_fit_leaves_out_what_is_not_in_the_window() -> None:
    times = np.random.default_rng(6).exponential(2.2, 1000) + 1.5
    with_others = np.concatenate([times, [np.nan, 0.1, 20.0, np.inf]])
    assert fit_times(times) == fit_times(with_others)


def test_fitted_density_is_normalised() -> None:
    fit = fit_times(np.random.default_rng(7).uniform(1.5, 15, 500))
    t_us = np.linspace(1.5, 15, 10001)
    assert np.trapezoid(fit.density(t_us), t_us) == pytest.approx(1, abs=1e-4)


def test_fit_refuses_too_few_times_and_an_empty_window() -> None:
    with pytest.raises(ValueError, match="9 times lie between"):
        fit_times(np.linspace(2, 3, 9))
    with pytest.raises(ValueError, match="window_us"):
        fit_times(np.linspace(2, 3, 90), (15, 1.5))
