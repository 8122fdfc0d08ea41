"""`.mimo` files in user code, as mimoCoRB2 had them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from mimocorb_dist.functions.data import mimoFile

from mimocorb_dist.errors import DataFileError
from mimocorb_dist.ring import METADATA_DTYPE

from .harness import Bench, make_data, make_metadata

WAVES = np.dtype([("ch1", "f4"), ("ch2", "i2")])


def test_what_is_written_is_read_again(bench: Bench, tmp_path: Path) -> None:
    bench.buffer("raw", WAVES, 8)
    io = bench.io(["raw"])
    data, metadata = make_data(5, WAVES, 8), make_metadata(5)
    with mimoFile.from_buffer_object(io.read[0].buffer, tmp_path) as file:
        assert (file.mode, file.filename) == ("write", tmp_path / "raw.mimo")
        for number in range(5):
            file.write_data(data[number], metadata[number : number + 1])
        with pytest.raises(RuntimeError, match="open for writing"):
            next(file.read_data())
    with mimoFile.from_file(str(tmp_path / "raw.mimo")) as file:
        assert (file.data_dtype, file.data_length) == (WAVES, 8)
        assert (file.metadata_dtype, file.metadata_length) == (METADATA_DTYPE, 1)
        events = list(file.read_data())
        with pytest.raises(RuntimeError, match="open for reading"):
            file.write_data(data[0], metadata[:1])
    assert file.file.closed
    assert events.pop() == (None, None)
    assert [event[0].tolist() for event in events] == data.tolist()
    assert [event[1].tolist() for event in events] == [[row] for row in metadata.tolist()]


def test_the_header_is_as_mimocorb2_reads_it(bench: Bench, tmp_path: Path) -> None:
    bench.buffer("raw", WAVES, 8)
    io = bench.io(["raw"])
    mimoFile.from_buffer_object(io.read[0], tmp_path).close()
    with (tmp_path / "raw.mimo").open("rb") as file:
        header = pickle.load(file)
        assert file.read() == b""
    assert header["version"] == 1
    assert (header["data_dtype"], header["data_length"]) == (WAVES, 8)
    assert (header["metadata_dtype"], header["metadata_length"]) == (METADATA_DTYPE, 1)


def test_events_can_be_added_to_a_file(bench: Bench, tmp_path: Path) -> None:
    path, data, metadata = tmp_path / "raw.mimo", make_data(3, WAVES, 4), make_metadata(3)
    for number in range(3):
        with mimoFile(path, WAVES, 4, METADATA_DTYPE, 1, "write") as file:
            file.write_data(data[number], metadata[number : number + 1])
    with mimoFile.from_file(path) as file:
        assert [event[0].tolist() for event in file.read_data() if event[0] is not None] == data.tolist()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.mimo"
    with mimoFile(path, WAVES, 4, mode="write") as file:
        with pytest.raises(RuntimeError, match="and not of 3 x"):
            file.write_data(make_data(1, WAVES, 3)[0], make_metadata(1))
        with pytest.raises(RuntimeError, match="with 2 metadata"):
            file.write_data(make_data(1, WAVES, 4)[0], make_metadata(2))
    with pytest.raises(DataFileError, match=r"holds events of 4 x .* and not of 5 x"):
        mimoFile(path, WAVES, 5)
    with pytest.raises(DataFileError, match=r"have no place in a \.mimo file"):
        mimoFile(path, WAVES, 4, np.dtype("f8"))
    with pytest.raises(ValueError, match="must be 'read' or 'write'"):
        mimoFile(path, WAVES, 4, mode="append")  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match="cannot be read"):
        mimoFile.from_file(tmp_path / "none.mimo")


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/mimocorb_dist_was_here"),))


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.mimo"
    path.write_bytes(pickle.dumps({"version": 1, "data_dtype": _Evil()}))
    with pytest.raises(DataFileError, match="which is not allowed"):
        mimoFile.from_file(path)
    assert not Path("/tmp/mimocorb_dist_was_here").exists()
