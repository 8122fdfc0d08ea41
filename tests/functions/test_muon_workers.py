"""The workers of the muon analysis, between buffers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from mimocorb_dist.functions import muons
from mimocorb_dist.functions._muons.simulation import MuonPulses

from mimocorb_dist.errors import SetupError

from .harness import Bench

WAVES = [("ch1", "f4")]
PULSES = [("tau_us", "f8"), ("height_1", "f8"), ("height_2", "f8")]


def find(bench: Bench, waveforms: np.ndarray, sink: Any = PULSES, **config: Any) -> Any:
    bench.buffer("raw", WAVES, waveforms.shape[1], slots=16)
    bench.buffer("pulses", sink)
    bench.fill("raw", waveforms.view(WAVES).reshape(waveforms.shape))
    result = bench.collect("pulses")
    muons.find_double_pulses(bench.io(("raw",), ("pulses",), **config))
    return result()


WAVEFORMS, _ = MuonPulses(double_share=0.7).generate(np.random.default_rng(4), 200)
FOUND = muons.double_pulses(WAVEFORMS)


def test_double_pulses_are_found_and_single_ones_dropped(bench: Bench) -> None:
    metadata, data = find(bench, WAVEFORMS)
    double = np.flatnonzero(~np.isnan(FOUND["tau_us"]))
    assert 100 < len(double) < 180
    assert metadata["counter"].tolist() == double.tolist()
    np.testing.assert_allclose(data["tau_us"][:, 0], FOUND["tau_us"][double])
    np.testing.assert_allclose(data["height_2"][:, 0], FOUND["height_2"][double], rtol=1e-6)


def test_single_pulses_can_be_kept(bench: Bench) -> None:
    metadata, data = find(bench, WAVEFORMS, [("tau_us", "f4")], keep_singles=True)
    assert metadata["counter"].tolist() == list(range(200))
    np.testing.assert_allclose(data["tau_us"][:, 0], FOUND["tau_us"], rtol=1e-6)


@pytest.mark.parametrize(
    ("sink", "config", "message"),
    [
        (PULSES, {"channel": "ch2"}, "a field of raw: ch1"),
        (PULSES, {"trigger_sample": 3990}, "so that the record of 4000 samples goes on"),
        (PULSES, {"trigger_sample": 10}, "above trigger_tolerance"),
        (PULSES, {"polarity": 3}, "-1 or 1"),
        (PULSES, {"minimum_height": 0}, "above 0"),
        ([("tau", "f8")], {}, "fields among tau_us, height_1, height_2; pulses has"),
    ],
)
def test_wrong_searches_are_refused(bench: Bench, sink: Any, config: dict[str, Any], message: str) -> None:
    bench.buffer("raw", WAVES, 4000, slots=4)
    bench.buffer("pulses", sink)
    with pytest.raises(SetupError, match=message):
        muons.find_double_pulses(bench.io(("raw",), ("pulses",), **config))


def fit(bench: Bench, times: np.ndarray, **config: Any) -> dict[str, Any]:
    bench.buffer("pulses", PULSES)
    data = np.zeros((len(times), 1), PULSES)
    data["tau_us"][:, 0] = times
    bench.fill("pulses", data)
    muons.fit_lifetime(bench.io(("pulses",), name="lifetime", **config))
    result: dict[str, Any] = json.loads((bench.run_dir / "lifetime.json").read_text())
    return result


def test_the_lifetime_is_written_with_a_picture(bench: Bench) -> None:
    times = np.random.default_rng(1).exponential(2.2, 5000)
    times[::100] = np.nan
    result = fit(bench, times, update_interval=0.05)
    assert result["tau_us"] == pytest.approx(2.2, abs=4 * result["tau_error_us"])
    assert result["times"] == np.count_nonzero((times > 1.5) & (times < 15))
    assert result["window_us"] == [1.5, 15.0]
    assert imread(bench.run_dir / "lifetime.png").shape[2] == 4


def test_too_few_times_are_told(bench: Bench) -> None:
    result = fit(bench, np.array([2.0, 3.0]), window_us=[1, 10])
    assert result["times"] == 2
    assert "needs at least 10" in result["problem"]
    assert (bench.run_dir / "lifetime.png").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"field": "t"}, "a field of pulses"),
        ({"window_us": [5, 1]}, "low below high"),
        ({"window_us": 15}, "low below high"),
        ({"window_us": ["a", 1]}, "low below high"),
        ({"bins": 0}, "not below 1"),
    ],
)
def test_wrong_fits_are_refused(bench: Bench, config: dict[str, Any], message: str) -> None:
    bench.buffer("pulses", PULSES)
    with pytest.raises(SetupError, match=message):
        muons.fit_lifetime(bench.io(("pulses",), **config))
