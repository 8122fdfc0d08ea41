"""What a broker notes for its successor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.broker.memory import Memory
from mimocorb_dist.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_noted_last_is_read_and_what_only_moves_is_no_reason_to_write(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    assert memory.read() is None
    memory.note({"state": "ready"}, {"counts": 1})
    memory.note({"state": "running"}, {"counts": 2})
    memory.note({"state": "running"}, {"counts": 3})
    assert Memory(tmp_path / "memory").read() == ({"state": "running"}, {"counts": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["memory"]


def test_a_memory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("{")
    with pytest.raises(RunError, match="memory"):
        Memory(tmp_path / "memory").read()


def test_without_room_it_is_told_what_that_means(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="free shared memory"):
        Memory(tmp_path / "missing" / "memory").note({}, {"a": 1})
