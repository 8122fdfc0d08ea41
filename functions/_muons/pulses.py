"""Find the muon's pulse and the pulse of its decay electron in a waveform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOUBLE_PULSE = np.dtype([("tau_us", "f8"), ("height_1", "f8"), ("height_2", "f8")])

# The peak of a pulse lies within these samples around its steepest rise (photomultiplier pulses at 4 ns).
_PEAK_WINDOW = np.arange(-2, 14)


@dataclass(frozen=True)
class PulseSearch:
    """What a double pulse looks like.

    Parameters
    ----------
    sample_time_ns
        Time between two samples, in ns.
    trigger_sample
        Sample at which the recorder triggered: the first pulse rises there.
    trigger_tolerance
        The first pulse is looked for this many samples before and after `trigger_sample`.
    minimum_height
        Least height of the second pulse above the baseline, in the unit of the waveform.
    polarity
        -1 for negative pulses, 1 for positive ones.
    edge_samples
        Number of samples before and after a point that are compared to see a rising edge there.
    """

    sample_time_ns: float = 4.0
    trigger_sample: int = 200
    trigger_tolerance: int = 12
    minimum_height: float = 0.035
    polarity: int = -1
    edge_samples: int = 6

    @property
    def shortest_waveform(self) -> int:
        """Least number of samples in which a second pulse can be found."""
        return self.trigger_sample + self.trigger_tolerance + 4 * self.edge_samples


def double_pulses(waveforms: NDArray[Any], search: PulseSearch | None = None) -> NDArray[np.void]:
    """Measure the time between the two pulses of each waveform, and their heights.

    The baseline is the median of the samples before the trigger. A pulse is placed at its steepest rise:
    where the mean of the next samples exceeds the mean of the previous ones most. This is blind to the slow
    fall of the first pulse, so a second pulse on its tail is found as well as one far away. Of several later
    pulses the steepest counts.

    Parameters
    ----------
    waveforms
        Array of shape (n, samples), any number type.
    search
        What to look for; by default the settings of the Kamiokanne 2 detector.

    Returns
    -------
    ndarray
        Shape (n,), dtype `DOUBLE_PULSE`: ``tau_us`` in us, heights above the baseline in the unit of the
        waveform. Without a second pulse ``tau_us`` is NaN and ``height_2`` is 0.

    Raises
    ------
    ValueError
        If the waveforms are too short for the trigger sample.
    """
    search = search or PulseSearch()
    count, samples = waveforms.shape
    if samples < search.shortest_waveform:
        raise ValueError(
            f"waveforms of {samples} samples end before a second pulse can follow trigger sample "
            f"{search.trigger_sample}: at least {search.shortest_waveform} samples are needed"
        )
    before_trigger = waveforms[:, : search.trigger_sample - search.trigger_tolerance]
    baseline = np.median(before_trigger, axis=1, keepdims=True)
    signal = search.polarity * (waveforms - baseline)
    rise = _rise(signal, search.edge_samples)

    earliest = search.trigger_sample - search.trigger_tolerance
    latest = search.trigger_sample + search.trigger_tolerance
    first = earliest + rise[:, earliest : latest + 1].argmax(axis=1)
    # Two edges cannot be told apart within the samples that both of them use.
    too_early = np.arange(samples) < (first + 2 * search.edge_samples)[:, None]
    rise[too_early] = 0.0
    second = rise.argmax(axis=1)

    pulses = np.zeros(count, DOUBLE_PULSE)
    pulses["height_1"] = _height(signal, first)
    pulses["height_2"] = _height(signal, second)
    # On the tail of a large first pulse the signal is high without a pulse: there must be a rise as well.
    steepest = rise[np.arange(count), second]
    found = (pulses["height_2"] >= search.minimum_height) & (steepest >= search.minimum_height / 2)
    pulses["tau_us"] = np.where(found, (second - first) * search.sample_time_ns * 1e-3, np.nan)
    pulses["height_2"][~found] = 0.0
    return pulses


def _rise(signal: NDArray[Any], edge_samples: int) -> NDArray[np.float64]:
    """Give the mean of the next minus the mean of the previous samples, for each sample; 0 at the ends."""
    count, samples = signal.shape
    sums = np.zeros((count, samples + 1))
    np.cumsum(signal, axis=1, out=sums[:, 1:])
    inner = sums[:, edge_samples:-edge_samples]
    rise = np.zeros((count, samples))
    rise[:, edge_samples : samples - edge_samples + 1] = (
        sums[:, 2 * edge_samples :] + sums[:, : -2 * edge_samples] - 2 * inner
    ) / edge_samples
    return rise


def _height(signal: NDArray[Any], at: NDArray[np.intp]) -> NDArray[Any]:
    peak = np.clip(at[:, None] + _PEAK_WINDOW, 0, signal.shape[1] - 1)
    heights: NDArray[Any] = np.take_along_axis(signal, peak, axis=1).max(axis=1)
    return heights
