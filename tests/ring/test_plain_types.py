"""Buffers whose records have no fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.ring import METADATA_DTYPE, BufferObserver, BufferReader, BufferSpec, BufferWriter, Ring

from .rings import attached

if TYPE_CHECKING:
    from pathlib import Path

TYPES = pytest.mark.parametrize(
    "type_name", ["float64", "int16", "uint8", ">f4", "complex64", "S5", "U3", "bool"]
)


@TYPES
def test_the_type_is_the_same_for_all_who_attach(directory: Path, type_name: str) -> None:
    dtype = np.dtype(type_name)
    ring = Ring.create(directory, BufferSpec("raw", 4, 3, dtype))
    with attached(ring) as other:
        assert other.data_dtype == dtype
        assert other.data_example.dtype == dtype and other.data_example.shape == (3,)


@TYPES
def test_events_are_the_same_in_whichever_way_they_are_written(directory: Path, type_name: str) -> None:
    dtype = np.dtype(type_name)
    ring = Ring.create(directory, BufferSpec("raw", 16, 3, dtype))
    writer, reader = BufferWriter(ring), BufferReader(ring)
    data = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    metadata = np.array([(0, 0.5, 0.25), (1, 1.5, 0.5)], METADATA_DTYPE)
    assert writer.put(data[0], 0, 0.5, 0.25)
    assert writer.put(data[1].tolist(), 1, 1.5, 0.5)
    assert writer.copy(metadata[:1], data[0])
    with writer as (its_metadata, its_data):
        its_metadata[:], its_data[:] = metadata[1], data[1]
    assert writer.write(data, metadata) == 2
    observed = BufferObserver(ring).latest()
    assert observed is not None
    assert np.array_equal(observed[1], data[1])
    for number in range(6):
        with reader as (its_metadata, its_data):
            assert its_metadata[0] == metadata[number % 2]
            assert its_data.dtype == dtype and np.array_equal(its_data, data[number % 2])


def test_events_that_nobody_reads_can_be_taken_out(directory: Path) -> None:
    ring = Ring.create(directory, BufferSpec("raw", 4, 2, np.dtype("int32")))
    BufferWriter(ring).put(np.array([3, 4], "int32"), 7, 0.0, 0.0)
    ((metadata, data),) = ring.rescue("readers")
    assert (int(metadata["counter"][0]), data.tolist(), data.dtype) == (7, [3, 4], np.int32)
