from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.node.disk import DiskWatch, RoomJudge
from mimocorb_dist.topology.disk import DiskBound, DiskRules
from tests.support import eventually, small_disk

if TYPE_CHECKING:
    from typing import Any

GB = 10**9
RULES = DiskRules(DiskBound("5 GB", 5 * GB), DiskBound("1 GB", GB))


def rooms(judge: RoomJudge, *free_gb: float) -> list[str]:
    return [judge.judge(int(free * GB), 500 * GB)["room"] for free in free_gb]


def test_what_was_too_little_is_enough_only_some_way_above() -> None:
    judge = RoomJudge(Path("target"), RULES)
    assert rooms(judge, 6, 4.9, 1.0, 0.99, 1.5, 1.99) == [
        "enough",
        "little",
        "little",
        "none",
        "none",
        "none",
    ]
    assert rooms(judge, 2.0, 1.5, 6) == ["little", "little", "enough"]


def test_texts_say_how_much_there_is_and_what_follows() -> None:
    judge = RoomJudge(Path("target"), RULES)
    assert judge.judge(6 * GB, 500 * GB)["text"] == ""
    little = "the disk of target has 3 GB free; the run pauses below 1 GB"
    assert judge.judge(3 * GB, 500 * GB)["text"] == little
    none = "the disk of target has 500 MB free; importers wait until it has 2 GB"
    assert judge.judge(GB // 2, 500 * GB)["text"] == none


def test_a_disk_that_does_not_answer_takes_no_data() -> None:
    judge = RoomJudge(Path("target"), RULES)
    assert judge.fail("does not answer")["room"] == "none"
    assert rooms(judge, 10) == ["enough"]


def test_a_setup_may_want_no_pause() -> None:
    judge = RoomJudge(Path("target"), DiskRules(None, DiskBound("0 GB", 0)))
    assert rooms(judge, 0) == ["little"]
    assert judge.fail("does not answer")["room"] == "little"


@pytest.mark.parametrize(
    ("rules", "disk_bytes", "expected"),
    [
        (DiskRules(), 1000 * GB, (5 * GB, GB, 2 * GB)),
        (DiskRules(), 10 * GB, (GB, GB // 5, GB // 5 + GB // 5)),
        (DiskRules(pause=DiskBound("10 GB", 10 * GB)), 1000 * GB, (10 * GB, 10 * GB, 11 * GB)),
        (DiskRules(warn=DiskBound("500 MB", GB // 2)), 1000 * GB, (GB // 2, GB // 2, GB // 2 + GB // 20)),
        (DiskRules(DiskBound("50 %", share=0.5), DiskBound("1 GB", GB)), 100 * GB, (50 * GB, GB, 13.25 * GB)),
    ],
)
def test_bounds_fit_the_disk_and_each_other(rules: DiskRules, disk_bytes: int, expected: Any) -> None:
    assert rules.bounds(disk_bytes) == expected


def test_a_disk_is_looked_at_while_the_run_goes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        watch = DiskWatch(disk, DiskRules())
        try:
            eventually(lambda: watch.report().get("room") == "enough")
            (disk / "data").write_bytes(bytes(1_040_000))
            eventually(lambda: watch.report()["room"] == "none")
        finally:
            watch.close()


def test_a_folder_that_has_gone_is_said(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path / "gone", DiskRules())
    try:
        report = eventually(watch.report)
    finally:
        watch.close()
    assert "does not tell its room (No such file or directory)" in report["text"]
