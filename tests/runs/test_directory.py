from __future__ import annotations

import json
import os
import platform
import threading

import pytest

from mimocorb_dist.errors import RunError
from mimocorb_dist.runs import (
    allot_run_directory,
    join_run_directory,
    list_runs,
    load_run,
    report,
    runs_in,
)
from mimocorb_dist.runs.files import write_atomically
from mimocorb_dist.runs.record import process_mark, write_record

NOON = "run_2026-02-03_12-00-05"

CONTENT = {
    "run": {
        "id": "abc",
        "started": "2026-02-03T12:00:05.000+01:00",
        "finished": "2026-02-03T12:01:15.000+01:00",
        "state": "finished",
        "quality": "GOOD",
        "reasons": [],
    },
    "buffers": {
        "raw": {
            "node": "local",
            "written": 7,
            "read": 7,
            "discarded_while_paused": 0,
            "redelivered": 0,
            "rescued": 0,
            "lost": 0,
            "dead_time_s": 1.0,
            "live_time_s": 3.0,
            "max_fill": 0.5,
        }
    },
    "links": {},
    "workers": {"save": {"node": "local", "processes": 1, "restarts": 0, "errors": 0, "events": 7}},
}


def test_two_starts_in_one_second_get_directories_of_their_own(tmp_path):
    names = [allot_run_directory(tmp_path, NOON).path.name for _ in range(3)]
    assert names == ["run_2026-02-03_12-00-05", "run_2026-02-03_12-00-05_2", "run_2026-02-03_12-00-05_3"]


def test_starts_at_the_same_moment_never_share_a_directory(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(allot_run_directory(tmp_path, NOON).path))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_nodes_that_share_a_file_system_share_the_directory(tmp_path):
    first = allot_run_directory(tmp_path, NOON)
    write_record(first.record, CONTENT)
    joined = join_run_directory(tmp_path, first.path.name, "abc")
    assert joined.shared
    assert joined.path == first.path
    elsewhere = join_run_directory(tmp_path / "other", first.path.name, "abc")
    assert not elsewhere.shared
    assert elsewhere.logs.is_dir()


def test_a_directory_of_another_run_is_not_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("mimocorb_dist.runs.directory._SHARED_FILE_SYSTEM_S", 0.1)
    first = allot_run_directory(tmp_path, NOON)
    write_record(first.record, CONTENT)
    with pytest.raises(RunError, match="belongs to another run"):
        join_run_directory(tmp_path, first.path.name, "xyz")


def test_a_target_that_is_a_file_is_an_error_with_remedy(tmp_path):
    (tmp_path / "target").write_text("")
    with pytest.raises(RunError, match="target_directory"):
        allot_run_directory(tmp_path / "target", NOON)


def test_a_failed_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "run.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")
    assert path.read_text() == "old"


def running(**mark):
    return CONTENT | {
        "run": CONTENT["run"]
        | {
            "state": "running",
            "quality": "INCOMPLETE",
            "finished": None,
            "as_of": "2026-02-03T12:00:59.000+01:00",
            "process": mark,
        }
    }


def test_a_running_record_of_a_living_process_stays_running(tmp_path):
    write_record(tmp_path / "run.json", running(**process_mark()))
    assert load_run(tmp_path)["run"]["state"] == "running"


@pytest.mark.parametrize(
    "mark",
    [
        {"host": platform.node(), "pid": 2**22 + 5, "since": 0.0},
        {"host": platform.node(), "pid": os.getpid(), "since": 0.0},
        {},
    ],
)
def test_a_running_record_without_its_process_is_shown_as_aborted(tmp_path, mark):
    write_record(tmp_path / "run.json", running(**mark))
    run = load_run(tmp_path)["run"]
    assert (run["state"], run["quality"]) == ("failed", "ABORTED")
    assert "counts are of 12:00:59" in run["reasons"][0]


def test_the_books_of_a_run_whose_processes_are_gone_balance_and_say_what_is_not_known(tmp_path):
    content = running() | {"buffers": {"raw": CONTENT["buffers"]["raw"] | {"read": 5}}}
    write_record(tmp_path / "run.json", content)
    record = load_run(tmp_path)
    assert record["buffers"]["raw"]["lost"] == 2
    assert "2 events were not read by then" in record["run"]["reasons"][1]
    assert "not known" in record["run"]["reasons"][1]


def test_a_running_run_is_shown_as_running_with_the_time_of_its_counts(tmp_path):
    (tmp_path / "run_1").mkdir()
    write_record(tmp_path / "run_1" / "run.json", running(**process_mark()))
    assert report(tmp_path / "run_1").startswith("run_1: running, counts of 12:00:59\n")
    assert list_runs(tmp_path).splitlines()[1].split() == ["run_1", "running", "-", "7"]


def test_a_run_that_could_not_begin_leaves_no_directory_unless_users_wrote_there(tmp_path):
    for written in ((), ("mine.txt",)):
        directory = allot_run_directory(tmp_path, NOON)
        for name in ("run.json", "setup.yaml", "logs/save.log", *written):
            (directory.path / name).write_text("")
        directory.discard()
        assert directory.path.exists() == bool(written)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"run": 1}'])
def test_what_is_no_record_is_an_error(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match="is not a record"):
        load_run(tmp_path)


def test_a_missing_record_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RunError, match="no such record; name a run directory"):
        load_run(tmp_path / "notes.txt")
    with pytest.raises(RunError, match="no such record"):
        load_run(tmp_path)


def test_runs_are_listed_with_their_state(tmp_path):
    for second in (1, 2):
        directory = allot_run_directory(tmp_path, f"run_2026-02-03_12-00-0{second}")
        write_record(directory.record, CONTENT)
    (tmp_path / "run_2026-02-03_12-00-09").mkdir()
    (tmp_path / "run_2026-02-03_12-00-09" / "run.json").write_text("{")
    assert len(runs_in(tmp_path)) == 3
    lines = list_runs(tmp_path).splitlines()
    assert "GOOD" in lines[1]
    assert "1 min 10 s" in lines[1]
    assert "unreadable" in lines[3]


def test_a_directory_without_runs_says_so(tmp_path):
    assert "no runs" in list_runs(tmp_path)
    with pytest.raises(RunError, match="no such directory"):
        list_runs(tmp_path / "absent")


def test_the_report_shows_the_books(tmp_path):
    write_record(tmp_path / "run.json", CONTENT)
    text = report(tmp_path)
    assert "finished, quality GOOD" in text
    assert "25.0 %" in text
    assert "waited" not in text


def test_the_report_says_whom_importers_waited_for(tmp_path):
    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0}
    buffers = {
        "raw": raw,
        "good": raw | {"live_time_s": 0.0, "dead_time_s": 0.0},
        "late": raw | {"max_fill": 0.5},
    }
    workers = {
        "pick": {"sources": ["raw"], "sinks": ["good"]},
        "save": {"sources": ["good"], "sinks": ["late"]},
    }
    write_record(tmp_path / "run.json", CONTENT | {"buffers": buffers, "setup": {"Workers": workers}})
    (line,) = [line for line in report(tmp_path).splitlines() if "waited" in line]
    assert line == (
        "  raw: importers waited 25.0 % of the time for free slots (dead time); "
        "good was full: save could not keep up"
    )


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        ({"slow": 0.98, "fast": 0.01, "look": 0.3}, "raw was full: slow could not keep up"),
        ({"slow": 0.98, "fast": 0.01, "look": 0.9}, "raw was full: slow and look could not keep up"),
        ({"slow": 0.2, "fast": 0.97, "look": 0.1}, "late was full: save could not keep up"),
        ({}, "late was full: save could not keep up"),
    ],
)
def test_of_the_readers_of_a_broadcast_buffer_the_slow_ones_are_named(tmp_path, behind, told):
    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0}
    late = raw | {"live_time_s": 0.0, "dead_time_s": 0.0}
    workers = {
        "slow": {"sources": ["raw"]},
        "fast": {"sources": ["raw"], "sinks": ["late"]},
        "look": {"sources": ["raw"]},
        "save": {"sources": ["late"]},
    }
    buffers = {"raw": raw | ({"behind": behind} if behind else {}), "late": late}
    write_record(tmp_path / "run.json", CONTENT | {"buffers": buffers, "setup": {"Workers": workers}})
    (line,) = [line for line in report(tmp_path).splitlines() if "waited" in line]
    assert line.endswith(f"for free slots (dead time); {told}")


def test_the_report_tells_time_held_from_time_waited(tmp_path):
    def held(since, duration_s):
        time = f"2026-02-03T12:00:{since:02d}.000+01:00"
        return {
            "kind": "held",
            "where": "a",
            "from": time,
            "to": None,
            "duration_s": duration_s,
            "why": "no room",
        }

    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0, "dead_time_s": 20.0, "live_time_s": 5.0}
    content = CONTENT | {
        "buffers": {"raw": raw},
        "incidents": [held(0, 10.0), held(5, 10.0), held(30, 4.0)],
        "more_incidents": {"silent": {"count": 2, "duration_s": 80.0}},
        "setup": {"Workers": {"source": {"sinks": ["raw"]}, "save": {"sources": ["raw"]}}},
    }
    write_record(tmp_path / "run.json", content)
    text = report(tmp_path)
    assert "  held     10.0 s from 12:00:05 on: a: no room\n" in text
    assert "  silent   2 times more, 1 min 20 s in all\n" in text
    assert "raw: importers waited 16.7 % of the time" in text  # 1 s beside 5 s
    assert " 80.0 % " in text


def test_the_report_knows_of_nobody_who_waits_for_a_buffer_that_drops(tmp_path):
    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0, "dead_time_s": 1.0, "live_time_s": 9.0}
    workers = {"source": {"sinks": ["raw"]}, "save": {"sources": ["raw"]}}
    for when_full, told in (("block", True), ("drop_new", False)):
        setup = {"Workers": workers, "Buffers": {"raw": {"when_full": when_full}}}
        write_record(tmp_path / "run.json", CONTENT | {"buffers": {"raw": raw}, "setup": setup})
        assert ("importers waited" in report(tmp_path)) is told


def test_the_report_does_not_call_slow_what_does_little_but_fail(tmp_path):
    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0}
    workers = {"save": CONTENT["workers"]["save"] | {"errors": 15, "events": 2}}
    setup = {"Workers": {"save": {"sources": ["raw"]}}}
    write_record(
        tmp_path / "run.json", CONTENT | {"buffers": {"raw": raw}, "workers": workers, "setup": setup}
    )
    assert "; raw was full: save failed 15 times\n" in report(tmp_path)


def link_counts(sent: int = 7, reconnects: int = 0) -> dict[str, object]:
    return {
        "sent": sent,
        "acknowledged": 7,
        "resent": 0,
        "reconnects": reconnects,
        "bytes": 0,
        "final": False,
    }


def test_the_report_names_broken_links_before_the_last_full_buffer_too(tmp_path):
    raw = CONTENT["buffers"]["raw"] | {"max_fill": 1.0}
    content = CONTENT | {
        "buffers": {"raw": raw, "large": raw | {"live_time_s": 0.0, "dead_time_s": 0.0}},
        "links": {
            "raw@daq->filter": link_counts(reconnects=2),
            "large@filter->storage": link_counts(reconnects=1),
        },
        "setup": {
            "Buffers": {"raw": {"node": "daq"}, "large": {"node": "filter"}},
            "Workers": {
                "select": {"node": "filter", "sources": ["raw"], "sinks": ["large"]},
                "save": {"node": "storage", "sources": ["large"]},
            },
        },
    }
    write_record(tmp_path / "run.json", content)
    (line,) = [line for line in report(tmp_path).splitlines() if "waited" in line]
    assert line.endswith(
        "large was full: save, or the link to it, large@filter->storage (broken once), could not keep up; "
        "so could not, before it, raw@daq->filter (broken 2 times)"
    )


@pytest.mark.parametrize(
    ("sent", "reconnects", "link"),
    [
        (7, 0, "raw@daq->far"),
        (7, 1, "raw@daq->far (broken once)"),
        (7, 3, "raw@daq->far (broken 3 times)"),
        (9, 0, "raw@daq->far (2 events were never acknowledged)"),
        (8, 1, "raw@daq->far (broken once, 1 event was never acknowledged)"),
    ],
)
def test_the_report_blames_a_worker_elsewhere_or_the_link_to_it(tmp_path, sent, reconnects, link):
    counts = link_counts(sent, reconnects)
    content = CONTENT | {
        "buffers": {"raw": CONTENT["buffers"]["raw"] | {"max_fill": 1.0}},
        "links": {"raw@daq->far": counts},
        "setup": {
            "Buffers": {"raw": {"node": "daq"}},
            "Workers": {
                "play": {"function": "data.replay", "sinks": ["raw"], "config": {}},
                "save": {"node": ["far", "daq"], "sources": ["raw"]},
            },
        },
    }
    write_record(tmp_path / "run.json", content)
    text = report(tmp_path)
    assert f"raw was full: save, or the link to it, {link}, could not keep up" in text
    assert "(a replay as fast as possible always waits so; that is no dead time of a detector)" in text
    assert "(links that were ended at once: counts up to a second older than their end)" in text


def test_the_report_leaves_the_record_as_it_was(tmp_path):
    write_record(tmp_path / "run.json", CONTENT)
    report(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text()) == CONTENT
