"""Waveforms from archives that `rb_toParquetfile` has written: `parquetReader` of mimoCoRB 1."""

from __future__ import annotations

import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import IO

    from numpy.typing import NDArray

_SUFFIXES = (".tar", ".gz", ".tgz", ".bz2")


class parquetReader:
    """Gives the events of all archives in a folder, one after the other.

    Parameters
    ----------
    config_dict
        ``path``, the folder, relative to the working directory; ``number_of_samples``; and with their
        defaults ``sleeptime`` (0.1; s between two events) and ``random`` (False; True: `sleeptime` is the
        mean of an exponential).

    Raises
    ------
    DataFileError
        If there is no archive in the folder.
    """

    def __init__(self, config_dict: Mapping[str, Any]) -> None:
        self.path = config_dict["path"]
        self.sleeptime = config_dict.get("sleeptime", 0.10)
        self.random = config_dict.get("random", False)
        self.number_of_samples = config_dict["number_of_samples"]
        self._events = _members(_archives(Path(self.path)))

    def init(
        self,
        number_of_channels: int | None = None,
        number_of_values: int | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        """Learn from the buffer what an event looks like.

        Parameters
        ----------
        number_of_channels
            How many of `channel_names` are wanted.
        number_of_values
            Samples of an event; not needed.
        channel_names
            Columns of the files, one for each field of the buffer.
        """
        names = list(channel_names or ())
        self.number_of_channels = len(names) if number_of_channels is None else number_of_channels
        self.number_of_values = number_of_values
        self.channel_names = names

    def __call__(self) -> list[NDArray[Any]] | None:
        """Return the next event after the time to wait: an array for each channel; None after the last one.

        Raises
        ------
        DataFileError
            If an archive cannot be read, or has no such channel.
        """
        import pandas as pd

        event = next(self._events, None)
        if event is None:
            return None
        name, file = event
        time.sleep(np.random.exponential(self.sleeptime) if self.random else self.sleeptime)  # noqa: NPY002
        try:
            table = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise DataFileError(
                f"{name}: is no parquet file ({error}); remove it from the archive"
            ) from error
        wanted = self.channel_names[: self.number_of_channels]
        if missing := [channel for channel in wanted if channel not in table.columns]:
            raise DataFileError(
                f"{name}: has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}. "
                "Name the fields of the buffer as the columns are named"
            )
        return [table[channel].to_numpy() for channel in wanted]


def _archives(folder: Path) -> list[Path]:
    """Return the archives in a folder, by name: so two runs give the same events."""
    if not folder.is_dir():
        raise DataFileError(f"{folder}: there is no such folder (looked for from {Path.cwd()}); check `path`")
    archives = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _SUFFIXES)
    if not archives:
        raise DataFileError(f"{folder}: has no archive ({', '.join(_SUFFIXES)}); check `path`")
    return archives


def _members(archives: list[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each file in the archives."""
    for path in archives:
        try:
            with tarfile.open(path, "r:*") as archive:
                while (member := archive.next()) is not None:
                    content = archive.extractfile(member)
                    if content is not None:  # no folder
                        yield f"{path}, {member.name}", content
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataFileError(f"{path}: cannot be read as an archive ({error})") from error
