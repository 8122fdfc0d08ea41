"""A folder for setups, a small package of prebuilt functions, and setups whose mistakes are marked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import Topology, load, prebuilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MARK = "\u00a7"
DECLARED = """
from pathlib import Path
from mimocorb_dist.functions._keys import DataFile, Field, Number, Whole
from mimocorb_dist.functions._settings import Config, unfit

def _not_both(settings, around):
    if settings["rate"] and settings["repeat"]:
        yield unfit("rate", settings["rate"], f"it must be left out for {around.sinks[0].name}")
"""
REPLAY = """
@Config(
    {
        "filename": DataFile("A file.", None),
        "rate": Number("How fast.", None, above=0),
        "repeat": Whole("How often.", None),
        "channel": Field("Which.", None, end="sinks"),
    },
    _not_both,
)
def replay(io): ...
"""
PACKAGE = {
    "__init__.py": "",
    "_helpers.py": "def secret(): ...",
    "misc.py": "def copy(io): ...",
    "data.py": f"{DECLARED}\ndef export(io): ...\ndef _private(io): ...{REPLAY}",
    "exporters.py": f"{DECLARED}\ndef csv(io): ...\n@Config()\ndef drain(io): 'Take.'\n"
    "def histogram(io): ...\ndef parquet(io): ...",
    "visualizers.py": "def csv(io): ...",
    "observers.py": "def oscilloscope(io): ...",
    "analyzers.py": "def pha(io): ...",
    "importers/__init__.py": "",
    "importers/redpitaya.py": "def waveform(io): ...",
    "importers/odd.py": "from somewhere import *",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a user file, and prebuilt functions that do not change under the tests."""
    package = tmp_path / "site" / "functions_for_topology_tests"
    for name, text in PACKAGE.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(prebuilt, "PACKAGE", package.name)
    prebuilt._module_code.cache_clear()
    work = tmp_path / "work"
    (work / "modules").mkdir(parents=True)
    (work / "modules" / "user.py").write_text("def take(io): ...\ndef find(io): ...\ndef save(io): ...\n")
    monkeypatch.chdir(work)
    yield work
    prebuilt._module_code.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        del sys.modules[name]


@pytest.fixture
def setup(folder: Path) -> Callable[[str], Topology]:
    """Load a setup that is given as text."""

    def _load(text: str) -> Topology:
        (folder / "setup.yaml").write_text(text, encoding="utf-8")
        return load("setup.yaml")

    return _load


@pytest.fixture
def mistakes(setup: Callable[[str], Topology]) -> Callable[..., None]:
    """Check that a setup has exactly the marked mistakes, in order, each with the texts given for it."""

    def _check(marked: str, *expected: str | tuple[str, ...]) -> None:
        text, places = unmark(marked)
        with pytest.raises(TopologyError) as caught:
            setup(text)
        _compare(caught.value.mistakes, places, expected)

    return _check


@pytest.fixture
def warnings(setup: Callable[[str], Topology]) -> Callable[..., None]:
    """Check that a setup has no mistakes, and exactly the marked warnings."""

    def _check(marked: str, *expected: str | tuple[str, ...]) -> None:
        text, places = unmark(marked)
        _compare(setup(text).warnings, places, expected)

    return _check


def unmark(marked: str) -> tuple[str, list[str]]:
    """Remove the marks from a text; return it and the places (``line:column``) where they were."""
    lines, places = [], []
    for number, line in enumerate(marked.split("\n"), 1):
        pieces = line.split(MARK)
        lines.append("".join(pieces))
        places += [f"{number}:{len(''.join(pieces[:i])) + 1}" for i in range(1, len(pieces))]
    return "\n".join(lines), places


def _compare(texts: tuple[str, ...], places: list[str], expected: tuple[str | tuple[str, ...], ...]) -> None:
    shown = "\n".join(texts)
    assert len(texts) == len(expected), shown
    assert [text.split(": ")[0] for text in texts] == [f"setup.yaml:{place}" for place in places], shown
    for text, parts in zip(texts, expected, strict=True):
        for part in (parts,) if isinstance(parts, str) else parts:
            assert part in text, text
