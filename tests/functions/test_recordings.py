"""Data files are read in the type of a buffer, or refused with what was found and what was expected."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mimocorb_dist.functions import _mimo
from mimocorb_dist.functions._parquet import arrow_schema, table_of
from mimocorb_dist.functions._recordings import open_recording
from mimocorb_dist.functions._targets import Target

from mimocorb_dist.errors import DataFileError

ONE = Target(np.dtype([("ch1", "f4")]), 8)
TWO = Target(np.dtype([("ch1", "f4"), ("ch2", "i2")]), 8)
SINGLE = Target(np.dtype([("tau", "f8"), ("height", "f4")]), 1)
WAVES = np.arange(40, dtype="f4").reshape(5, 8)


def read(path: Path, target: Target, **options: Any) -> np.ndarray:
    batches = list(open_recording(path, target, **options)())
    for metadata, data in batches:
        assert data.dtype == target.dtype
        assert data.shape[1:] == (target.length,)
        assert metadata is None or metadata.shape == data.shape[:1]
    return np.concatenate([data for _, data in batches])


def test_a_plain_array_fills_the_only_field(tmp_path: Path) -> None:
    np.save(tmp_path / "waves.npy", WAVES)
    assert read(tmp_path / "waves.npy", ONE)["ch1"].tolist() == WAVES.tolist()


def test_a_narrower_type_is_widened(tmp_path: Path) -> None:
    np.save(tmp_path / "waves.npy", WAVES.astype("i2"))
    assert read(tmp_path / "waves.npy", ONE)["ch1"].tolist() == WAVES.tolist()


def test_single_values_may_be_one_dimensional(tmp_path: Path) -> None:
    target = Target(np.dtype([("tau", "f8")]), 1)
    for values in (np.arange(4.0), np.arange(4.0)[:, None]):
        np.save(tmp_path / "tau.npy", values)
        assert read(tmp_path / "tau.npy", target)["tau"][:, 0].tolist() == [0, 1, 2, 3]


def test_structured_arrays_are_taken_by_name(tmp_path: Path) -> None:
    values = np.zeros((3, 8), [("other", "f8"), ("ch2", "i2"), ("ch1", "f4")])
    values["ch1"], values["ch2"] = 1.5, 7
    np.save(tmp_path / "waves.npy", values)
    events = read(tmp_path / "waves.npy", TWO)
    assert (events["ch1"] == 1.5).all()
    assert (events["ch2"] == 7).all()


def test_members_of_an_npz_serve_the_fields_of_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "waves.npz", ch1=WAVES, ch2=WAVES.astype("i2"), other=np.zeros(3))
    events = read(tmp_path / "waves.npz", TWO)
    assert events["ch1"].tolist() == events["ch2"].tolist() == WAVES.tolist()


def test_members_of_an_npz_serve_the_fields_they_are_mapped_to(tmp_path: Path) -> None:
    np.savez(tmp_path / "waves.npz", a=WAVES, ch2=WAVES.astype("i2"))
    events = read(tmp_path / "waves.npz", TWO, fields={"ch1": "a"})
    assert events["ch1"].tolist() == events["ch2"].tolist() == WAVES.tolist()


def test_the_only_fitting_array_of_an_npz_is_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "waves.npz", waveform=WAVES, sample_time_ns=4.0, trigger=200, short=WAVES[:, :3])
    assert read(tmp_path / "waves.npz", ONE)["ch1"].tolist() == WAVES.tolist()
    assert read(tmp_path / "waves.npz", ONE, array="waveform")["ch1"].tolist() == WAVES.tolist()


@pytest.mark.parametrize("target", [ONE, TWO, SINGLE], ids=["one", "two", "single"])
@pytest.mark.parametrize("suffix", [".mimo", ".parquet"])
def test_written_events_come_back_with_their_metadata(tmp_path: Path, target: Target, suffix: str) -> None:
    random = np.random.default_rng(1)
    data = np.zeros((300, target.length), target.dtype)
    for name in target.names:
        data[name] = random.integers(0, 1000, data.shape)
    metadata = np.zeros(300, _mimo.METADATA)
    metadata["counter"], metadata["timestamp"] = np.arange(300) * 2, random.random(300)
    path = tmp_path / f"events{suffix}"
    if suffix == ".mimo":
        content = _mimo.event_bytes(metadata, data)
        path.write_bytes(_mimo.header_bytes(target.dtype, target.length) + content)
    else:
        schema = arrow_schema(target.dtype, target.length, {})
        pq.write_table(table_of(metadata, data, schema), path, row_group_size=100)
    batches = list(open_recording(path, target)())
    assert np.concatenate([batch[0] for batch in batches]).tolist() == metadata.tolist()
    assert np.concatenate([batch[1] for batch in batches]).tolist() == data.tolist()


def test_a_table_of_pandas_can_be_replayed(tmp_path: Path) -> None:
    table = pd.DataFrame({"tau": [1.0, 2.0], "h": np.array([3, 4], "f4"), "text": ["a", "b"]})
    table.to_parquet(tmp_path / "table.parquet")
    events = read(tmp_path / "table.parquet", SINGLE, fields={"height": "h"})
    assert events.tolist() == [[(1.0, 3.0)], [(2.0, 4.0)]]


def npy(values: Any) -> Any:
    return lambda path: np.save(path, values)


def npz(**values: Any) -> Any:
    return lambda path: np.savez(path, **values)


def mimo(dtype: Any, length: int) -> Any:
    return lambda path: path.write_bytes(_mimo.header_bytes(np.dtype(dtype), length))


def table(**values: Any) -> Any:
    return lambda path: pd.DataFrame(values).to_parquet(path)


def text(path: Path) -> None:
    path.write_text("counter,timestamp\n")


def archive_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    ("name", "write", "target", "options", "message"),
    [
        ("none.npz", None, ONE, {}, "there is no such file"),
        ("data.csv", text, ONE, {}, "ends with .npz, .npy"),
        ("data.npz", text, ONE, {}, "no .npz file; it is a text"),
        ("data.npy", text, ONE, {}, "no .npy file; it is a text"),
        ("data.parquet", text, ONE, {}, "no .parquet file; it is a text"),
        ("data.mimo", text, ONE, {}, "no .mimo file; it is a text"),
        (
            "data.npz",
            lambda path: path.write_bytes(b"\x93NUMPY"),
            ONE,
            {},
            "as a .npy file does: name it so",
        ),
        (
            "data.npy",
            lambda path: path.write_bytes(b"\0\1\2"),
            ONE,
            {},
            "check `filename`",
        ),
        ("data.npz", Path.touch, ONE, {}, "is empty"),
        ("data.npz", Path.mkdir, ONE, {}, "is a directory"),
        ("data.npz", lambda path: path.write_bytes(b"PK\3\4"), ONE, {}, "damaged or cut short"),
        ("data.parquet", lambda path: path.write_bytes(b"PAR1"), ONE, {}, "its end is missing"),
        ("data.npy", npy(np.array([None, 1])), ONE, {}, "its array holds Python objects, not plain numbers"),
        ("data.npz", npz(a=np.array([None, 1])), ONE, {}, "array 'a' holds Python objects"),
        ("data.npz", archive_of_text, ONE, {}, "readme.txt in it is no array"),
        ("data.npz", npz(), ONE, {}, "has no arrays at all"),
        ("data.npy", npy(WAVES[:, :7]), ONE, {}, r"\(5, 7\), .* write `data_length: 7` .* shape \(n, 8\)"),
        ("data.npy", npy(np.float32(1)), ONE, {}, r"a number for each sample .* shape \(n, 8\)"),
        ("data.npy", npy(WAVES.astype("f8")), ONE, {}, "ch1: float64"),
        ("data.npy", npy(WAVES), TWO, {}, "name an array for each"),
        ("data.npy", npy(WAVES), ONE, {"array": "a"}, "leave it out"),
        ("data.npy", npy(WAVES), ONE, {"fields": {"ch9": "a"}}, "names ch9, but the buffer has ch1"),
        ("data.npy", npy(np.zeros((2, 8), [("a", "f4")])), ONE, {}, "has no ch1; it has a"),
        ("data.npz", npz(a=WAVES, b=WAVES), ONE, {}, "several arrays fit"),
        ("data.npz", npz(a=WAVES, b=WAVES), ONE, {"array": "c"}, "has no array 'c'; name one of a, b"),
        ("data.npz", npz(a=WAVES, b=WAVES), ONE, {"fields": {"ch1": "c"}}, "ask for c, but it has a, b"),
        ("data.npz", npz(a=WAVES[:, :7], b=WAVES[0]), ONE, {}, "has no array that fits"),
        ("data.npz", npz(a=WAVES[:, :7]), ONE, {}, "array 'a' has the shape"),
        ("data.npz", npz(ch1=WAVES, ch2=np.zeros((4, 8), "i2")), TWO, {}, "different numbers of events"),
        ("data.mimo", mimo([("ch1", "f4")], 9), ONE, {}, "data_length 9.*data_length 8"),
        ("data.mimo", mimo([("ch1", "f8")], 8), ONE, {}, "ch1: float64"),
        ("data.mimo", mimo([("x", "f4")], 8), ONE, {}, "has no ch1; it has x"),
        ("data.parquet", table(tau=[1.0]), SINGLE, {}, "has no column height; it has tau"),
        ("data.parquet", table(ch1=[[1.0], [1.0, 2.0]]), ONE, {}, "different lengths"),
        ("data.parquet", table(ch1=[1.0]), ONE, {}, "write `data_length: 1`"),
        ("data.parquet", table(tau=["a"], height=["b"]), SINGLE, {}, "cannot hold"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, name: str, write: Any, target: Target, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / name
    if write is not None:
        write(path)
    with pytest.raises(DataFileError, match=message) as caught:
        open_recording(path, target, **options)
    assert str(path) in str(caught.value)
    assert "pickle" not in str(caught.value)
