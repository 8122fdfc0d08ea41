"""Functions of mimoCoRB 1 that write events to files."""

from __future__ import annotations

import io
import os
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.output_file import OutputFile as HeldFile
from mimocorb_dist.workers.rows import column_names, header_line, rows_text

from .mimo_buffer import Reader
from .output import OutputFile, output_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray


class _ToFile(ABC):
    """What both have in common: the source, and one process that writes.

    Parameters
    ----------
    source_list
        The source, as the function gets it.
    config_dict
        The config, as the function gets it.
    **rb_info
        Buffers of the function: name -> ``read``.

    Raises
    ------
    SetupError
        If there is no source, or the config does not say where to write.
    """

    SUFFIX = ""

    def __init__(
        self,
        source_list: Sequence[Mapping[str, Any]] | None = None,
        config_dict: Mapping[str, Any] | None = None,
        **rb_info: str,
    ) -> None:
        name = type(self).__name__
        if not source_list or "read" not in rb_info.values():
            raise SetupError(
                f"{name}: has no source; give it the function's source_list and **rb_info, and let a buffer "
                "be `read` in RB_assign"
            )
        if len(source_list) > 1 or len(rb_info) > 1:
            raise SetupError(
                f"{name}: takes one buffer, to read from, but RB_assign has {', '.join(rb_info)}; "
                "write a function for each"
            )
        path = output_path(config_dict, self.SUFFIX, name)
        self.config_dict = dict(config_dict or {})
        self.filename = str(path)
        self.source = Reader(source_list[0])
        self.dtype = np.dtype(self.source.dtype)
        self._prepare()
        self._output = OutputFile(path, source_list[0])
        self._file = None if self._output.complete else self._begin(self._output.claim())

    def __call__(self) -> None:
        """Write all events, to the end of the stream.

        Of several processes one does it; see `output`.
        """
        file = self._file or self._begin(self._output.wait())
        if file is None:
            return
        complete = False
        try:
            with file:
                size = self._write(file)
            with self._output.path.open("r+b") as end:  # after the last commit: who goes on cuts it off
                end.seek(size)
                end.write(self._end(size))
                end.flush()
                os.fsync(end.fileno())
            complete = True
        finally:
            self._output.release(complete=complete)

    def _begin(self, file: BinaryIO | None) -> BinaryIO | None:
        if file is not None and file.tell() == 0:
            file.write(self._start())
        return file

    def _write(self, file: BinaryIO) -> int:
        """Write all events; return how long the file is then."""
        path = self._output.path
        commits = self.source.commits(self._output.reader, Path())
        with HeldFile(file, path, str(path), commits, self.filename) as output:
            commits.add(self.filename, output)
            for metadata, data in self.source.held(commits):
                output.write(self._content(metadata, data))
        return output.tell()

    @abstractmethod
    def _prepare(self) -> None:
        """Import what is needed, and check that the events can be written."""

    def _start(self) -> bytes:
        return b""

    @abstractmethod
    def _content(self, metadata: NDArray[Any], data: NDArray[Any]) -> bytes:
        """Return what is written for events: metadata (k,), data (k, values_per_slot)."""

    def _end(self, _size: int) -> bytes:
        return b""


class rb_toTxtfile(_ToFile):
    """Write events as rows of ``<filename>.txt``, with tabs between the columns.

    Columns are counter, timestamp, deadtime, then the fields; the header stands there at once. Rows can be
    read at once, too. Config: ``filename``; ``header_alias`` (name -> name in the header).
    """

    SUFFIX = ".txt"

    def _prepare(self) -> None:
        if self.source.values_per_slot != 1:
            raise SetupError(
                f"rb_toTxtfile: writes one row an event, but events of its source have "
                f"{self.source.values_per_slot} values; use rb_toParquetfile"
            )
        if self.dtype.names is None:
            self.dtype = np.dtype([("value", self.dtype)])
        if many := [name for name in self.dtype.names or () if self.dtype[name].shape]:
            raise SetupError(f"rb_toTxtfile: {', '.join(many)} do not fit in a column; use a field for each")

    def _start(self) -> bytes:
        alias = self.config_dict.get("header_alias") or {}
        return header_line([str(alias.get(name, name)) for name in column_names(self.dtype)], "\t").encode()

    def _content(self, metadata: NDArray[Any], data: NDArray[Any]) -> bytes:
        return rows_text(metadata, data[:, 0].view(self.dtype), "\t", as_floats=False).encode()


class rb_toParquetfile(_ToFile):
    """Write each event as ``<filename>_<counter>.parquet`` in the archive ``<filename>.tar``.

    Columns are the fields. The archive can be read while it grows. Config: ``filename``.
    """

    SUFFIX = ".tar"

    def _prepare(self) -> None:
        self._parquet = _parquet_format(self.dtype, self.source.values_per_slot)

    def _content(self, metadata: NDArray[Any], data: NDArray[Any]) -> bytes:
        members = bytearray()
        for counter, event in zip(metadata["counter"].tolist(), data, strict=True):
            content = self._parquet(event)
            member = tarfile.TarInfo(f"{self.config_dict['filename']}_{counter}.parquet")
            member.size = len(content)
            members += member.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)
        return bytes(members)

    def _end(self, size: int) -> bytes:
        end = 2 * tarfile.BLOCKSIZE
        return bytes(end + -(size + end) % tarfile.RECORDSIZE)


def _parquet_format(dtype: np.dtype[Any], length: int) -> Callable[[NDArray[Any]], bytes]:
    """Return a function that makes of an event, shape (length,), the parquet file that pandas makes of it.

    Raises
    ------
    SetupError
        If parquet has no type for a field.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    native = dtype.newbyteorder("=")

    def as_pandas_does(event: NDArray[Any]) -> bytes:
        content = io.BytesIO()
        pd.DataFrame(data=event.astype(native)).to_parquet(content, engine="pyarrow")
        return content.getvalue()

    example = np.zeros(length, native)
    try:
        as_pandas_does(example)
    except (pa.ArrowException, ValueError) as error:
        raise SetupError(f"rb_toParquetfile: cannot write events of {dtype} ({error})") from error
    names = dtype.names or ()
    if not names or any(dtype[name].shape or dtype[name].kind not in "biuf" for name in names):
        return as_pandas_does
    # Pandas takes several times as long; what it tells of the table is the same for all events.
    schema = pa.Table.from_pandas(pd.DataFrame(data=example)).schema

    def quickly(event: NDArray[Any]) -> bytes:
        columns = [
            pa.array(
                np.ascontiguousarray(event[field.name], native[field.name]), field.type, from_pandas=True
            )
            for field in schema
        ]
        content = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), content, compression="snappy")
        return content.getvalue()

    return quickly
