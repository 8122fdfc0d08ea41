"""Workers that turn waveforms into numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers import Processor

from ._settings import text, wrong

if TYPE_CHECKING:
    from mimocorb_dist.workers import BufferIO

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
_ARGUMENTS = (
    "height",
    "threshold",
    "distance",
    "prominence",
    "width",
    "wlen",
    "rel_height",
    "plateau_size",
)


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

    Config
    ------
    channel : text
        Field of the source that is analysed.
    height, threshold, distance, prominence, width, wlen, rel_height, plateau_size : optional
        Arguments of find_peaks, in units of the waveform and in samples. ``rel_height`` is 0.5 if not
        given, the others are not used then. A minimum, or a list of minimum and maximum.

    Example
    -------
    ::

        pha: {function: analyzers.pha, sources: [raw], sinks: [peaks],
              config: {channel: ch1, height: 0.05, prominence: 0.02, distance: 50}}
        # sink: {slot_count: 256, data_length: 1, data_dtype: {position: int32, peak_heights: float64}}
    """
    from scipy.signal import find_peaks

    processor = Processor(io)
    channel = text(io, "channel")
    fields = io.data_in_examples[0].dtype.names or ()
    if channel not in fields:
        raise wrong(io, "channel", f"a field of {io.buffer_names_in[0]}: {', '.join(fields)}")
    if len(io.write) != 1:
        raise SetupError(f"worker {io.name}: analyzers.pha needs 1 sink, but has {len(io.write)}")
    wanted = _wanted_fields(io)
    arguments = {name: io.config[name] for name in _ARGUMENTS if io.config.get(name) is not None}
    result = io.data_out_examples[0].copy()

    def first_peak(data: Any) -> list[Any] | None:
        positions, properties = find_peaks(data[channel], **arguments)
        if len(positions) == 0:
            return None
        for name in wanted:
            result[name] = positions[0] if name == "position" else properties[name][0]
        return [result]

    processor(first_peak)


def _wanted_fields(io: BufferIO) -> tuple[str, ...]:
    example = io.data_out_examples[0]
    sink = io.buffer_names_out[0]
    if example.size != 1:
        raise SetupError(f"worker {io.name}: analyzers.pha needs data_length 1 in its sink {sink}")
    wanted = example.dtype.names or ()
    for name in wanted:
        if name not in _NEEDS:
            raise SetupError(
                f"worker {io.name}: field {name!r} of its sink {sink} is nothing that analyzers.pha "
                f"computes; it can be {', '.join(_NEEDS)}"
            )
        needs = _NEEDS[name]
        if needs is not None and io.config.get(needs) is None:
            raise SetupError(
                f"worker {io.name}: field {name!r} of its sink {sink} needs `{needs}` in the config "
                "(an argument of scipy.signal.find_peaks)"
            )
    return wanted
