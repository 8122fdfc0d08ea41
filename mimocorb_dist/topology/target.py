"""The directory where a setup wants its run directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .paths import file_in_the_way

if TYPE_CHECKING:
    from pathlib import Path

    from .fields import Fields
    from .findings import Findings
    from .paths import Folder

DEFAULT_TARGET = "target"


def read_target(findings: Findings, top: Fields, folder: Folder, key: str) -> tuple[str, Path]:
    """Return the target directory as the setup names it, and where it is.

    Parameters
    ----------
    findings
        Gets a mistake if a file is in its way.
    top
        The top level of the setup.
    folder
        What names are relative to.
    key
        The key that names it.
    """
    target = top.text(key, DEFAULT_TARGET)
    name = target.name if target else DEFAULT_TARGET
    path = folder.find(name)
    file = file_in_the_way(path)
    if file is not None:
        findings.mistake(
            target.place if target else top.place,
            f"{key} is '{name}', but {file} is a file",
            "name a folder, which is made if it is not there",
        )
    return name, path
