"""`mimoFile`: ``.mimo`` files in the hands of users, as in mimoCoRB2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np

from mimocorb_dist.errors import DataFileError

from ._mimo import METADATA, MimoHeader, event_bytes, header_bytes, read_events, read_header

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    import numpy.typing as npt


class mimoFile:  # noqa: N801 (the classic name)
    """A file of events: one that is read, or one that is written.

    Made by `from_file` for reading, and by `from_buffer_object` for writing.

    Parameters
    ----------
    filename
        The file.
    data_dtype, data_length
        Type of a sample, and samples of an event.
    metadata_dtype, metadata_length
        The same of the metadata: there is one kind.
    mode
        ``read``, or ``write``: events are added to what the file has; one without content gets its header.

    Raises
    ------
    DataFileError
        If the file is none of this kind, or has other events.
    ValueError
        If the mode is another one.

    Examples
    --------
    >>> with mimoFile.from_file("raw.mimo") as file:
    ...     for data, metadata in file.read_data():
    ...         if data is None:
    ...             break
    ...         print(metadata["counter"][0], data)
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        data_dtype: npt.DTypeLike,
        data_length: int,
        metadata_dtype: npt.DTypeLike = METADATA,
        metadata_length: int = 1,
        mode: Literal["read", "write"] = "read",
    ) -> None:
        if mode not in ("read", "write"):
            raise ValueError(f"mode is {mode!r}; it must be 'read' or 'write'")
        self.filename = Path(filename)
        self.data_dtype: np.dtype[Any] = np.dtype(data_dtype)
        self.data_length = int(data_length)
        self.metadata_dtype: np.dtype[Any] = np.dtype(metadata_dtype)
        self.metadata_length = int(metadata_length)
        self.mode = mode
        if (self.metadata_dtype, self.metadata_length) != (METADATA, 1):
            raise DataFileError(
                f"{self.filename}: metadata of {self.metadata_length} x {self.metadata_dtype} have no place "
                f"in a .mimo file; it holds 1 x {METADATA}"
            )
        self._header: MimoHeader | None = None
        if mode == "read" or (self.filename.exists() and self.filename.stat().st_size):
            self._header = self._read_header()
        self.file: BinaryIO = self.filename.open("rb" if mode == "read" else "ab")
        if self._header is None:
            self.file.write(header_bytes(self.data_dtype, self.data_length))

    @classmethod
    def from_file(cls, filename: str | os.PathLike[str]) -> Self:
        """Open a file for reading; what its events are stands in its header."""
        header = read_header(Path(filename))
        return cls(filename, header.data_dtype, header.data_length)

    @classmethod
    def from_buffer_object(cls, buffer: Any, run_dir: str | os.PathLike[str] = ".") -> Self:
        """Make the file ``<buffer>.mimo`` for the events of a buffer; one that is there is replaced.

        Parameters
        ----------
        buffer
            Anything with the `name` and `data_example` of a buffer: also an end of one.
        run_dir
            The folder.
        """
        filename = Path(run_dir) / f"{buffer.name}.mimo"
        filename.unlink(missing_ok=True)
        return cls(filename, buffer.data_example.dtype, buffer.data_example.size, mode="write")

    def write_data(self, data: npt.NDArray[Any], metadata: npt.NDArray[Any]) -> None:
        """Add an event.

        Parameters
        ----------
        data
            Shape (data_length,), of the file's type.
        metadata
            Shape (1,).

        Raises
        ------
        RuntimeError
            If the file is open for reading, or the event is another one than those of the file.
        """
        if self.mode != "write":
            raise RuntimeError(f"{self.filename} is open for reading; from_buffer_object makes one to write")
        if (data.dtype, data.size) != (self.data_dtype, self.data_length) or metadata.size != 1:
            raise RuntimeError(
                f"{self.filename} holds events of {self.data_length} x {self.data_dtype}, and not of "
                f"{data.size} x {data.dtype} with {metadata.size} metadata"
            )
        row = np.ascontiguousarray(metadata, METADATA).reshape(1)
        self.file.write(event_bytes(row, np.ascontiguousarray(data).reshape(1, -1)))

    def read_data(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]] | tuple[None, None]]:
        """Give data, shape (data_length,), and metadata, shape (1,), of each event; at the end both are None.

        Raises
        ------
        RuntimeError
            If the file is open for writing.
        """
        if self.mode != "read" or self._header is None:
            raise RuntimeError(f"{self.filename} is open for writing; from_file opens one to read")
        for metadata, data in read_events(self.filename, self._header):
            for number in range(len(data)):
                yield data[number], metadata[number : number + 1]
        yield None, None

    def close(self) -> None:
        """Close the file.  Idempotent."""
        self.file.close()

    def _read_header(self) -> MimoHeader:
        header = read_header(self.filename)
        if (header.data_dtype, header.data_length) != (self.data_dtype, self.data_length):
            raise DataFileError(
                f"{self.filename} holds events of {header.data_length} x {header.data_dtype}, and not of "
                f"{self.data_length} x {self.data_dtype}"
            )
        return header

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
