"""Programs in the style of mimoCoRB 1, run in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START_METHODS = ("fork", "spawn", "forkserver")

HEAD = """\
import logging, multiprocessing, os, signal, sys, time
import numpy as np
from mimocorb import mimo_buffer as bm
from mimocorb.buffer_control import rbExport, rbImport, rbObserver, rbProcess, rbPut, rbTransfer

def write(sink_dict, count, wait_s=0.0, first=1):
    sink = bm.Writer(sink_dict)
    for number in range(first, first + count):
        sink.get_new_buffer()[:] = number
        time.sleep(wait_s)
    sink.process_buffer()

def add_up(source_dict, total, wait_s=0.0):
    source = bm.Reader(source_dict)
    while True:
        total.value += int(source.get()[0])
        time.sleep(wait_s)
"""


def command(folder: Path, code: str, *arguments: str) -> list[str]:
    path = folder / "program.py"
    path.write_text(HEAD + dedent(code))
    return [sys.executable, "-m", "mimocorb_dist", "python", str(path), *arguments]


def run(folder: Path, code: str, *arguments: str, timeout_s: float = 40.0) -> str:
    """Run a program; return what it printed, and on its error stream nothing may be."""
    done = run_any(folder, code, *arguments, timeout_s=timeout_s)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def run_any(
    folder: Path, code: str, *arguments: str, timeout_s: float = 40.0
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, code, *arguments),
        cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def started(folder: Path, code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program as the leader of its group, as a terminal does."""
    with subprocess.Popen(
        command(folder, code, *arguments),
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
