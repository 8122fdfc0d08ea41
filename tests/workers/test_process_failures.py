"""How real worker processes fail: what is reported, with which place, and what becomes of the event."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.workers.harness import FILTER_EVEN, IMPORT_TEN, counters, feed


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
