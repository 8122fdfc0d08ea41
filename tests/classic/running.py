"""Labs: folders with a setup and user functions as a lab has them, started as a lab starts them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.node.running import Started
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LABS = Path(__file__).parent / "labs"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
NODES = ("daq", "filter", "storage")

Document = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What a run has left."""

    directory: Path
    output: str

    @property
    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / "run.json").read_text())
        return content

    @property
    def buffers(self) -> Mapping[str, Mapping[str, Any]]:
        buffers: Mapping[str, Mapping[str, Any]] = self.record["buffers"]
        return buffers

    def assert_good(self) -> None:
        """Nothing is lost, and nothing has failed."""
        record = self.record
        assert record["run"]["state"] == "finished", self.output
        assert record["run"]["quality"] == "GOOD", (record["run"]["reasons"], self.output)
        for name, book in record["buffers"].items():
            assert book["lost"] == book["rescued"] == 0, (name, book)
            assert book["written"] == book["read"], (name, book)


def copy_of(lab: str, folder: Path) -> Path:
    """Copy a lab, to be changed and run in."""
    target = folder / lab
    shutil.copytree(LABS / lab, target, ignore=shutil.ignore_patterns("target*", "__pycache__"))
    return target


def change(setup: Path, changes: Callable[[Document], None]) -> None:
    """Change a YAML file as a user would, who then has it without comments."""
    document = yaml.safe_load(setup.read_text())
    changes(document)
    setup.write_text(yaml.safe_dump(document, sort_keys=False))


def function(document: Document, index: int) -> Document:
    """Return a function of a setup of version 1, by its number."""
    entry: Document = document["Functions"][index]
    return entry["Fkt_main" if index == 0 else f"Fkt_{index}"]  # type: ignore[no-any-return]


def with_nodes(document: Document) -> Document:
    """Name three nodes, for a setup of either version."""
    document["Nodes"] = {name: {} for name in NODES}
    document["Broker"] = {"node": "storage", "port": free_port()}
    return document


@contextlib.contextmanager
def started(setup: Path, *arguments: str, **popen: Any) -> Iterator[Started]:
    """Start a setup in its folder, without a display and without a terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in DISPLAYS}
    environment |= popen.pop("env", {})
    with Started(setup, *arguments, cwd=setup.parent, env=environment, **popen) as run:
        yield run


def runs_in(folder: Path) -> list[Path]:
    """Return the run directories in an output directory, oldest first."""
    return sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: path.stat().st_ctime)


def result(setup: Path, output: str = "", target: str = "target") -> Run:
    """Return the only run of a setup."""
    (directory,) = runs_in(setup.parent / target)
    return Run(directory, output)


def completed(setup: Path, *arguments: str, target: str = "target", timeout_s: float = 60.0) -> Run:
    """Run a setup to its own end."""
    with started(setup, *arguments) as process:
        output = process.ends(0, timeout_s)
    run = result(setup, output, target)
    run.assert_good()
    return run


def is_run_directory_of_version_1(path: Path, prefix: str) -> bool:
    """Tell whether a directory is named as version 1 names those of its runs."""
    return re.fullmatch(re.escape(prefix) + r"\d{4}-\d\d-\d\d_\d{4}(_\d+)?", path.name) is not None
