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


class Node:
    """A node that can die, and what a process has left for its heir."""

    lives = True
    last_words = ""

    def node_lives(self) -> bool:
        return self.lives

    def keep_last_words(self, text: str) -> None:
        self.last_words = text


@pytest.fixture
def status() -> Iterator[tuple[int, Node, StatusPipe]]:
    """Give a pipe's reading end, a node, and the writing end in a process of that."""
    reading, writing = os.pipe()
    node = Node()
    with StatusPipe(writing, node) as pipe:
        yield reading, node, pipe
    os.close(reading)


def test_an_heir_hears_again_what_a_process_has_said(status: tuple[int, Node, StatusPipe]) -> None:
    descriptor, node, pipe = status
    pipe.send(state="ready")
    pipe.send(state="told", text="something")
    pipe.send(state="counts", events=1)
    assert os.read(descriptor, 10).startswith(b'{"state')  # a node that dies in the middle of a line
    node.lives = False
    pipe.send(state="counts", events=2)
    pipe.send(state="finished", events=3)
    assert "finished" in node.last_words
    node.lives = True
    heir = LineReader(os.dup(descriptor), taken_over=True)
    assert heir.read_ready() == [], "all that was for the dead node is left out"
    pipe.repeat()
    said = heir.read_ready()
    assert [line["state"] for line in said] == ["ready", "finished", "told"]
    assert said[-1]["number"] == 1
    heir.close()


def test_a_full_pipe_does_not_hold_up_a_process_whose_node_has_died(
    status: tuple[int, Node, StatusPipe],
) -> None:
    _, node, pipe = status
    sending = threading.Thread(target=lambda: [pipe.send(state="told", text="x" * 9000) for _ in range(20)])
    sending.start()
    node.lives = False
    sending.join(10.0)
    assert not sending.is_alive()
