"""Events as rows of parquet files: their types, tables of them, and reading them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import DataFileError

from . import _mimo
from ._targets import column, listed, structured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ._targets import Batch, Reader, Target

FACTS_KEY = b"mimocorb"
_METADATA_TYPES: dict[str, np.dtype[Any]] = {
    name: _mimo.METADATA[name] for name in _mimo.METADATA.names or ()
}


def arrow_schema(dtype: np.dtype[Any], length: int, facts: Mapping[str, Any]) -> Any:
    """Make the schema for events: counter, timestamp, deadtime, then the fields.

    Parameters
    ----------
    dtype, length
        Type of a sample, and samples of an event. Fields of events longer than 1 are list columns.
    facts
        What is to be known of the file; it stands as JSON in the schema's metadata, under ``mimocorb``.

    Returns
    -------
    pyarrow.Schema
        The schema.

    Raises
    ------
    TypeError
        If parquet has no type for a field; the message names it.

    """
    import pyarrow as pa

    fields = [pa.field(name, _arrow_type(base, ()), nullable=False) for name, base in _METADATA_TYPES.items()]
    for name in dtype.names or ():
        one = dtype[name]
        shape = ((length,) if length > 1 else ()) + one.shape
        try:
            fields.append(pa.field(name, _arrow_type(one.base, shape), nullable=False))
        except pa.ArrowNotImplementedError as error:
            raise TypeError(f"field {name!r} is {one.base}, for which parquet has no type") from error
    return pa.schema(fields, metadata={FACTS_KEY: json.dumps(facts)})


def _arrow_type(base: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    import pyarrow as pa

    if base.kind in "US":
        arrow = pa.string() if base.kind == "U" else pa.binary()
    else:
        arrow = pa.from_numpy_dtype(base.newbyteorder("="))
    for _ in shape:
        # The name of a list's items is part of the type; this one is what parquet prescribes.
        arrow = pa.list_(pa.field("element", arrow, nullable=False))
    return arrow


def _arrow_array(values: NDArray[Any], arrow: Any) -> Any:
    """Make an arrow array of values of shape (n, ...): a list for each dimension after the first."""
    import pyarrow as pa

    if values.ndim == 1:
        native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
        return pa.array(native.tolist() if native.dtype.kind in "US" else native, type=arrow)
    items = _arrow_array(values.reshape(-1, *values.shape[2:]), arrow.value_type)
    offsets = np.arange(0, len(items) + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, items, type=arrow)


def table_of(metadata: NDArray[Any], data: NDArray[Any], schema: Any) -> Any:
    """Make an arrow table of events: metadata (k,), data (k, data_length)."""
    import pyarrow as pa

    if data.shape[1] == 1:
        data = data[:, 0]
    arrays = []
    for field in schema:
        values = metadata[field.name] if field.name in _METADATA_TYPES else data[field.name]
        arrays.append(_arrow_array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def open_parquet(path: Path, target: Target, sources: Mapping[str, str]) -> Reader:
    """Check a parquet file against a buffer; see `open_recording`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataFileError(
            f"{path}: its end is missing or damaged, without which no parquet file can be read ({error}); "
            "its writer was killed, or is still at work"
        ) from error
    if missing := set(sources.values()) - names:
        raise DataFileError(
            f"{path}: has no column {listed(missing)}; it has {listed(names)}. Tell with `fields` which "
            "column serves which field of the buffer"
        )
    with_metadata = set(_METADATA_TYPES) <= names
    columns = [*sources.values(), *(_METADATA_TYPES if with_metadata else ())]

    def read() -> Iterator[Batch]:
        with pq.ParquetFile(path) as file:
            for rows in file.iter_batches(batch_size=target.events_at_once, columns=columns):
                fields = {
                    field: column(path, f"column {name!r}", _values(path, name, rows[name]), field, target)
                    for field, name in sources.items()
                }
                yield (_metadata(rows) if with_metadata else None), structured(target, fields)

    for _ in read():  # the first rows tell whether the types fit
        break
    return read


def _metadata(rows: Any) -> NDArray[Any]:
    metadata = np.empty(rows.num_rows, _mimo.METADATA)
    for name in _METADATA_TYPES:
        metadata[name] = rows[name].to_numpy(zero_copy_only=False)
    return metadata


def _values(path: Path, name: str, values: Any) -> NDArray[Any]:
    """Make a numpy array of a column; lists become further dimensions."""
    import pyarrow.types as kinds

    kind = values.type
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        lengths = values.value_lengths().to_numpy(zero_copy_only=False)
        if len(set(lengths.tolist())) != 1:
            raise DataFileError(
                f"{path}: column {name!r} has lists of different lengths, but events of a buffer have one; "
                "cut or pad them"
            )
        items = _values(path, name, values.flatten())
        return items.reshape(len(values), int(lengths[0]), *items.shape[1:])
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return np.array(values.to_pylist(), dtype=str)
    if kinds.is_binary(kind):
        return np.array(values.to_pylist(), dtype=bytes)
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array
