from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mimocorb_dist.broker.watchdog import WATCHDOG_S, Watchdog

from .plans import THREE_NODES, planned

if TYPE_CHECKING:
    from pathlib import Path


class Bench:
    """A watchdog, and the state of a run that it looks at."""

    def __init__(self, folder: Path, text: str) -> None:
        self.watchdog = Watchdog(planned(folder, text)[1])
        book = {"entered": 5, "read": 5, "rescued": 0, "fill": 0.0}
        workers = ("source", "pick", "save")
        self.overview: dict[str, Any] = {
            "run": {"state": "running"},
            "buffers": {name: dict(book) for name in ("raw", "good")},
            "workers": {name: {"alive": 1, "stalled_s": 0.0} for name in workers},
        }

    def look(self, now_s: float) -> dict[tuple[str, str], str]:
        return {key: still.text for key, still in self.watchdog.look(self.overview, now_s).items()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, THREE_NODES.replace("raw: {", "raw: {watchdog: 30, "))


def test_a_silent_source_is_seen(bench: Bench) -> None:
    assert bench.look(100.0) == bench.look(129.0) == {}
    text = "no event has come into buffer raw for 35 s, though source runs"
    assert bench.look(135.0) == {("silent", "raw"): text}
    bench.overview["buffers"]["raw"]["entered"] = 6
    assert bench.look(136.0) == {}


def test_a_full_buffer_that_nobody_reads_is_seen(bench: Bench) -> None:
    bench.overview["buffers"]["raw"]["fill"] = 1.0
    bench.look(100.0)
    text = "nothing has been read from buffer raw for 35 s, which fills up; it is read by pick"
    assert bench.look(135.0) == {("stuck", "raw"): text}


def test_a_full_buffer_that_nobody_reads_is_seen_though_new_events_take_the_place_of_old_ones(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, THREE_NODES.replace("raw: {", "raw: {watchdog: 30, when_full: drop_old, "))
    book = bench.overview["buffers"]["raw"]
    for now_s, fill, entered in ((100.0, 0.2, 5), (130.0, 1.0, 9), (159.0, 1.0, 50)):
        book.update(fill=fill, entered=entered)
        assert bench.look(now_s) == {}
    assert list(bench.look(160.0)) == [("stuck", "raw")]
    book["read"] = 6
    assert bench.look(161.0) == {}


def test_nothing_has_to_move_in_a_pause_or_after_the_end_of_the_source(bench: Bench) -> None:
    bench.look(100.0)
    bench.overview["run"]["state"] = "paused"
    assert bench.look(200.0) == {}
    bench.overview["run"]["state"] = "running"
    assert bench.look(229.0) == {}
    bench.overview["workers"]["source"]["alive"] = 0
    assert bench.look(500.0) == {}


def test_a_stalled_worker_is_seen(bench: Bench) -> None:
    bench.overview["workers"]["pick"]["stalled_s"] = 12.0
    assert bench.look(100.0) == {
        ("stuck", "pick"): "worker pick has done no event for 12 s, though some wait"
    }


def test_without_a_word_in_the_setup_only_sources_are_looked_at_and_for_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path, THREE_NODES)
    bench.look(100.0)
    assert bench.look(99.0 + WATCHDOG_S) == {}
    assert list(bench.look(100.0 + WATCHDOG_S)) == [("silent", "raw")]


def test_a_watchdog_of_0_never_barks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, THREE_NODES.replace("raw: {", "raw: {watchdog: 0, "))
    bench.look(100.0)
    assert bench.look(1e6) == {}


def test_one_worker_that_gets_nothing_done_does_not_hide_behind_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path, THREE_NODES.replace("raw: {", "raw: {watchdog: 30, delivery: broadcast, "))
    bench.overview["buffers"]["raw"]["by_worker"] = {"a": {"read": 5}, "b": {"read": 7}}
    bench.look(100.0)
    bench.overview["buffers"]["raw"]["by_worker"]["b"]["read"] = 8
    assert bench.look(135.0) == {}
