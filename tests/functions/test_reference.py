"""Docstrings and the page of the prebuilt functions tell the same, and all there is."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

from mimocorb_dist.topology.prebuilt import prebuilt_functions
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "functions.md").read_text()
NAMES = [name for name in prebuilt_functions() if not name.startswith("importers.")]


def function_of(name: str) -> Any:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"mimocorb_dist.functions.{module}"), function)


def keys_in_docstring(name: str) -> list[str]:
    config = (
        (inspect.getdoc(function_of(name)) or "").partition("Config\n------\n")[2].partition("Example\n")[0]
    )
    return [key for line in re.findall(r"(?m)^(\w[\w, ]*) :", config) for key in line.split(", ")]


def keys_in_page(name: str) -> list[str]:
    section = PAGE.partition("## Config")[2].partition("## Files")[0]
    row = re.search(rf"(?m)^\| `{re.escape(name)}` \| (.*) \|$", section)
    return re.findall(r"`(\w+)`", row[1]) if row else []


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_in_the_overview(name: str) -> None:
    assert re.search(rf"(?m)^\| `{re.escape(name)}` \|", PAGE)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_tells_its_buffers(name: str) -> None:
    assert re.search(r"(?m)^(sources|sinks|observes)  ", inspect.getdoc(function_of(name)) or "")


@pytest.mark.parametrize("name", NAMES)
def test_config_keys_are_those_of_the_docstring(name: str) -> None:
    assert keys_in_page(name) == keys_in_docstring(name)


def test_all_functions_are_there() -> None:
    assert {
        "misc.copy",
        "data.export",
        "data.simulate_importer",
        "data.clocked_importer",
        "data.replay",
        "exporters.drain",
        "exporters.csv",
        "exporters.histogram",
        "exporters.parquet",
        "analyzers.pha",
        "observers.oscilloscope",
        "visualizers.csv",
        "visualizers.histogram",
        "simulators.muons",
    } <= set(NAMES)
