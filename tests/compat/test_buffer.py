"""The classic buffer object, made by a script."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from mimocorb_dist.compat.buffer import mimoBuffer
from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter

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
