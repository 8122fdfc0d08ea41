"""The buffer that recorded events are for, and how values of a file become its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mimocorb_dist.errors import DataFileError

if TYPE_CHECKING:
    from pathlib import Path

# Metadata of k events, or None where a file has none, and their data, of shape (k, data_length).

Batch = tuple[NDArray[Any] | None, NDArray[Any]]
Reader = Callable[[], Iterator[Batch]]

_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class Target:
    """The buffer that the events are for.

    Parameters
    ----------
    dtype
        Structured type of one sample.
    length
        Samples of one event.
    """

    dtype: np.dtype[Any]
    length: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return self.dtype.names or ()

    @property
    def events_at_once(self) -> int:
        """Number of events that make a batch of a few MB."""
        return max(1, _CHUNK_BYTES // (self.dtype.itemsize * self.length))

    def __str__(self) -> str:
        if self.dtype.names is None:
            return f"data_length {self.length}, plain {self.dtype}"
        fields = ", ".join(f"{name}: {self.dtype[name]}" for name in self.names)
        return f"data_length {self.length}, data_dtype {{{fields}}}"


def column(path: Path, what: str, values: NDArray[Any], field: str, target: Target) -> NDArray[Any]:
    """Check the values for one field, and give them the shape (n, data_length)."""
    wanted = target.dtype[field]
    if values.ndim == 0 or event_shape(values.shape) != expected_shape(target):
        raise _misshapen(path, what, values.shape, target)
    if not np.can_cast(values.dtype, wanted, "safe"):
        raise DataFileError(
            f"{path}: {what} is {values.dtype}, which field {field!r} of the buffer ({wanted}) cannot hold "
            f"without loss; write `{field}: {values.dtype}` in its data_dtype"
        )
    return values.reshape(len(values), target.length)


def _misshapen(path: Path, what: str, shape: tuple[int, ...], target: Target) -> DataFileError:
    wanted = ("n", *map(str, expected_shape(target)))
    found = f"{path}: {what} has the shape {shape}, but the buffer has data_length {target.length}"
    if len(shape) in (1, 2):
        length = shape[1] if len(shape) == 2 else 1
        remedy = f"write `data_length: {length}` in the setup, or"
    else:
        remedy = "a number for each sample of each event is needed:"
    return DataFileError(f"{found}; {remedy} give data of the shape ({', '.join(wanted)})")


def event_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one event: (length,), or () for a single value, which may stand as (1,)."""
    return () if shape[1:] == (1,) else shape[1:]


def expected_shape(target: Target) -> tuple[int, ...]:
    return (target.length,) if target.length > 1 else ()


def structured(target: Target, columns: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if len(columns) == 1:
        (values,) = columns.values()
        if values.dtype == target.dtype[0] and values.flags.c_contiguous:
            # The same bytes, seen as the only field: nothing to copy.
            return values.view(target.dtype).reshape(len(values), target.length)
    events = np.empty((len(next(iter(columns.values()))), target.length), target.dtype)
    for field, values in columns.items():
        events[field] = values
    return events


def listed(names: Any) -> str:
    return ", ".join(sorted(str(name) for name in names))
