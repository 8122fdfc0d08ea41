"""Real worker processes: how they start, work and report."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

from mimocorb_dist.ring import BufferReader
from tests.workers.harness import FILTER_EVEN, IMPORT_TEN, SUM, contents, counters, feed


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
