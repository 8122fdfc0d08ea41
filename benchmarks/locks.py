"""What locks cost that could guard the claims of a ring, without contention."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import multiprocessing
import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Report, Spread, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS = 2000
_ROBUST, _SHARED = 1, 1


def compare_locks(report: Report, repeats: int) -> None:
    """Measure pairs of taking and giving back each lock."""
    with tempfile.TemporaryFile() as file:
        mutex = RobustMutex()
        cases = {
            "flock": _timed(_flock, file.fileno()),
            "fcntl record lock": _timed(_record_lock, file.fileno()),
            "robust pthread mutex by ctypes": _timed(_robust_mutex, mutex),
            "multiprocessing.Lock": _timed(_multiprocessing, multiprocessing.Lock()),
        }
        values = interleaved(cases, max(repeats, 20))
    after = [
        "free",
        "free; also when any descriptor of the file is closed",
        "to be repaired",
        "held for ever",
    ]
    rows = [
        [name, f"{min(times):.2f}", Spread.of(times), fate]
        for (name, times), fate in zip(values.items(), after, strict=True)
    ]
    report.table("A pair of lock and unlock, us", ["lock", "least", "median", "after SIGKILL"], rows)


class RobustMutex:
    """A pthread mutex in shared memory whose holder may die."""

    def __init__(self) -> None:
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._memory = mmap.mmap(-1, 4096)
        attributes = ctypes.create_string_buffer(64)
        self._pointer = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._libc.pthread_mutexattr_init(attributes)
        self._libc.pthread_mutexattr_setpshared(attributes, _SHARED)
        self._libc.pthread_mutexattr_setrobust(attributes, _ROBUST)
        self._libc.pthread_mutex_init(ctypes.c_void_p(self._pointer), attributes)
        self.lock: Any = self._bound("pthread_mutex_trylock")
        self.unlock: Any = self._bound("pthread_mutex_unlock")
        self.argument = ctypes.c_void_p(self._pointer)

    def _bound(self, name: str) -> Any:
        function = getattr(self._libc, name)
        function.argtypes = [ctypes.c_void_p]
        return function


def _timed(pairs: Callable[[Any], None], lock: Any) -> Callable[[], float]:
    def measure() -> float:
        start_s = time.perf_counter()
        pairs(lock)
        return (time.perf_counter() - start_s) / PAIRS * 1e6

    return measure


def _flock(fd: int) -> None:
    for _ in range(PAIRS):
        fcntl.flock(fd, fcntl.LOCK_EX)
        fcntl.flock(fd, fcntl.LOCK_UN)


def _record_lock(fd: int) -> None:
    for _ in range(PAIRS):
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, 0, os.SEEK_SET)
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, 0, os.SEEK_SET)


def _robust_mutex(mutex: RobustMutex) -> None:
    lock, unlock, argument = mutex.lock, mutex.unlock, mutex.argument
    for _ in range(PAIRS):
        lock(argument)
        unlock(argument)


def _multiprocessing(lock: Any) -> None:
    for _ in range(PAIRS):
        lock.acquire()
        lock.release()
