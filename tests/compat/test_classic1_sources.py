"""Sources and loggers of mimoCoRB 1."""

from __future__ import annotations

import logging
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mimocorb_dist.compat.classic1.activity_logger import Gen_logger, Logging_manager
from mimocorb_dist.compat.classic1.parquetReader import parquetReader
from mimocorb_dist.compat.classic1.pulseSimulator import pulseSimulator
from mimocorb_dist.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEVICE = {
    "number_of_samples": 400,
    "analogue_offset": 0.1,
    "sample_time_ns": 10,
    "pre_trigger_samples": 50,
    "sleeptime": 0.0,
}


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    np.random.seed(7)  # noqa: NPY002 (users repeat a sequence so)


def simulated(channels: int, count: int, **config: Any) -> np.ndarray:
    simulator = pulseSimulator(DEVICE | config)
    simulator.init(channels, 400, [f"ch{number}" for number in range(channels)])
    return np.array([simulator() for _ in range(count)])


def test_pulses_begin_at_the_trigger_above_noise_and_offset() -> None:
    waves = simulated(1, 200, pulseHeight=200.0, pulseSpread=20.0, prb2ndPulse=0.0, prbInteraction=1.0)
    assert waves.dtype == np.float32
    assert waves.shape == (200, 1, 400)
    before, peak = waves[:, 0, :50] - 100, waves[:, 0, 50] - 100
    assert np.abs(before).max() <= 0.5 * 200 / 30 + 1e-3
    assert peak.mean() == pytest.approx(200, abs=10)
    assert peak.std() == pytest.approx(20, abs=5)
    assert (waves[:, 0, 75] - 100).mean() == pytest.approx(200 / np.e, abs=5)  # a quarter of the window


def test_the_first_layer_triggers() -> None:
    waves = simulated(2, 100, pulseSpread=100.0, trigger_level=300.0, prbInteraction=1.0, prb2ndPulse=0.0)
    assert waves[:, 0, 50].min() >= 300 - 0.5 * 250 / 30
    assert waves[:, 1, 50].min() < 280


def test_stopped_muons_have_a_second_pulse_above_or_below() -> None:
    waves = simulated(4, 400, prb2ndPulse=1.0, prbInteraction=1.0, pulseSpread=0.0) - 100
    second = (waves[:, :, 60:] > 200).any(axis=2)
    below = (waves[:, 2:, :60] > 200).any(axis=(1, 2))
    assert 0.2 < second[:, :2].any(axis=1).mean() < 0.7
    assert 0.2 < second[:, 2:].any(axis=1).mean() < 0.7
    assert below.mean() < 0.1  # a stopped muon itself does not come there


def test_a_height_of_several_has_its_own_spread() -> None:
    peaks = simulated(1, 400, pulseHeight=[100.0, 300.0], prb2ndPulse=0.0, prbInteraction=1.0)[:, 0, 50] - 100
    assert peaks[peaks > 200].std() > 1.5 * peaks[peaks < 200].std()


def test_a_seed_repeats_the_events(same_numbers: None) -> None:
    first = simulated(3, 20)
    np.random.seed(7)  # noqa: NPY002
    np.testing.assert_array_equal(simulated(3, 20), first)


def test_waits_are_fixed_or_exponential(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    simulated(1, 20, sleeptime=0.5)
    assert set(waits) == {0.5}
    waits.clear()
    simulated(1, 2000, sleeptime=0.5, random=True)
    assert np.mean(waits) == pytest.approx(0.5, rel=0.1)
    assert np.std(waits) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "has no archive"),
        ({"a.tar": b"no archive at all" * 100}, "cannot be read as an archive"),
        ({"a.tar": {"x.parquet": b"nothing"}}, "a.tar, x.parquet: is no parquet file"),
    ],
)
def test_folders_without_events_are_told(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    for name, what in content.items():
        if isinstance(what, bytes):
            (tmp_path / name).write_bytes(what)
            continue
        with tarfile.open(tmp_path / name, "w") as archive:
            for member, data in what.items():
                (tmp_path / member).write_bytes(data)
                archive.add(tmp_path / member, member)
    with pytest.raises(DataFileError, match=message):
        parquetReader({"path": str(tmp_path), "sleeptime": 0.0, "number_of_samples": 5})()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such folder"):
        parquetReader({"path": str(tmp_path / "no"), "number_of_samples": 5})


@pytest.fixture
def own_loggers() -> Iterator[list[str]]:
    names = ["mimocorb_test_a", "mimocorb_test_b"]
    yield names
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_one_place_sets_the_level_of_all_loggers(own_loggers: list[str]) -> None:
    manager = Logging_manager()
    first = manager(own_loggers[0])
    assert first.level == logging.WARNING
    manager.set_level(logging.DEBUG)
    assert [first.level, manager(own_loggers[1]).level] == [logging.DEBUG, logging.DEBUG]
    assert manager(own_loggers[0]) is first
    assert len(manager.logger_pool) == 2
    assert isinstance(Gen_logger, Logging_manager)
