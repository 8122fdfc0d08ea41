"""The guard in conftest.py sees, names and removes what a test leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import REPOSITORY

pytest_plugins = ["pytester"]

LEAKING_TESTS = """
    import fcntl, os, pathlib, socket, subprocess
    kept = []

    def test_child():
        kept.append(subprocess.Popen(["sleep", "61"]))

    def test_orphan():
        subprocess.run("sleep 62 > /dev/null 2>&1 &", shell=True)

    def test_socket():
        kept.append(socket.create_server(("127.0.0.1", 0)))

    def test_shared_memory():
        directory = pathlib.Path(f"/dev/shm/mimocorb-leak-{os.getpid()}")
        directory.mkdir()
        kept.append(open(directory / "lock", "w"))
        fcntl.flock(kept[-1], fcntl.LOCK_EX)  # held, or else another run may remove it before

    def test_clean():
        with socket.create_server(("127.0.0.1", 0)):
            subprocess.run(["true"], check=True)
"""


def test_each_kind_of_leak_is_reported_and_removed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
    guard = (REPOSITORY / "tests" / "conftest.py").read_text()
    pytester.makeconftest(guard.replace("GRACE_S = 3.0", "GRACE_S = 0.2"))
    pytester.makepyfile(LEAKING_TESTS)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=5, errors=4)
    result.stdout.fnmatch_lines(["*process *: sleep 61*"])
    result.stdout.fnmatch_lines(["*process *: sleep 62*"])
    result.stdout.fnmatch_lines(["*listening socket 127.0.0.1:*"])
    result.stdout.fnmatch_lines(["*shared memory /dev/shm/mimocorb-leak-*"])
    assert not list(Path("/dev/shm").glob("mimocorb-leak-*"))
