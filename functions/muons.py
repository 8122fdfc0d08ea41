"""Workers for the lifetime of stopped muons: find double pulses, and fit the times between them.

The functions that they are made of, `double_pulses` and `fit_times`, work on arrays and serve notebooks as
well.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers import BatchExporter, BatchProcessor
from mimocorb_dist.workers.canvas import save_figure

from ._keys import Choice, Field, Flag, Interval, Number, Whole
from ._muons.lifetime import LifetimeFit, fit_times
from ._muons.pulses import DOUBLE_PULSE, PulseSearch, double_pulses
from ._output import own_name, replace_file, single_values, tell_what_is_gone
from ._settings import Config, Problem, unfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO

    from ._settings import Settings, Surroundings

__all__ = [
    "DOUBLE_PULSE",
    "LifetimeFit",
    "PulseSearch",
    "double_pulses",
    "find_double_pulses",
    "fit_lifetime",
    "fit_times",
]

# Waveforms are analysed in floating point, several arrays at a time: so many keep memory small.
_EVENTS_AT_ONCE = 64


def _can_be_found(settings: Settings, around: Surroundings) -> Iterator[Problem]:
    source, sink = around.sources[0], around.sinks[0]
    search = _search(settings)
    if search.trigger_sample <= search.trigger_tolerance:
        remedy = "it must be above trigger_tolerance: the samples before give the baseline"
        yield unfit("trigger_sample", search.trigger_sample, remedy)
    if source.data_length < search.shortest_waveform:
        yield unfit(
            "trigger_sample",
            search.trigger_sample,
            f"it must be so that the record of {source.data_length} samples goes on after it: at least "
            f"{search.shortest_waveform} samples are needed",
        )
    known, wanted = DOUBLE_PULSE.names or (), sink.data_dtype.names or ()
    if not set(wanted) <= set(known):
        what = f"muons.find_double_pulses needs a sink with fields among {', '.join(known)}"
        yield Problem(None, f"{what}; {sink.name} has {', '.join(wanted)}", "change its data_dtype")


_SEARCH = {
    "sample_time_ns": Number("Time between two samples, in ns.", PulseSearch.sample_time_ns, above=0),
    "trigger_sample": Whole("Sample at which the recorder triggered.", PulseSearch.trigger_sample, minimum=1),
    "trigger_tolerance": Whole(
        "The first pulse rises within so many samples of it.", PulseSearch.trigger_tolerance, minimum=1
    ),
    "minimum_height": Number(
        "Least height of the second pulse, in the unit of the waveform.", PulseSearch.minimum_height, above=0
    ),
    "polarity": Choice("Negative or positive pulses.", PulseSearch.polarity, options=(-1, 1)),
    "edge_samples": Whole(
        "Samples before and after a point that are compared to see a pulse rise there; about the time in "
        "which a pulse rises.",
        PulseSearch.edge_samples,
        minimum=1,
    ),
}
FIND = Config(
    {
        "channel": Field.first("Field of the source that is analysed."),
        **_SEARCH,
        "keep_singles": Flag(
            "Pass events without a second pulse on as well: tau_us is NaN, height_2 is 0.", False
        ),
    },
    _can_be_found,
)


@FIND
def find_double_pulses(io: BufferIO) -> None:
    """Measure the time between two pulses of a waveform, and their heights.

    The first pulse is that of the trigger, the second one the steepest after it. Times are good to one
    sample.

    =========  ==============================================================================================
    sources    1: waveforms
    sinks      1, ``data_length: 1``, with one or more of the fields ``tau_us`` (time between the pulses, in
               us), ``height_1, height_2`` (above the baseline, in the unit of the waveform)
    =========  ==============================================================================================

    Example
    -------
    ::

        find: {function: muons.find_double_pulses, sources: [raw], sinks: [pulses],
               config: {sample_time_ns: 4, trigger_sample: 200, minimum_height: 0.035}}
        # sink: data_dtype: {tau_us: float64, height_1: float64, height_2: float64}
    """
    processor = BatchProcessor(io, limit=_EVENTS_AT_ONCE)
    settings = FIND.read(io)
    channel, keep_singles, search = settings["channel"], settings["keep_singles"], _search(settings)
    wanted = _wanted_fields(io)

    def find(data: NDArray[Any]) -> list[Any]:
        pulses = double_pulses(data[channel], search)
        if not keep_singles:
            double = ~np.isnan(pulses["tau_us"])
            return [(double, {name: pulses[name][double] for name in wanted})]
        return [{name: pulses[name] for name in wanted}]

    processor(find)


def _search(settings: Settings) -> PulseSearch:
    return PulseSearch(**{name: settings[name] for name in _SEARCH})


def _wanted_fields(io: BufferIO) -> tuple[str, ...]:
    example = io.data_out_examples[0]
    if len(io.write) != 1 or example.size != 1:
        raise SetupError(
            f"worker {io.name}: muons.find_double_pulses needs one sink, with data_length 1; it has "
            f"{len(io.write)}, with data_length {example.size}"
        )
    return example.dtype.names or ()


FIT = Config(
    {
        "field": Field("Field with the times, in us. NaN is left out.", "tau_us"),
        "window_us": Interval("Times that are fitted, in us.", [1.5, 15], minimum=0),
        "bins": Whole("Number of bins in the picture.", 50, minimum=1),
        "update_interval": Number("While the run goes on, time between fits, in s.", 10, above=0),
    }
)


@FIT
def fit_lifetime(io: BufferIO) -> None:
    """Fit a lifetime and a flat background to times, unbinned, by maximum likelihood.

    In the run directory ``<worker>.json`` holds the result (``tau_us, tau_error_us, background,
    background_error, times, window_us``; without the numbers a ``problem`` as long as the times are too
    few), and ``<worker>.png`` shows times and fit. All times in the window are kept in memory, 8 bytes
    each.

    =========  =======================================================================================
    sources    1, ``data_length: 1``; with ``delivery: broadcast`` if other workers want the events, too
    sinks      any number, of the source's type: get copies
    =========  =======================================================================================

    Example
    -------
    ::

        lifetime: {function: muons.fit_lifetime, sources: [pulses], config: {window_us: [1.5, 15]}}
    """
    # Both take long, and are used later: the run is not to wait for them then.
    import matplotlib.backends.backend_agg  # noqa: F401
    import scipy.optimize  # noqa: F401

    exporter = BatchExporter(io)
    single_values(io, "muons.fit_lifetime")
    settings = FIT.read(io)
    field, bins, interval_s = settings["field"], settings["bins"], settings["update_interval"]
    low, high = window = settings["window_us"]
    times: list[NDArray[np.float64]] = [np.empty(0)]
    tell_what_is_gone(io, "its fit knows nothing of what came before")
    fitted_s = time.monotonic()
    for data, _ in exporter:
        values = data[field][:, 0].astype(np.float64)
        times.append(values[(values > low) & (values < high)])
        if time.monotonic() - fitted_s >= interval_s:
            times = [np.concatenate(times)]
            _report(io, times[0], window, bins)
            fitted_s = time.monotonic()
    _report(io, np.concatenate(times), window, bins)


def _report(io: BufferIO, times: NDArray[np.float64], window: tuple[float, float], bins: int) -> None:
    """Fit, and write the result and the picture."""
    fit: LifetimeFit | None = None
    try:
        fit = fit_times(times, window)
    except ValueError as error:  # too few times yet, or a shape that no lifetime has
        io.logger.warning("no lifetime: %s", error)
        result: dict[str, Any] = {"times": len(times), "window_us": window, "problem": str(error)}
    else:
        io.logger.info("%s", fit)
        result = asdict(fit)
    replace_file(io.run_dir / f"{own_name(io, io.name)}.json", json.dumps(result, indent=2).encode())
    _draw(io, times, window, bins, fit)


def _draw(
    io: BufferIO,
    times: NDArray[np.float64],
    window: tuple[float, float],
    bins: int,
    fit: LifetimeFit | None,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    counts, edges = np.histogram(times, bins, window)
    centres = (edges[:-1] + edges[1:]) / 2
    axes.errorbar(centres, counts, np.sqrt(counts), fmt="k.", label=f"{len(times)} events")
    if fit is not None:
        t_us = np.linspace(*window, 500)
        width_us = edges[1] - edges[0]
        axes.plot(
            t_us,
            fit.times * width_us * fit.density(t_us),
            label=f"$\\tau$ = ({fit.tau_us:.3f} $\\pm$ {fit.tau_error_us:.3f}) µs",
        )
        axes.axhline(
            fit.times * fit.background / bins,
            linestyle="dotted",
            color="gray",
            label=f"background {100 * fit.background:.1f} %",
        )
    axes.set_xlim(*window)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("time between pulses / µs")
    axes.set_ylabel(f"events per {edges[1] - edges[0]:.3g} µs")
    axes.legend()
    save_figure(figure, io.run_dir / f"{own_name(io, io.name)}.png")
