"""Fixtures for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workers.harness import Bench, WorkerProcess, job_for


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Start worker processes: ``start(code, function, sources=..., ...)`` with the text of a user's file."""
    started: list[WorkerProcess] = []

    def start(
        code: str | None, function: str, environment: dict[str, str] | None = None, **job: Any
    ) -> WorkerProcess:
        file = None
        if code is not None:
            file = job.pop("file", tmp_path / "modules" / "find.py")
            file.parent.mkdir(exist_ok=True, parents=True)
            file.write_text(code)
        process = WorkerProcess(job_for(tmp_path, function, file, **job), tmp_path, environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()
