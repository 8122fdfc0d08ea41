"""Workers that make up events, for trying out setups without a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.workers import BatchImporter

from ._keys import Choice, Field, Number, Whole
from ._muons.simulation import MuonPulses
from ._pace import Pacer, poisson, random_numbers, uniform
from ._settings import Config, unfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mimocorb_dist.workers import BufferIO

    from ._settings import Problem, Settings, Surroundings
    from ._targets import Batch

_EVENTS_AT_ONCE = 64


def _a_fourth(around: Surroundings) -> int | None:
    sink = around.first("sinks")
    return min(MuonPulses.trigger_sample, sink.data_length // 4) if sink else None


def _can_be(settings: Settings, around: Surroundings) -> Iterator[Problem]:
    sink, trigger_sample = around.sinks[0], settings["trigger_sample"]
    if trigger_sample >= sink.data_length:
        remedy = f"it must be below the data_length of {sink.name}, {sink.data_length}"
        yield unfit("trigger_sample", trigger_sample, remedy)
    for key, lower in (("mean_height", "smallest_height"), ("fall_time_ns", "rise_time_ns")):
        if settings[key] <= settings[lower]:
            yield unfit(key, settings[key], f"it must be a number above {lower}, {settings[lower]:g}")


_DETECTOR = {
    "sample_time_ns": Number("Time between two samples, in ns.", MuonPulses.sample_time_ns, above=0),
    "trigger_sample": Whole(
        "Sample at which the muon's pulse begins.", _a_fourth, "200, at most a fourth of data_length"
    ),
    "lifetime_us": Number("Lifetime of the muon, in us.", MuonPulses.lifetime_us, above=0),
    "double_share": Number(
        "Share of events with a second pulse. Those that come after the end of the record are lost.",
        MuonPulses.double_share,
        minimum=0,
        maximum=1,
    ),
    "background_share": Number(
        "Share of second pulses that are accidental, at times spread evenly over the record.",
        MuonPulses.background_share,
        minimum=0,
        maximum=1,
    ),
    "smallest_height": Number("Least height of a pulse, in V.", MuonPulses.smallest_height, above=0),
    "mean_height": Number(
        "Mean height of pulses, in V: exponentially distributed above the smallest one.",
        MuonPulses.mean_height,
        above=0,
    ),
    "noise": Number("Standard deviation of the noise, in V.", MuonPulses.noise, minimum=0),
    "baseline": Number("Voltage without a pulse, in V.", MuonPulses.baseline),
    "rise_time_ns": Number("Time constant of a pulse's rise, in ns.", MuonPulses.rise_time_ns, above=0),
    "fall_time_ns": Number("Time constant of a pulse's fall, in ns.", MuonPulses.fall_time_ns, above=0),
    "polarity": Choice(
        "Negative pulses as of a photomultiplier, or positive ones.", MuonPulses.polarity, options=(-1, 1)
    ),
}
MUONS = Config(
    {
        "rate": Number("Events per s; without it they come as fast as the buffer takes them.", None, above=0),
        "distribution": Choice(
            "With `rate`: equal distances, or random (exponential) ones.",
            "poisson",
            options=("uniform", "poisson"),
        ),
        "events": Whole("Number of events; without it they go on until the run is stopped.", None, minimum=1),
        "seed": Whole("For the same events each time.", None),
        "channel": Field.first("Field of the buffer; others are 0.", end="sinks"),
        **_DETECTOR,
    },
    _can_be,
)


@MUONS
def muons(io: BufferIO) -> None:
    """Simulate a photomultiplier that sees muons stop and decay.

    Each waveform has the pulse of a muon at the trigger, and mostly a second one: of the decay electron,
    after an exponentially distributed time, or an accidental one at any time. Noise is normally
    distributed.

    =========  ================================================================
    sinks      1; its data_length is the number of samples of a waveform
    =========  ================================================================

    Example
    -------
    ::

        muons: {function: simulators.muons, sinks: [raw], config: {rate: 100, events: 10000, seed: 1}}
    """
    importer = BatchImporter(io)
    example = io.data_out_examples[0]
    settings = MUONS.read(io)
    channel, events, rate_hz = settings["channel"], settings["events"], settings["rate"]
    detector = MuonPulses(samples=example.size, **{name: settings[name] for name in _DETECTOR})
    random = random_numbers(io, settings["seed"])

    def batches() -> Iterator[Batch]:
        made = 0
        while events is None or made < events:
            count = _EVENTS_AT_ONCE if events is None else min(_EVENTS_AT_ONCE, events - made)
            waveforms, _ = detector.generate(random, count)
            data = np.zeros((count, example.size), example.dtype)
            data[channel] = waveforms
            made += count
            yield None, data

    source: Iterable[Batch] = batches()
    if rate_hz is not None:
        uniformly = settings["distribution"] == "uniform"
        waits = uniform(rate_hz) if uniformly else poisson(rate_hz, random)
        source = Pacer(waits, importer.live_time_s).pace(source)
    importer(lambda: (data for _, data in source))
