"""How real worker processes end before the stream does: signals, limits, a node that has died."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from mimocorb_dist.ring import BufferReader
from tests.support import eventually
from tests.workers.harness import FILTER_EVEN, IMPORT_TEN, counters, feed, job_for


def test_sigterm_before_the_start_is_ordered_ends_a_prebuilt_function(bench, start):
    worker = start(None, "exporters.csv", sources=[bench.ring("one", length=1)])
    worker.expect("ready")
    worker.terminate()
    assert worker.expect("finished")["events"] == 0
    assert worker.ended() == 0


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
