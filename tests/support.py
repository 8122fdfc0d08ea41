"""What many tests need: waiting for a condition, a port, a small disk, recorded data, the command line."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parent.parent


def eventually(condition: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
    """Wait until `condition` gives something true, and return that; fail the test after `timeout_s`.

    Polls every 0.5 ms at first and every 50 ms at last, so that what happens soon is seen soon.
    """
    if not (result := last_answer(condition, timeout_s)):
        pytest.fail(f"not within {timeout_s:g} s: {what or getattr(condition, '__name__', condition)}")
    return result


def last_answer(condition: Callable[[], T], timeout_s: float) -> T:
    """Ask like `eventually`, but return what `condition` gave last, true or not."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.0005
    while not (result := condition()) and time.monotonic() <= deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    return result


def let_pass(duration_s: float, why: str) -> None:
    """Let time pass where it is itself the subject, and say why: a pause lasts, a reader is slow.

    Never to wait for something to become true: that is `eventually`.
    """
    assert why
    time.sleep(duration_s)


def at_rest(count: Callable[[], int], for_s: float, timeout_s: float = 10.0) -> int:
    """Wait until what is counted has not changed for so long, and return it."""

    def unchanged() -> tuple[int] | None:
        before = count()
        let_pass(for_s, "nothing may be counted")
        return (before,) if count() == before else None

    return eventually(unchanged, timeout_s, "a count that stands still")[0]


def free_port() -> int:
    """Return a TCP port that nobody listens on just now, for setups that must name one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Make a folder that is a file system of its own, of a size like ``1m``, or skip the test."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def shared_data() -> Path:
    """Return the folder of recorded data beside the repository; skip the test where there is none."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "kamiokanne_2018.npz").is_file():
        pytest.skip(f"the recorded data are not on this machine (looked for {folder})")
    return folder


def mimocorb_node(
    *arguments: str | Path,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, without a terminal, and return what came of it."""
    return subprocess.run(
        [sys.executable, "-m", "mimocorb_dist.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
