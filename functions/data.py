"""Workers that write events to files as they are, and bring recorded events in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.errors import DataFileError
from mimocorb_dist.workers import BatchExporter, BatchImporter

from . import _mimo
from ._output import SyncedFile, create_file, output_name
from ._pace import Pacer, as_recorded, poisson, uniform
from ._recordings import open_recording
from ._settings import choice, flag, integer, number, seed, text, wrong
from ._targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mimocorb_dist.workers import BufferIO

    from ._pace import Waits
    from ._targets import Batch, Reader

_SYNC_INTERVAL_S = 1.0


def export(io: BufferIO) -> None:
    """Write all events to ``<filename>.mimo`` in the run directory, in the format of mimoCoRB2.

    A second process of the worker writes ``<filename>.part2.mimo``, and so on.

    =========  ==============================================
    sources    1
    sinks      any number, of the source's type: get copies
    =========  ==============================================

    Config
    ------
    filename : text, default the source's name
        Name of the file, without ``.mimo``.
    """
    exporter = BatchExporter(io)
    example = io.data_in_examples[0]
    file = create_file(io, output_name(io, ".mimo"), ".mimo")
    with SyncedFile(file, _SYNC_INTERVAL_S) as events:
        events.write(_mimo.header_bytes(example.dtype, example.size))
        for data, metadata in exporter:
            events.write(_mimo.event_bytes(metadata, data))


def replay(io: BufferIO) -> None:
    """Bring in the events of an npz, npy, mimo or parquet file.

    What the file has must fit the buffer: events of data_length values, and for each field values that it
    can hold without loss. Fields are found by their names, or by `fields`. A plain array of shape (events,
    data_length) fills the only field. Anything else is a DataFileError that tells what was found and what
    was expected.

    =========  ======
    sinks      1
    =========  ======

    Config
    ------
    filename : text
        The file, relative to the setup file.
    array : text, optional
        Member of an npz file. Without it the members named like the fields are taken, or the only one that
        fits.
    fields : map, optional
        Field of the buffer -> member of the npz file, column of the parquet file, or field of a structured
        array.
    rate : number, optional
        Events per s. Without it events come as fast as the buffer takes them.
    distribution : uniform or poisson, default uniform
        With `rate`: equal distances, or random (exponential) ones.
    seed : integer, optional
        Of the random distances; without it they are different each time.
    by_recorded_time : true or false, default false
        Events come at the distances of their recorded timestamps; for files with metadata (mimo, parquet).
    repeat : integer or true, default 1
        How often the file is played; true: until the run is stopped.
    keep_metadata : true or false, default false
        Counter, timestamp and dead time are those of the file (mimo, parquet), and not those of this run.

    Example
    -------
    ::

        replay: {function: data.replay, sinks: [raw],
                 config: {filename: recorded/waves.npz, array: waveform, rate: 100, distribution: poisson}}
    """
    target = _target(io)
    path = io.setup_dir / Path(text(io, "filename")).expanduser()
    array = text(io, "array") if "array" in io.config else None
    fields = io.config.get("fields") or {}
    if not isinstance(fields, dict):
        raise wrong(io, "fields", "a map of fields of the buffer to names in the file")
    reader = open_recording(path, target, array, fields)
    by_recorded_time = flag(io, "by_recorded_time", default=False)
    if by_recorded_time and "rate" in io.config:
        raise wrong(io, "rate", "left out with by_recorded_time")
    keep_metadata = flag(io, "keep_metadata", default=False)
    if (by_recorded_time or keep_metadata) and not _has_metadata(reader):
        key = "by_recorded_time" if by_recorded_time else "keep_metadata"
        raise DataFileError(
            f"{path}: has no counter, timestamp and deadtime of its events, which `{key}` needs; leave the "
            "key out"
        )
    waits = as_recorded() if by_recorded_time else _waits(io, required=False)
    batches = _repeated(path, reader, _repetitions(io))
    _bring_in(io, batches if waits is None else Pacer(waits).pace(batches), keep_metadata)


def simulate_importer(io: BufferIO) -> None:
    """Bring in the events of a ``.mimo`` file at the distances of their recorded times.

    =========  ======
    sinks      1
    =========  ======

    Config
    ------
    filename : text, default <sink>.mimo
        The file, relative to the working directory.
    """
    path = _classic_path(io)
    _bring_in(io, Pacer(as_recorded()).pace(open_recording(path, _target(io))()))


def clocked_importer(io: BufferIO) -> None:
    """Bring in the events of a ``.mimo`` file at a rate.

    =========  ======
    sinks      1
    =========  ======

    Config
    ------
    filename : text, default <sink>.mimo
        The file, relative to the working directory.
    rate : number
        Events per s.
    distribution : uniform or poisson, default uniform
        Equal distances, or random (exponential) ones.
    seed : integer, optional
        Of the random distances; without it they are different each time.
    """
    path = _classic_path(io)
    waits = _waits(io, required=True)
    assert waits is not None
    _bring_in(io, Pacer(waits).pace(open_recording(path, _target(io))()))


def _target(io: BufferIO) -> Target:
    example = io.data_out_examples[0]
    return Target(example.dtype, example.size)


def _classic_path(io: BufferIO) -> Path:
    path = Path(text(io, "filename", f"{io.buffer_names_out[0]}.mimo")).expanduser()
    if path.suffix != ".mimo":
        raise wrong(io, "filename", "a .mimo file; data.replay takes other formats as well")
    return path.absolute()


def _waits(io: BufferIO, required: bool) -> Waits | None:
    distribution = choice(io, "distribution", ("uniform", "poisson"), "uniform")
    if "rate" not in io.config and not required:
        return None
    rate_hz = number(io, "rate", above=0)
    if distribution == "uniform":
        return uniform(rate_hz)
    return poisson(rate_hz, np.random.default_rng(seed(io)))


def _repetitions(io: BufferIO) -> int | None:
    """Return how often a file is to be played; None: without end."""
    if io.config.get("repeat") is True:
        return None
    return integer(io, "repeat", 1, minimum=1)


def _has_metadata(reader: Reader) -> bool:
    first = next(iter(reader()), None)
    return first is None or first[0] is not None


def _repeated(path: Path, reader: Reader, times: int | None) -> Iterator[Batch]:
    played = 0
    while times is None or played < times:
        count = 0
        for batch in reader():
            count += len(batch[1])
            yield batch
        if times is None and count == 0:
            raise DataFileError(
                f"{path}: holds no events, so `repeat: true` would never bring any; leave it out"
            )
        played += 1


def _bring_in(io: BufferIO, batches: Iterable[Batch], keep_metadata: bool = False) -> None:
    importer = BatchImporter(io)
    importer(lambda: ((data, metadata) if keep_metadata else data for metadata, data in batches))
