"""The .mimo format: what is written is read again, by us and by a plain unpickler; rubbish is refused."""

from __future__ import annotations

import contextlib
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mimocorb_dist.functions import _mimo

from mimocorb_dist.errors import DataFileError

DTYPES = [
    np.dtype([("ch1", "f4"), ("ch2", ">i2")]),
    np.dtype([("a", "f4"), ("b", "i8")], align=True),
    np.dtype([("a", "f4", (3,)), ("text", "U5"), ("raw", "S3"), ("when", "M8[us]")]),
    np.dtype("f8"),
]


def write(path: Path, dtype: np.dtype, length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    data = np.zeros((count, length), dtype)
    data.view(np.uint8)[:] = random.integers(0, 100, data.view(np.uint8).shape)
    if dtype.names and "text" in dtype.names:
        data["text"] = "abc"
    metadata = np.zeros(count, _mimo.METADATA)
    metadata["counter"] = np.arange(count)
    metadata["timestamp"] = random.random(count)
    path.write_bytes(_mimo.header_bytes(dtype, length) + _mimo.event_bytes(metadata, data))
    return metadata, data


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("length", [1, 7])
def test_what_is_written_is_read_again(tmp_path: Path, dtype: np.dtype, length: int) -> None:
    path = tmp_path / "events.mimo"
    metadata, data = write(path, dtype, length, 5)
    header = _mimo.read_header(path)
    assert (header.data_dtype, header.data_length) == (dtype, length)
    batches = list(_mimo.read_events(path, header))
    assert np.concatenate([batch[0] for batch in batches]).tolist() == metadata.tolist()
    read = np.concatenate([batch[1] for batch in batches])
    for name in dtype.names or [...]:
        np.testing.assert_array_equal(read[name], data[name])


def test_large_files_come_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "events.mimo"
    metadata, _ = write(path, np.dtype([("ch1", "f4")]), 100_000, 30)
    batches = list(_mimo.read_events(path, _mimo.read_header(path)))
    assert len(batches) == 3
    assert np.concatenate([batch[0] for batch in batches]).tolist() == metadata.tolist()


def test_a_reader_of_the_classic_kind_understands_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.mimo"
    dtype = np.dtype([("ch1", "f4"), ("ch2", "i2")])
    metadata, data = write(path, dtype, 4, 3)
    with path.open("rb") as file:
        info = pickle.load(file)
        assert (info["version"], info["data_length"], info["metadata_length"]) == (1, 4, 1)
        for event in range(3):
            raw = file.read(info["data_dtype"].itemsize * info["data_length"])
            assert np.frombuffer(raw, info["data_dtype"]).tolist() == data[event].tolist()
            raw = file.read(info["metadata_dtype"].itemsize)
            assert np.frombuffer(raw, info["metadata_dtype"]).tolist() == [metadata[event].item()]
        assert file.read() == b""


def test_a_classic_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "classic.mimo"
    info = {
        "version": 1,
        "header": "This is a mimoCoRB file",
        "data_dtype": np.dtype([("ch1", "f4")]),
        "data_length": 2,
        "metadata_dtype": np.dtype([("counter", "i8"), ("timestamp", "f8"), ("deadtime", "f8")]),
        "metadata_length": 1,
    }
    for protocol in (3, 4, 5):
        data = np.array([1.5, 2.5], "f4").tobytes()
        metadata = np.array([(7, 1.25, 0.5)], info["metadata_dtype"]).tobytes()
        path.write_bytes(pickle.dumps(info, protocol) + data + metadata)
        ((read_metadata, read_data),) = _mimo.read_events(path, _mimo.read_header(path))
        assert read_metadata.tolist() == [(7, 1.25, 0.5)]
        assert read_data["ch1"].tolist() == [[1.5, 2.5]]


class Evil:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("harm"),)


def classic_header(**changes: object) -> bytes:
    return pickle.dumps(pickle.loads(_mimo.header_bytes(np.dtype([("a", "f4")]), 1)) | changes)


GOOD = _mimo.header_bytes(np.dtype([("a", "f4")]), 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (classic_header(header=Evil()), "not allowed"),
        (b"", "EOFError"),
        (b"counter,timestamp\n", "not a .mimo file"),
        (GOOD[:60], "end of frame|truncated"),
        (pickle.dumps([1, 2]), "the header is a list"),
        (classic_header(version=2), "version is 2"),
        (classic_header(data_length=0), "a length was expected"),
        (classic_header(data_length="1"), "a length was expected"),
        (classic_header(data_dtype="f4"), "a dtype was expected"),
        (classic_header(data_dtype=np.dtype(object)), "cannot be stored"),
        (classic_header(data_dtype=np.dtype([])), "cannot be stored"),
        (classic_header(metadata_length=2), "known are 1 x"),
        (classic_header(metadata_dtype=np.dtype([("counter", "i8")])), "known are 1 x"),
        (GOOD + bytes(28 * 3 + 5), "truncate -s"),
    ],
)
def test_what_is_no_mimo_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "events.mimo"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=message) as caught:
        _mimo.read_header(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="No such file"):
        _mimo.read_header(tmp_path / "none.mimo")


def test_a_dtype_with_fields_beyond_its_size_is_refused(tmp_path: Path) -> None:
    reduced = list(np.dtype([("a", "f8")]).__reduce__())
    state = list(reduced[2])
    state[4] = {"a": (np.dtype("f8"), 100_000)}

    class Forged:
        def __reduce__(self) -> tuple:
            return (*reduced[:2], tuple(state))

    path = tmp_path / "events.mimo"
    path.write_bytes(classic_header(data_dtype=Forged()))
    with pytest.raises(DataFileError, match="is not a"):
        _mimo.read_header(path)


VALID = _mimo.header_bytes(np.dtype([("ch1", "f4"), ("ch2", "i2", (3,))]), 5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    changes=st.dictionaries(st.integers(0, len(VALID) - 1), st.integers(0, 255), max_size=4),
    cut=st.integers(0, len(VALID)),
    added=st.binary(max_size=40),
)
def test_damaged_headers_are_refused_or_read(
    tmp_path: Path, changes: dict[int, int], cut: int, added: bytes
) -> None:
    content = bytearray(VALID)
    for place, byte in changes.items():
        content[place] = byte
    path = tmp_path / "events.mimo"
    path.write_bytes(bytes(content[:cut]) + added + bytes(content[cut:]))
    with contextlib.suppress(DataFileError):  # anything else would fail this test
        header = _mimo.read_header(path)
        for metadata, data in _mimo.read_events(path, header):
            assert data.shape == (len(metadata), header.data_length)


@pytest.mark.parametrize(
    "opcodes",
    [
        pickle.LONG_BINPUT + b"\xff\xff\xff\xff",
        pickle.BYTEARRAY8 + (1 << 45).to_bytes(8, "little"),
        pickle.BINBYTES8 + (1 << 45).to_bytes(8, "little"),
        pickle.BINUNICODE8 + (1 << 45).to_bytes(8, "little"),
        pickle.LONG4 + (1 << 31 - 1).to_bytes(4, "little"),
    ],
)
def test_forged_sizes_take_no_memory(tmp_path: Path, opcodes: bytes) -> None:
    path = tmp_path / "events.mimo"
    path.write_bytes(b"\x80\x05N" + opcodes + b".")
    tracemalloc.start()
    try:
        with pytest.raises(DataFileError):
            _mimo.read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
