"""No test may leave anything behind: no process, no listening socket, nothing in shared memory."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.support import REPOSITORY, last_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")
GRACE_S = 3.0

# Every process that a test starts, and all that those start, inherit this mark: so they are found even when
# their parent is gone, and what other test runs on the same machine do is left alone.
MARK = f"MIMOCORB_TEST_SESSION={uuid.uuid4().hex}"
_MARK = MARK.encode()
os.environ.update([MARK.split("=", 1)])

# Tests start thousands of Python processes. Where none may leave bytecode beside the sources, each would
# compile them all anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(REPOSITORY / ".pytest_cache" / "bytecode"))

# A node starts its processes like this, too. The start of a process with a pool of threads that nobody uses
# takes half as much of the processor again.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# How long an example takes tells of the machine, which others may be using, and not of the software.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_xdist_auto_num_workers() -> int:
    """Tests of runs wait as much as they compute: one process more than there are cores."""
    return len(os.sched_getaffinity(0)) + 1


@dataclass(frozen=True)
class Holdings:
    """What belongs to this test session at one moment."""

    processes: frozenset[tuple[int, str]]
    sockets: frozenset[str]
    shared_memory: frozenset[str]

    def __sub__(self, other: Holdings) -> Holdings:
        return Holdings(
            self.processes - other.processes,
            self.sockets - other.sockets,
            self.shared_memory - other.shared_memory,
        )

    def __bool__(self) -> bool:
        return bool(self.processes or self.sockets or self.shared_memory)

    def __str__(self) -> str:
        return "\n".join(
            [
                *(f"process {pid}: {command}" for pid, command in sorted(self.processes)),
                *(f"listening socket {address}" for address in sorted(self.sockets)),
                *(f"shared memory {SHARED_MEMORY / name}" for name in sorted(self.shared_memory)),
            ]
        )


# Every test looks twice: this must cost little on machines with many processes.


def _marked(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as environment:
            return _MARK in environment.read()
    except OSError:  # it has ended, or belongs to somebody else
        return False


def _descendants(pid: int) -> Iterator[int]:
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as children:
                for child in map(int, children.read().split()):
                    yield child
                    yield from _descendants(child)
    except (FileNotFoundError, ProcessLookupError):  # it, or one of its threads, has ended
        return


def _processes() -> frozenset[tuple[int, str]]:
    multiprocessing.active_children()  # waits for children of multiprocessing that have ended
    pids = {int(name) for name in os.listdir("/proc") if name.isdigit() and _marked(name)}
    pids |= set(_descendants(os.getpid()))
    found = set()
    for pid in pids - {os.getpid()}:
        try:
            process = psutil.Process(pid)
            command = " ".join(process.cmdline())
            if process.status() == psutil.STATUS_ZOMBIE or "multiprocessing.resource_tracker" in command:
                continue
        except psutil.Error:
            continue
        found.add((pid, command))
    return frozenset(found)


def _listening_sockets() -> frozenset[str]:
    return frozenset(
        f"{connection.laddr.ip}:{connection.laddr.port}"
        for connection in psutil.Process().net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    )


def _lock_owners() -> dict[int, int]:
    """Map inodes of locked files to the processes that hold the locks."""
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return {int(row[5].rsplit(":", 1)[1]): int(row[4]) for row in rows if row[1] != "->"}


def _shared_memory(own_pids: set[int], own_files: str) -> frozenset[str]:
    owners = _lock_owners()
    found = set()
    for path in SHARED_MEMORY.glob("mimocorb-*"):
        try:
            owner = owners.get((path / "lock").stat().st_ino)
        except OSError:
            owner = None
        if owner in own_pids or (owner is None and _is_about(path, own_files)):
            found.add(path.name)
    return frozenset(found)


def _is_about(directory: Path, own_files: str) -> bool:
    """Tell whether a dead run's directory tells of files of this session, or of none at all.

    On a machine where other sessions run, they too have runs that died.
    """
    try:
        texts = [path.read_text() for path in directory.rglob("*.json")]
    except OSError:  # somebody is just removing it
        return False
    return not texts or any(own_files in text for text in texts)


def _holdings(own_files: str) -> Holdings:
    processes = _processes()
    own_pids = {pid for pid, _ in processes} | {os.getpid()}
    return Holdings(processes, _listening_sockets(), _shared_memory(own_pids, own_files))


def _clean_up(left: Holdings) -> None:
    for pid, _ in left.processes:
        try:
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            continue
    for name in left.shared_memory:
        path = SHARED_MEMORY / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves processes, listening sockets or shared memory, and remove them."""
    own_files = str(tmp_path_factory.getbasetemp())
    before = _holdings(own_files)
    yield
    if not last_answer(lambda: not (_holdings(own_files) - before), GRACE_S):
        left = _holdings(own_files) - before
        _clean_up(left)
        pytest.fail(f"the test left behind (now removed):\n{left}")
