"""Files of both versions, read with what readers use: pandas, pyarrow, numpy, and pickle for headers."""

from __future__ import annotations

import io
import pickle
import tarfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.classic import version_1, version_2

NAMES_1 = version_1.PARAMETER_COLUMNS
TYPES_1 = ["int64", "float64", "float64", "int64", "float64", "float64", "int64"]
NAMES_2 = [*version_2.METADATA, "number", "height", "width", "flag"]


def test_text_of_version_1_with_pandas(chain):
    table = pd.read_csv(chain.directory / "parameters.txt", sep="\t")
    assert list(table.columns) == NAMES_1
    assert [str(kind) for kind in table.dtypes] == TYPES_1


def test_text_of_version_1_with_pyarrow(chain):
    options = pa.csv.ParseOptions(delimiter="\t")
    table = pa.csv.read_csv(chain.directory / "parameters.txt", parse_options=options)
    assert table.column_names == NAMES_1
    assert [str(kind).replace("double", "float64") for kind in table.schema.types] == TYPES_1


def test_text_of_version_1_with_numpy(chain):
    table = np.genfromtxt(chain.directory / "parameters.txt", names=True, dtype=None, delimiter="\t")
    assert table.dtype.names == tuple(NAMES_1)
    assert [str(table.dtype[name]) for name in NAMES_1] == TYPES_1
    plain = np.loadtxt(chain.directory / "parameters.txt", skiprows=1)
    assert plain[:, 3].tolist() == [row[1] for row in version_1.parameters(version_1.EVENTS)]


def test_field_names_that_begin_with_digits(chain):
    assert list(pd.read_csv(chain.directory / "pulses.txt", sep="\t").columns) == version_1.PULSE_COLUMNS


def members(path):
    with tarfile.open(path, "r:*") as tar:
        for member in tar:
            yield member.name, tar.extractfile(member).read()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_members_of_version_1_with_pandas_and_pyarrow(chain, number):
    content = dict(members(chain.directory / "accepted.tar"))[f"accepted_{number}.parquet"]
    frame = pd.read_parquet(io.BytesIO(content))
    assert frame.index.equals(pd.RangeIndex(version_1.SAMPLES))
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {"ch1": "float32", "ch2": "int16"}
    table = pa.parquet.read_table(io.BytesIO(content))
    assert table.column_names == ["ch1", "ch2"]
    assert [str(kind) for kind in table.schema.types] == ["float", "int16"]
    first, second = version_1.accepted([number])[number]
    assert table.to_pydict() == {"ch1": first, "ch2": second}
    assert frame["ch1"].tolist() == first


def test_csv_of_version_2_has_floats_only(whole):
    path = whole.directory / "parameters.csv"
    frame = pd.read_csv(path)
    assert list(frame.columns) == NAMES_2
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    table = pa.csv.read_csv(path)
    assert table.column_names == NAMES_2
    assert {str(kind) for kind in table.schema.types} == {"double"}
    plain = np.loadtxt(path, delimiter=",", skiprows=1)
    rows = version_2.parameters(version_2.EVENTS)
    assert plain[:, [0, 3, 4, 5, 6]].tolist() == [list(map(float, row)) for row in rows]


def test_histograms_of_version_2_with_numpy(whole):
    histograms = whole.directory / "Histograms_pulses"
    assert sorted(path.name for path in histograms.iterdir()) == ["info.csv", "place.npy", "value.npy"]
    for name, edges in (("value", 11), ("place", 9)):
        counts = np.load(histograms / f"{name}.npy", allow_pickle=False)
        assert counts.shape == (edges - 1,)
        assert counts.dtype.kind == "i"


def test_a_mimo_file_of_version_2(whole):
    """A pickle of plain things and dtypes, then for each event its data and its metadata."""
    with (whole.directory / "rejected.mimo").open("rb") as file:
        header = pickle.load(file)
        content = file.read()
    assert {"version", "header", "data_dtype", "data_length", "metadata_dtype", "metadata_length"} == set(
        header
    )
    assert header["version"] == 1
    assert (header["data_length"], header["metadata_length"]) == (version_1.SAMPLES, 1)
    metadata_dtype = np.dtype(header["metadata_dtype"])
    assert metadata_dtype == [("counter", "<i8"), ("timestamp", "<f8"), ("deadtime", "<f8")]
    data_dtype = np.dtype(header["data_dtype"])
    assert data_dtype == [("ch1", "<f4"), ("ch2", "<i2")]
    event = np.dtype([("data", data_dtype, version_1.SAMPLES), ("metadata", metadata_dtype)])
    events = np.frombuffer(content, event)
    assert events["metadata"]["counter"].tolist() == version_2.rejected(version_2.EVENTS)
    for data, metadata in zip(events["data"], events["metadata"], strict=True):
        assert data["ch1"].tolist() == version_1.channel_1(int(metadata["counter"]))
        assert data["ch2"].tolist() == version_1.channel_2(int(metadata["counter"]))
