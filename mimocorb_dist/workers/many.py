"""Arrays of many events: choosing, fitting and writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .fit import describe_value, fill, misfit
from .template import Unusable

if TYPE_CHECKING:
    from mimocorb_dist.ring import BufferWriter

    from .io import Data

Index = npt.NDArray[np.int64]


def chosen_events(choice: Any, count: int, or_numbers: bool = False) -> Index | None:
    """Return the numbers of the events that a function's result chooses; None for all.

    Raises
    ------
    Unusable
        If it is neither a truth value, nor one for each of `count` events, nor, with `or_numbers`, numbers of
        events.
    """
    if choice is None or choice is False:
        return np.empty(0, dtype=np.int64)
    if choice is True:
        return None
    array = np.asarray(choice)
    if array.dtype == np.bool_ and array.ndim == 0:
        return chosen_events(bool(array), count)
    if array.dtype == np.bool_ and array.shape == (count,):
        return None if array.all() else np.flatnonzero(array)
    if or_numbers and array.ndim == 1 and array.dtype.kind in "iu" and ((array >= 0) & (array < count)).all():
        return array.astype(np.int64)
    raise Unusable(
        f"the function chose events by {describe_value(choice)}; return {count} truth values, one an event"
    )


def events_for(value: Any, sink: BufferWriter) -> Data:
    """Return data of many events of a sink, shape (k, data_length), made from what a function gave."""
    example = sink.data_example
    if type(value) is np.ndarray and value.dtype == example.dtype and value.shape[1:] == example.shape:
        return value
    first = next(iter(value.values()), None) if isinstance(value, dict) else value
    try:
        target = np.empty((len(first), example.size), example.dtype)  # type: ignore[arg-type]
    except TypeError:
        raise Unusable(f"{describe_value(value)} is no array of events of buffer {sink.name}") from None
    try:
        fill(target, _as_rows(value, target))
    except (TypeError, ValueError) as error:
        raise Unusable(misfit(value, sink.name, target, error)) from error
    return target


def _as_rows(value: Any, target: Data) -> Any:
    """Make arrays with one number for each event columns, if an event has the length 1."""
    if isinstance(value, dict):
        return {name: _as_rows(column, target) for name, column in value.items()}
    array = np.asarray(value)
    return array[:, np.newaxis] if array.ndim == 1 and target.shape[1] == 1 else array


def as_bytes(records: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View records, shape (k, n), as bytes: numpy copies those many times faster than records."""
    if records.strides[-1] != records.itemsize:
        records = np.ascontiguousarray(records)
    return records.view(np.uint8)
