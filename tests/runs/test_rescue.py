"""Rescue files are read by whoever reads files of mimoCoRB2, whatever the type of their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mimocorb_dist.functions._mimo import read_events, read_header

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
