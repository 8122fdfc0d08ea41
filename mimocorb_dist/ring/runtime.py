"""Runtime directories: where the rings of a run lie, and how those of a dead run are found.

The node that makes a directory holds a lock in it as long as it lives. A directory whose lock is free belongs
to its processes, which wait for an heir of their node, until one of them gives up in the name of all; then,
and when none of them lives, it belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from mimocorb_dist.errors import RingError

from .seats import is_taken

PREFIX = "mimocorb-"
_LOCK = "lock"
_GIVEN_UP = "given-up"
_LOOKS = 50
_LOOK_AGAIN_S = 0.02
"""Others look whether the lock is free by taking it for an instant."""


def runtime_root() -> Path:
    """Return the directory of runtime directories: shared memory, or else that of temporary files."""
    shared_memory = Path("/dev/shm")
    return shared_memory if shared_memory.is_dir() else Path(tempfile.gettempdir())


def runtime_name(run_id: str, node: str, life: int = 0) -> str:
    """Return the name of the directory of a node in a run, to which it has come back so often."""
    return f"{PREFIX}{run_id}-{node}" + (f".{life}" if life else "")


class RuntimeDirectory:
    """The runtime directory of one node in one run, held by this process.

    Parameters
    ----------
    path
        The directory; it is made.

    Raises
    ------
    RingError
        If it cannot be made, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        try:
            # It gets its name when it is locked: there must never be a moment when it looks dead.
            unnamed = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=path.parent))
            self._lock = os.open(unnamed / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                unnamed.rename(path)
            except OSError:
                shutil.rmtree(unnamed)
                raise
        except OSError as error:
            if self._lock >= 0:
                os.close(self._lock)
            raise RingError(
                f"{path}: cannot make this directory for shared memory ({error.strerror}); "
                "is the same node running already? `mimocorb-node clean` removes what dead runs left"
            ) from error

    @classmethod
    def create(cls, run_id: str, node: str, life: int = 0) -> RuntimeDirectory:
        """Make the directory of a node's part of a run; `life`: how often the node has come back to it."""
        return cls(runtime_root() / runtime_name(run_id, node, life))

    @classmethod
    def inherit(cls, path: Path) -> RuntimeDirectory:
        """Take over the directory of a node that has died, whose processes wait for this.

        Raises
        ------
        RingError
            If they do not wait any more, or its node lives.
        """
        lock = -1
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            for _ in range(_LOOKS):
                if _lock(lock):
                    break
                time.sleep(_LOOK_AGAIN_S)
            else:
                raise RingError(f"{path}: the node of this directory lives; is it running already?")
            if was_given_up(path):
                raise RingError(
                    f"{path}: too late, its processes have waited long enough for their node, and end"
                )
        except OSError as error:
            raise RingError(f"{path}: cannot take over this directory ({error.strerror})") from error
        except RingError:
            os.close(lock)
            raise
        heir = cls.__new__(cls)
        heir.path, heir._lock = path, lock
        return heir

    def remove(self) -> None:
        """Remove the directory with all that is in it; a second call does nothing."""
        if self._lock >= 0:
            for _ in range(_LOOKS):  # a process that is just ending may leave its last words meanwhile
                shutil.rmtree(self.path, ignore_errors=True)
                if not self.path.exists():
                    break
            os.close(self._lock)
            self._lock = -1


def runtime_directories() -> list[Path]:
    """Return the runtime directories of all runs on this machine."""
    return sorted(path for path in runtime_root().glob(PREFIX + "*") if path.is_dir())


def dead_runtime_directories() -> list[Path]:
    """Return the runtime directories whose node is gone, of those that this user may remove."""
    return [path for path in runtime_directories() if is_dead(path)]


def abandoned_runtime_directories() -> list[Path]:
    """Return those whose whole run has left this machine: while a node of it lives, it needs them.

    The processes of a node that has died may wait for its heir: then they need them, too.
    """
    dead = dead_runtime_directories()
    alive = {_run_of(path) for path in runtime_directories() if path not in dead or _is_kept(path)}
    return [path for path in dead if _run_of(path) not in alive]


def waits_for_heir(path: Path) -> bool:
    """Tell whether the node of a directory has died, and its run goes on and waits for an heir."""
    if not is_dead(path) or was_given_up(path):
        return False
    run = [other for other in runtime_directories() if _run_of(other) == _run_of(path)]
    return any(not is_dead(other) or _is_kept(other) for other in run)


def _is_kept(path: Path) -> bool:
    """Tell whether living processes in a directory wait for an heir of their node."""
    return not was_given_up(path) and is_taken(path)


def was_given_up(path: Path) -> bool:
    """Tell whether the processes of a node that has died have waited for an heir long enough."""
    return (path / _GIVEN_UP).exists() or not path.exists()


def give_up(path: Path) -> bool:
    """Note, in the name of all processes of a node that has died, that they do not wait for an heir any more.

    Returns
    -------
    bool
        False if there is an heir just now, who will tell.
    """
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # the directory has been removed: nobody can take it over
        return True
    try:
        if not _lock(lock):
            return False
        (path / _GIVEN_UP).touch()
    except FileNotFoundError:
        return True
    finally:
        os.close(lock)
    return True


def _run_of(path: Path) -> str:
    """Return the part of a directory's name that tells the run: a date and a mark."""
    return "-".join(path.name.removeprefix(PREFIX).split("-")[:2])


def remove_runtime_directory(path: Path) -> None:
    """Remove the runtime directory of a dead run.

    Raises
    ------
    RingError
        If its node is alive, or it cannot be removed.
    """
    if not path.name.startswith(PREFIX):
        raise RingError(f"{path}: this is not a directory of mimocorb_dist; it stays")
    if path.exists() and not is_dead(path):
        raise RingError(
            f"{path}: the node of this directory is alive; stop it first with `mimocorb-node stop`"
        )
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RingError(f"{path}: cannot remove this directory ({error.strerror})") from error


def is_dead(path: Path) -> bool:
    """Tell whether the node of a directory has gone, as far as this user may know."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:  # another user's: not ours to remove
        return False
    try:
        return _lock(lock)
    finally:
        os.close(lock)


def _lock(descriptor: int) -> bool:
    """Take the lock of a directory if it is free; closing the descriptor gives it back."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
