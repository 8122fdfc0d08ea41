"""Writing files so that a power cut leaves the old content or the new one, never half of it."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Replace the content of a file, and make sure that it lies on the disk.

    Parameters
    ----------
    path
        The file; it may exist.
    text
        Its new content.

    Raises
    ------
    RunError
        If it cannot be written; the old content is still there.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        with contextlib.suppress(OSError):  # the disk that could not be written
            fresh.unlink()
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> RunError:
    """Return the error for a file of a run that cannot be written."""
    return RunError(f"{path}: cannot be written ({error.strerror}); {remedy(error)}")


def remedy(error: OSError) -> str:
    """Say what to do about a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free space and start again"
    return "check the disk, and permissions of the folder"
