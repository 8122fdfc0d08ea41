"""Rescue files: events that no worker could take, kept in the `.mimo` format of mimoCoRB2."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import RunError

from .files import remedy

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

METADATA_DTYPE = np.dtype([("counter", "<i8"), ("timestamp", "<f8"), ("deadtime", "<f8")])


class RescueFile:
    """Appends events of one buffer to `rescue/<buffer>.mimo`.

    Several processes (nodes that share a directory) may append to the same file: each event is one write.

    Parameters
    ----------
    path
        The file; it and its folder are made.
    data_dtype
        Type of a record.
    data_length
        Records of an event.

    Raises
    ------
    RunError
        If it cannot be written.
    """

    def __init__(self, path: Path, data_dtype: np.dtype[Any], data_length: int) -> None:
        self._path = path
        self._shape = (data_length,)
        self._dtype = data_dtype
        header = pickle.dumps(
            {
                "version": 1,
                "header": f"events of buffer {path.stem} that no worker could take",
                "data_dtype": data_dtype,
                "data_length": data_length,
                "metadata_dtype": METADATA_DTYPE,
                "metadata_length": 1,
            },
            protocol=4,
        )
        self._header_bytes = len(header)
        try:
            path.parent.mkdir(exist_ok=True)
            _make_with(path, header)
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise self._error(error) from error

    def append(self, metadata: npt.NDArray[np.void], data: npt.NDArray[Any]) -> None:
        """Append one event: `metadata` of shape (1,), `data` of shape (data_length,).

        Raises
        ------
        RunError
            If it cannot be written; then nothing of it is in the file.
        """
        event = np.ascontiguousarray(data, self._dtype).tobytes() + metadata.tobytes()
        try:
            written = os.write(self._fd, event)
            if written < len(event):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise self._error(error) from error

    @property
    def last_counter(self) -> int | None:
        """The counter of the last event in the file; None if there is none."""
        size = self._dtype.itemsize * self._shape[0] + METADATA_DTYPE.itemsize
        with self._path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            if length < self._header_bytes + size:
                return None
            file.seek(length - METADATA_DTYPE.itemsize)
            return int(np.frombuffer(file.read(), METADATA_DTYPE)["counter"][0])

    def note(self, text: str) -> None:
        """Append a text to the log beside the file, `rescue/<buffer>.log`.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        try:
            with self._path.with_suffix(".log").open("a", encoding="utf-8") as file:
                file.write(text + "\n\n")
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Bring all to the disk, and close the file."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._error(error) from error
        finally:
            os.close(self._fd)

    def _error(self, error: OSError) -> RunError:
        return RunError(f"{self._path}: cannot rescue events ({error.strerror}); {remedy(error)}")


def _make_with(path: Path, header: bytes) -> None:
    """Make a file with its header, if it is not there yet; nobody ever sees it without."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(header)
        os.link(fresh, path)
    except FileExistsError:
        return  # another node, or a restarted one, made it: the header is the same
    finally:
        fresh.unlink(missing_ok=True)
