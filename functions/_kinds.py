"""Kinds of data files, and a first look whether a file is of the kind that its name says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from zipfile import is_zipfile

from mimocorb_dist.errors import DataFileError

if TYPE_CHECKING:
    from pathlib import Path

# Suffix -> how such a file begins (an archive without members begins with its end).
_BEGINNINGS = {
    ".npz": (b"PK\x03\x04", b"PK\x05\x06"),
    ".npy": (b"\x93NUMPY",),
    ".mimo": (b"\x80",),
    ".parquet": (b"PAR1",),
}


def check_kind(path: Path) -> None:
    """Check that a file is there, and begins and ends like those of its suffix.

    Libraries that read such files say of others what is of no help, such as that numpy could unpickle them.

    Raises
    ------
    DataFileError
        If it is not, with what it seems to be.
    """
    if problem := problem_of(path):
        raise DataFileError(f"{path}: {problem[0]}; {problem[1]}")


def problem_of(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with a data file, and the remedy; None if it looks as it should."""
    if path.suffix not in _BEGINNINGS:
        return "is of no kind that is known", f"give a file that ends with {', '.join(_BEGINNINGS)}"
    if path.is_dir():
        return "is a directory", "give the name of a file as `filename`"
    if path.exists() and not path.is_file():
        return "is no regular file", "give the name of one as `filename`"
    try:
        with path.open("rb") as file:
            start = file.read(64)
            file.seek(-min(len(start), 4), os.SEEK_END)
            end = file.read()
    except FileNotFoundError:
        return "there is no such file", "check `filename`"
    except OSError as error:
        return f"cannot be read ({error.strerror})", "check its permissions"
    if not start:
        return "is empty", "was it copied, or written, to its end?"
    if not start.startswith(_BEGINNINGS[path.suffix]):
        return f"is no {path.suffix} file", _seems(start)
    if (path.suffix == ".parquet" and end != start[:4]) or (path.suffix == ".npz" and not is_zipfile(path)):
        return "is damaged or cut short", "copy or write it anew"
    return None


def _seems(start: bytes) -> str:
    for suffix, beginnings in _BEGINNINGS.items():
        if start.startswith(beginnings):
            return f"it begins as a {suffix} file does: name it so"
    if all(byte >= 32 or byte in b"\t\n\r" for byte in start):
        return "it is a text: read it with numpy.loadtxt, and write it with numpy.save"
    return f"it begins with {start[:8]!r}: check `filename`"
