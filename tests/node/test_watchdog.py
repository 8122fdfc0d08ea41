"""A source that is silent and a worker that is stuck are said, shown, and on record."""

from __future__ import annotations

from tests.node.running import ONE_HOST, Started, record, write_setup
from tests.support import eventually


def remarks(run: Started) -> str:
    overview = run.overview()
    return "\n".join(overview["run"]["remarks"]) if overview else ""


def test_a_silent_source_is_told_and_recorded_and_does_no_harm(tmp_path):
    setup = write_setup(tmp_path, ONE_HOST.replace("raw: {", "raw: {watchdog: 1.5, "), SOURCE="rate: 0.02")
    with Started(setup) as run:
        eventually(lambda: "no event has come into buffer raw for" in remarks(run), 30.0)
        run.interrupt()
        output = run.ends(0)
    assert "s, though source runs\n" in output
    assert output.count("no event has come into buffer raw for") == 1
    content = record(tmp_path)
    assert (content["run"]["quality"], content["run"]["reasons"]) == ("GOOD", [])
    (row,) = content["incidents"]
    assert (row["kind"], row["where"]) == ("silent", "raw")
    assert row["why"] == "no event has come into buffer raw, though source runs"
    assert row["duration_s"] >= 1.5 and row["to"] is not None


def test_a_worker_that_hangs_is_told_after_the_time_of_the_buffer_that_it_reads(tmp_path):
    text = ONE_HOST.replace("good: {", "good: {watchdog: 2, ")
    setup = write_setup(tmp_path, text, SOURCE="events: 400, rate: 400", SAVE="takes_s: 6")
    with Started(setup) as run:
        eventually(lambda: stalled(run), 30.0)
        run.interrupt()
        eventually(lambda: (run.overview() or {"run": {}})["run"].get("state") == "draining", 20.0)
        run.interrupt()
        output = run.ends(1)
    assert "worker save has done no event for 2 s, though some wait: its function save in f.py" in output
    stuck = [row for row in record(tmp_path)["incidents"] if row["where"] == "save"]
    assert stuck and stuck[0]["kind"] == "stuck"


def stalled(run: Started) -> bool:
    overview = run.overview()
    return bool(overview and overview["workers"]["save"]["stalled_s"])
