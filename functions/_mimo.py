"""The ``.mimo`` file format of mimoCoRB2, version 1.

A file begins with a pickled dict: ``version``, ``header`` (a text), ``data_dtype``, ``data_length``,
``metadata_dtype``, ``metadata_length``. Then follows each event: its data bytes, then its 24 metadata bytes.

Unpickling can run any code, so the header is read by an unpickler that knows one name, ``numpy.dtype``, and
puts a mere note of its arguments in its place. The dtype is then built from the notes by numpy's checked
constructor.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np

from mimocorb_dist.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

VERSION = 1
METADATA = np.dtype([("counter", "<i8"), ("timestamp", "<f8"), ("deadtime", "<f8")])

# A header describes a few fields; a file whose pickle is longer is something else.
_LONGEST_HEADER = 1 << 20
_LARGEST_EVENT = 1 << 31
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class MimoHeader:
    """What a ``.mimo`` file says of its events.

    Parameters
    ----------
    data_dtype
        Type of one sample.
    data_length
        Samples of one event.
    size_bytes
        Length of the header itself: the first event begins there.
    """

    data_dtype: np.dtype[Any]
    data_length: int
    size_bytes: int

    @property
    def event_dtype(self) -> np.dtype[Any]:
        """One event as it lies in the file: ``data``, then ``metadata``, without padding."""
        return np.dtype([("data", self.data_dtype, (self.data_length,)), ("metadata", METADATA)])


def header_bytes(data_dtype: np.dtype[Any], data_length: int) -> bytes:
    """Write the header, so that mimoCoRB2 can read it."""
    fields = {
        "version": VERSION,
        "header": "mimoCoRB events, written by mimocorb_dist",
        "data_dtype": data_dtype,
        "data_length": int(data_length),
        "metadata_dtype": METADATA,
        "metadata_length": 1,
    }
    return pickle.dumps(fields, protocol=4)


def event_bytes(metadata: NDArray[Any], data: NDArray[Any]) -> bytes:
    """Write events: `metadata` of shape (n,), `data` of shape (n, data_length)."""
    # As bytes: numpy copies records field by field, which is many times slower.
    data_bytes = np.ascontiguousarray(data).view(np.uint8).reshape(len(data), -1)
    metadata_bytes = np.ascontiguousarray(metadata).view(np.uint8).reshape(len(data), -1)
    return np.hstack([data_bytes, metadata_bytes]).tobytes()


def read_header(path: Path) -> MimoHeader:
    """Read and check the header of a file.

    Raises
    ------
    DataFileError
        If the file cannot be read, is no ``.mimo`` file, or its length does not fit whole events.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LONGEST_HEADER)
        size = path.stat().st_size
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror}); check `filename`") from error
    header = _parse_header(path, start)
    event_size = header.event_dtype.itemsize
    events, rest = divmod(size - header.size_bytes, event_size)
    if rest:
        raise DataFileError(
            f"{path}: ends with {rest} bytes of an event of {event_size} bytes, so its writer did not end "
            f"well; `truncate -s {size - rest} {path}` keeps its {events} whole events"
        )
    return header


def read_events(path: Path, header: MimoHeader) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield (metadata (k,), data (k, data_length)) with a few MB at a time."""
    event_dtype = header.event_dtype
    at_once = max(1, _CHUNK_BYTES // event_dtype.itemsize)
    with path.open("rb") as file:
        file.seek(header.size_bytes)
        while len(events := _read_some(file, event_dtype, at_once)):
            yield events["metadata"], events["data"]


def _read_some(file: BinaryIO, event_dtype: np.dtype[Any], at_once: int) -> NDArray[Any]:
    raw = file.read(at_once * event_dtype.itemsize)
    return np.frombuffer(raw, event_dtype, count=len(raw) // event_dtype.itemsize)


def _parse_header(path: Path, start: bytes) -> MimoHeader:
    stream = io.BytesIO(start)
    try:
        fields = _HeaderUnpickler(stream).load()
        if not isinstance(fields, dict):
            raise TypeError(f"the header is a {type(fields).__name__}, not a dict")
        if fields.get("version") != VERSION:
            raise ValueError(f"its version is {fields.get('version')!r}, known is {VERSION}")
        header = MimoHeader(_dtype(fields["data_dtype"]), _length(fields["data_length"]), stream.tell())
        if header.data_dtype.hasobject or header.data_dtype.itemsize == 0:
            raise TypeError(f"its data_dtype {header.data_dtype} cannot be stored in a buffer")
        metadata = MimoHeader(_dtype(fields["metadata_dtype"]), _length(fields["metadata_length"]), 0)
        if (metadata.data_dtype, metadata.data_length) != (METADATA, 1):
            raise TypeError(
                f"its metadata are {metadata.data_length} x {metadata.data_dtype}, known are 1 x {METADATA}"
            )
        if header.event_dtype.itemsize > _LARGEST_EVENT:
            raise ValueError(f"its events have {header.event_dtype.itemsize} bytes")
    # A damaged pickle can raise nearly anything while it is read.
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise DataFileError(
            f"{path}: is not a .mimo file of version {VERSION} ({cause}); it begins with {start[:8]!r}. "
            "Such files are written by data.export"
        ) from error
    return header


@dataclass
class _DtypeNote:
    """Stands for a dtype while a header is read: what the pickle says of it, and nothing that acts."""

    arguments: tuple[Any, ...]
    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


def _note_dtype(*arguments: Any) -> _DtypeNote:
    return _DtypeNote(arguments)


class _HeaderUnpickler(pickle._Unpickler):
    """The unpickler in Python: that in C takes as much memory as a forged header tells it to."""

    # No header has byte arrays; this is the one code that reserves memory before it looks for content.
    dispatch: ClassVar[dict[int, Callable[[pickle.Unpickler], None]]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "dtype"):
            return _note_dtype
        raise pickle.UnpicklingError(f"its header asks for {module}.{name}, which is not allowed")


def _dtype(note: Any) -> np.dtype[Any]:
    """Build the dtype that a note describes (the state is that of ``numpy.dtype.__reduce__``)."""
    if not isinstance(note, _DtypeNote):
        raise TypeError(f"a dtype was expected, found {type(note).__name__}")
    kind = note.arguments[0]
    if not isinstance(kind, str):
        raise TypeError(f"a dtype was expected, found {kind!r}")
    if not note.state:
        return np.dtype(kind)
    _, byteorder, subarray, names, fields, itemsize = note.state[:6]
    if subarray is not None:
        base, shape = subarray
        return np.dtype((_dtype(base), shape))
    if names is None:
        if kind[0] in "mM":  # times: their unit stands beside the other facts
            unit, step = note.state[8][1][:2]
            kind = f"{kind}[{step}{unit.decode()}]"
        plain: np.dtype[Any] = np.dtype(kind)
        return plain.newbyteorder(byteorder) if byteorder in "<>" else plain
    return np.dtype(
        {
            "names": list(names),
            "formats": [_dtype(fields[name][0]) for name in names],
            "offsets": [fields[name][1] for name in names],
            "itemsize": itemsize,
        }
    )


def _length(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"a length was expected, found {value!r}")
    return value
