"""Workers that turn waveforms into numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers import Processor

from ._keys import Condition, Field, Number
from ._settings import Config, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mimocorb_dist.workers import BufferIO

    from ._settings import Settings, Surroundings

# Field of the sink -> argument of find_peaks without which scipy does not compute it.
_NEEDS = {
    "position": None,
    "peak_heights": "height",
    "left_thresholds": "threshold",
    "right_thresholds": "threshold",
    "prominences": "prominence",
    "left_bases": "prominence",
    "right_bases": "prominence",
    "widths": "width",
    "width_heights": "width",
    "left_ips": "width",
    "right_ips": "width",
    "plateau_sizes": "plateau_size",
    "left_edges": "plateau_size",
    "right_edges": "plateau_size",
}


def _computes_the_fields(settings: Settings, around: Surroundings) -> Iterator[Problem]:
    sink = around.sinks[0]
    for name in sink.data_dtype.names or ():
        needs = _NEEDS.get(name)
        if name not in _NEEDS:
            what = f"field {name!r} of its sink {sink.name} is nothing that analyzers.pha computes"
            yield Problem(None, what, f"it can be {', '.join(_NEEDS)}")
        elif needs is not None and settings[needs] is None:
            what = f"field {name!r} of its sink {sink.name} needs `{needs}` in the config"
            yield Problem(None, what, "it is an argument of scipy.signal.find_peaks")


_ARGUMENTS = {
    "height": Condition("Height of a peak, in units of the waveform.", None),
    "threshold": Condition("How far a peak rises above its neighbouring samples.", None),
    "distance": Number("Least distance between peaks, in samples.", None, minimum=1),
    "prominence": Condition("How far a peak stands out from its surroundings.", None),
    "width": Condition("Width of a peak, in samples.", None),
    "wlen": Number("Samples of the waveform around a peak that its prominence is measured in.", None),
    "rel_height": Number(
        "Height at which widths are measured, as a share of the prominence.", 0.5, minimum=0
    ),
    "plateau_size": Condition("Width of the flat top of a peak, in samples.", None),
}
PHA = Config({"channel": Field("Field of the source that is analysed."), **_ARGUMENTS}, _computes_the_fields)


@PHA
def pha(io: BufferIO) -> None:
    """Pulse height analysis: the first peak of a waveform, as ``scipy.signal.find_peaks`` sees it.

    Events without a peak are dropped.

    =========  ========================================================================================
    sources    1: waveforms
    sinks      1, ``data_length: 1``; its fields say what is computed: ``position`` (sample of the peak),
               and what find_peaks gives with the arguments below: ``peak_heights`` (needs ``height``),
               ``left_thresholds, right_thresholds`` (``threshold``), ``prominences, left_bases,
               right_bases`` (``prominence``), ``widths, width_heights, left_ips, right_ips`` (``width``),
               ``plateau_sizes, left_edges, right_edges`` (``plateau_size``)
    =========  ========================================================================================

    Example
    -------
    ::

        pha: {function: analyzers.pha, sources: [raw], sinks: [peaks],
              config: {channel: ch1, height: 0.05, prominence: 0.02, distance: 50}}
        # sink: {slot_count: 256, data_length: 1, data_dtype: {position: int32, peak_heights: float64}}
    """
    from scipy.signal import find_peaks

    processor = Processor(io)
    if len(io.write) != 1:
        raise SetupError(f"worker {io.name}: analyzers.pha needs 1 sink, but has {len(io.write)}")
    if io.data_out_examples[0].size != 1:
        sink = io.buffer_names_out[0]
        raise SetupError(f"worker {io.name}: analyzers.pha needs data_length 1 in its sink {sink}")
    settings = PHA.read(io)
    channel, wanted = settings["channel"], io.data_out_examples[0].dtype.names or ()
    arguments = {name: settings[name] for name in _ARGUMENTS if settings[name] is not None}
    result = io.data_out_examples[0].copy()

    def first_peak(data: Any) -> list[Any] | None:
        positions, properties = find_peaks(data[channel], **arguments)
        if len(positions) == 0:
            return None
        for name in wanted:
            result[name] = positions[0] if name == "position" else properties[name][0]
        return [result]

    processor(first_peak)
