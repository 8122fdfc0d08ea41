"""What a node itself writes into the log files of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def append_line(path: Path, line: str, complain: Callable[[str], None]) -> None:
    """Write into the log of a process what it could not write itself.

    Parameters
    ----------
    path
        The log file.
    line
        What is appended.
    complain
        Called with a text if that cannot be.
    """
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(line)
    except OSError as error:
        complain(f"{path}: cannot be written ({error.strerror})")
