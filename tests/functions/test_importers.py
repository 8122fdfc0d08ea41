"""Importers bring in what a file holds, when it is due."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from mimocorb_dist.functions import data as data_functions
from mimocorb_dist.functions import exporters, simulators
from mimocorb_dist.functions.muons import double_pulses

from mimocorb_dist.errors import DataFileError, SetupError
from tests.support import eventually

from .harness import Bench, make_data, make_metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAVES = np.dtype([("ch1", "f4"), ("ch2", "i2")])
SENT = make_data(200, WAVES, 16)


def bring_in(bench: Bench, function: Callable[[Any], None], **config: Any) -> tuple[np.ndarray, np.ndarray]:
    bench.buffer("raw", WAVES, 16)
    result = bench.collect("raw")
    function(bench.io(sinks=("raw",), **config))
    return result()


def record(bench: Bench) -> None:
    """Write the same events in all formats."""
    for kind, function in (("m", data_functions.export), ("p", exporters.parquet)):
        bench.buffer(kind, WAVES, 16)
        bench.fill(kind, SENT)
        function(bench.io((kind,), filename="events"))
    for suffix in ("mimo", "parquet"):
        (bench.run_dir / f"events.{suffix}").rename(bench.directory / f"events.{suffix}")
    np.save(bench.directory / "events.npy", SENT)
    np.savez(bench.directory / "events.npz", ch1=SENT["ch1"], ch2=SENT["ch2"])


@pytest.mark.parametrize("suffix", ["npz", "npy", "mimo", "parquet"])
def test_replay_brings_in_all_events_with_metadata_of_this_run(bench: Bench, suffix: str) -> None:
    record(bench)
    before_s = time.time()
    metadata, data = bring_in(bench, data_functions.replay, filename=f"events.{suffix}")
    assert data.tolist() == SENT.tolist()
    assert metadata["counter"].tolist() == list(range(200))
    assert before_s - 1 < metadata["timestamp"].min() <= metadata["timestamp"].max() < time.time() + 1


@pytest.mark.parametrize("suffix", ["mimo", "parquet"])
def test_replay_can_keep_recorded_metadata(bench: Bench, suffix: str) -> None:
    record(bench)
    metadata, data = bring_in(bench, data_functions.replay, filename=f"events.{suffix}", keep_metadata=True)
    assert data.tolist() == SENT.tolist()
    assert metadata.tolist() == make_metadata(200).tolist()
    statistics = bench.rings["raw"].statistics()
    assert statistics.dead_time_s > 0, "it waited for the reader of a small buffer"
    assert statistics.live_time_s > 0


def test_replay_repeats_with_counters_going_on(bench: Bench) -> None:
    record(bench)
    metadata, data = bring_in(bench, data_functions.replay, filename="events.npz", repeat=3)
    assert data.tolist() == SENT.tolist() * 3
    assert metadata["counter"].tolist() == list(range(600))


def test_replay_without_end_stops_when_the_run_stops(bench: Bench) -> None:
    record(bench)
    raw = bench.buffer("raw", WAVES, 16)
    result = bench.collect("raw")
    io = bench.io(sinks=("raw",), filename="events.npz", repeat=True)
    worker = bench.start(lambda: data_functions.replay(io))
    eventually(lambda: raw.statistics().written > 1000)
    raw.request_stop()
    worker.join(10)
    assert not worker.is_alive()
    metadata, _ = result()
    assert metadata["counter"].tolist() == list(range(len(metadata)))


@pytest.mark.parametrize(
    ("function", "config"),
    [
        (data_functions.replay, {"filename": "events.mimo", "rate": 400}),
        (
            data_functions.replay,
            {"filename": "events.npz", "rate": 400, "distribution": "poisson", "seed": 1},
        ),
        (data_functions.clocked_importer, {"rate": 400}),
        (data_functions.clocked_importer, {"rate": 400, "distribution": "poisson", "seed": 1}),
    ],
)
def test_events_come_at_a_rate(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, function: Any, config: dict[str, Any]
) -> None:
    record(bench)
    monkeypatch.chdir(bench.directory)
    if function is data_functions.clocked_importer:
        config = {"filename": "events.mimo", **config}
    start_s = time.monotonic()
    metadata, data = bring_in(bench, function, **config)
    assert 0.35 < time.monotonic() - start_s < 5
    assert data.tolist() == SENT.tolist()
    assert 0.3 < np.ptp(metadata["timestamp"]) < 5


@pytest.mark.parametrize("function", [data_functions.replay, data_functions.simulate_importer])
def test_events_come_as_they_were_recorded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    bench.buffer("m", WAVES, 16)
    recorded = make_metadata(20)
    recorded["timestamp"] = 1e9 + np.repeat([0, 0.4], 10)
    bench.fill("m", SENT[:20], recorded)
    data_functions.export(bench.io(("m",), filename="raw"))
    monkeypatch.chdir(bench.run_dir)
    more = {"by_recorded_time": True, "filename": "run/raw.mimo"} if function is data_functions.replay else {}
    metadata, data = bring_in(bench, function, **more)
    assert data.tolist() == SENT[:20].tolist()
    steps = np.diff(metadata["timestamp"])
    assert np.argmax(steps) == 9
    assert 0.3 < steps[9] < 1


@pytest.mark.parametrize(
    ("function", "config", "kind", "message"),
    [
        (data_functions.replay, {}, SetupError, "`filename` is missing"),
        (data_functions.replay, {"filename": "none.npz"}, DataFileError, "no such file"),
        (data_functions.replay, {"filename": "events.npz", "rate": 0}, SetupError, "a number above 0"),
        (data_functions.replay, {"filename": "events.npz", "rate": "fast"}, SetupError, "a number above 0"),
        (data_functions.replay, {"filename": "events.npz", "repeat": 0}, SetupError, "not below 1"),
        (data_functions.replay, {"filename": "events.npz", "repeat": "yes"}, SetupError, "whole number"),
        (data_functions.replay, {"filename": "events.npz", "fields": ["a"]}, SetupError, "a map of fields"),
        (
            data_functions.replay,
            {"filename": "events.npz", "keep_metadata": True},
            DataFileError,
            "leave the key",
        ),
        (
            data_functions.replay,
            {"filename": "events.npz", "by_recorded_time": True},
            DataFileError,
            "leave the",
        ),
        (
            data_functions.replay,
            {"filename": "events.mimo", "by_recorded_time": True, "rate": 5},
            SetupError,
            "left out with by_recorded_time",
        ),
        (
            data_functions.replay,
            {"filename": "events.npz", "rate": 9, "distribution": "normal"},
            SetupError,
            "uniform or poisson",
        ),
        (data_functions.clocked_importer, {"filename": "events.mimo"}, SetupError, "`rate` is missing"),
        (data_functions.clocked_importer, {"filename": "x.npz", "rate": 1}, SetupError, "of a .mimo file"),
        (data_functions.simulate_importer, {}, DataFileError, "raw.mimo: there is no such file"),
    ],
)
def test_wrong_configs_are_refused(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    function: Any,
    config: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    record(bench)
    monkeypatch.chdir(bench.directory)
    bench.buffer("raw", WAVES, 16)
    with pytest.raises(kind, match=message):
        function(bench.io(sinks=("raw",), **config))


def test_an_empty_file_cannot_be_repeated_without_end(bench: Bench) -> None:
    np.save(bench.directory / "events.npy", SENT[:0])
    bench.buffer("raw", WAVES, 16)
    with pytest.raises(DataFileError, match="holds no events"):
        data_functions.replay(bench.io(sinks=("raw",), filename="events.npy", repeat=True))


def simulate(bench: Bench, sink: str = "raw", **config: Any) -> tuple[np.ndarray, np.ndarray]:
    bench.buffer(sink, [("ch1", "f4"), ("ch2", "f4")], 4000, slots=16)
    result = bench.collect(sink)
    simulators.muons(bench.io(sinks=(sink,), **config))
    return result()


def test_simulated_muons_decay_with_their_lifetime(bench: Bench) -> None:
    metadata, data = simulate(bench, events=1500, seed=7, background_share=0.0)
    assert metadata["counter"].tolist() == list(range(1500))
    assert (data["ch2"] == 0).all()
    times = double_pulses(data["ch1"])["tau_us"]
    assert np.mean(times[times > 0.5]) - 0.5 == pytest.approx(2.197, abs=0.2)


def test_simulated_muons_are_the_same_for_a_seed(bench: Bench) -> None:
    _, first = simulate(bench, events=100, seed=3)
    _, second = simulate(bench, "other", events=100, seed=3)
    assert first.tobytes() == second.tobytes()


def test_simulated_muons_come_at_their_rate(bench: Bench) -> None:
    start_s = time.monotonic()
    metadata, _ = simulate(bench, events=200, seed=3, rate=500, distribution="uniform", channel="ch2")
    assert 0.35 < time.monotonic() - start_s < 5
    assert len(metadata) == 200


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channel": "ch9"}, "a field of raw: ch1, ch2"),
        ({"polarity": 0}, "-1 or 1"),
        ({"trigger_sample": 4000}, "below the data_length of raw, 4000"),
        ({"double_share": 1.5}, "from 0 to 1"),
        ({"mean_height": 0.01}, "above smallest_height, 0.05"),
        ({"rise_time_ns": 100}, "above rise_time_ns, 100"),
        ({"events": -1}, "not below 1"),
        ({"noise": -1}, "not below 0"),
        ({"lifetime_us": float("nan")}, "a number above 0"),
        ({"seed": "x"}, "not below 0"),
    ],
)
def test_wrong_simulations_are_refused(bench: Bench, config: dict[str, Any], message: str) -> None:
    bench.buffer("raw", [("ch1", "f4"), ("ch2", "f4")], 4000, slots=16)
    with pytest.raises(SetupError, match=message):
        simulators.muons(bench.io(sinks=("raw",), **config))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.npy", None, "there is no such file"),
        ("cut.npz", b"PK\x03\x04 and no end", "is damaged or cut short"),
        ("cut.parquet", b"PAR1 and no end", "is damaged or cut short"),
        ("other.mimo", b"PAR1", "it begins as a .parquet file does"),
        ("double.npy", np.zeros((3, 4)), "cannot hold without loss"),
        ("short.npy", np.zeros((3, 2), "f4"), "write `data_length: 2`"),
        ("right.npy", np.zeros((3, 4), "f4"), None),
    ],
)
def test_a_look_at_a_data_file_tells_before_the_run_what_is_wrong(
    tmp_path: Path, name: str, content: Any, problem: str | None
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / name, content)
    sink = SimpleNamespace(name="raw", data_length=4, data_dtype=np.dtype([("ch1", "f4")]))
    known: dict[str, Any] = {"sources": [], "sinks": [sink], "observes": [], "complete": True}
    for files in (True, False):
        problems = data_functions.REPLAY.problems(
            {"filename": name}, **known, setup_dir=tmp_path, files=files
        )
        said = " ".join(f"{found.key}: {found.what}; {found.remedy}" for found in problems)
        assert said.startswith("filename: ") if problem and files else said == ""
        assert not files or (problem or "") in said


def test_a_table_of_pandas_fills_a_buffer(bench: Bench) -> None:
    bench.buffer("pulses", [("tau", "f8")])
    pd.DataFrame({"time": [1.0, 2.0, 3.0]}).to_parquet(bench.directory / "table.parquet")
    result = bench.collect("pulses")
    data_functions.replay(bench.io(sinks=("pulses",), filename="table.parquet", fields={"tau": "time"}))
    assert result()[1]["tau"][:, 0].tolist() == [1, 2, 3]
