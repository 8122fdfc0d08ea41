"""Read recorded events from npy, npz, mimo and parquet files, in the type of a buffer.

Each reader yields batches: (metadata (k,) or None, data (k, data_length)). Which array or column serves which
field of the buffer follows from the names, or is told by the user.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import DataFileError

from . import _mimo
from ._kinds import check_kind
from ._targets import Target, column, event_shape, expected_shape, listed, structured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ._targets import Batch, Reader


def open_recording(
    path: Path, target: Target, array: str | None = None, fields: Mapping[str, str] | None = None
) -> Reader:
    """Check a data file against a buffer.

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    target
        Type of the buffer.
    array
        Member of an npz file; needed if several would do.
    fields
        Field of the buffer -> member of the npz file, column of the parquet file, or field of the array.
        Fields not named here are looked for under their own name.

    Returns
    -------
    Callable
        Gives an iterator of batches each time it is called.

    Raises
    ------
    DataFileError
        If the file is not what its suffix says, or does not fit the buffer: with what was found and what was
        expected.
    """
    sources = {name: (fields or {}).get(name, name) for name in target.names}
    if unknown := set(fields or {}) - set(target.names):
        raise DataFileError(
            f"{path}: `fields` names {listed(unknown)}, but the buffer has {listed(target.names)}"
        )
    check_kind(path)
    if array is not None and path.suffix != ".npz":
        raise DataFileError(f"{path}: `array` is for .npz files, which have several arrays; leave it out")
    return _OPENERS[path.suffix](path, target, array, sources)


def _open_npy(path: Path, target: Target, _array: str | None, sources: dict[str, str]) -> Reader:
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, "its array", error) from error
    return _array_reader(path, target, _columns(path, "its array", values, target, sources))


def _open_npz(path: Path, target: Target, array: str | None, sources: dict[str, str]) -> Reader:
    what = "it"
    try:
        # numpy itself leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            names = members.files
            if array is not None and array not in names:
                raise DataFileError(
                    f"{path}: has no array {array!r}; name one of {listed(names)} with `array`"
                )
            one_each = array is None and all(member in names for member in sources.values())
            arrays: dict[str, NDArray[Any]] = {}
            for name in sources.values() if one_each else names if array is None else [array]:
                what = f"array {name!r}"
                arrays[name] = members[name]
                if not isinstance(arrays[name], np.ndarray):  # numpy gives other files of an archive as bytes
                    raise DataFileError(f"{path}: {name} in it is no array; write the file with numpy.savez")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, what, error) from error
    if one_each:
        columns = {
            field: column(path, f"array {member!r}", arrays[member], field, target)
            for field, member in sources.items()
        }
    else:
        named = {member for field, member in sources.items() if member != field}
        if named and array is None and not any(values.dtype.names for values in arrays.values()):
            raise DataFileError(
                f"{path}: has no array for each field: `fields` and the names of the buffer's fields ask for "
                f"{listed(sources.values())}, but it has {listed(names)}"
            )
        member = array or _only_fitting(path, target, arrays)
        columns = _columns(path, f"array {member!r}", arrays[member], target, sources)
    return _array_reader(path, target, columns)


def _only_fitting(path: Path, target: Target, arrays: dict[str, NDArray[Any]]) -> str:
    """Name the one array that can serve all fields of the buffer."""
    if len(arrays) == 1:
        return next(iter(arrays))
    fitting = [
        name
        for name, values in arrays.items()
        if values.ndim
        and event_shape(values.shape) == expected_shape(target)
        and (values.dtype.names or len(target.names) == 1)
    ]
    if len(fitting) == 1:
        return fitting[0]
    found = "; ".join(f"{name}: {values.dtype}, shape {values.shape}" for name, values in arrays.items())
    if not fitting:
        raise DataFileError(
            f"{path}: has no array that fits the buffer ({target}), and not one for each of its fields; name "
            f"one for each with `fields`, or change the buffer. The file has {found or 'no arrays at all'}"
        )
    raise DataFileError(
        f"{path}: several arrays fit the buffer ({target}); name one with `array`, or one for each field "
        f"with `fields`. The file has {found}"
    )


def _unreadable(path: Path, what: str, error: Exception) -> DataFileError:
    """Make the error for what numpy could not read in a file that begins as it should."""
    if "bject" in str(error):  # numpy advises to read Python objects unsafely
        return DataFileError(
            f"{path}: {what} holds Python objects, not plain numbers; write it anew with a type such as "
            "`astype('float32')`"
        )
    return DataFileError(f"{path}: is damaged or cut short ({error}); copy or write it anew")


def _columns(
    path: Path, what: str, values: NDArray[Any], target: Target, sources: dict[str, str]
) -> dict[str, NDArray[Any]]:
    """Find the values of each field in one array."""
    if values.dtype.names is None:
        if len(target.names) != 1:
            raise DataFileError(
                f"{path}: {what} is plain {values.dtype}, but the buffer has the fields "
                f"{listed(target.names)}; name an array for each with `fields`"
            )
        return {target.names[0]: column(path, what, values, target.names[0], target)}
    missing = set(sources.values()) - set(values.dtype.names)
    if missing:
        raise DataFileError(
            f"{path}: {what} has no {listed(missing)}; it has {listed(values.dtype.names)}. "
            "Tell with `fields` which one serves which field of the buffer"
        )
    return {
        field: column(path, f"{what}, field {source!r},", values[source], field, target)
        for field, source in sources.items()
    }


def _array_reader(path: Path, target: Target, columns: dict[str, NDArray[Any]]) -> Reader:
    lengths = {field: len(values) for field, values in columns.items()}
    if len(set(lengths.values())) != 1:
        counts = ", ".join(f"{field}: {length}" for field, length in lengths.items())
        raise DataFileError(
            f"{path}: has different numbers of events for the fields ({counts}); write arrays of one length"
        )
    count = next(iter(lengths.values()))

    def read() -> Iterator[Batch]:
        for start in range(0, count, target.events_at_once):
            part = slice(start, start + target.events_at_once)
            yield None, structured(target, {field: values[part] for field, values in columns.items()})

    return read


def _open_mimo(path: Path, target: Target, _array: str | None, sources: dict[str, str]) -> Reader:
    header = _mimo.read_header(path)
    found = Target(header.data_dtype, header.data_length)
    if header.data_length != target.length:
        raise DataFileError(
            f"{path}: holds events of {found}, but the buffer is for {target}; "
            f"write `data_length: {header.data_length}` in the setup"
        )
    # The same type needs no fields: they may be of any kind, and of setups of mimoCoRB 1 there may be none.
    same, what = header.data_dtype == target.dtype, f"its data ({found})"
    if not same:
        sample = np.empty((0, header.data_length), header.data_dtype)
        _columns(path, what, sample, target, sources)

    def read() -> Iterator[Batch]:
        for metadata, data in _mimo.read_events(path, header):
            yield metadata, data if same else structured(target, _columns(path, what, data, target, sources))

    return read


def _open_parquet(path: Path, target: Target, _array: str | None, sources: dict[str, str]) -> Reader:
    from ._parquet import open_parquet

    return open_parquet(path, target, sources)


_OPENERS: dict[str, Callable[[Path, Target, str | None, dict[str, str]], Reader]] = {
    ".npz": _open_npz,
    ".npy": _open_npy,
    ".mimo": _open_mimo,
    ".parquet": _open_parquet,
}
