"""Each fault of version 2 has a test here, named after it, of what is right."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
import pytest
from mimocorb_dist.functions.data import mimoFile

from mimocorb_dist.control import Control
from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring.runtime import runtime_directories
from tests.classic.running import Run, change, completed, copy_of, result, runs_in, started
from tests.support import eventually, mimocorb_node

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.running import Started

EVENTS = 600
RECORDED = 200


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of("faults_2", tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def whole(lab: Path) -> Run:
    """A run in which much could go wrong."""
    dtype = np.dtype([("n", "i8")])
    with mimoFile(lab / "recorded.mimo", dtype, 1, mode="write") as file:
        metadata = np.zeros(1, file.metadata_dtype)
        for number in range(RECORDED):
            file.write_data(np.array([number]).view(dtype), metadata)
    return completed(lab / "setup.yaml")


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """The setup of a chain of workers that can be made to fail."""
    return copy_of("faults_2", tmp_path) / "one_by_one.yaml"


def configure(setup: Path, worker: str, **config: Any) -> None:
    change(setup, lambda document: document["Workers"][worker].update(config=config))


def lines(run: Run, name: str) -> list[list[str]]:
    return [line.split() for line in (run.directory / f"{name}.txt").read_text().splitlines()]


def numbers(run: Run, name: str) -> list[int]:
    return [int(float(line[1])) for line in lines(run, name)]


def saved(run: Run) -> list[list[int]]:
    texts = [path.read_text() for path in sorted(run.directory.glob("saved.*.txt"))]
    return sorted([int(word) for word in line.split()] for text in texts for line in text.splitlines())


def processes_of(run: Started) -> list[psutil.Process]:
    return psutil.Process(run.process.pid).children(recursive=True)


def test_a_filter_with_a_list_publishes_stale_slots_for_false(whole):
    assert whole.buffers["never"]["written"] == 0
    assert numbers(whole, "save_never") == []
    assert sorted(numbers(whole, "save")) == list(range(1, EVENTS, 2))


def test_with_several_processes_the_first_to_finish_flushes_the_sinks(whole):
    """The last events of a slow process come through, too."""
    books = whole.buffers
    assert books["even"]["written"] == books["odd"]["written"] == EVENTS // 2
    assert max(numbers(whole, "save")) == EVENTS - 1


def test_observers_take_an_event_and_put_it_back_at_the_end(whole):
    """They change neither order nor number of events, and a buffer with one slot goes on beside them."""
    for name in ("watch", "watch_single"):
        *seen, end = lines(whole, name)
        assert end == ["end"]
        counters = [int(counter) for counter, _ in seen]
        assert counters == sorted(counters) or name == "watch_single"  # four processes write there
        assert all(counter == number for counter, number in seen)
        assert len(seen) < EVENTS
    assert whole.buffers["single"]["read"] == EVENTS // 2
    copied = [number for number in numbers(whole, "save") if number < 550]
    assert np.max(np.abs(np.diff(copied))) < 40  # nothing was put back to the end


def test_poisson_waits_0_or_1_s_instead_of_exponentially(whole):
    times = [float(line[2]) for line in lines(whole, "save_random")]
    waits = np.diff(times)
    assert len(times) == RECORDED
    assert 0.5 / 200 < np.mean(waits) < 3 / 200
    assert np.max(waits) < 0.5
    assert len(np.unique(np.round(waits, 4))) > 20


def test_an_exception_in_a_user_function_loses_a_slot_and_drops_the_rest(chain):
    """With `on_error: skip` that event is put aside, and all others come through."""
    configure(chain, "source", events=100)
    configure(chain, "pass_on", fails_at=50)
    change(chain, lambda document: document["Workers"]["pass_on"].update(on_error="skip"))
    with started(chain) as process:
        output = process.ends(0)
    run = result(chain, output)
    assert [row[0] for row in saved(run)] == [n for n in range(100) if n != 50]
    assert run.buffers["raw"]["rescued"] == 1
    assert "ValueError: at this event" in output


def test_sigkill_of_a_worker_blocks_its_group_or_loses_slots(chain):
    configure(chain, "source", events=600, pause=0.003)
    change(chain, lambda document: document["Workers"]["pass_on"].update(number_of_processes=2))
    with started(chain) as process:
        for count in (60, 200):
            process.until("good", count)
            process.workers("pass_on")[0].kill()
        output = process.ends(0)
    run = result(chain, output)
    assert [row[0] for row in saved(run)] == list(range(600))
    assert run.buffers["raw"]["lost"] == run.buffers["good"]["lost"] == 0


def test_numpy_bool_from_a_filter_is_a_type_error(whole):
    assert whole.buffers["third"]["written"] == EVENTS // 6


def test_an_exception_while_writing_publishes_a_half_filled_event(chain):
    configure(chain, "source", events=30)
    configure(chain, "pass_on", fails_at=20)
    change(
        chain,
        lambda document: document["Workers"]["pass_on"].update(function="pass_on_by_hand", on_error="skip"),
    )
    with started(chain) as process:
        output = process.ends(0)
    run = result(chain, output)
    assert all(len(set(row)) == 1 for row in saved(run))
    assert 20 not in [row[0] for row in saved(run)]


def test_a_worker_that_raises_at_start_blocks_everything_above_it(chain):
    """The run ends at once, with a message that names the line."""
    configure(chain, "pass_on", fails_at_start=True)
    with started(chain) as process:
        output = process.ends(1, 30.0)
    assert "pass_on" in output
    assert "ValueError: at the start (failing.py:" in output


def test_more_than_64_kb_of_prints_never_ends(whole):
    assert "x" * 200_000 in (whole.directory / "logs" / "third.log").read_text()


def test_with_stdin_closed_a_run_never_returns(chain):
    configure(chain, "source", events=10)
    command = f"exec {sys.executable} -m mimocorb_dist start {chain} -c kbd+stats <&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout
    assert len(saved(result(chain))) == 10


@pytest.mark.parametrize("stays_open", [True, False])
def test_exit_in_the_first_second(chain, stays_open):
    """It is heard, whether more may be typed or not; without it the run would never end."""
    with started(chain, "-c", "kbd", stdin=subprocess.PIPE) as process:
        process.process.stdin.write("exit\n")
        process.process.stdin.flush()
        if not stays_open:
            process.process.stdin.close()
        process.process.wait(30)
        assert process.process.returncode == 0
        assert "run" in process.process.stdout.read()
    assert not runs_in(chain.parent / "target")


def test_shutdown_roots_on_a_full_buffer_loses_the_event_being_written(chain):
    configure(chain, "save", pause=0.01)
    with started(chain, "-c", "kbd", stdin=subprocess.PIPE) as process:
        process.until("good", 30)
        assert process.overview()["buffers"]["raw"]["fill"] > 0.5
        process.process.stdin.write("shutdown roots\n")
        process.process.stdin.flush()
        process.process.wait(30)
        output = process.process.stdout.read()
        assert process.process.returncode == 0, output
    run = result(chain, output)
    run.assert_good()
    rows = saved(run)
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert len(rows) == run.buffers["raw"]["written"]


def test_user_files_of_one_name_in_two_folders_collide(whole):
    """Both files `numbers_.py` did their work."""
    assert whole.buffers["raw"]["written"] == EVENTS
    assert whole.buffers["even"]["written"] + whole.buffers["odd"]["written"] == EVENTS


def test_a_user_file_named_like_a_prebuilt_module_collides(whole):
    """The prebuilt exporters.csv worked beside exporters.py of the user, whose drain writes files."""
    assert (whole.directory / "texts.csv").exists()
    assert (whole.directory / "save.txt").exists()


def test_two_starts_in_one_second(chain):
    configure(chain, "source", events=20)
    with started(chain) as first, started(chain) as second:
        outputs = first.ends(0), second.ends(0)
    directories = runs_in(chain.parent / "target")
    assert len(directories) == 2
    for directory in directories:
        assert [row[0] for row in saved(Run(directory, outputs[0]))] == list(range(20))


def test_sigterm_leaves_orphans_and_shared_memory(chain):
    with started(chain) as process:
        process.until("good", 20)
        children, memory = processes_of(process), process.runtime_directories()
        assert len(children) >= 4 and memory
        process.process.send_signal(signal.SIGTERM)
        output = process.ends(0)
        eventually(lambda: not any(child.is_running() for child in children), 10.0)
        assert not set(memory) & set(runtime_directories())
    result(chain, output).assert_good()


def test_only_fork_works(whole):
    """Workers share no code with their node; a function may start processes in another way."""
    assert whole.buffers["third"]["written"] > 0  # its worker used a pool of spawned processes before


def test_csv_with_string_fields(whole):
    table = pd.read_csv(whole.directory / "texts.csv")
    assert list(table) == ["counter", "timestamp", "deadtime", "n", "text", "code"]
    assert sorted(table["n"]) == list(range(0, EVENTS, 6))
    assert table["text"].tolist() == [f'no. "{int(n)}", ä' for n in table["n"]]
    assert set(table["code"]) == {"a,b"}


def test_no_validation_of_buffers(chain):
    """Formerly KeyError: 'slot_count'."""
    change(chain, lambda document: document["Buffers"]["raw"].pop("slot_count"))
    done = mimocorb_node("start", chain)
    assert done.returncode == 2
    assert f"{chain}:" in done.stderr and "slot_count" in done.stderr
    with pytest.raises(SetupError, match="slot_count"):
        Control.from_setup_file(chain)
    assert not runs_in(chain.parent / "target")


def test_a_mistyped_key_is_ignored(chain):
    change(chain, lambda document: document["Workers"]["save"].update(source=["good"]))
    change(chain, lambda document: document["Workers"]["save"].pop("sources"))
    done = mimocorb_node("check", chain)
    assert done.returncode == 2
    assert "unknown key 'source'; did you mean 'sources'?" in done.stderr


def test_the_fill_level_never_returns_to_0(whole):
    assert whole.buffers["raw"]["max_fill"] > 0
    table = pd.read_csv(whole.directory / "stats.csv")
    columns = [column for column in table if "filled_slots" in str(column)]
    assert len(columns) == len(whole.buffers)
    assert table[columns].iloc[-1].tolist() == [0.0] * len(columns)
