"""Events as rows of text: counter, timestamp, deadtime, then the fields."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _mimo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TEXT_KINDS = "SUmM"


def header_line(dtype: np.dtype[Any]) -> str:
    """Return the line with the names of the columns."""
    return _lines([[*(_mimo.METADATA.names or ()), *(dtype.names or ())]])


def unwritable(dtype: np.dtype[Any]) -> list[str]:
    """Name the fields that do not fit in a column: those with several numbers, or complex ones."""
    return [
        name
        for name in dtype.names or ()
        if dtype[name].shape or dtype[name].kind not in f"biuf{_TEXT_KINDS}"
    ]


def rows_text(metadata: NDArray[Any], data: NDArray[Any]) -> str:
    """Write events as lines.

    Parameters
    ----------
    metadata, data
        Arrays of shape (k,).

    Returns
    -------
    str
        One line an event. All numbers stand as floats, in the fewest digits that give the same float64 again,
        as mimoCoRB2 writes them; what is not a number stands as nothing. Text is quoted where it must be.
    """
    columns = [_cells(metadata[name]) for name in metadata.dtype.names or ()]
    columns += [_cells(data[name]) for name in data.dtype.names or ()]
    return _lines(zip(*columns, strict=True))


def _cells(values: NDArray[Any]) -> Sequence[Any]:
    if values.dtype.kind == "S":
        return [text.decode("utf-8", "backslashreplace") for text in values.tolist()]
    if values.dtype.kind in _TEXT_KINDS:
        cells: list[str] = values.astype(str).tolist()
        return cells
    numbers = values.astype(np.float64)
    floats: list[Any] = numbers.tolist()
    for index in np.flatnonzero(np.isnan(numbers)).tolist():
        floats[index] = ""
    return floats


def _lines(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
