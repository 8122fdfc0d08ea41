"""Files of mimoCoRB 1: as that writes them, whole at any moment, and written by one process."""

from __future__ import annotations

import io
import multiprocessing
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
import pytest

from mimocorb_dist.compat.classic1.files import rb_toParquetfile, rb_toTxtfile
from mimocorb_dist.compat.classic1.mimo_buffer import NewBuffer
from mimocorb_dist.compat.classic1.parquetReader import parquetReader
from mimocorb_dist.compat.classic1.place import Place, make_dict
from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import BufferSpec, BufferWriter, Ring
from tests.support import eventually

from .classic1_buffers import buffer_of, ended, fill, random_events, wait_for_lines

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from pathlib import Path

fork = multiprocessing.get_context("fork")

MIXED = [("a", "f4"), ("b", "f8"), ("c", "i4"), ("d", "u1"), ("e", "i8"), ("f", "f2"), ("g", "?")]
METADATA = [(1, 1.7e9 + 0.123456, 0.0), (2, 1.7e9 + 1.5, -1.0), (3, 1e-7, float("nan")), (10**6, 1.7e9, 1e-5)]
ROWS = [
    (0.1, 0.1, -5, 200, 2**60 + 1, 0.1, True),
    (1e-5, 1e16, 0, 0, -3, 1.0, False),
    (1e17, 1e-300, 7, 7, 7, 6e-5, True),
    (float("nan"), float("inf"), 1, 2, 3, float("-inf"), False),
]
# As mimoCoRB 1 writes it, but for `e` of the first event, which it rounds, and `g`, at which it fails.
TEXT = """\
Nr\ttimestamp\tdeadtime\tA / mV\tb\tc\td\te\tf\tg
1\t1700000000.123456\t0.0\t0.1\t0.1\t-5\t200\t1152921504606846977\t0.1\tTrue
2\t1700000001.5\t-1.0\t1e-05\t1e+16\t0\t0\t-3\t1.0\tFalse
3\t1e-07\t\t1e+17\t1e-300\t7\t7\t7\t6e-05\tTrue
1000000\t1700000000.0\t1e-05\t\tinf\t1\t2\t3\t-inf\tFalse
"""


def config(folder: Path, **more: Any) -> dict[str, Any]:
    return {"directory_prefix": f"{folder}/", "filename": "rows", **more}


def test_a_text_has_the_form_of_mimocorb_1(tmp_path: Path) -> None:
    events = np.array(ROWS, MIXED)[:, np.newaxis]
    alias = {"counter": "Nr", "a": "A / mV", "other": "not there"}
    with ended(MIXED, events, METADATA) as source:
        rb_toTxtfile([source], config(tmp_path, header_alias=alias), RB_1="read")()
    assert (tmp_path / "rows.txt").read_text() == TEXT


def test_texts_and_plain_types_have_a_column(tmp_path: Path) -> None:
    dtype = [("name", "S5"), ("label", "U6")]
    events = np.array([(b"a\tb", 'say "x'), (b"", "")], dtype)[:, np.newaxis]
    with ended(dtype, events) as source:
        rb_toTxtfile([source], config(tmp_path), RB_1="read")()
    table = pd.read_csv(tmp_path / "rows.txt", sep="\t", keep_default_na=False)
    assert table["name"].tolist() == ["a\tb", ""]
    assert table["label"].tolist() == ['say "x', ""]
    with ended("f4", np.array([[0.1], [2]], "f4")) as source:
        rb_toTxtfile([source], config(tmp_path, filename="plain"), RB_1="read")()
    lines = (tmp_path / "plain.txt").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines] == ["value", "0.1", "2.0"]


def test_an_old_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("old\n" * 100)
    with ended([("x", "i4")], np.zeros((1, 1), [("x", "i4")])) as source:
        rb_toTxtfile([source], config(tmp_path), RB_1="read")()
    assert (
        tmp_path / "rows.txt"
    ).read_text() == "counter\ttimestamp\tdeadtime\tx\n1\t1700000000.0\t0.25\t0\n"


def test_header_and_rows_can_be_read_at_once(tmp_path: Path) -> None:
    with buffer_of([("x", "i4")]) as buffer:
        exporter = rb_toTxtfile([buffer.new_reader_group()], config(tmp_path), RB_1="read")
        assert (tmp_path / "rows.txt").read_text() == "counter\ttimestamp\tdeadtime\tx\n"
        thread = threading.Thread(target=exporter)
        thread.start()
        fill(buffer.new_writer(), random_events([("x", "i4")], 3))
        wait_for_lines(tmp_path / "rows.txt", 4, timeout_s=1.0)
        buffer.shutdown()
        thread.join(10)


@pytest.mark.parametrize(
    ("values", "dtype", "change", "rb_info", "message"),
    [
        (5, [("x", "i4")], {}, {"RB_1": "read"}, "5 values; use rb_toParquetfile"),
        (1, [("x", "i4", (3,))], {}, {"RB_1": "read"}, "x do not fit in a column"),
        (1, [("x", "i4")], {"filename": None}, {"RB_1": "read"}, "has no 'filename'"),
        (1, [("x", "i4")], {"directory_prefix": None}, {"RB_1": "read"}, "has no 'directory_prefix'"),
        (1, [("x", "i4")], {"filename": "no/folder"}, {"RB_1": "read"}, "does its folder exist"),
        (1, [("x", "i4")], {}, {"RB_1": "observe"}, "has no source"),
        (1, [("x", "i4")], {}, {"RB_1": "read", "RB_2": "write"}, "takes one buffer.*RB_1, RB_2"),
    ],
)
def test_what_cannot_be_written_is_told(
    tmp_path: Path, values: int, dtype: Any, change: dict[str, Any], rb_info: dict[str, str], message: str
) -> None:
    settings = {key: value for key, value in (config(tmp_path) | change).items() if value is not None}
    with buffer_of(dtype, values) as buffer, pytest.raises(SetupError, match=message):
        rb_toTxtfile([buffer.new_reader_group()], settings, **rb_info)


def test_in_the_run_of_a_node_a_file_that_is_there_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dtype = np.dtype([("x", "i4")])
    for number in range(3):  # as nodes that share the run directory, one after the other
        (tmp_path / str(number)).mkdir()
        ring = Ring.create(tmp_path / str(number), BufferSpec("RB_1", 16, 1, dtype))
        with BufferWriter(ring) as (metadata, data):
            metadata["counter"], data["x"] = number, 7
        ring.expect_writers(0)
        place = Place(str(ring.path))
        source = make_dict(place, "RB_1", "read", 16, 1, dtype.descr, group="readers")
        rb_toTxtfile([source], config(tmp_path), RB_1="read")()
        place.forget()
        ring.close()
        ring.unlink()
    for number, name in enumerate(["rows.txt", "rows.part2.txt", "rows.part3.txt"]):
        lines = (tmp_path / name).read_text().splitlines()
        assert [line.split("\t")[0] for line in lines] == ["counter", str(number)]
    assert "rows.txt is there already, and stays as it is: events go to rows.part2.txt" in caplog.text


def test_two_functions_cannot_write_one_file(tmp_path: Path) -> None:
    with buffer_of([("x", "i4")]) as buffer:
        first = rb_toTxtfile([buffer.new_reader_group()], config(tmp_path), RB_1="read")
        with pytest.raises(SetupError, match="is being written by another function"):
            rb_toTxtfile([buffer.new_reader_group()], config(tmp_path), RB_1="read")
        buffer.shutdown()
        first()


# Several processes.


def export(kind: str, source: dict[str, Any], settings: dict[str, Any]) -> None:
    {"txt": rb_toTxtfile, "tar": rb_toParquetfile}[kind]([source], settings, RB_1="read")()


def counters(path: Path) -> list[int]:
    if path.suffix == ".txt":
        return [int(line.split("\t")[0]) for line in path.read_text().splitlines()[1:]]
    with tarfile.open(path) as archive:
        return [int(name.removeprefix("rows_").removesuffix(".parquet")) for name in archive.getnames()]


@pytest.mark.parametrize("kind", ["txt", "tar"])
def test_of_several_processes_one_writes_and_another_goes_on_if_it_dies(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    dtype = [("x", "i4"), ("y", "f4")]
    events = random_events(dtype, 20)
    with buffer_of(dtype, slots=16) as buffer:
        source, sink = buffer.new_reader_group(), buffer.new_writer()
        processes = [fork.Process(target=export, args=(kind, source, config(tmp_path))) for _ in range(3)]
        for process in processes:
            process.start()
        fill(sink, events[:5])
        eventually(lambda: path.exists() and buffer.buffer_status()[:2] == (5, 0), 30)
        writer = next(process for process in processes if str(path) in open_files(process))
        writer.kill()
        writer.join()
        with path.open("ab") as file:
            file.write(b"half a row, or a member")
        fill(sink, events[5:], [(number, 0.0, 0.0) for number in range(6, 21)])
        buffer.shutdown()
        for process in processes:
            process.join(20)
        assert sorted(str(process.exitcode) for process in processes) == ["-9", "0", "0"]
    assert counters(path) == list(range(1, 21))
    assert sorted(other.name for other in tmp_path.iterdir()) == [path.name]


def open_files(process: BaseProcess) -> list[str]:
    return [file.path for file in psutil.Process(process.pid).open_files()]


# Archives.


WAVES = [("chA", "f4"), ("chB", "f8"), ("n", "i2"), ("yes", "?")]


def test_an_archive_has_what_pandas_writes(tmp_path: Path) -> None:
    events = random_events(WAVES, 4, 50)
    events["chA"][0, 3] = np.nan
    with ended(WAVES, events) as source:
        rb_toParquetfile([source], config(tmp_path), RB_1="read")()
    with tarfile.open(tmp_path / "rows.tar") as archive:
        assert archive.getnames() == [f"rows_{number}.parquet" for number in (1, 2, 3, 4)]
        for event, member in zip(events, archive, strict=True):
            written = io.BytesIO()
            pd.DataFrame(data=event).to_parquet(written, engine="pyarrow")
            content = archive.extractfile(member)
            assert content is not None and content.read() == written.getvalue()
    by_tarfile = io.BytesIO()
    with tarfile.open(tmp_path / "rows.tar") as archive, tarfile.TarFile("x", "w", by_tarfile) as again:
        for member in archive:
            info = tarfile.TarInfo(member.name)
            info.size = member.size
            again.addfile(info, archive.extractfile(member))
    assert (tmp_path / "rows.tar").read_bytes() == by_tarfile.getvalue()


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("f4", 5), ([("a", ">f4")], 5), ([("s", "S3"), ("u", "U4")], 2), ([("t", "M8[ns]")], 1)],
)
def test_unusual_types_are_archived_too(tmp_path: Path, dtype: Any, values: int) -> None:
    with ended(dtype, np.zeros((2, values), dtype)) as source:
        rb_toParquetfile([source], config(tmp_path), RB_1="read")()
    with tarfile.open(tmp_path / "rows.tar") as archive:
        content = archive.extractfile("rows_2.parquet")
        assert content is not None
        table = pd.read_parquet(io.BytesIO(content.read()))
    assert len(table) == values
    assert list(map(str, table.columns)) == list(np.dtype(dtype).names or ["0"])


def test_what_parquet_has_no_type_for_is_told(tmp_path: Path) -> None:
    with buffer_of([("z", "c8")], 5) as buffer, pytest.raises(SetupError, match="cannot write events"):
        rb_toParquetfile([buffer.new_reader_group()], config(tmp_path), RB_1="read")


def test_the_reader_of_archives_gives_the_events_again(tmp_path: Path) -> None:
    events = random_events(WAVES, 3, 50)
    for name in ("b", "a"):
        with ended(WAVES, events) as source:
            rb_toParquetfile([source], config(tmp_path, filename=name), RB_1="read")()
    (tmp_path / "notes.txt").write_text("no archive")
    reader = parquetReader({"path": str(tmp_path), "sleeptime": 0.0, "number_of_samples": 50})
    reader.init(number_of_channels=2, number_of_values=50, channel_names=["chA", "chB", "n"])
    for event in [*events, *events]:
        channels = reader()
        assert channels is not None
        assert [channel.dtype for channel in channels] == ["f4", "f8"]
        np.testing.assert_array_equal(channels[0], event["chA"])
        np.testing.assert_array_equal(channels[1], event["chB"])
    assert reader() is None


def test_an_archive_can_be_read_while_it_grows(tmp_path: Path) -> None:
    with buffer_of(WAVES, 50) as buffer:
        exporter = rb_toParquetfile([buffer.new_reader_group()], config(tmp_path), RB_1="read")
        thread = threading.Thread(target=exporter)
        thread.start()
        fill(buffer.new_writer(), random_events(WAVES, 2, 50))
        eventually(lambda: buffer.buffer_status()[1] == 0)
        reader = parquetReader({"path": str(tmp_path), "sleeptime": 0, "number_of_samples": 50})
        reader.init(channel_names=["n"])
        assert [reader() is not None for _ in range(3)] == [True, True, False]
        buffer.shutdown()
        thread.join(10)


def test_who_comes_after_the_end_ends_too(tmp_path: Path) -> None:
    buffer = NewBuffer(16, 1, [("x", "i4")])
    source = buffer.new_reader_group()
    first = rb_toTxtfile([source], config(tmp_path), RB_1="read")
    second = rb_toTxtfile([source], config(tmp_path), RB_1="read")
    buffer.shutdown()
    buffer.close()
    second()
    with pytest.raises(SystemExit):  # as with Reader.get
        first()
    assert (tmp_path / "rows.txt").read_text() == "counter\ttimestamp\tdeadtime\tx\n"
