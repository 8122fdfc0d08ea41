"""Docstrings and the page of the prebuilt functions tell the same, and all there is."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest
from mimocorb_dist.functions._settings import Config

from mimocorb_dist.topology.prebuilt import prebuilt_functions
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "functions.md").read_text()
NAMES = [name for name in prebuilt_functions() if not name.startswith("importers.")]


def function_of(name: str) -> Any:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"mimocorb_dist.functions.{module}"), function)


def config_of(name: str) -> Config:
    config = function_of(name).config
    assert isinstance(config, Config)
    return config


def section_of(name: str) -> str:
    """The section on a function's config as the page should have it."""
    rows = [
        f"| `{name}` | {key.kind} | {key.default_shown or '**must be given**'} | {key.meaning} |"
        for name, key in config_of(name).keys.items()
    ]
    return "\n".join([f"### {name}", "", "| key | value | default | meaning |", "|---|---|---|---|", *rows])


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_in_the_overview(name: str) -> None:
    assert re.search(rf"(?m)^\| `{re.escape(name)}` \|", PAGE)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_tells_its_buffers(name: str) -> None:
    assert re.search(r"(?m)^(sources|sinks|observes)  ", inspect.getdoc(function_of(name)) or "")


@pytest.mark.parametrize("name", [name for name in NAMES if config_of(name).keys])
def test_the_page_has_each_key_as_it_is_declared(name: str) -> None:
    assert f"{section_of(name)}\n\n" in PAGE, f"the page should have:\n{section_of(name)}"


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_function_has_each_key(name: str) -> None:
    text = inspect.getdoc(function_of(name)) or ""
    for key, declared in config_of(name).keys.items():
        assert f"\n{key} : {declared.kind}" in text
    assert text.find("\nConfig\n") < text.find("\nExample\n") or "\nExample\n" not in text


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
