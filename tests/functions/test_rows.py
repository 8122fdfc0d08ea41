"""Rows of text are those of mimoCoRB2, also where that one fails."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from mimocorb_dist.functions import _mimo

from mimocorb_dist.workers.rows import column_names, header_line, rows_text, unwritable


def metadata(count: int) -> np.ndarray:
    values = np.zeros(count, _mimo.METADATA)
    values["counter"] = np.arange(count)
    values["timestamp"] = 1693.25
    return values


def test_all_numbers_are_written_as_floats() -> None:
    dtype = np.dtype([("n", "i4"), ("x", "f4"), ("yes", "?")])
    data = np.array([(3, 0.1, True), (-1, np.nan, False)], dtype)
    assert header_line(column_names(dtype)) == "counter,timestamp,deadtime,n,x,yes\n"
    assert rows_text(metadata(2), data) == (
        "0.0,1693.25,0.0,3.0,0.10000000149011612,1.0\n1.0,1693.25,0.0,-1.0,,0.0\n"
    )


def test_pandas_reads_the_same_numbers() -> None:
    random = np.random.default_rng(1)
    dtype = np.dtype([(f"f{index}", "f8") for index in range(7)])
    data = random.normal(0, 10.0 ** random.integers(-300, 300, (100, 7))).view(dtype)[:, 0]
    text = header_line(column_names(dtype)) + rows_text(metadata(100), data)
    table = pd.read_csv(io.StringIO(text))
    for name in dtype.names or ():
        assert table[name].tolist() == data[name].tolist()


def test_text_is_quoted_where_it_must_be() -> None:
    dtype = np.dtype([("label", "U9"), ("code", "S4")])
    data = np.array([("a,b", b"x"), ('say "no"', b"\xff")], dtype)
    table = pd.read_csv(io.StringIO(header_line(column_names(dtype)) + rows_text(metadata(2), data)))
    assert table["label"].tolist() == ["a,b", 'say "no"']
    assert table["code"].tolist() == ["x", "\\xff"]


def test_fields_without_a_place_in_a_column_are_named() -> None:
    dtype = np.dtype([("x", "f4"), ("many", "f4", (3,)), ("z", "c8"), ("t", "M8[s]")])
    assert unwritable(dtype) == ["many", "z"]
