"""Workers that make up events, for trying out setups without a detector."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers import BatchImporter

from ._muons.simulation import MuonPulses
from ._pace import Pacer, poisson, uniform
from ._settings import choice, integer, number, seed, text, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mimocorb_dist.workers import BufferIO

    from ._targets import Batch

_EVENTS_AT_ONCE = 64


def muons(io: BufferIO) -> None:
    """Simulate a photomultiplier that sees muons stop and decay.

    Each waveform has the pulse of a muon at the trigger, and mostly a second one: of the decay electron,
    after an exponentially distributed time, or an accidental one at any time. Noise is normally
    distributed.

    =========  ================================================================
    sinks      1; its data_length is the number of samples of a waveform
    =========  ================================================================

    Config
    ------
    rate : number, optional
        Events per s; without it they come as fast as the buffer takes them.
    distribution : uniform or poisson, default poisson
        With `rate`: equal distances, or random (exponential) ones.
    events : integer, optional
        Number of events; without it they go on until the run is stopped.
    seed : integer, optional
        For the same events each time.
    channel : text, default the first field
        Field of the buffer; others are 0.
    sample_time_ns : number, default 4
        Time between two samples, in ns.
    trigger_sample : integer, default 200, at most a fourth of data_length
        Sample at which the muon's pulse begins.
    lifetime_us : number, default 2.197
        Lifetime of the muon, in us.
    double_share : number, default 1
        Share of events with a second pulse. Those that come after the end of the record are lost.
    background_share : number, default 0.3
        Share of second pulses that are accidental, at times spread evenly over the record.
    smallest_height, mean_height : number, default 0.05, 0.2
        Heights of pulses, in V: exponentially distributed above the smallest one.
    noise : number, default 0.002
        Standard deviation of the noise, in V.
    baseline : number, default -0.002
        Voltage without a pulse, in V.
    rise_time_ns, fall_time_ns : number, default 8, 80
        Time constants of a pulse, in ns.
    polarity : -1 or 1, default -1
        Negative pulses as of a photomultiplier, or positive ones.

    Example
    -------
    ::

        muons: {function: simulators.muons, sinks: [raw], config: {rate: 100, events: 10000, seed: 1}}
    """
    importer = BatchImporter(io)
    example = io.data_out_examples[0]
    names = example.dtype.names or ()
    channel = text(io, "channel", names[0])
    if channel not in names:
        raise wrong(io, "channel", f"a field of {io.buffer_names_out[0]}: {', '.join(names)}")
    detector = _detector(io, example.size)
    random = np.random.default_rng(seed(io))
    events = None if io.config.get("events") is None else integer(io, "events", minimum=1)
    distribution = choice(io, "distribution", ("uniform", "poisson"), "poisson")

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
    if "rate" in io.config:
        rate_hz = number(io, "rate", above=0)
        waits = uniform(rate_hz) if distribution == "uniform" else poisson(rate_hz, random)
        source = Pacer(waits).pace(source)
    importer(lambda: (data for _, data in source))


def _detector(io: BufferIO, samples: int) -> MuonPulses:
    values: dict[str, Any] = {
        "samples": samples,
        "trigger_sample": integer(io, "trigger_sample", min(200, samples // 4), minimum=0),
        "polarity": integer(io, "polarity", -1, minimum=-1),
    }
    if values["trigger_sample"] >= samples:
        raise wrong(io, "trigger_sample", f"below the data_length of {io.buffer_names_out[0]}, {samples}")
    if values["polarity"] not in (-1, 1):
        raise wrong(io, "polarity", "-1 or 1")
    for field in fields(MuonPulses):
        if field.name in values:
            continue
        default = float(field.default)  # type: ignore[arg-type]
        match field.name:
            case "baseline":
                values[field.name] = number(io, field.name, default)
            case "noise":
                values[field.name] = number(io, field.name, default, minimum=0)
            case "double_share" | "background_share":
                values[field.name] = number(io, field.name, default, minimum=0, maximum=1)
            case _:
                values[field.name] = number(io, field.name, default, above=0)
    detector = MuonPulses(**values)
    if detector.mean_height <= detector.smallest_height:
        raise wrong(io, "mean_height", f"a number above smallest_height, {detector.smallest_height:g}")
    if detector.fall_time_ns <= detector.rise_time_ns:
        raise wrong(io, "fall_time_ns", f"a number above rise_time_ns, {detector.rise_time_ns:g}")
    return detector
