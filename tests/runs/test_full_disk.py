from __future__ import annotations

import contextlib
import json

import pytest

from mimocorb_dist.errors import RunError
from mimocorb_dist.runs.directory import RESERVE
from mimocorb_dist.runs.record import write_record
from tests.support import small_disk


def content(finished):
    return {"run": {"id": "abc", "finished": finished}, "buffers": {"raw": {"written": 7}}}


def fill(folder):
    with (folder / "data").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def test_the_last_record_finds_room_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "256k") as disk:
        path = disk / "run.json"
        write_record(path, content(None))
        fill(disk)
        with pytest.raises(
            RunError, match=r"run\.json: .*No space left on device\); free space and start again"
        ):
            write_record(path, content(None))
        assert json.loads(path.read_text())["run"]["finished"] is None
        write_record(path, content("2026-02-03T12:01:15+01:00"))
        assert json.loads(path.read_text())["run"]["finished"] is not None


def test_nothing_is_left_of_the_reserve_after_the_last_record(tmp_path):
    write_record(tmp_path / "run.json", content(None))
    assert (tmp_path / RESERVE).stat().st_size > 0
    write_record(tmp_path / "run.json", content("2026-02-03T12:01:15+01:00"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
