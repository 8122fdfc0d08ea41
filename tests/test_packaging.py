"""What is installed is what lies in the repository."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support import REPOSITORY

ROOTS = ("mimocorb_dist", "functions")


def _files() -> list[Path]:
    found = [path for root in ROOTS for path in (REPOSITORY / root).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in _files() if path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_other_file_is_package_data() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    others = [path for path in _files() if path.suffix != ".py"]
    assert [
        str(path) for path in others if not any(fnmatch(path.name, pattern) for pattern in patterns)
    ] == []


@pytest.mark.parametrize("module", ["mimocorb_dist.functions", "mimocorb_dist.functions.exporters"])
def test_prebuilt_functions_are_installed_inside_the_package(module: str) -> None:
    __import__(module)
