"""What is written reaches readers at once and the disk soon, also when nothing more is written."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.workers.synced import SyncedFile
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    done: list[int] = []
    monkeypatch.setattr(os, "fsync", done.append)
    return done


def test_the_last_write_before_a_pause_comes_to_the_disk(tmp_path: Path, syncs: list[int]) -> None:
    path = tmp_path / "rows"
    with SyncedFile(path.open("wb"), 0.01) as file:
        for content in (b"first\n", b"second\n"):
            synced = len(syncs)
            file.write(content)
            assert path.read_bytes().endswith(content)
            eventually(lambda synced=synced: len(syncs) > synced)


def test_the_end_comes_to_the_disk_at_once(tmp_path: Path, syncs: list[int]) -> None:
    file = SyncedFile((tmp_path / "rows").open("wb"), 3600)
    file.write(b"all")
    file.close()
    file.close()
    assert len(syncs) == 1


class _Counting(threading.Event):
    """Counts how often it is set."""

    count = 0

    def set(self) -> None:
        super().set()
        self.count += 1


def test_closing_ends_when_an_interval_is_just_over(tmp_path: Path) -> None:
    """The thread has found that nobody closes, and does not know yet that somebody does."""
    file = SyncedFile((tmp_path / "rows").open("wb"), 0.001)
    unsynced = file._unsynced = _Counting()

    class Late(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (the signature of Event)
            super().wait()
            eventually(lambda: unsynced.count == 2)  # by `write`, and by `close`
            return False

    file._closing = Late()
    file.write(b"all")
    closing = threading.Thread(target=file.close, daemon=True)
    closing.start()
    closing.join(5.0)
    assert not closing.is_alive()


def test_without_an_interval_each_write_waits_for_the_disk(tmp_path: Path, syncs: list[int]) -> None:
    with SyncedFile((tmp_path / "rows").open("wb"), 0) as file:
        file.write(b"one")
        assert len(syncs) == 1


def test_a_disk_that_fails_is_told_by_the_next_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fail(descriptor: int) -> None:
        asked.append(descriptor)
        raise OSError(5, "Input/output error")

    raw = (tmp_path / "rows").open("wb")
    file = SyncedFile(raw, 0.001)
    file.write(b"one")
    monkeypatch.setattr(os, "fsync", fail)
    file.write(b"two")
    eventually(lambda: asked and file._failure)
    with pytest.raises(OSError, match="Input/output"):
        file.write(b"three")
    with pytest.raises(OSError, match="Input/output"):
        file.close()
    assert raw.closed
