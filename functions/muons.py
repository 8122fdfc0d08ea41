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

from ._canvas import save_figure
from ._muons.lifetime import LifetimeFit, fit_times
from ._muons.pulses import DOUBLE_PULSE, PulseSearch, double_pulses
from ._output import own_name, replace_file, single_values
from ._settings import flag, integer, number, text, wrong

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO

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


def find_double_pulses(io: BufferIO) -> None:
    """Measure the time between two pulses of a waveform, and their heights.

    The first pulse is that of the trigger, the second one the steepest after it. Times are good to one
    sample.

    =========  ==============================================================================================
    sources    1: waveforms
    sinks      1, ``data_length: 1``, with one or more of the fields ``tau_us`` (time between the pulses, in
               us), ``height_1, height_2`` (above the baseline, in the unit of the waveform)
    =========  ==============================================================================================

    Config
    ------
    channel : text, default the first field
        Field of the source that is analysed.
    sample_time_ns : number, default 4
        Time between two samples, in ns.
    trigger_sample : integer, default 200
        Sample at which the recorder triggered.
    trigger_tolerance : integer, default 12
        The first pulse rises within so many samples of it.
    minimum_height : number, default 0.035
        Least height of the second pulse, in the unit of the waveform.
    polarity : -1 or 1, default -1
        Negative or positive pulses.
    edge_samples : integer, default 6
        Samples before and after a point that are compared to see a pulse rise there; about the time in
        which a pulse rises.
    keep_singles : true or false, default false
        Pass events without a second pulse on as well: tau_us is NaN, height_2 is 0.

    Example
    -------
    ::

        find: {function: muons.find_double_pulses, sources: [raw], sinks: [pulses],
               config: {sample_time_ns: 4, trigger_sample: 200, minimum_height: 0.035}}
        # sink: data_dtype: {tau_us: float64, height_1: float64, height_2: float64}
    """
    processor = BatchProcessor(io, limit=_EVENTS_AT_ONCE)
    fields = io.data_in_examples[0].dtype.names or ()
    channel = text(io, "channel", fields[0])
    if channel not in fields:
        raise wrong(io, "channel", f"a field of {io.buffer_names_in[0]}: {', '.join(fields)}")
    search = _search(io)
    if io.data_in_examples[0].size < search.shortest_waveform:
        raise wrong(
            io,
            "trigger_sample",
            f"so that the record of {io.data_in_examples[0].size} samples goes on after it: at least "
            f"{search.shortest_waveform} samples are needed",
        )
    wanted = _wanted_fields(io)
    keep_singles = flag(io, "keep_singles", default=False)

    def find(data: NDArray[Any]) -> list[Any]:
        pulses = double_pulses(data[channel], search)
        if not keep_singles:
            double = ~np.isnan(pulses["tau_us"])
            return [(double, {name: pulses[name][double] for name in wanted})]
        return [{name: pulses[name] for name in wanted}]

    processor(find)


def _search(io: BufferIO) -> PulseSearch:
    polarity = integer(io, "polarity", -1, minimum=-1)
    if polarity not in (-1, 1):
        raise wrong(io, "polarity", "-1 or 1")
    search = PulseSearch(
        sample_time_ns=number(io, "sample_time_ns", 4.0, above=0),
        trigger_sample=integer(io, "trigger_sample", 200, minimum=1),
        trigger_tolerance=integer(io, "trigger_tolerance", 12, minimum=1),
        minimum_height=number(io, "minimum_height", 0.035, above=0),
        polarity=polarity,
        edge_samples=integer(io, "edge_samples", 6, minimum=1),
    )
    if search.trigger_sample <= search.trigger_tolerance:
        raise wrong(io, "trigger_sample", "above trigger_tolerance: the samples before give the baseline")
    return search


def _wanted_fields(io: BufferIO) -> tuple[str, ...]:
    example = io.data_out_examples[0]
    known = DOUBLE_PULSE.names or ()
    wanted = example.dtype.names or ()
    if len(io.write) != 1 or example.size != 1 or not set(wanted) <= set(known):
        raise SetupError(
            f"worker {io.name}: muons.find_double_pulses needs one sink with data_length 1 and fields among "
            f"{', '.join(known)}; {io.buffer_names_out[0]} has data_length {example.size} and "
            f"{', '.join(wanted)}"
        )
    return wanted


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

    Config
    ------
    field : text, default tau_us
        Field with the times, in us. NaN is left out.
    window_us : [low, high], default [1.5, 15]
        Times that are fitted, in us.
    bins : integer, default 50
        Number of bins in the picture.
    update_interval : number, default 10
        While the run goes on, time between fits, in s.

    Example
    -------
    ::

        lifetime: {function: muons.fit_lifetime, sources: [pulses], config: {window_us: [1.5, 15]}}
    """
    # Both take long, and are used later: the run is not to wait for them then.
    import matplotlib.backends.backend_agg  # noqa: F401
    import scipy.optimize  # noqa: F401

    exporter = BatchExporter(io)
    names = single_values(io, "muons.fit_lifetime").dtype.names or ()
    field = text(io, "field", "tau_us")
    if field not in names:
        raise wrong(io, "field", f"a field of {io.buffer_names_in[0]}: {', '.join(names)}")
    low, high = window = _window(io)
    bins = integer(io, "bins", 50, minimum=1)
    interval_s = number(io, "update_interval", 10, above=0)
    times: list[NDArray[np.float64]] = [np.empty(0)]
    fitted_s = time.monotonic()
    for data, _ in exporter:
        values = data[field][:, 0].astype(np.float64)
        times.append(values[(values > low) & (values < high)])
        if time.monotonic() - fitted_s >= interval_s:
            times = [np.concatenate(times)]
            _report(io, times[0], window, bins)
            fitted_s = time.monotonic()
    _report(io, np.concatenate(times), window, bins)


def _window(io: BufferIO) -> tuple[float, float]:
    value = io.config.get("window_us", [1.5, 15.0])
    allowed = "[low, high] in us, low below high and not negative"
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise wrong(io, "window_us", allowed)
    if any(isinstance(limit, bool) or not isinstance(limit, (int, float)) for limit in value):
        raise wrong(io, "window_us", allowed)
    if not 0 <= value[0] < value[1]:
        raise wrong(io, "window_us", allowed)
    return float(value[0]), float(value[1])


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
