"""JSON lines over pipes: whole lines, partial lines, closed ends, rubbish."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.pipes import MAX_LINE_BYTES, ControlPipe, LineReader, LineWriter, StatusPipe


@pytest.fixture
def ends() -> Iterator[tuple[LineReader, LineWriter]]:
    reading, writing = os.pipe()
    with LineReader(reading) as reader, LineWriter(writing) as writer:
        yield reader, writer


def test_what_is_sent_is_read_in_order(ends: tuple[LineReader, LineWriter]) -> None:
    reader, writer = ends
    writer.send(state="ready")
    writer.send(state="counts", events=3)
    assert reader.read() == {"state": "ready"}
    assert reader.read(timeout_s=5) == {"state": "counts", "events": 3}
    assert reader.read(timeout_s=0) is None
    assert not reader.closed


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """Allow more descriptors than `select` can look at, and give a number beyond those."""
    beyond = 1030
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, beyond + 10), hard))
    yield beyond
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_node_may_have_thousands_of_pipes(many_descriptors: int) -> None:
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, many_descriptors) for end in ends]
    for end in ends:
        os.close(end)
    with LineReader(high[0]) as reader, LineWriter(high[1]) as writer:
        os.set_blocking(high[1], False)
        text = "x" * (MAX_LINE_BYTES // 2)  # more than a pipe holds: the writer has to wait
        sending = threading.Thread(target=lambda: writer.send(text=text))
        sending.start()
        assert reader.read(timeout_s=10) == {"text": text}
        sending.join()
        assert reader.read_ready() == []


def test_all_ready_lines_are_returned_at_once(ends: tuple[LineReader, LineWriter]) -> None:
    reader, writer = ends
    assert reader.read_ready() == []
    for number in range(3):
        writer.send(number=number)
    assert [line["number"] for line in reader.read_ready()] == [0, 1, 2]


def test_lines_are_joined_from_pieces() -> None:
    reading, writing = os.pipe()
    with ControlPipe(reading) as reader:
        os.write(writing, b'{"do": ')
        assert reader.read_ready() == []
        assert reader.read(timeout_s=0.01) is None
        os.write(writing, b'"go"}\n{"do"')
        assert reader.read() == {"do": "go"}
        os.close(writing)
        assert reader.read() is None
        assert reader.closed


def test_the_end_comes_after_the_last_line() -> None:
    reading, writing = os.pipe()
    with LineReader(reading) as reader:
        with StatusPipe(writing) as writer:
            writer.send(state="finished")
        assert reader.read() == {"state": "finished"}
        assert reader.read() is None
        assert reader.closed
        assert reader.read_ready() == []


@pytest.mark.parametrize("line", [b"rubbish\n", b"[1, 2]\n", b"\xff\xfe\n", b"3\n"])
def test_rubbish_on_a_pipe_is_an_error(line: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, line)
    os.close(writing)
    with LineReader(reading) as reader, pytest.raises(WireError, match="not "):
        reader.read()


def test_nobody_at_the_other_end_is_an_error(ends: tuple[LineReader, LineWriter]) -> None:
    reader, writer = ends
    reader.close()
    with pytest.raises(WireError, match="gone"):
        writer.send(state="ready")


def test_what_json_cannot_hold_and_what_is_too_long_is_an_error(ends: tuple[LineReader, LineWriter]) -> None:
    _, writer = ends
    with pytest.raises(WireError, match="plain JSON"):
        writer.send(state=object())
    with pytest.raises(WireError, match="too long"):
        writer.send(text="x" * MAX_LINE_BYTES)


def test_an_endless_line_is_an_error(ends: tuple[LineReader, LineWriter]) -> None:
    reader, writer = ends
    for _ in range(MAX_LINE_BYTES // 60_000):
        os.write(writer.fileno(), b"x" * 60_000)
        assert reader.read_ready() == []
    os.write(writer.fileno(), b"x" * 60_000)
    with pytest.raises(WireError, match="longer than"):
        reader.read_ready()


def test_the_pipes_do_not_import_zeromq() -> None:
    command = "import sys, mimocorb_dist.wire.pipes; sys.exit('zmq' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
