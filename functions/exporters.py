"""Workers that take events out: to files, or to nowhere."""

from __future__ import annotations

import csv as csv_format
import io as text_io
import platform
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import mimocorb_dist
from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers import BatchExporter
from mimocorb_dist.workers.rows import column_names, header_line, rows_text, unwritable

from ._keys import Bins, Choice, Number, OutputName
from ._output import create_directory, replace_file, single_values, tell_what_is_gone
from ._settings import Config, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mimocorb_dist.workers import BufferIO

    from ._settings import Settings, Surroundings


DRAIN = Config()


@DRAIN
def drain(io: BufferIO) -> None:
    """Take all events, and do nothing with them.

    =========  ==============================================
    sources    1
    sinks      any number, of the source's type: get copies
    =========  ==============================================
    """
    for _ in BatchExporter(io):
        pass


def _fits_in_columns(_settings: Settings, around: Surroundings) -> Iterator[Problem]:
    source = around.sources[0]
    if names := unwritable(source.data_dtype):
        which = f"{', '.join(names)} of {source.name}"
        what = f"exporters.csv has one column for each field, which {which} do not fit"
        yield Problem(None, what, "use exporters.parquet")


CSV = Config(
    {
        "filename": OutputName.of("Name of the file, without ``.csv``.", ".csv"),
        "save_interval": Number(
            "Rows can be read by others at once; every `save_interval` s they are brought to the disk, and "
            "sooner when three quarters of the buffer's slots hold rows that are not there yet.",
            1,
            minimum=0,
        ),
    },
    _fits_in_columns,
)


@CSV
def csv(io: BufferIO) -> None:
    """Write one row for each event to a csv file in the run directory.

    Columns are counter, timestamp (s since 1970), deadtime, then the fields; the header is written at once.
    All numbers are written as floats, in as many digits as they need. A second process of the worker writes
    ``<filename>.part2.csv``, and so on.

    =========  ==============================================
    sources    1, ``data_length: 1``
    sinks      any number, of the source's type: get copies
    =========  ==============================================

    Example
    -------
    ::

        table: {function: exporters.csv, sources: [pulses], config: {filename: decays}}
    """
    exporter = BatchExporter(io)
    dtype = single_values(io, "exporters.csv").dtype
    settings = CSV.read(io)
    header = header_line(column_names(dtype))
    with exporter.open(f"{settings['filename']}.csv", header, settings["save_interval"]) as rows:
        for data, metadata in exporter:
            rows.write(rows_text(metadata, data[:, 0]))


HISTOGRAM = Config(
    {
        "bins": Bins("Field -> [lowest, highest, number of edges]."),
        "update_interval": Number(
            "The files are written when events come, but not more often than every `update_interval` s; and "
            "at the end.",
            1,
            minimum=0,
        ),
    }
)


@HISTOGRAM
def histogram(io: BufferIO) -> None:
    """Count events in bins of their fields, in ``Histograms_<source>/`` in the run directory.

    ``info.csv`` there has the columns Channel, Min, Max, NBins (number of edges); ``<channel>.npy`` has the
    counts, NBins - 1 int64. As with numpy.histogram a bin contains its lower edge, the last one its upper
    edge as well; values outside are not counted. ``visualizers.histogram`` shows the histograms while they
    grow.

    =========  ==============================================
    sources    1, ``data_length: 1``
    sinks      any number, of the source's type: get copies
    =========  ==============================================

    Example
    -------
    ::

        times: {function: exporters.histogram, sources: [pulses], config: {bins: {tau_us: [0, 15, 76]}}}
        # np.load("Histograms_pulses/tau_us.npy") has 75 bins of 0.2 us
    """
    import boost_histogram as bh

    exporter = BatchExporter(io)
    single_values(io, "exporters.histogram")
    settings = HISTOGRAM.read(io)
    bins, interval_s = settings["bins"], settings["update_interval"]
    histograms = {
        name: bh.Histogram(bh.axis.Variable(np.linspace(*limits)), storage=bh.storage.Int64())
        for name, limits in bins.items()
    }
    directory = create_directory(io, f"Histograms_{io.buffer_names_in[0]}")
    tell_what_is_gone(io, f"what came in the last {interval_s:g} s before it may be in no histogram")
    _save_counts(directory, histograms)
    info = text_io.StringIO()
    rows = [(name, *limits) for name, limits in bins.items()]
    csv_format.writer(info, lineterminator="\n").writerows([("Channel", "Min", "Max", "NBins"), *rows])
    replace_file(directory / "info.csv", info.getvalue().encode())
    saved_s = time.monotonic()
    try:
        for data, _ in exporter:
            for name, counts in histograms.items():
                highest = bins[name][1]
                values = data[name][:, 0].astype(np.float64)
                # Axes of boost-histogram are open at their upper end, numpy's last bin is closed.
                values[values == highest] = np.nextafter(highest, -np.inf)
                counts.fill(values)
            if time.monotonic() - saved_s >= interval_s:
                _save_counts(directory, histograms)
                saved_s = time.monotonic()
    finally:
        _save_counts(directory, histograms)


def _save_counts(directory: Path, histograms: dict[str, Any]) -> None:
    for name, counts in histograms.items():
        content = text_io.BytesIO()
        np.save(content, counts.values().astype(np.int64))
        replace_file(directory / f"{name}.npy", content.getvalue())


PARQUET = Config(
    {
        "filename": OutputName.of("Name of the file, without ``.parquet``.", ".parquet"),
        "group_megabytes": Number(
            "Size of a row group in memory: so much is held before it is written.", 32, above=0
        ),
        "flush_interval": Number(
            "A smaller row group is written when events come and the last one is older than this, in s.",
            60,
            above=0,
        ),
        "compression": Choice(
            "How columns are compressed.", "zstd", options=("zstd", "snappy", "gzip", "none")
        ),
    }
)


@PARQUET
def parquet(io: BufferIO) -> None:
    """Write one row for each event to a parquet file in the run directory.

    Columns are counter, timestamp (s since 1970), deadtime, then the fields: with their types, and as lists
    if data_length is above 1. The file is written in row groups and can be read when the worker has ended.
    What is known of the run stands as JSON in the schema's metadata, under ``mimocorb``. A second process
    of the worker writes ``<filename>.part2.parquet``, and so on.

    =========  ==============================================
    sources    1
    sinks      any number, of the source's type: get copies
    =========  ==============================================

    Example
    -------
    ::

        archive: {function: exporters.parquet, sources: [raw], config: {group_megabytes: 64}}
        # pandas.read_parquet("raw.parquet")["ch1"].iloc[0] is the first waveform
        # json.loads(pyarrow.parquet.read_schema("raw.parquet").metadata[b"mimocorb"])["run"]
    """
    from ._parquet import arrow_schema
    from ._parquet_file import ParquetOutput

    exporter = BatchExporter(io)
    example = io.data_in_examples[0]
    settings = PARQUET.read(io)
    try:
        schema = arrow_schema(example.dtype, example.size, _facts(io))
    except TypeError as error:
        raise SetupError(
            f"worker {io.name}: {io.buffer_names_in[0]} cannot be written by exporters.parquet: {error}; "
            "data.export takes any type"
        ) from error
    rows = ParquetOutput(
        io,
        settings["filename"],
        schema,
        exporter.files_of("rows"),
        group_bytes=int(settings["group_megabytes"] * 1e6),
        flush_s=settings["flush_interval"],
        compression=settings["compression"],
    )
    with exporter.kept("rows", rows):
        for data, metadata in exporter:
            rows.add(metadata, data)


def _facts(io: BufferIO) -> dict[str, Any]:
    """Collect what a file should tell of its origin."""
    import pyarrow as pa

    example = io.data_in_examples[0]
    return {
        "run": io.run_id,
        "worker": io.name,
        "buffer": io.buffer_names_in[0],
        "data_length": int(example.size),
        "data_dtype": {name: str(example.dtype[name]) for name in example.dtype.names or ()},
        "units": {"timestamp": "s since 1970-01-01 UTC", "deadtime": "share of time"},
        "software": {
            "mimocorb_dist": mimocorb_dist.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
    }
