"""The reference of the setup file says what the code does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.topology import buffers, hosts, loading, workers
from mimocorb_dist.topology.classic import buffers as classic_buffers
from mimocorb_dist.topology.classic import functions as classic_functions
from mimocorb_dist.topology.classic import setup as classic_setup
from tests.support import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology

PAGE = (REPOSITORY / "docs" / "reference" / "setup-file.md").read_text()


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("Top level", set(loading.TOP_LEVEL_KEYS) - {"Options"}),
        ("Buffers", set(buffers.BUFFER_KEYS)),
        ("Workers", set(workers.WORKER_KEYS)),
        ("Nodes", set(hosts.NODE_KEYS)),
        ("Broker", set(hosts.BROKER_KEYS)),
    ],
)
def test_the_tables_have_exactly_the_keys_that_are_allowed(section: str, keys: set[str]) -> None:
    text = re.split(r"\n###? ", PAGE.split(f"\n## {section}\n")[1])[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == keys


def test_the_example_is_a_setup_without_mistakes(setup: Callable[[str], Topology], folder: Path) -> None:
    (folder / "modules" / "find.py").write_text("def find_pulses(io): ...\n")
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    assert setup(example).warnings == ()


CLASSIC = (REPOSITORY / "docs" / "reference" / "classic-setup.md").read_text()


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("Top level", set(classic_setup.KEYS)),
        ("RingBuffer", set(classic_buffers.KEYS)),
        ("Functions", set(classic_setup.MAIN_KEYS) | set(classic_functions.KEYS)),
    ],
)
def test_the_tables_of_mimocorb_1_have_exactly_the_keys_that_are_known(section: str, keys: set[str]) -> None:
    text = re.split(r"\n###? ", CLASSIC.split(f"\n## {section}\n")[1])[0]
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == keys


def test_the_example_of_mimocorb_1_is_a_setup_without_mistakes(
    setup: Callable[[str], Topology], folder: Path
) -> None:
    example = CLASSIC.split("```yaml\n")[1].split("```")[0]
    for file, function in (("source", "waveforms"), ("analysis", "pulse_heights"), ("savers", "save_text")):
        (folder / "modules" / f"{file}.py").write_text(f"def {function}(a, b, c, d, **buffers): ...\n")
    (folder / "config").mkdir()
    for config in ("common", "save_text"):
        (folder / "config" / f"{config}.yaml").write_text("general: {}\n")
    topology = setup(example)
    assert topology.warnings == ()
    nodes = CLASSIC.split("```yaml\n")[2].split("```")[0]
    assert list(setup(nodes + example).nodes) == ["daq", "pc"]
