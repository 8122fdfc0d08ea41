"""What user functions find around them in a worker process: streams, modules, children of their own."""

from __future__ import annotations

import signal
from textwrap import dedent

import pytest


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
