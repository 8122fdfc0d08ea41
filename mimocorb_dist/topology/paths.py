"""Files and folders that a setup names: where they are, and what to do if they are not there.

What lies in a folder that may not be looked into counts as not there: `os.path` says so, where `Path` raises.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .findings import nearest

YAML_SUFFIXES = (".yaml", ".yml")
_MANY = 8


@dataclass(frozen=True)
class Folder:
    """The folder of a setup: names of files in the setup are relative to it.

    Parameters
    ----------
    path
        The folder, absolute.
    shown
        How messages name it.
    meaning
        What names are relative to, as messages say it.
    """

    path: Path
    shown: Path
    meaning: str = "the setup file"

    def find(self, name: str) -> Path:
        """Return what a name means: relative to the folder, absolute, or with ``~``."""
        return self.path / os.path.expanduser(name)

    def show(self, name: str) -> str:
        """Return how messages name a file."""
        return str(self.shown / os.path.expanduser(name))

    def remedy(self, name: str, suffixes: tuple[str, ...]) -> str:
        """Return what to do about a file that is not there."""
        path = self.find(name)
        if os.path.isdir(path):
            return "that is a folder; name a file in it"
        if not os.path.isdir(path.parent):
            return f"there is no folder {path.parent}; {self._rule}"
        try:
            near = _nearest_of(path, _files_in(path.parent, suffixes))
        except OSError as error:
            return f"the folder {path.parent} cannot be read ({error.strerror}); change its rights"
        if near is None:
            return self._rule
        return f"did you mean '{os.path.join(os.path.dirname(name), near)}'?"

    @property
    def _rule(self) -> str:
        return f"names are relative to {self.meaning} ({self.path})"


def is_file(path: Path) -> bool:
    """Tell whether there is a file."""
    return os.path.isfile(path)


def file_in_the_way(folder: Path) -> Path | None:
    """Return the file that keeps a folder from being made: itself, or one of those above it."""
    there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), None)
    return None if there is None or os.path.isdir(there) else there


def missing_setup(path: Path) -> str:
    """Return the message for a setup that is not there, or is no file, as the user has named it."""
    if os.path.isdir(path):
        return f"{path}: this is a folder; name the setup file in it"
    folder = path.absolute().parent
    if not os.path.isdir(folder):
        return f"{path}: there is no folder {folder}; check the name"
    if os.path.exists(path):
        return f"{path}: this is no file that holds a setup; check the name"
    try:
        files = _files_in(folder, YAML_SUFFIXES)
    except OSError as error:
        return f"{path}: the folder {folder} cannot be read ({error.strerror}); change its rights"
    near = _nearest_of(path, files)
    if near is not None:
        remedy = f"did you mean '{path.with_name(near)}'?"
    elif files:
        more = ", ..." if len(files) > _MANY else ""
        remedy = f"{folder} has {', '.join(files[:_MANY])}{more}"
    else:
        remedy = f"{folder} has no YAML file"
    return f"{path}: there is no such file; {remedy}"


def _files_in(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(file for file in os.listdir(folder) if file.endswith(suffixes))


def _nearest_of(path: Path, files: list[str]) -> str | None:
    """Return the file that is named most like `path`; what all of them end with is no likeness."""
    by_stem = {Path(file).stem: file for file in files}
    near = nearest(path.name.removesuffix(path.suffix), by_stem)
    return None if near is None else by_stem[near]
