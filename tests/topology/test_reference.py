"""The reference of the setup file says what the code does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.topology import buffers, hosts, loading, workers
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
