"""The classic buffer object, made by a script."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mimocorb_dist import ring as rings
from mimocorb_dist.compat.buffer import mimoBuffer
from mimocorb_dist.compat.interfaces import (
    BufferObserver,
    BufferReader,
    BufferWriter,
)
from mimocorb_dist.errors import RingError
from tests.support import REPOSITORY, eventually

SETUP = {"slot_count": 4, "data_length": 10, "data_dtype": {"value": "<f4", "n": "<i4"}, "overwrite": False}


def test_a_buffer_of_its_own():
    buffer = mimoBuffer("example", slot_count=4, data_length=10, data_dtype=np.dtype([("value", "<f4")]))
    assert buffer.name == "example"
    assert buffer.slot_count == 4
    assert buffer.data_length == 10
    assert buffer.data_example.shape == (10,)
    assert buffer.metadata_example.dtype.names == ("counter", "timestamp", "deadtime")
    with BufferWriter(buffer) as (metadata, data):
        data["value"][:] = np.arange(10)
        metadata["counter"] = 1
    with BufferObserver(buffer) as (metadata, _):
        assert metadata["counter"][0] == 1
    figures = buffer.get_stats()
    assert (figures["event_count"], figures["paused"], figures["paused_count"]) == (1, False, 0)
    assert figures["rate"] > 0 and figures["average_deadtime"] == 0
    with BufferReader(buffer) as (metadata, data):
        assert data["value"].tolist() == list(range(10))
    buffer.send_flush_event()
    with BufferReader(buffer) as (metadata, data):
        assert metadata is data is None


def test_a_buffer_from_a_setup():
    buffer = mimoBuffer.from_setup("raw", SETUP)
    assert buffer.data_example.dtype == np.dtype([("value", "<f4"), ("n", "<i4")])


def test_it_goes_with_the_object_that_made_it():
    buffer = mimoBuffer.from_setup("raw", SETUP)
    directory = buffer.path.parent
    assert directory.is_dir()
    buffer.close()
    del buffer
    assert not directory.exists()


def test_numbers_that_make_no_sense_leave_nothing():
    with pytest.raises(RingError, match="slot_count is 0"):
        mimoBuffer.from_setup("raw", SETUP | {"slot_count": 0})


def _read(buffer: mimoBuffer, found: Path) -> None:
    with BufferReader(buffer) as (metadata, _):
        found.write_text(str(metadata["counter"][0]))


def test_forked_processes_share_it(tmp_path):
    buffer = mimoBuffer.from_setup("raw", SETUP)
    child = multiprocessing.get_context("fork").Process(target=_read, args=(buffer, tmp_path / "found"))
    child.start()
    with BufferWriter(buffer) as (metadata, _):
        metadata["counter"] = 7
    child.join(20)
    assert (tmp_path / "found").read_text() == "7"
    assert buffer.path.exists()


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_script_uses_buffers_in_processes_that_are_started_in_any_way(way):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("scripts_of_buffers.py")), way],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"{sum(range(900))} [0, 0, 0, 0, 0, 0]\n", done.stderr
    assert done.stderr == ""


def _take_and_wait(reader: BufferReader, taken: Path) -> None:
    with reader as (metadata, _):
        taken.write_text(str(metadata["counter"][0]))
        signal.pause()


def test_an_event_of_a_killed_reader_goes_to_another_one(tmp_path):
    buffer = mimoBuffer.from_setup("raw", SETUP)
    for number in range(3):
        with BufferWriter(buffer) as (metadata, _):
            metadata["counter"] = number
    reader = BufferReader(buffer)
    taken = tmp_path / "taken"
    child = multiprocessing.get_context("fork").Process(target=_take_and_wait, args=(reader, taken))
    child.start()
    eventually(lambda: taken.exists() and taken.read_text() == "0", 20.0)
    os.kill(child.pid, signal.SIGKILL)
    child.join(20)
    buffer.send_flush_event()
    found = []
    while True:
        with reader as (metadata, _):
            if metadata is None:
                break
            found.append(int(metadata["counter"][0]))
    assert sorted(found) == [0, 1, 2]


def test_ends_have_the_attributes_of_those_that_workers_get():
    buffer = mimoBuffer.from_setup("raw", SETUP)
    for end in (BufferReader(buffer), BufferWriter(buffer), BufferObserver(buffer)):
        assert end.buffer is buffer
        assert (end.name, end.slot_count) == ("raw", 4)
        assert end.data_example.shape == (10,) and end.metadata_example.shape == (1,)
        assert not end.is_shutdown.value
        assert end.get_stats()["empty_slots"] == 1
        copied = pickle.loads(pickle.dumps(end))
        assert copied.buffer.path == buffer.path and copied.name == "raw"
    assert isinstance(rings.BufferReader(buffer), BufferReader)
    assert isinstance(BufferReader(buffer), BufferReader)
    assert not isinstance(rings.BufferReader(buffer), BufferWriter)
    writer = BufferWriter(buffer)
    writer.shutdown_buffer()
    writer.send_flush_event()
    assert writer.is_shutdown.value
    assert BufferReader(buffer).is_shutdown.value
    with BufferObserver(buffer) as (metadata, data):
        assert metadata is data is None


def test_a_block_that_raises_publishes_nothing_and_gives_its_event_back():
    buffer = mimoBuffer.from_setup("raw", SETUP)
    writer, reader = BufferWriter(buffer), BufferReader(buffer)
    with pytest.raises(ValueError, match="half"), writer:
        raise ValueError("half written")
    with writer as (metadata, _):
        metadata["counter"] = 5
    with pytest.raises(ValueError, match="once more"), reader:
        raise ValueError("once more")
    with reader as (metadata, _):
        assert metadata["counter"][0] == 5
    assert buffer.get_stats()["event_count"] == 1
