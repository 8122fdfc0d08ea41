"""How what a user function gives becomes the data of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .io import Data, describe_type


def fill(target: Data, value: Any) -> None:
    """Assign a value to the data of one or many events.

    Parameters
    ----------
    target
        Shape (data_length,) for one event, (k, data_length) for many, with the buffer's dtype.
    value
        What numpy can assign to it (a record array; an array of plain numbers, which goes to every field); a
        mapping of fields to arrays; or a sequence of arrays, one for each field in their order.

    Raises
    ------
    TypeError, ValueError
        If it does not fit.
    """
    names = target.dtype.names
    if isinstance(value, Mapping):
        if names is None or set(value) != set(names):
            raise ValueError(f"the fields {sorted(map(str, value))} are not those of the buffer")
        for name in names:
            target[name] = value[name]
        return
    try:
        target[...] = value
    except (TypeError, ValueError):
        by_field = isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim > 1)
        if names is None or not by_field or len(value) != len(names):
            raise
        for name, column in zip(names, value, strict=True):
            target[name] = column


def describe_value(value: Any) -> str:
    """Describe a value that does not fit, for messages."""
    if isinstance(value, np.ndarray):
        if value.dtype.names is not None and value.ndim == 1:
            return f"an array of {describe_type(value)}"
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!s}: {describe_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        items = [describe_value(item) for item in value[:4]]
        more = ", ..." if len(value) > 4 else ""
        return f"a {type(value).__name__} of {len(value)}: [{', '.join(items)}{more}]"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"


def misfit(value: Any, buffer: str, target: Data, error: Exception) -> str:
    """Say what does not fit where."""
    wanted = f"shape {target.shape[-1:]} and dtype {target.dtype}"
    return f"{describe_value(value)} does not fit into an event of buffer {buffer}: {wanted} ({error})"
