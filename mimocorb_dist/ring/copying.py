"""Rows of arrays, named by slices or by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .table import Slots


def length(places: slice | Slots) -> int:
    """Return how many rows are named."""
    return places.stop - places.start if isinstance(places, slice) else len(places)


def copy_rows(
    source: npt.NDArray[Any], part: slice | Slots, target: npt.NDArray[Any], slots: slice | Slots
) -> None:
    """Copy a part of the rows of an array to some rows of another one."""
    if isinstance(slots, slice) and not isinstance(part, slice) and source.dtype == target.dtype:
        # "clip" writes to `out` directly; no number is out of range.
        np.take(source, part, axis=0, out=target[slots], mode="clip")
    else:
        target[slots] = source[part]
