"""The files of a setup of mimoCoRB 1 that a run directory gets copies of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def copies_of(setup: Path, configs: Iterable[Path]) -> dict[str, Path]:
    """Return what is copied: name in the run directory -> path of the file.

    Files of the same name in several folders get the names of their folders before their own.

    Parameters
    ----------
    setup
        The setup file.
    configs
        The config files that it uses.
    """
    copies: dict[str, Path] = {}
    for file in dict.fromkeys(os.path.normpath(path) for path in (setup, *configs)):
        path = Path(file)
        name, folders = path.name, path.parent
        while name in copies and folders.name:
            name, folders = f"{folders.name}_{name}", folders.parent
        copies[name] = path
    return copies
