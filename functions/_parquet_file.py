"""A parquet file that grows, and can be read and gone on with at any time.

A parquet file is read from its end: there stands what is where. Here each row group is followed by an end of
all that the file has so far. Older ends stay between the groups, where no reader looks; so groups are only
written when they are much larger than these.

Rows for which it is too early wait in ``<name>.rest.mimo``, which is gone when the file is complete.
"""

from __future__ import annotations

import io as byte_io
import os
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.commits import GONE
from mimocorb_dist.workers.names import create_first, part_names, sync_data, sync_folder

from . import _mimo
from ._parquet import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO

_WORTH = 16
"""A row group must be so many times as large as the end that is written with it."""
_MAGIC_BYTES = 4


class ParquetOutput:
    """A parquet file in the run directory; an output of an exporter.

    Parameters
    ----------
    io
        The worker's `BufferIO`.
    name
        Name of the file without suffix.
    schema
        See `arrow_schema`.
    files
        What a process before this one has left: lengths by names; None if there was none.
    group_bytes
        Size of a row group in memory.
    flush_s
        After how many s a smaller group is written.
    compression
        ``zstd``, ``snappy``, ``gzip`` or ``none``.
    """

    IN_BACKGROUND: ClassVar[bool] = True

    def __init__(
        self,
        io: BufferIO,
        name: str,
        schema: Any,
        files: Mapping[str, int] | None = None,
        *,
        group_bytes: int = 1 << 25,
        flush_s: float = 60,
        compression: str = "zstd",
    ) -> None:
        self._schema, self._compression = schema, compression
        self._group_bytes, self._flush_s = group_bytes, flush_s
        self._example = io.data_in_examples[0]
        self._batches: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self._marked = self._sealed = self._in_rest = self._bytes = 0
        self._in_group = 0  # rows of the last group, which are still among the batches
        self._since_s = monotonic()
        self._final = False
        there = next((file for file in files or () if (io.run_dir / file).exists()), None)
        if there is None:
            start, self._metadata = _empty(schema, compression)
            self.path, self._file = create_first(io, part_names(io, name, ".parquet"), start)
            self._size, self._end = len(start), start[_MAGIC_BYTES:]
        else:
            self.path = io.run_dir / there
            self._file = self.path.open("r+b", buffering=0)
        self._rest = self.path.with_suffix(".rest.mimo")
        self._rest_size = 0
        if there is not None:
            self._go_on()

    def add(self, metadata: NDArray[Any], data: NDArray[Any]) -> None:
        """Add events: metadata (k,), data (k, data_length). They are copied."""
        self._batches.append((metadata.copy(), data.copy()))

    # For commits.

    def mark(self) -> None:
        """Note which rows are of events that are done with."""
        self._marked = len(self._batches)

    def back(self) -> bool:
        """Drop the others."""
        del self._batches[self._marked :]
        return True

    def seal(self) -> None:
        """Choose the rows that are marked now."""
        del self._batches[: self._in_group]
        self._marked -= self._in_group
        self._in_group = 0
        self._sealed = self._marked
        self._bytes = sum(metadata.nbytes + data.nbytes for metadata, data in self._batches[: self._sealed])

    def save(self) -> dict[str, int]:
        """Bring these to the disk: as a row group if that is worth it, else to the rest."""
        rows = self._batches[: self._sealed]
        old = self._bytes >= self._group_bytes or monotonic() - self._since_s >= self._flush_s
        if rows and (self._final or (old and self._bytes >= _WORTH * len(self._end))):
            self._write_group(rows)
        elif self._in_rest < len(rows):
            self._write_rest(rows)
        return {self.path.name: self._size, self._rest.name: self._rest_size or GONE}

    def finish(self) -> None:
        """Write the last row group with the next `save`."""
        self._final = True

    def shut(self) -> None:
        """Close the file."""
        self._file.close()

    # The file.

    def _go_on(self) -> None:
        import pyarrow.parquet as pq

        self._metadata = pq.read_metadata(self.path)
        self._end = _end_of(self._metadata)
        self._size = self.path.stat().st_size
        if self._rest.exists():
            self._rest_size = self._rest.stat().st_size
            for metadata, data in _mimo.read_events(self._rest, _mimo.read_header(self._rest)):
                self.add(metadata, data)
        self._marked = self._in_rest = len(self._batches)

    def _write_group(self, rows: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
        metadata = np.concatenate([batch[0] for batch in rows])
        data = np.concatenate([batch[1] for batch in rows])
        group, description = _group(table_of(metadata, data, self._schema), self._size, self._compression)
        # First the old end, where all will be filled in before it: the file ends well at any moment.
        _write_at(self._file.fileno(), self._size + len(group), self._end)
        sync_data(self._file.fileno())
        _write_at(self._file.fileno(), self._size, group)
        sync_data(self._file.fileno())
        self._size += len(group) + len(self._end)
        self._metadata.append_row_groups(description)
        self._end = _end_of(self._metadata)
        self._append(self._end)
        self._in_group = len(rows)  # what comes meanwhile is behind them
        self._in_rest = self._rest_size = 0
        self._since_s = monotonic()

    def _append(self, content: bytes) -> None:
        _write_at(self._file.fileno(), self._size, content)
        sync_data(self._file.fileno())
        self._size += len(content)

    def _write_rest(self, rows: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
        """Write those that are not there yet."""
        new = self._rest_size == 0
        with self._rest.open("wb" if new else "ab", buffering=0) as file:
            if new:
                file.write(_mimo.header_bytes(self._example.dtype, self._example.size))
            for metadata, data in rows[self._in_rest :]:
                _write_all(file.fileno(), _mimo.event_bytes(metadata, data))
            sync_data(file.fileno())
            self._rest_size = file.tell()
        if new:
            sync_folder(self._rest.parent)
        self._in_rest = len(rows)


def _empty(schema: Any, compression: str) -> tuple[bytes, Any]:
    """Make a file without rows; return it, and what describes it."""
    import pyarrow.parquet as pq

    file = byte_io.BytesIO()
    pq.ParquetWriter(file, schema, compression=compression).close()
    return file.getvalue(), pq.read_metadata(file)


def _end_of(metadata: Any) -> bytes:
    """Return what stands at the end of a file with this metadata."""
    file = byte_io.BytesIO()
    metadata.write_metadata_file(file)
    return file.getvalue()[_MAGIC_BYTES:]


def _group(table: Any, start: int, compression: str) -> tuple[bytes, Any]:
    """Make row groups that will lie at a place of a file; return them, and what describes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    descriptor = os.memfd_create("rows", os.MFD_CLOEXEC)
    try:
        # In front of them is nothing: a hole as long as the file is so far.
        with pa.OSFile(f"/proc/self/fd/{descriptor}", "wb") as sink:
            writer = pq.ParquetWriter(sink, table.schema, compression=compression)
            os.lseek(sink.fileno(), start, os.SEEK_SET)
            writer.write_table(table)
            writer.close()
        with os.fdopen(os.dup(descriptor), "rb") as file:
            description = pq.read_metadata(file)
            file.seek(start)
            content = file.read()
    finally:
        os.close(descriptor)
    if description.row_group(0).column(0).data_page_offset < start:
        raise SetupError(f"parquet files cannot be gone on with as pyarrow {pa.__version__} writes them")
    end_bytes = int.from_bytes(content[-2 * _MAGIC_BYTES : -_MAGIC_BYTES], "little") + 2 * _MAGIC_BYTES
    return content[:-end_bytes], description


def _write_at(descriptor: int, offset: int, content: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    _write_all(descriptor, content)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
