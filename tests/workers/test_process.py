"""Real worker processes: how they start, work, stop, fail and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mimocorb_dist.ring import BufferReader
from tests.support import eventually
from tests.workers.harness import SUM, contents, counters, feed, job_for

IMPORT_TEN = """
    from mimocorb_dist import Importer

    def work(io):
        def ufunc():
            for number in range(10):
                yield number
            yield None
        Importer(io)(ufunc)
"""
FILTER_EVEN = """
    from mimocorb2 import Filter

    def work(io):
        Filter(io)(lambda data: data["a"][0] % 2 == 0)
"""


def test_an_importer_publishes_its_events_and_ends_the_stream(bench, start):
    raw = bench.ring()
    worker = start(dedent(IMPORT_TEN), "work", sinks=[raw]).go()
    assert worker.expect("finished")["events"] == 10
    assert worker.ended() == 0
    assert raw.ended
    assert counters(raw) == list(range(10))
    assert raw.statistics().live_time_s > 0


def test_a_filter_reads_until_the_stream_ends(bench, start):
    raw, chosen = bench.ring(), bench.ring("chosen")
    worker = start(dedent(FILTER_EVEN), "work", sources=[raw], sinks=[chosen]).go()
    feed(raw, 9)
    assert worker.expect("finished")["events"] == 9
    assert worker.ended() == 0
    assert counters(chosen) == [0, 2, 4, 6, 8]


def test_nothing_happens_before_the_start_is_ordered(bench, start):
    raw = bench.ring()
    worker = start(dedent(IMPORT_TEN), "work", sinks=[raw])
    worker.expect("ready")
    assert raw.statistics().written == 0
    worker.control.close()  # the node is gone before it ordered anything
    assert worker.ended() == 1
    assert raw.statistics().written == 0


def test_a_prebuilt_function_has_made_everything_ready_before_it_says_so(bench, start, tmp_path):
    worker = start(None, "exporters.histogram", sources=[bench.ring()], config={"bins": {"a": [0, 1, 5]}})
    worker.expect("failed")  # the ring's events have 4 values
    assert worker.ended() == 2, "it could not start"
    raw = bench.ring("one", length=1)
    worker = start(None, "exporters.histogram", sources=[raw], number=1, config={"bins": {"a": [0, 1, 5]}})
    worker.expect("ready")
    assert "boost_histogram" in Path(f"/proc/{worker.pid}/maps").read_text()
    assert next(tmp_path.glob("Histograms_one*/info.csv")).is_file()
    feed(raw, 3)
    worker.control.send(do="go")
    worker.expect("running")
    assert worker.expect("finished")["events"] == 3


def test_sigterm_before_the_start_is_ordered_ends_a_prebuilt_function(bench, start):
    worker = start(None, "exporters.csv", sources=[bench.ring("one", length=1)])
    worker.expect("ready")
    worker.terminate()
    assert worker.expect("finished")["events"] == 0
    assert worker.ended() == 0


def test_processes_show_run_node_worker_and_number(bench, start):
    raw = bench.ring()
    worker = start(dedent(FILTER_EVEN), "work", sources=[raw], sinks=[bench.ring("chosen")], number=3)
    worker.expect("ready")
    command = Path(f"/proc/{worker.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert command[-4:] == [b"run_2026-01-01_00-00-00", b"here", b"find", b"3"]
    assert Path(f"/proc/{worker.pid}/comm").read_text() == "find.3\n"


def test_a_function_knows_which_process_of_which_run_it_is(start):
    code = "def work(io):\n    print(io.run_id, io.node, io.number, io.processes)\n"
    worker = start(code, "work", run_id="20260101T120000-abcdef", number=1, processes=2).go()
    worker.expect("finished")
    assert worker.output == "20260101T120000-abcdef here 1 2\n"


def test_counts_are_reported_while_it_works(bench, start):
    raw = bench.ring()
    code = "from mimocorb_dist import Exporter\ndef work(io):\n    for _ in Exporter(io): pass\n"
    worker = start(code, "work", sources=[raw]).go()
    writer = feed(raw, 5, close=False)
    message = worker.status.read(10)
    assert message == {"state": "counts", "events": 5}
    writer.close()
    assert worker.expect("finished")["events"] == 5


# How it ends before the stream does.


def test_sigterm_leaves_a_blocking_source(bench, start):
    code = """
        import time
        from mimocorb_dist import Importer

        def work(io):
            def ufunc():
                try:
                    yield 1
                    yield 2
                    time.sleep(1000)
                finally:
                    print("closed the device")
            Importer(io)(ufunc)
    """
    raw = bench.ring()
    worker = start(dedent(code), "work", sinks=[raw]).go()
    eventually(lambda: raw.statistics().written == 2)
    worker.terminate()
    assert worker.expect("finished", 5)["events"] == 2
    assert worker.ended() == 0
    assert counters(raw) == [0, 1]
    assert "closed the device" in worker.output


def test_an_event_that_waits_for_a_slot_is_published_after_sigterm(bench, start):
    raw = bench.ring(slots=4)
    worker = start(dedent(IMPORT_TEN), "work", sinks=[raw]).go()
    eventually(lambda: raw.statistics().filled == 4)
    worker.terminate()
    eventually(lambda: _sigterm_was_seen(worker))
    reader = BufferReader(raw)
    taken = [_take(reader)]
    assert worker.expect("finished", 5)["events"] == 5
    while raw.statistics().undelivered["readers"]:
        taken.append(_take(reader))
    assert taken == [0, 1, 2, 3, 4]
    reader.close()


def _take(reader: BufferReader) -> int:
    with reader as (metadata, _):
        return int(metadata["counter"][0])


def test_a_ring_that_is_stopping_ends_its_importer(bench, start):
    code = """
        import itertools
        from mimocorb_dist import Importer

        def work(io):
            Importer(io)(itertools.count)
    """
    raw = bench.ring()
    reader = BufferReader(raw)
    worker = start(dedent(code), "work", sinks=[raw]).go()
    for expected in range(200):
        assert _take(reader) == expected
    raw.request_stop()
    rest = 0
    while True:
        with reader as (_, data):
            if data is None:
                break
            rest += 1
    assert worker.expect("finished")["events"] == 200 + rest
    reader.close()


def test_sigterm_ends_a_filter_that_waits_for_events(bench, start):
    raw, chosen = bench.ring(), bench.ring("chosen")
    worker = start(dedent(FILTER_EVEN), "work", sources=[raw], sinks=[chosen]).go()
    writer = feed(raw, 2, close=False)
    eventually(lambda: raw.statistics().read["readers"] == 2)
    worker.terminate()
    assert worker.expect("finished", 5)["events"] == 2
    assert chosen.ended
    writer.close()


def test_after_sigterm_an_exporter_finishes_its_event_and_its_file(bench, start, tmp_path):
    code = """
        import time
        from mimocorb_dist import Exporter

        def work(io):
            with open(io.run_dir / "out.txt", "w") as out:
                for data, metadata in Exporter(io):
                    (io.run_dir / "busy").touch()
                    time.sleep(0.3)
                    out.write(f"{metadata['counter'][0]}\\n")
                out.write("end\\n")
    """
    raw = bench.ring()
    worker = start(dedent(code), "work", sources=[raw]).go()
    writer = feed(raw, 3, close=False)
    eventually((tmp_path / "busy").exists)
    worker.terminate()
    assert worker.expect("finished", 5)["events"] == 1
    assert (tmp_path / "out.txt").read_text() == "0\nend\n"
    assert worker.ended() == 0
    assert raw.statistics().undelivered["readers"] == 2
    writer.close()


def test_sigterm_ends_a_function_without_templates(bench, start):
    code = """
        import time

        def work(io):
            with io.write[0] as (metadata, data):
                data["a"] = 7
                metadata["counter"] = 3
            time.sleep(1000)
    """
    raw = bench.ring()
    worker = start(dedent(code), "work", sinks=[raw]).go()
    eventually(lambda: raw.statistics().written == 1)
    worker.terminate()
    worker.expect("finished", 5)
    assert worker.ended() == 0
    assert counters(raw) == [3]


def test_a_second_sigterm_ends_the_process_at_once(bench, start):
    code = """
        import time
        from mimocorb_dist import Filter

        def work(io):
            def ufunc(data):
                print("at work")
                time.sleep(1000)
            Filter(io)(ufunc)
    """
    raw = bench.ring()
    worker = start(dedent(code), "work", sources=[raw], sinks=[bench.ring("chosen")]).go()
    feed(raw, 1)
    eventually(lambda: "at work" in worker.output)
    worker.terminate()
    eventually(lambda: _sigterm_was_seen(worker))
    worker.terminate()
    assert worker.ended() == -signal.SIGTERM


def _sigterm_was_seen(worker) -> bool:
    """The handler of the first signal has run: none is pending."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    pending = [line for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return all(int(line.split()[1], 16) == 0 for line in pending)


def test_sigint_is_left_to_the_node(bench, start):
    raw, chosen = bench.ring(), bench.ring("chosen")
    worker = start(dedent(FILTER_EVEN), "work", sources=[raw], sinks=[chosen]).go()
    worker.process.send_signal(signal.SIGINT)
    feed(raw, 3)
    worker.expect("finished")
    assert counters(chosen) == [0, 2]


def test_the_event_limit_is_exact_for_templates_and_for_plain_functions(bench, start):
    plain = """
        def work(io):
            number = 0
            while True:
                with io.write[0] as (metadata, data):
                    metadata["counter"] = number
                number += 1
    """
    for code in (IMPORT_TEN, plain):
        raw = bench.ring("raw" if code is IMPORT_TEN else "plain")
        raw.limit_events(7)
        worker = start(dedent(code), "work", sinks=[raw]).go()
        worker.expect("finished")
        assert worker.ended() == 0
        assert counters(raw) == list(range(7))
        worker.close()


def test_an_importer_whose_node_has_died_ends(bench, tmp_path):
    code = """
        import time
        from mimocorb_dist import Importer

        def work(io):
            def ufunc():
                yield 1
                time.sleep(1000)
            Importer(io)(ufunc)
    """
    raw = bench.ring()
    pid = _start_below_a_node_that_dies(code, tmp_path, sinks=[raw])
    eventually(lambda: not _is_running(pid))
    assert raw.ended
    assert counters(raw) == [0]


def test_a_worker_whose_node_has_died_ends_though_nobody_makes_room_for_its_event(bench, tmp_path):
    raw, chosen = bench.ring(), bench.ring("chosen", slots=2)
    feed(raw, 5)
    pid = _start_below_a_node_that_dies(FILTER_EVEN, tmp_path, sources=[raw], sinks=[chosen])
    eventually(lambda: not _is_running(pid), timeout_s=8)
    assert counters(chosen) == [0, 2]


def _start_below_a_node_that_dies(code, tmp_path, **rings):
    """Start a worker as the child of a process that ends at once; return the worker's process id."""
    launcher = """
        import os, subprocess, sys
        from tests.workers.harness import WorkerProcess
        from mimocorb_dist.workers.job import WorkerJob
        from pathlib import Path

        job = WorkerJob.from_json(Path(sys.argv[1]).read_text())
        worker = WorkerProcess(job, Path(sys.argv[2])).go()
        print(worker.pid, flush=True)
        os._exit(0)
    """
    file = tmp_path / "source.py"
    file.write_text(dedent(code))
    job_path = tmp_path / "job.json"
    job_path.write_text(job_for(tmp_path, "work", file, **rings).to_json())
    node = subprocess.run(
        [sys.executable, "-c", dedent(launcher), str(job_path), str(tmp_path)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return int(node.stdout)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# How it fails.


def test_an_error_of_the_user_is_reported_with_its_place_and_the_event_is_kept(bench, start, tmp_path):
    code = """
        from mimocorb_dist import Filter

        def check(value):
            if value == 2:
                raise ValueError("two is not allowed")
            return True

        def work(io):
            Filter(io)(lambda data: check(data["a"][0]))
    """
    raw, chosen = bench.ring(), bench.ring("chosen")
    (tmp_path / "logs").mkdir()
    worker = start(dedent(code), "work", sources=[raw], sinks=[chosen]).go()
    feed(raw, 5)
    failure = worker.expect("failed")
    assert failure["error"] == "event 2: ValueError: two is not allowed"
    assert failure["where"] == "find.py:6"
    assert "in check" in failure["traceback"]
    assert "mimocorb_dist" not in failure["traceback"], "what is ours does not help the user"
    assert worker.ended() == 1
    assert not chosen.ended, "the node decides whether the stream ends"
    assert raw.statistics().read["readers"] == 2
    raw.recover(worker.pid)
    assert counters(raw) == [2, 3, 4]
    assert worker.output.count("ValueError: two is not allowed") == 1


def test_an_error_raised_on_purpose_is_told_without_traceback_in_the_log_only(bench, start, tmp_path):
    (tmp_path / "logs").mkdir()
    worker = start(None, "data.replay", sinks=[bench.ring()], config={"filename": "none.npz"})
    failure = worker.expect("failed")
    assert failure["error"] == f"{tmp_path}/none.npz: there is no such file; check `filename`"
    assert (failure["where"], failure["traceback"]) == ("", "")
    assert worker.ended() == 2
    assert worker.output == "", "the node shows it on the terminal"
    assert (tmp_path / "logs" / "find.log").read_text() == f"ERROR find.0: {failure['error']}\n"


def test_a_full_disk_is_told_with_its_place_and_without_traceback(bench, start, tmp_path):
    code = """
        from mimocorb_dist import Exporter

        def work(io):
            for data, metadata in Exporter(io):
                try:
                    with open("/dev/full", "w") as file:
                        file.write("event")
                except OSError as error:
                    error.add_note("half of it is there")
                    raise
    """
    raw = bench.ring()
    (tmp_path / "logs").mkdir()
    worker = start(dedent(code), "work", sources=[raw]).go()
    feed(raw, 1)
    failure = worker.expect("failed")
    what = f"event 0: No space left on device: {tmp_path}"
    assert failure["error"] == f"{what}; half of it is there; free space and start again"
    assert (failure["where"], failure["traceback"]) == ("find.py:7", "")
    assert worker.ended() == 1


@pytest.mark.parametrize("template", ["Exporter", "BatchExporter"])
@pytest.mark.parametrize("loop", ["{}(io)", "iter({}(io))", "list({0}.__mro__) and {0}(io)"])
def test_an_error_in_the_body_of_an_exporters_loop_keeps_the_event(bench, start, template, loop):
    code = f"""
        from mimocorb_dist import {template}

        def work(io):
            for data, metadata in {loop.format(template)}:
                if 2 in metadata["counter"]:
                    raise RuntimeError("disk full")
    """
    raw = bench.ring()
    feed(raw, 5)
    worker = start(dedent(code), "work", sources=[raw]).go()
    failure = worker.expect("failed")
    which = "event 2" if template == "Exporter" else "events 0 to 4"
    assert failure["error"] == f"{which}: RuntimeError: disk full"
    assert failure["where"] == "find.py:7"
    assert worker.ended() == 1
    raw.recover(worker.pid)
    kept = counters(raw)
    assert kept == ([2, 3, 4] if template == "Exporter" else [0, 1, 2, 3, 4])


def test_a_value_that_cannot_be_used_is_reported_with_the_place_of_the_function(bench, start):
    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 1)
    code = """
        from mimocorb_dist import Filter

        def decide(data):
            return data["a"] > 2

        def work(io):
            Filter(io)(decide)
    """
    worker = start(dedent(code), "work", sources=[raw], sinks=[chosen]).go()
    failure = worker.expect("failed")
    assert failure["where"] == "find.py:4"
    assert failure["error"].startswith(
        "event 0: the filter function returned an array of shape (4,) and dtype bool, not True"
    )


def test_a_file_that_does_not_import_is_a_failure_before_the_start(start):
    worker = start("import this_is_not_there\n", "work")
    failure = worker.expect("failed")
    assert "this_is_not_there" in failure["error"]
    assert failure["where"] == "find.py:1"
    assert worker.ended() == 2


def test_a_syntax_error_names_its_line(start):
    worker = start("x = 1\ndef work(io:\n    pass\n", "work")
    assert worker.expect("failed")["where"].startswith("find.py:2")
    assert worker.ended() == 2


def test_a_function_that_is_not_there_is_named_with_its_nearest(start):
    worker = start("def find_pulses(io):\n    pass\n", "find_pulse")
    assert "do you mean 'find_pulses'?" in worker.expect("failed")["error"]
    assert worker.ended() == 2


def test_a_ring_that_is_gone_is_a_failure_before_the_start(bench, start, tmp_path):
    raw = bench.ring()
    raw.unlink()
    worker = start(dedent(IMPORT_TEN), "work", sinks=[raw])
    assert "raw.ring" in worker.expect("failed")["error"]
    assert worker.ended() == 2


def test_a_setup_error_of_a_template_is_reported(bench, start):
    worker = start(dedent(FILTER_EVEN), "work", sources=[bench.ring()], sinks=[]).go()
    assert worker.expect("failed")["error"].startswith("Filter needs 1 or more sinks")
    assert worker.ended() == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def work(io):\n    yield 1\n", "goes to an Importer"),
        ("async def work(io):\n    pass\n", "not `async def`"),
    ],
)
def test_a_function_that_only_returns_a_generator_is_told(start, code, words):
    worker = start(code, "work").go()
    error = worker.expect("failed")["error"]
    assert "has done nothing but return a" in error
    assert words in error
    assert worker.ended() == 1


def test_a_function_that_takes_something_else_is_told_before_the_start(start):
    worker = start("def work():\n    pass\n", "work")
    assert "work() cannot be called with one argument" in worker.expect("failed")["error"]
    assert worker.ended() == 2


def test_leaving_by_sys_exit_is_good_with_zero_only(bench, start):
    for number, (argument, state) in enumerate((("", "finished"), ("'no device'", "failed"))):
        worker = start(f"import sys\ndef work(io):\n    sys.exit({argument})\n", "work", number=number).go()
        worker.expect(state)
        assert worker.ended() == (0 if state == "finished" else 1)


def test_a_failure_tells_event_and_text_of_sys_exit_and_how_many_events_were_handled(bench, start):
    code = """
        import sys
        from mimocorb_dist import Filter
        def work(io):
            Filter(io)(lambda data: data["a"][0] == 2 and sys.exit("no calibration"))
    """
    raw, same = bench.ring(), bench.ring("same")
    feed(raw, 4)
    failed = start(dedent(code), "work", sources=[raw], sinks=[same]).go().expect("failed")
    assert failed["error"] == "event 2: SystemExit: no calibration"
    assert failed["events"] == 2


def test_sinks_left_open_are_closed_when_the_function_returns(bench, start):
    code = """
        def work(io):
            with io.read[0] as (metadata, data):
                with io.write[0] as (metadata_out, data_out):
                    data_out["sum"] = data["a"].sum()
                    metadata_out[:] = metadata
    """
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    feed(raw, 2)
    worker = start(dedent(code), "work", sources=[raw], sinks=[sums]).go()
    worker.expect("finished")
    assert sums.ended
    assert [(counter, data["sum"][0]) for counter, data in contents(sums)] == [(0, 0.0)]


# Where it lives.


def test_streams_and_backend(start):
    code = """
        import logging, os, sys

        def work(io):
            assert os.readlink("/proc/self/fd/0") == "/dev/null"
            assert sys.stdin.read() == ""
            print("backend", os.environ.get("MPLBACKEND"))
            io.logger.info("seen")
            io.logger.debug("not seen")
            assert "matplotlib" not in sys.modules
            assert "zmq" not in sys.modules
    """
    worker = start(dedent(code), "work", {"DISPLAY": "", "WAYLAND_DISPLAY": "", "MPLBACKEND": ""})
    worker.go().expect("finished")
    assert "backend Agg" in worker.output
    assert "INFO find.0: seen" in worker.output
    assert "not seen" not in worker.output


def test_much_output_reaches_the_log_whole(bench, start):
    code = "def work(io):\n    for number in range(20000):\n        print('line', number)\n"
    worker = start(code, "work").go()
    worker.expect("finished")
    assert worker.ended() == 0
    assert worker.output.splitlines()[-1] == "line 19999"
    assert len(worker.output.splitlines()) == 20000


def test_a_users_file_may_be_named_like_a_prebuilt_module_and_import_its_neighbours(start, tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "helpers.py").write_text("def answer():\n    return 42\n")
    code = """
        import helpers
        from mimocorb_dist.functions import misc
        import mimocorb2.functions.misc

        def copy(io):
            from helpers import answer
            assert answer() == 42
            assert mimocorb2.functions.misc is misc
            assert misc.copy is not copy
    """
    start(dedent(code), "copy", file=tmp_path / "modules" / "misc.py").go().expect("finished")


def test_files_of_one_name_in_two_folders_do_not_collide(start, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "find.py").write_text("WHERE = 'a'\n")
    code = """
        import sys
        sys.path.insert(0, sys.path[0][:-1] + "a")
        import find

        def work(io):
            print(find.WHERE, __name__ != find.__name__)
    """
    worker = start(dedent(code), "work", file=tmp_path / "b" / "find.py").go()
    worker.expect("finished")
    assert "a True" in worker.output


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_user_functions_can_use_multiprocessing(start, method):
    code = """
        import multiprocessing
        from dataclasses import dataclass
        from mimocorb2 import Importer

        @dataclass
        class Pulse:
            height: float

        def double(pulse):
            return Pulse(2 * pulse.height)

        def work(io):
            context = multiprocessing.get_context(io["method"])
            with context.Pool(1) as pool:
                print(pool.map(double, [Pulse(1.5)]))
    """
    worker = start(dedent(code), "work", config={"method": method}).go()
    worker.expect("finished", 30)
    assert worker.ended() == 0
    assert "[Pulse(height=3.0)]" in worker.output


def test_a_child_of_a_worker_can_be_terminated(start):
    code = """
        import multiprocessing, time

        def wait():
            time.sleep(1000)

        def work(io):
            child = multiprocessing.get_context("fork").Process(target=wait)
            child.start()
            child.terminate()
            child.join()
            print("exit status", child.exitcode)
    """
    worker = start(dedent(code), "work").go()
    worker.expect("finished", 10)
    assert f"exit status {-signal.SIGTERM}" in worker.output


def test_the_older_way_of_declaring_a_worker(bench, start):
    code = """
        from mimocorb2.worker_templates import Importer

        def work(*mimo_args):
            importer = Importer(mimo_args)
            config = importer.config
            example = importer.writer.data_example
            def ufunc():
                for number in range(config["n_events"]):
                    example[:] = number
                    yield example
                yield None
            importer.set_ufunc(ufunc)
            importer()
            print(config["name"], config["run_directory"], importer.writer.name)
    """
    raw = bench.ring()
    worker = start(dedent(code), "work", sinks=[raw], config={"n_events": 3}).go()
    worker.expect("finished")
    assert counters(raw) == [0, 1, 2]
    assert f"find {worker.output_path.parent} raw" in worker.output


def test_two_processes_share_the_events_and_the_last_to_end_ends_the_stream(bench, start):
    raw, chosen = bench.ring(slots=256), bench.ring("chosen", slots=256)
    chosen.expect_writers(2)
    workers = [
        start("from mimocorb_dist import Filter\ndef work(io):\n    Filter(io)(lambda data: True)\n",
              "work", sources=[raw], sinks=[chosen], number=number).go()
        for number in range(2)
    ]  # fmt: skip
    feed(raw, 200)
    assert sum(worker.expect("finished")["events"] for worker in workers) == 200
    assert sorted(counters(chosen)) == list(range(200))


def test_files_are_not_left_to_children(start):
    """A program started by a user function inherits neither of the pipes."""
    code = """
        import subprocess
        def work(io):
            print(subprocess.run(["ls", "/proc/self/fd"], capture_output=True, text=True).stdout.split())
    """
    worker = start(dedent(code), "work").go()
    worker.expect("finished")
    assert "['0', '1', '2', '3']" in worker.output


def test_a_writer_that_never_wrote_is_counted_as_closed(bench, start):
    raw = bench.ring()
    start("def work(io):\n    pass\n", "work", sinks=[raw]).go().expect("finished")
    assert raw.ended
    with BufferReader(raw) as (metadata, data):
        assert metadata is data is None


def test_rings_can_be_used_after_the_job_file_is_gone(bench, start, tmp_path):
    raw = bench.ring()
    worker = start(dedent(IMPORT_TEN), "work", sinks=[raw])
    worker.expect("ready")
    os.unlink(tmp_path / "find-0.json")
    worker.control.send(do="go")
    worker.expect("running")
    worker.expect("finished")


def test_writing_after_the_end_of_the_sinks_is_an_error(bench, start):
    code = """
        def work(io):
            with io.write[0] as (metadata, data):
                pass
            io.shutdown_sinks()
            with io.write[0] as (metadata, data):
                pass
    """
    worker = start(dedent(code), "work", sinks=[bench.ring()]).go()
    assert "closed" in worker.expect("failed")["error"]
