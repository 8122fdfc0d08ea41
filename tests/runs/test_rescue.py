"""Rescue files are read by whoever reads files of mimoCoRB2, whatever the type of their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mimocorb_dist.functions._mimo import read_events, read_header
from mimocorb_dist.functions._recordings import open_recording
from mimocorb_dist.functions._targets import Target

from mimocorb_dist.errors import DataFileError
from mimocorb_dist.ring import METADATA_DTYPE
from mimocorb_dist.runs.rescue import RescueFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("type_", ["float64", "int8", ">i2", "S4", [("a", "i4"), ("b", "f8")]])
def test_events_are_read_back(tmp_path: Path, type_: Any) -> None:
    dtype = np.dtype(type_)
    path = tmp_path / "rescue" / "RB_1.mimo"
    file = RescueFile(path, dtype, 3)
    events = [
        (np.array([(n, n / 2, n / 4)], METADATA_DTYPE), np.arange(n, n + 3).astype(dtype)) for n in range(4)
    ]
    for metadata, data in events:
        file.append(metadata, data)
    file.close()
    header = read_header(path)
    assert (header.data_dtype, header.data_length) == (dtype, 3)
    ((metadata, data),) = read_events(path, header)
    assert np.array_equal(data, [data for _, data in events])
    assert np.array_equal(metadata, np.concatenate([metadata for metadata, _ in events]))


@pytest.mark.parametrize(
    ("type_", "buffer"),
    [
        ([("a", "i4"), ("s", "S4"), ("u", "U3"), ("b", "?"), ("c", "c8")], None),
        ([("a", ">i2")], None),
        ([("a", "f8", (2,))], None),
        ("float64", "float64"),  # of setups of mimoCoRB 1
        ("float64", [("value", "f8")]),
        ("S4", [("value", "S4")]),
        ([("a", "i2")], [("a", "i8")]),
    ],
)
def test_events_are_brought_in_again_with_their_metadata(tmp_path: Path, type_: Any, buffer: Any) -> None:
    dtype = np.dtype(type_)
    path = tmp_path / "raw.mimo"
    events = np.frombuffer(np.arange(5 * 3 * dtype.itemsize).astype("u1") % 2, dtype).reshape(5, 3)
    metadata = np.array([(7 + n, n / 2, n / 4) for n in range(5)], METADATA_DTYPE)
    file = RescueFile(path, dtype, 3)
    for number in range(5):
        file.append(metadata[number : number + 1], events[number])
    file.close()
    target = Target(np.dtype(type_ if buffer is None else buffer), 3)
    ((found_metadata, found),) = open_recording(path, target, None, None)()
    assert np.array_equal(found_metadata, metadata)
    assert found.dtype == target.dtype
    if dtype.names is None and target.dtype.names is not None:
        found = found[target.dtype.names[0]]
    assert np.array_equal(found.astype(dtype), events)


def test_a_buffer_of_another_type_is_refused_in_words(tmp_path: Path) -> None:
    RescueFile(tmp_path / "raw.mimo", np.dtype("float64"), 3).close()
    with pytest.raises(
        DataFileError, match=r"its data \(data_length 3, plain float64\) is plain float64, but"
    ):
        open_recording(tmp_path / "raw.mimo", Target(np.dtype([("a", "f8"), ("b", "f8")]), 3), None, None)
