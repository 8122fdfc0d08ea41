"""Events as rows of text: counter, timestamp, deadtime, then the fields."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_TEXT_KINDS = "SUmM"


def column_names(dtype: np.dtype[Any]) -> list[str]:
    """Return the names of the columns: those of the metadata, then those of the fields."""
    return [*(METADATA_DTYPE.names or ()), *(dtype.names or ())]


def header_line(names: Iterable[str], delimiter: str = ",") -> str:
    """Return the line with the names of the columns."""
    return _lines([names], delimiter)


def unwritable(dtype: np.dtype[Any]) -> list[str]:
    """Name the fields that do not fit in a column: those with several numbers, or complex ones."""
    return [
        name
        for name in dtype.names or ()
        if dtype[name].shape or dtype[name].kind not in f"biuf{_TEXT_KINDS}"
    ]


def rows_text(
    metadata: NDArray[Any], data: NDArray[Any], delimiter: str = ",", *, as_floats: bool = True
) -> str:
    """Write events as lines.

    Parameters
    ----------
    metadata, data
        Arrays of shape (k,).
    delimiter
        What stands between two columns.
    as_floats
        Whether all numbers are written as float64, as mimoCoRB2 does; else each as what it is, as mimoCoRB 1
        does: integers stay integers.

    Returns
    -------
    str
        One line an event. Numbers stand in the fewest digits that give the same number again; what is not a
        number stands as nothing. Text is quoted where it must be.
    """
    columns = [metadata[name] for name in metadata.dtype.names or ()]
    columns += [data[name] for name in data.dtype.names or ()]
    return _lines(zip(*(_cells(values, as_floats) for values in columns), strict=True), delimiter)


def _cells(values: NDArray[Any], as_floats: bool) -> Sequence[Any]:
    kind = values.dtype.kind
    if kind == "S":
        return [text.decode("utf-8", "backslashreplace") for text in values.tolist()]
    if kind in _TEXT_KINDS:
        texts: list[str] = values.astype(str).tolist()
        return texts
    if not as_floats and kind != "f":
        whole: list[Any] = values.tolist()
        return whole
    if as_floats or values.dtype.itemsize == np.float64().itemsize:
        values = values.astype(np.float64)
        cells: list[Any] = values.tolist()
    else:
        # Python's floats would show digits that a shorter float does not have.
        cells = [str(value) for value in values]
    for index in np.flatnonzero(np.isnan(values)).tolist():
        cells[index] = ""
    return cells


def _lines(rows: Any, delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()
