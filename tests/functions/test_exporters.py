"""Exporters write every event, in files that others can read."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mimocorb_dist.functions import data as data_functions
from mimocorb_dist.functions import exporters, misc
from mimocorb_dist.functions._mimo import read_events, read_header
from mimocorb_dist.functions._parquet_file import ParquetOutput

from mimocorb_dist.errors import SetupError
from tests.support import small_disk

from .harness import Bench, make_data, make_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PULSES = np.dtype([("tau", "f8"), ("n", "i4")])
WAVES = np.dtype([("ch1", "f4"), ("ch2", "i2")])


def test_drain_takes_all_events(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    io = bench.io(["pulses"])
    bench.fill("pulses", make_data(1000, PULSES))
    exporters.drain(io)
    assert io.events == 1000


@pytest.mark.parametrize(
    "function",
    [
        exporters.drain,
        exporters.csv,
        exporters.parquet,
        data_functions.export,
        misc.copy,
        pytest.param(exporters.histogram, id="histogram"),
    ],
    ids=lambda function: f"{function.__module__.rpartition('.')[2]}.{function.__name__}",
)
def test_sinks_get_copies(bench: Bench, function: Callable[[Any], None]) -> None:
    for name in ("pulses", "first", "second"):
        bench.buffer(name, PULSES)
    io = bench.io(["pulses"], ["first", "second"], bins={"tau": [0, 100, 11]})
    first, second = bench.collect("first"), bench.collect("second")
    sent = make_data(1000, PULSES)
    bench.fill("pulses", sent)
    function(io)
    for metadata, data in (first(), second()):
        assert data.tolist() == sent.tolist()
        assert metadata.tolist() == make_metadata(1000).tolist()


def test_csv_has_one_row_for_each_event(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    sent = make_data(1000, PULSES)
    bench.fill("pulses", sent)
    exporters.csv(bench.io(["pulses"]))
    text = (bench.run_dir / "pulses.csv").read_text()
    assert text.startswith("counter,timestamp,deadtime,tau,n\n0.0,1700000000.0,0.25,")
    table = pd.read_csv(bench.run_dir / "pulses.csv")
    assert table["counter"].tolist() == list(range(1000))
    assert table["timestamp"].tolist() == make_metadata(1000)["timestamp"].tolist()
    assert table["tau"].tolist() == sent["tau"][:, 0].tolist()
    assert table["n"].tolist() == sent["n"][:, 0].tolist()


def test_csv_without_events_has_its_header(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    bench.fill("pulses", make_data(0, PULSES))
    exporters.csv(bench.io(["pulses"], filename="mine"))
    assert (bench.run_dir / "mine.csv").read_text() == "counter,timestamp,deadtime,tau,n\n"


def test_csv_with_text(bench: Bench) -> None:
    dtype = np.dtype([("label", "U6"), ("x", "f4")])
    bench.buffer("pulses", dtype)
    sent = make_data(10, dtype)
    sent["label"][3] = 'a,"b"'
    bench.fill("pulses", sent)
    exporters.csv(bench.io(["pulses"]))
    table = pd.read_csv(bench.run_dir / "pulses.csv", dtype={"label": str})
    assert table["label"].tolist() == sent["label"][:, 0].tolist()


def test_csv_is_fast_enough(bench: Bench) -> None:
    dtype = np.dtype([(f"field_{index}", "f4") for index in range(7)])
    bench.buffer("pulses", dtype, slots=4096)
    io = bench.io(["pulses"])
    bench.fill("pulses", make_data(40_000, dtype))
    start_s = time.process_time()
    exporters.csv(io)
    assert time.process_time() - start_s < 40_000 / 30_000


def test_each_process_writes_a_file_of_its_own(bench: Bench) -> None:
    for function, suffix in (
        (exporters.csv, "csv"),
        (exporters.parquet, "parquet"),
        (data_functions.export, "mimo"),
    ):
        for number in (1, 0, 1):  # the second process is started anew
            bench.buffer(name := f"{suffix}{len(bench.rings)}", PULSES)
            bench.fill(name, make_data(5, PULSES))
            function(bench.io([name], filename="out", number=number, processes=2))
        written = sorted(path.name for path in bench.run_dir.glob(f"out*{suffix}"))
        assert written == [f"out.{suffix}", f"out.part2.{suffix}", f"out.part4.{suffix}"]


@pytest.mark.parametrize("filename", ["a/b", "..", "", 7, "/etc/x"])
def test_files_stay_in_the_run_directory(bench: Bench, filename: object) -> None:
    bench.buffer("pulses", PULSES)
    with pytest.raises(SetupError, match="worker worker: in its config `filename` is"):
        exporters.csv(bench.io(["pulses"], filename=filename))


@pytest.mark.parametrize("function", [exporters.csv, exporters.histogram])
def test_waveforms_have_no_row(bench: Bench, function: Callable[[Any], None]) -> None:
    bench.buffer("waves", WAVES, 8)
    with pytest.raises(SetupError, match="data_length 1, but waves has data_length 8"):
        function(bench.io(["waves"], bins={"ch1": [0, 1, 2]}))


def test_arrays_have_no_column_of_csv(bench: Bench) -> None:
    bench.buffer("pulses", [("x", "f4"), ("many", "f4", (3,))])
    with pytest.raises(SetupError, match="which many of pulses do not fit"):
        exporters.csv(bench.io(["pulses"]))


def test_histogram_counts_as_numpy_does(bench: Bench) -> None:
    dtype = np.dtype([("x", "f8"), ("n", "i4")])
    sent = make_data(3000, dtype)
    sent["x"][:4, 0] = [0, 100, 100.5, np.nan]  # on the edges, outside, and no number
    sent["n"][:, 0] = np.arange(3000) % 12
    bench.buffer("pulses", dtype)
    bench.fill("pulses", sent)
    exporters.histogram(bench.io(["pulses"], bins={"x": [0, 100, 51], "n": [0, 10, 11]}))
    directory = bench.run_dir / "Histograms_pulses"
    x = sent["x"][~np.isnan(sent["x"])]
    assert np.load(directory / "x.npy").tolist() == np.histogram(x, np.linspace(0, 100, 51))[0].tolist()
    n = sent["n"][:, 0]
    assert np.load(directory / "n.npy").tolist() == np.histogram(n, np.linspace(0, 10, 11))[0].tolist()
    assert np.load(directory / "n.npy").dtype == np.int64
    info = pd.read_csv(directory / "info.csv")
    assert info.columns.tolist() == ["Channel", "Min", "Max", "NBins"]
    assert info.values.tolist() == [["x", 0.0, 100.0, 51], ["n", 0.0, 10.0, 11]]
    assert sorted(path.name for path in directory.iterdir()) == ["info.csv", "n.npy", "x.npy"]


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        (None, "map of fields"),
        ({}, "map of fields"),
        ({"y": [0, 1, 2]}, "fields of pulses: tau, n"),
        ({"tau": [0, 1]}, "for tau"),
        ({"tau": [1, 0, 5]}, "for tau"),
        ({"tau": [0, 1, 1]}, "for tau"),
        ({"tau": [0, 1, 5.5]}, "for tau"),
        ({"tau": ["0", 1, 5]}, "for tau"),
    ],
)
def test_wrong_bins_are_refused(bench: Bench, bins: object, message: str) -> None:
    bench.buffer("pulses", PULSES)
    with pytest.raises(SetupError, match=message):
        exporters.histogram(bench.io(["pulses"], bins=bins))


def test_parquet_has_rows_with_the_types_of_the_buffer(bench: Bench) -> None:
    dtype = np.dtype(
        [("tau", "f4"), ("n", "i2"), ("yes", "?"), ("label", "U5"), ("big", ">i4"), ("v", "f4", (2,))]
    )
    bench.buffer("pulses", dtype)
    sent = make_data(500, dtype)
    bench.fill("pulses", sent)
    exporters.parquet(bench.io(["pulses"], name="save"))
    path = bench.run_dir / "pulses.parquet"
    table = pq.read_table(path)
    assert table.column_names == ["counter", "timestamp", "deadtime", *(dtype.names or ())]
    types = [str(kind) for kind in table.schema.types]
    assert types[:8] == ["int64", "double", "double", "float", "int16", "bool", "string", "int32"]
    assert types[8].startswith("list<")
    assert table["counter"].to_pylist() == list(range(500))
    for name in ("tau", "n", "yes", "label", "big", "v"):
        assert table[name].to_pylist() == sent[name][:, 0].tolist()
    facts = json.loads(table.schema.metadata[b"mimocorb"])
    assert facts["run"] == "20260101T120000-abcdef"
    assert facts["worker"] == "save"
    assert facts["buffer"] == "pulses"
    assert facts["data_dtype"]["tau"] == "float32"
    assert set(facts["software"]) >= {"mimocorb_dist", "numpy", "python", "pyarrow"}


def test_parquet_has_lists_for_waveforms_and_bounded_row_groups(bench: Bench) -> None:
    bench.buffer("waves", WAVES, 100)
    sent = make_data(300, WAVES, 100)
    bench.fill("waves", sent)
    exporters.parquet(bench.io(["waves"], group_megabytes=0.05, filename="w.parquet", compression="gzip"))
    path = bench.run_dir / "w.parquet"
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
        assert file.schema_arrow.metadata.keys() == {b"mimocorb"}
    assert sum(groups) == 300
    assert len(groups) > 3
    table = pd.read_parquet(path)
    assert np.stack(table["ch1"].to_list()).tolist() == sent["ch1"].tolist()
    assert np.stack(table["ch2"].to_list()).tolist() == sent["ch2"].tolist()
    assert table["ch1"].iloc[0].dtype == np.float32


def test_parquet_without_events_can_be_read(bench: Bench) -> None:
    bench.buffer("waves", WAVES, 100)
    bench.fill("waves", make_data(0, WAVES, 100))
    exporters.parquet(bench.io(["waves"]))
    assert pq.read_table(bench.run_dir / "waves.parquet").num_rows == 0


def test_parquet_of_a_failed_worker_can_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.buffer("pulses", PULSES, slots=8)
    bench.fill("pulses", sent := make_data(100, PULSES))
    add, adds = ParquetOutput.add, []

    def fail(self: ParquetOutput, metadata: np.ndarray, data: np.ndarray) -> None:
        adds.append(len(data))
        add(self, metadata, data)
        if sum(adds) >= 50:
            raise OSError("gone")

    monkeypatch.setattr(ParquetOutput, "add", fail)
    io = bench.io(["pulses"], group_megabytes=0.001)
    with pytest.raises(OSError, match="gone") as raised:
        exporters.parquet(io)
    io.fail(raised.value)
    kept = sum(adds[:-1])
    assert rows_of(bench.run_dir / "pulses.parquet", PULSES) == sent[:kept, 0].tolist()
    assert io.read[0].ring.statistics().read["readers"] == kept
    monkeypatch.setattr(ParquetOutput, "add", add)
    exporters.parquet(bench.io(["pulses"]))
    assert rows_of(bench.run_dir / "pulses.parquet", PULSES) == sent[:, 0].tolist()
    assert not list(bench.run_dir.glob("*.rest.mimo"))


def test_histograms_after_a_killed_process_tell_what_may_be_missing(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    bench.fill("pulses", make_data(4, PULSES))
    for again in (False, True):
        io = bench.io(["pulses"], bins={PULSES.names[0]: [0, 1, 3]}, update_interval=2)  # type: ignore[index]
        told: list[str] = []
        io.tell, io.again = told.append, again
        exporters.histogram(io)
        assert told == (["what came in the last 2 s before it may be in no histogram"] if again else [])


def test_parquet_on_a_full_disk_can_be_read_and_gone_on_with(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    bench.fill("pulses", sent := make_data(20_000, PULSES))
    with small_disk(bench.directory / "disk", "256k") as disk:
        io = bench.io(["pulses"], group_megabytes=0.01, compression="none")
        io.run_dir = disk
        with pytest.raises(OSError, match="No space left") as raised:
            exporters.parquet(io)
        io.fail(raised.value)
        kept = rows_of(disk / "pulses.parquet", PULSES)
        assert 100 < len(kept) < 20_000
        assert kept == sent[: len(kept), 0].tolist()
        shutil.copytree(disk, bench.run_dir, dirs_exist_ok=True)
    exporters.parquet(bench.io(["pulses"]))
    assert rows_of(bench.run_dir / "pulses.parquet", PULSES) == sent[:, 0].tolist()


def rows_of(path: Path, dtype: np.dtype) -> list[tuple[Any, ...]]:
    """The rows of a parquet file and of the rest beside it."""
    table = pq.read_table(path).select(dtype.names or ())
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    rest = path.with_suffix(".rest.mimo")
    if rest.exists():
        for _, data in read_events(rest, read_header(rest)):
            rows += data[:, 0].tolist()
    return rows


def test_parquet_refuses_what_it_has_no_type_for(bench: Bench) -> None:
    bench.buffer("pulses", [("z", "c16")])
    with pytest.raises(SetupError, match=r"pulses cannot be written.*'z' is complex128"):
        exporters.parquet(bench.io(["pulses"]))
    assert list(bench.run_dir.iterdir()) == []


@pytest.mark.parametrize(("dtype", "length"), [(WAVES, 50), (PULSES, 1)])
def test_mimo_files_hold_all_events(bench: Bench, dtype: np.dtype, length: int) -> None:
    bench.buffer("events", dtype, length)
    sent = make_data(500, dtype, length)
    bench.fill("events", sent)
    data_functions.export(bench.io(["events"]))
    path = bench.run_dir / "events.mimo"
    batches = list(read_events(path, read_header(path)))
    assert np.concatenate([batch[1] for batch in batches]).tolist() == sent.tolist()
    assert np.concatenate([batch[0] for batch in batches]).tolist() == make_metadata(500).tolist()
