from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mimocorb_dist.errors import RunError
from mimocorb_dist.runs.stats import StatsFile, row_interval_s


def overview(written=5):
    return {
        "buffers": {
            "raw": {
                "written": written,
                "fill": 0.25,
                "ended": False,
                "rate_hz": 2.0,
                "dead_time_share": None,
                "discarded_while_paused": 3,
                "paused": True,
            }
        },
        "workers": {"find": {"alive": 2, "cpu_percent": 30.0}},
        "control": {"cpu_percent": 1.0},
    }


def test_the_columns_are_those_of_mimocorb2(tmp_path):
    stats = StatsFile(tmp_path / "stats.csv")
    stats.offer(overview(), 1.0)
    stats.close(overview(7), 2.0)
    with (tmp_path / "stats.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "buffers.raw.event_count",
        "buffers.raw.filled_slots",
        "buffers.raw.empty_slots",
        "buffers.raw.flush_event_received",
        "buffers.raw.rate",
        "buffers.raw.average_deadtime",
        "buffers.raw.paused_count",
        "buffers.raw.paused",
        "workers.find.processes",
        "workers.find.cpu_percent",
        "time_active",
        "total_processes_alive",
        "control.cpu_percent",
    ]
    assert [row["buffers.raw.event_count"] for row in rows] == ["5", "7"]
    assert rows[0]["buffers.raw.empty_slots"] == "0.75"


def test_rows_are_written_often_at_first_and_ever_more_rarely():
    ages = [0, 9, 10, 59, 60, 599, 600, 3599, 3600, 1e6]
    assert [row_interval_s(age) for age in ages] == [1, 1, 10, 10, 60, 60, 600, 600, 3600, 3600]


def test_a_row_is_written_only_when_it_is_due(tmp_path):
    stats = StatsFile(tmp_path / "stats.csv")
    for second in range(31):
        stats.offer(overview(second), float(second))
    stats.close(overview(99), 31.0)
    counts = [line.split(",")[0] for line in (tmp_path / "stats.csv").read_text().splitlines()[1:]]
    assert counts == [*map(str, range(10)), "19", "29", "99"]


def test_a_full_disk_is_an_error_of_a_row_and_only_said_of_the_last_one(caplog):
    stats = StatsFile(Path("/dev/full"))
    with pytest.raises(RunError, match=r"/dev/full: .*No space left on device\); free space"):
        stats.offer(overview(), 0.0)
    stats.close(overview(7), 1.0)
    assert "No space left on device" in caplog.text


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        StatsFile(tmp_path / "absent" / "stats.csv").offer(overview(), 0.0)
