"""Simulated waveforms of particle detectors: `pulseSimulator` of mimoCoRB 1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MUON_LIFETIME_NS = 2197.0
_SPIN_PERIOD_NS = 0.85 * _MUON_LIFETIME_NS
_SPIN_ASYMMETRY = 0.03
_LAYERS_ABOVE = 2  # a stopped muon is seen by these; the others see electrons that fly downwards


class pulseSimulator:
    """Makes waveforms with exponential pulses on noise, as cosmic muons cause them in layers of a detector.

    Some muons stop below the second layer. Their decay electron makes a second pulse, above or below; which,
    depends on the time, because the spin of the muon precesses in a magnetic field.

    All random numbers come from numpy's global generator: ``numpy.random.seed`` repeats a sequence.

    Parameters
    ----------
    config_dict
        ``number_of_samples``, ``sample_time_ns``, ``pre_trigger_samples``, ``analogue_offset`` (V); and with
        their defaults ``trigger_level`` (0; mV, offset included), ``eventcount`` (1000), ``sleeptime`` (0.1;
        s between two events), ``random`` (False; True: `sleeptime` is the mean of an exponential),
        ``pulseWindow`` (100; samples), ``pulseHeight`` (250; mV, or a list to choose from),
        ``pulseSpread`` (0.3 of the height; mV), ``prbInteraction`` (0.95; a layer sees the particle),
        ``prb2ndPulse`` (0.1; the muon stops).
    """

    def __init__(self, config_dict: Mapping[str, Any]) -> None:
        self.number_of_samples = config_dict["number_of_samples"]
        self.analogue_offset_mv = 1000.0 * config_dict["analogue_offset"]
        level = config_dict.get("trigger_level")
        self.trigger_level = 0.0 if level is None else level - self.analogue_offset_mv
        self.sample_time_ns = config_dict["sample_time_ns"]
        self.pre_trigger_samples = config_dict["pre_trigger_samples"]
        self.events_required = config_dict.get("eventcount", 1000)
        self.sleeptime = config_dict.get("sleeptime", 0.10)
        self.random = config_dict.get("random", False)
        self.plen = config_dict.get("pulseWindow", 100)
        self.pulse_height: NDArray[Any] = np.atleast_1d(config_dict.get("pulseHeight", 250.0))
        self.pulse_spread = config_dict.get("pulseSpread", 0.3 * self.pulse_height)
        self.detector_efficiency = config_dict.get("prbInteraction", 0.95)
        self.stopping_probability = config_dict.get("prb2ndPulse", 0.10)

    def init(
        self,
        number_of_channels: int | None = None,
        number_of_values: int | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        """Learn from the buffer what a waveform looks like.

        Parameters
        ----------
        number_of_channels
            Layers of the detector; rows of a waveform.
        number_of_values
            Samples of a waveform.
        channel_names
            Names of the fields; not needed.
        """
        self.number_of_channels = number_of_channels or 1
        self.number_of_values = number_of_values or self.number_of_samples
        self.channel_names = channel_names
        self.tau = self.plen / 4.0
        self.mn_position = self.pre_trigger_samples
        self.mx_position = self.number_of_values - self.plen
        times = np.linspace(0.0, self.plen, self.plen, endpoint=False).astype(np.float32)
        self.pulse_template = np.exp(-times / self.tau)
        self.noise = self.pulse_height.mean() / 30.0

    def __call__(self) -> NDArray[np.float32]:
        """Make a waveform after the time to wait.

        Returns
        -------
        ndarray
            float32, shape (number_of_channels, number_of_values), in mV.
        """
        layers = self.number_of_channels
        noise = self.noise * (0.5 - _uniform(layers, self.number_of_values))
        waveforms: NDArray[np.float32] = noise.astype(np.float32)
        stopped = _uniform() < self.stopping_probability
        self._particle(waveforms, 0, min(_LAYERS_ABOVE, layers) if stopped else layers, self.mn_position)
        if stopped:
            self._decay(waveforms)
        waveforms += np.float32(self.analogue_offset_mv)
        time.sleep(-self.sleeptime * np.log(_uniform()) if self.random else self.sleeptime)
        return waveforms

    def _decay(self, waveforms: NDArray[np.float32]) -> None:
        """Add the pulses of the decay electron."""
        time_ns = -_MUON_LIFETIME_NS * np.log(_uniform())
        position = int(time_ns / self.sample_time_ns) + self.pre_trigger_samples
        phase = 2 * np.pi * time_ns / _SPIN_PERIOD_NS
        upwards = _uniform() < 0.5 + 0.5 * _SPIN_ASYMMETRY * np.cos(phase)
        first, last = (0, _LAYERS_ABOVE) if upwards else (_LAYERS_ABOVE, 2 * _LAYERS_ABOVE)
        layers = self.number_of_channels
        self._particle(waveforms, min(first, layers), min(last, layers), position, triggers=False)

    def _particle(
        self, waveforms: NDArray[np.float32], first: int, last: int, position: int, *, triggers: bool = True
    ) -> None:
        """Add the pulses of a particle to layers, where it is seen and the pulse comes early enough."""
        for layer in range(first, last):
            height = self._height()
            while triggers and layer == 0 and height < self.trigger_level:
                height = self._height()
            seen = _uniform() < self.detector_efficiency
            if seen and (triggers or position < self.mx_position):
                waveforms[layer, position : position + self.plen] += np.float64(height) * self.pulse_template

    def _height(self) -> float:
        """Choose the height of a pulse, in mV."""
        height = _choose(self.pulse_height)
        spread = self.pulse_spread
        if np.ndim(spread):  # one for each height
            spread = spread[int(np.flatnonzero(self.pulse_height == height)[0])]
        return float(height + spread * _normal())


# Users seed this generator to get the same events again.
_uniform = np.random.rand
_normal = np.random.normal
_choose = np.random.choice
