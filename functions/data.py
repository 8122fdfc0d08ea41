"""Workers that write events to files as they are, and bring recorded events in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mimocorb_dist.errors import DataFileError
from mimocorb_dist.workers import BatchExporter, BatchImporter

from . import _mimo
from ._keys import Choice, DataFile, FieldMap, Flag, Number, OutputName, Repetitions, Text, Whole
from ._mimo_file import mimoFile  # noqa: F401 (users import it from here)
from ._pace import Pacer, as_recorded, poisson, random_numbers, uniform
from ._recordings import open_recording
from ._settings import Config, Problem, unfit
from ._targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mimocorb_dist.workers import BufferIO

    from ._pace import Waits
    from ._settings import Settings, Surroundings
    from ._targets import Batch, Reader


EXPORT = Config({"filename": OutputName.of("Name of the file, without ``.mimo``.", ".mimo")})


@EXPORT
def export(io: BufferIO) -> None:
    """Write all events to ``<filename>.mimo`` in the run directory, in the format of mimoCoRB2.

    A second process of the worker writes ``<filename>.part2.mimo``, and so on.

    =========  ==============================================
    sources    1
    sinks      any number, of the source's type: get copies
    =========  ==============================================
    """
    exporter = BatchExporter(io)
    example = io.data_in_examples[0]
    name = f"{EXPORT.read(io)['filename']}.mimo"
    with exporter.open(name, _mimo.header_bytes(example.dtype, example.size)) as events:
        for data, metadata in exporter:
            events.write(_mimo.event_bytes(metadata, data))


def _recorded_or_at_rate(settings: Settings, _around: Surroundings) -> Iterator[Problem]:
    if settings["by_recorded_time"] and settings["rate"] is not None:
        yield unfit("rate", settings["rate"], "it must be left out with by_recorded_time")


# Their headers tell all; other kinds cost more than a look.
_QUICKLY_READ = (".npy", ".mimo")


def _fits_the_sink(settings: Settings, around: Surroundings) -> Iterator[Problem]:
    path = settings["filename"]
    if not around.files or path.suffix not in _QUICKLY_READ:
        return
    sink = around.sinks[0]
    target = Target(sink.data_dtype, sink.data_length)
    try:
        open_recording(path, target, settings.get("array"), settings.get("fields"))
    except DataFileError as error:
        what, _, remedy = str(error).partition("; ")
        yield Problem("filename", what, remedy)


_RATE = "Events per s."
_DISTRIBUTION = Choice(
    "With `rate`: equal distances, or random (exponential) ones.", "uniform", options=("uniform", "poisson")
)
_SEED = Whole(
    "Of the random distances, which differ between processes; without it they are new each time.", None
)

REPLAY = Config(
    {
        "filename": DataFile("The file, relative to the setup file."),
        "array": Text(
            "Member of an npz file. Without it the members named like the fields are taken, or the only one "
            "that fits.",
            None,
        ),
        "fields": FieldMap(
            "Field of the buffer -> member of the npz file, column of the parquet file, or field of a "
            "structured array.",
            None,
            end="sinks",
            to="names in the file",
        ),
        "rate": Number(f"{_RATE} Without it events come as fast as the buffer takes them.", None, above=0),
        "distribution": _DISTRIBUTION,
        "seed": _SEED,
        "by_recorded_time": Flag(
            "Events come at the distances of their recorded timestamps; for files with metadata (mimo, "
            "parquet).",
            False,
        ),
        "repeat": Repetitions("How often the file is played; true: until the run is stopped.", 1, minimum=1),
        "keep_metadata": Flag(
            "Counter, timestamp and dead time are those of the file (mimo, parquet), and not those of this "
            "run.",
            False,
        ),
    },
    _recorded_or_at_rate,
    _fits_the_sink,
)


@REPLAY
def replay(io: BufferIO) -> None:
    """Bring in the events of an npz, npy, mimo or parquet file.

    What the file has must fit the buffer: events of data_length values, and for each field values that it
    can hold without loss. Fields are found by their names, or by `fields`. A plain array of shape (events,
    data_length) fills the only field. Anything else is a DataFileError that tells what was found and what
    was expected.

    =========  ======
    sinks      1
    =========  ======

    Example
    -------
    ::

        replay: {function: data.replay, sinks: [raw],
                 config: {filename: recorded/waves.npz, array: waveform, rate: 100, distribution: poisson}}
    """
    settings = REPLAY.read(io)
    path = settings["filename"]
    reader = open_recording(path, _target(io), settings["array"], settings["fields"])
    by_recorded_time, keep_metadata = settings["by_recorded_time"], settings["keep_metadata"]
    if (by_recorded_time or keep_metadata) and not _has_metadata(reader):
        key = "by_recorded_time" if by_recorded_time else "keep_metadata"
        raise DataFileError(
            f"{path}: has no counter, timestamp and deadtime of its events, which `{key}` needs; leave the "
            "key out"
        )
    batches = _repeated(path, reader, settings["repeat"])
    waits = None
    if by_recorded_time:
        waits = as_recorded()
    elif settings["rate"] is not None:
        waits = _waits(io, settings)
    _bring_in(io, batches, waits, keep_metadata)


def _sink_mimo(around: Surroundings) -> str | None:
    sink = around.first("sinks")
    return f"{sink.name}.mimo" if sink else None


_CLASSIC_FILE = DataFile(
    "The file, relative to the working directory.",
    _sink_mimo,
    "the sink's name and .mimo",
    suffixes=(".mimo",),
    beside_setup=False,
)
SIMULATE = Config({"filename": _CLASSIC_FILE}, _fits_the_sink)


@SIMULATE
def simulate_importer(io: BufferIO) -> None:
    """Bring in the events of a ``.mimo`` file at the distances of their recorded times.

    =========  ======
    sinks      1
    =========  ======
    """
    path = SIMULATE.read(io)["filename"]
    _bring_in(io, open_recording(path, _target(io))(), as_recorded())


CLOCKED = Config(
    {
        "filename": _CLASSIC_FILE,
        "rate": Number(_RATE, above=0),
        "distribution": replace(_DISTRIBUTION, meaning="Equal distances, or random (exponential) ones."),
        "seed": _SEED,
    },
    _fits_the_sink,
)


@CLOCKED
def clocked_importer(io: BufferIO) -> None:
    """Bring in the events of a ``.mimo`` file at a rate.

    =========  ======
    sinks      1
    =========  ======
    """
    settings = CLOCKED.read(io)
    _bring_in(io, open_recording(settings["filename"], _target(io))(), _waits(io, settings))


def _target(io: BufferIO) -> Target:
    example = io.data_out_examples[0]
    return Target(example.dtype, example.size)


def _waits(io: BufferIO, settings: Settings) -> Waits:
    rate_hz = settings["rate"]
    if settings["distribution"] == "uniform":
        return uniform(rate_hz)
    return poisson(rate_hz, random_numbers(io, settings["seed"]))


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


def _bring_in(
    io: BufferIO, batches: Iterable[Batch], waits: Waits | None, keep_metadata: bool = False
) -> None:
    importer = BatchImporter(io)
    if waits is not None:
        batches = Pacer(waits, importer.live_time_s).pace(batches)
    importer(lambda: ((data, metadata) if keep_metadata else data for metadata, data in batches))
