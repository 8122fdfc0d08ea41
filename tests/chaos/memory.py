"""Processes that get no more memory: a control group whose limit is reached already."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.support import eventually

_ROOT = Path("/sys/fs/cgroup/memory")
_PAGE_BYTES = 4096
_LIMIT_BYTES = _PAGE_BYTES
_TEXT = ("/libm.so.6", "/libc.so.6", "/libc.so")


def _own_group() -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") and (own := _ROOT / path.lstrip("/")).is_dir():
            return own
    return _ROOT


def can_starve() -> bool:
    """Tell whether control groups of memory can be made here."""
    try:
        with contextlib.closing(MemoryGroup("mimocorb-chaos-try")):
            return True
    except OSError:
        return False


class MemoryGroup:
    """A control group (version 1: there pages stay with the group that they were taken in).

    Parameters
    ----------
    name
        Its name.
    """

    def __init__(self, name: str) -> None:
        self._parent = _own_group()
        self._path = self._parent / name
        self._path.mkdir()

    def starve(self, pid: int) -> None:
        """Let a process keep the memory that it has, and have it need a page more."""
        (self._path / "memory.limit_in_bytes").write_text(str(_LIMIT_BYTES))
        (self._path / "cgroup.procs").write_text(str(pid))
        _write_to_text(pid)

    def kills(self) -> int:
        """Return how many processes the kernel has ended for want of memory."""
        words = (self._path / "memory.oom_control").read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def close(self) -> None:
        """Send whoever is left back, and remove the group."""
        for pid in (self._path / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it has just ended
                (self._parent / "cgroup.procs").write_text(pid)
        eventually(self._removed, 5, f"{self._path} to be left by a process that dies")

    def _removed(self) -> bool:
        try:
            self._path.rmdir()
        except OSError:
            return False
        return True


def _write_to_text(pid: int) -> None:
    """Write bytes of a process's program over themselves: the process gets copies of these pages for its own.

    Without this it would live on until it happens to need a page.
    """
    with contextlib.suppress(OSError):  # it has ended, as it should; or this is not allowed here
        maps = Path("/proc", str(pid), "maps").read_text().splitlines()
        text = next(line for line in maps if " r-xp " in line and line.endswith(_TEXT))
        start = int(text.split("-")[0], 16)
        with Path("/proc", str(pid), "mem").open("r+b", buffering=0) as memory:
            for page in range(start, start + 4 * _PAGE_BYTES, _PAGE_BYTES):
                memory.seek(page)
                byte = memory.read(1)
                memory.seek(page)
                memory.write(byte)
