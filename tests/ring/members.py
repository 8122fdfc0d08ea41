"""Processes that use a ring, started in milliseconds: a host process that has imported everything forks them.

The tests kill them as they like; the host only starts them and waits for their ends.
"""

from __future__ import annotations

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
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def start(self, program: str, *arguments: Any) -> int:
        """Run a function of the programs in a process of its own; return its pid."""
        pid = int(self._ask({"start": program, "arguments": arguments}))
        self._alive.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Wait for the end of a process; return its exit status, negative for the signal that killed it."""
        status = os.waitstatus_to_exitcode(int(self._ask({"wait": pid})))
        self._alive.discard(pid)
        return status

    def kill(self, pid: int) -> None:
        """Kill a process with SIGKILL, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)  # it cannot be another's: the host has not waited for it
        self.wait(pid)

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


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
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            answer = os.fork()
            if answer == 0:
                _run(request["start"], request["arguments"])
        else:
            answer = os.waitpid(request["wait"], 0)[1]
        print(answer, flush=True)


if __name__ == "__main__":
    serve()
