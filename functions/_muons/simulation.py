"""Waveforms of stopped muons as a photomultiplier shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# After this many decay times a pulse is a few thousandths of its height.
_PULSE_LENGTH = 6


@dataclass(frozen=True)
class MuonPulses:
    """A detector for stopped muons, and its recorder.

    Parameters
    ----------
    samples
        Length of a waveform, in samples.
    sample_time_ns
        Time between two samples, in ns.
    trigger_sample
        Sample at which the muon's pulse crosses the trigger threshold.
    lifetime_us
        Lifetime of the muon, in us.
    double_share
        Share of events with a second pulse; those decaying after the end of the record have none either.
    background_share
        Share of second pulses that are accidental: their times are spread evenly over the record.
    smallest_height, mean_height
        Heights of pulses: exponentially distributed above the smallest, with this mean; in volts.
    noise
        Standard deviation of the noise of a sample, in volts.
    baseline
        Voltage without a pulse.
    rise_time_ns, fall_time_ns
        Time constants of a pulse, in ns.
    polarity
        -1 for negative pulses, 1 for positive ones.
    """

    samples: int = 4000
    sample_time_ns: float = 4.0
    trigger_sample: int = 200
    lifetime_us: float = 2.197
    double_share: float = 1.0
    background_share: float = 0.3
    smallest_height: float = 0.05
    mean_height: float = 0.2
    noise: float = 0.002
    baseline: float = -0.002
    rise_time_ns: float = 8.0
    fall_time_ns: float = 80.0
    polarity: int = -1

    def generate(
        self, random: np.random.Generator, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Make waveforms.

        Parameters
        ----------
        random
            Source of random numbers.
        count
            Number of waveforms.

        Returns
        -------
        waveforms
            Shape (count, samples), float32, in volts.
        tau_us
            True time between the two pulses, in us; NaN where there is no second pulse.
        """
        start_us = self.trigger_sample * self.sample_time_ns * 1e-3
        longest_us = self.samples * self.sample_time_ns * 1e-3 - start_us
        tau_us = random.exponential(self.lifetime_us, count)
        accidental = random.random(count) < self.background_share
        tau_us[accidental] = random.uniform(0, longest_us, int(accidental.sum()))
        single = (random.random(count) >= self.double_share) | (tau_us >= longest_us)
        tau_us[single] = np.nan

        noise = random.standard_normal((count, self.samples), dtype=np.float32)
        waveforms = np.float32(self.noise) * noise + np.float32(self.baseline)
        self._add_pulses(waveforms, np.arange(count), np.full(count, start_us), self._heights(random, count))
        double = np.flatnonzero(~single)
        self._add_pulses(waveforms, double, start_us + tau_us[double], self._heights(random, len(double)))
        return waveforms, tau_us

    def _heights(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        return self.smallest_height + random.exponential(self.mean_height - self.smallest_height, count)

    def _add_pulses(
        self,
        waveforms: NDArray[np.float32],
        rows: NDArray[np.intp],
        starts_us: NDArray[np.float64],
        heights: NDArray[np.float64],
    ) -> None:
        """Add one pulse to each of the waveforms `rows`; what lies beyond the end is cut off."""
        length = int(_PULSE_LENGTH * self.fall_time_ns / self.sample_time_ns)
        position = starts_us * 1e3 / self.sample_time_ns
        begin = np.ceil(position).astype(np.intp)
        after_ns = (np.arange(length) + (begin - position)[:, None]) * self.sample_time_ns
        shape = np.exp(-after_ns / self.fall_time_ns) - np.exp(-after_ns / self.rise_time_ns)
        pulse = self.polarity * heights[:, None] * shape / self._peak()
        samples = begin[:, None] + np.arange(length)
        inside = samples < self.samples
        row_of = np.broadcast_to(rows[:, None], samples.shape)
        waveforms[row_of[inside], samples[inside]] += pulse[inside].astype(np.float32)

    def _peak(self) -> float:
        """Height of the pulse shape at its maximum, where its derivative vanishes."""
        ratio = self.rise_time_ns / self.fall_time_ns
        return float(ratio ** (ratio / (1 - ratio)) - ratio ** (1 / (1 - ratio)))
