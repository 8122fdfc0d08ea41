"""Kinds of data files, and a first look whether a file is of the kind that its name says."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Check that a file is there, and begins like those of its suffix.

    Libraries that read such files say of others what is of no help, such as that numpy could unpickle them.

    Raises
    ------
    DataFileError
        If it is not, with what it seems to be.
    """
    if path.suffix not in _BEGINNINGS:
        raise DataFileError(
            f"{path}: files of this kind are not known; give one that ends with {', '.join(_BEGINNINGS)}"
        )
    if path.is_dir():
        raise DataFileError(f"{path}: is a directory; give the name of a file as `filename`")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such file; check `filename`") from None
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not start:
        raise DataFileError(f"{path}: is empty; was it copied, or written, to its end?")
    if not start.startswith(_BEGINNINGS[path.suffix]):
        raise DataFileError(f"{path}: is no {path.suffix} file; {_seems(start)}")


def _seems(start: bytes) -> str:
    for suffix, beginnings in _BEGINNINGS.items():
        if start.startswith(beginnings):
            return f"it begins as a {suffix} file does: name it so"
    if all(byte >= 32 or byte in b"\t\n\r" for byte in start):
        return "it is a text: read it with numpy.loadtxt, and write it with numpy.save"
    return f"it begins with {start[:8]!r}: check `filename`"
