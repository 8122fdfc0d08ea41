"""Processes that use a ring, started in milliseconds: a host process that has imported everything forks them.

The tests kill them as they like; the host only starts them and waits for their ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from typing import Any

from tests.support import REPOSITORY


class MemberHost:
    """The host, seen from a test: a context manager; at its end all its processes are killed."""

    def __init__(self, programs: str = "tests.ring.programs") -> None:
        self._programs = programs

    def __enter__(self) -> MemberHost:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ring.members", self._programs],
            cwd=REPOSITORY,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process of one thread may fork
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._alive: set[int] = set()
        self._answers_due = 0
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def tidy(self) -> None:
        """Kill what a test has left, so that the next one finds the host as new."""
        if self._answers_due:  # that test was broken off while it waited
            self.__exit__()
            self.__enter__()
        for pid in list(self._alive):
            self.kill(pid)

    def start(self, program: str, *arguments: Any) -> int:
        """Run a function of the programs in a process of its own; return its pid."""
        self._ask({"start": program, "arguments": arguments}, answers=1)
        return self._started()

    def wait(self, pid: int) -> int:
        """Wait for the end of a process; return its exit status, negative for the signal that killed it."""
        self._ask({"wait": pid}, answers=1)
        return self._ended(pid)

    def run(self, program: str, *arguments: Any) -> tuple[int, int]:
        """Start a process and wait for its end, with one request; return its pid and exit status."""
        self._ask({"start": program, "arguments": arguments, "wait": None}, answers=2)
        pid = self._started()
        return pid, self._ended(pid)

    def kill(self, pid: int) -> None:
        """Kill a process with SIGKILL, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)  # it cannot be another's: the host has not waited for it
        self.wait(pid)

    def _started(self) -> int:
        pid = self._answer()
        self._alive.add(pid)
        return pid

    def _ended(self, pid: int) -> int:
        status = os.waitstatus_to_exitcode(self._answer())
        self._alive.discard(pid)
        return status

    def _ask(self, request: dict[str, Any], answers: int) -> None:
        assert self._process.stdin is not None
        self._answers_due += answers
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        answer = int(self._process.stdout.readline())
        self._answers_due -= 1
        return answer


def _run(program: str, arguments: list[Any]) -> None:
    """Be a member: run the program and end, without what a fork inherits at exit."""
    status = 1
    try:
        getattr(importlib.import_module(sys.argv[1]), program)(*arguments)
        status = 0
    except BaseException:  # noqa: BLE001 (the test sees the status, and the reader of the log the traceback)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def serve() -> None:
    """Be the host."""
    importlib.import_module(sys.argv[1])
    gc.freeze()  # members share what is imported, as long as nobody writes to it: their starts cost less
    for line in sys.stdin:
        request = json.loads(line)
        pid = request.get("wait")
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                _run(request["start"], request["arguments"])
            print(pid, flush=True)
        if "wait" in request:
            print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    serve()
