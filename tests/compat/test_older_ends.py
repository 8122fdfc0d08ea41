"""Ends of buffers under the names that they had first, in a file that names data before metadata."""

from __future__ import annotations

import numpy as np

from mimocorb_dist.compat.buffer import mimoBuffer
from mimocorb_dist.compat.interfaces import Observer, Reader, Writer


def test_ends_under_their_oldest_names_give_data_first():
    buffer = mimoBuffer("raw", 4, 2, np.dtype([("n", "i8")]))
    with Writer(buffer) as (data, metadata):
        data["n"] = 7
        metadata["counter"] = 3
    with Observer(buffer) as (data, metadata):
        assert (data["n"][0], metadata["counter"][0]) == (7, 3)
    reader = Reader(buffer)
    assert reader.name == "raw"
    with reader as (data, metadata):
        assert (data["n"].tolist(), metadata["counter"][0]) == ([7, 7], 3)
