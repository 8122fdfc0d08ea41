"""Names of the files that the processes of a worker write into the run directory."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from .io import BufferIO


def part_names(io: BufferIO, name: str, suffix: str = "") -> Iterator[str]:
    """Yield the names that are this process's, one after the other.

    The first process of a worker has ``<name><suffix>``, the second one ``<name>.part2<suffix>``, and so on;
    of three processes the first one has ``<name>.part4<suffix>`` next.
    """
    for number in itertools.count(io.number + 1, io.processes):
        yield f"{name}{suffix}" if number == 1 else f"{name}.part{number}{suffix}"


def create_first(io: BufferIO, names: Iterator[str], start: bytes) -> tuple[Path, BinaryIO]:
    """Create the first file in the run directory of which there is none, and open it without a buffer.

    Those that are there stay as they are: others of the same worker write them on other nodes.

    Parameters
    ----------
    io
        The worker's `BufferIO`.
    names
        The names to try.
    start
        What the file has from the moment on when it is there.

    Returns
    -------
    tuple
        Its path; and the file, at its end, on the disk.
    """
    draft = io.run_dir / f".{io.name}.{io.number}.{os.getpid()}.draft"
    file = draft.open("w+b", buffering=0)
    try:
        file.write(start)
        os.fsync(file.fileno())
        for name in names:
            path = io.run_dir / name
            try:
                os.link(draft, path)
            except FileExistsError:
                io.logger.info("%s is there already, and stays as it is", path.name)
                continue
            sync_folder(path.parent)
            return path, file
    except BaseException:
        file.close()
        raise
    finally:
        draft.unlink()
    raise AssertionError("unreachable: names do not run out")


def sync_data(descriptor: int) -> None:
    """Bring a file's content to the disk, and what is needed to find it."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
