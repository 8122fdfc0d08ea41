"""Which process writes an output file, when a function has several: one at a time.

The others wait, and take no events. If the writer dies or fails, the next one goes on where it was.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import commit_path, last_commit
from mimocorb_dist.workers.commits import files_of_note
from mimocorb_dist.workers.stopping import Calls, calls

from .place import worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LOOK_EVERY_S = 0.1
_BEGUN, _ENDED = b"begun ", b"ended "

_logger = logging.getLogger(__name__)


class OutputFile:
    """The output file of a function's processes.

    Who writes is decided by a lock beside the ring from which they read, which goes with the run. It notes,
    too, that the file is begun, and goes on. Another file of that name that is there already begins anew in a
    script, as in mimoCoRB 1. In the run of a node it stays: another function has written it, or processes of
    this one on another node; then this one is ``<name>.part2<suffix>``, or the next number.

    Parameters
    ----------
    path
        The file.
    source
        The source, as the function gets it: all its processes read as one group.

    Attributes
    ----------
    path
        The file that this process writes.
    reader
        Names who writes it, for commits.
    """

    def __init__(self, path: Path, source: Mapping[str, Any]) -> None:
        self._path = self.path = path
        place, group = source["place"], source["group"]
        self._lock_path: Path = place.directory / f"{Path(place.path).stem}.{group}.{path.name}.writer"
        self._in_script = place.owner != 0
        io = worker()
        self.reader = f"{io.name if io else 'script'}.{path.name}"
        self._commit_path = commit_path(Path(place.path), group, self.reader)
        self._lock = -1

    def claim(self) -> BinaryIO | None:
        """Open the file, positioned at its end, if no other process of the function writes it.

        What a process before this one has written after its last commit is cut off.

        Raises
        ------
        SetupError
            If it cannot be written, or another function of the script writes it.
        """
        try:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the ring has gone
            return None
        if not _lock(lock):
            os.close(lock)
            return None
        note = os.pread(lock, os.fstat(lock).st_size, 0)
        file: BinaryIO
        try:
            if note:
                path = Path(os.fsdecode(note[len(_BEGUN) :]))
                file = path.open("r+b", buffering=0)
                end = self._committed(path)
            else:
                path, file = self._create()
                end = 0
            file.truncate(end)
            file.seek(end)
        except OSError as error:
            os.close(lock)
            raise SetupError(
                f"{self._path}: cannot be written ({error.strerror}); does its folder exist?"
            ) from error
        except SetupError:
            os.close(lock)
            raise
        os.pwrite(lock, _BEGUN + os.fsencode(path), 0)
        self._lock = lock
        self.path = path
        return file

    @calls(Calls.FUNCTION)
    def wait(self) -> BinaryIO | None:
        """Wait until the file can be claimed; None if it is complete."""
        while not self.complete:
            file = self.claim()
            if file is not None:
                return file
            time.sleep(_LOOK_EVERY_S)
        return None

    @property
    def complete(self) -> bool:
        """Whether its writer has come to the end of the events, or those have gone."""
        try:
            note: bytes = self._lock_path.read_bytes()
        except FileNotFoundError:
            return not self._lock_path.parent.exists()  # with the ring, or not yet
        return note.startswith(_ENDED)

    def release(self, *, complete: bool) -> None:
        """Let another process write it."""
        if self._lock < 0:
            return
        if complete:
            os.pwrite(self._lock, _ENDED, 0)
            self._commit_path.unlink(missing_ok=True)
        fcntl.flock(self._lock, fcntl.LOCK_UN)  # forked processes may hold it open
        os.close(self._lock)
        self._lock = -1

    def _committed(self, path: Path) -> int:
        """Return the length of the file at its last commit; 0 if there was none."""
        return files_of_note(last_commit(self._commit_path)[0]).get(str(path), 0)

    def _create(self) -> tuple[Path, BinaryIO]:
        path = self._path
        if self._in_script:
            file = path.open("ab", buffering=0)
            if not _lock(file.fileno()):
                file.close()
                raise SetupError(
                    f"{path}: is being written by another function; give each its own `filename`"
                )
            return path, file
        for number in itertools.count(2):
            try:
                return path, path.open("xb", buffering=0)
            except FileExistsError:
                taken, path = path, self._path.with_name(f"{self._path.stem}.part{number}{self._path.suffix}")
                _logger.warning("%s is there already, and stays as it is: events go to %s", taken, path.name)
        raise AssertionError("unreachable: numbers do not run out")


def output_path(config: Mapping[str, Any] | None, suffix: str, function: str) -> Path:
    """Return where a function's output goes: ``<directory_prefix>/<filename><suffix>``.

    Raises
    ------
    SetupError
        If the config does not say.
    """
    config = config or {}
    for key, what in (
        ("directory_prefix", "the folder for output; buffer_control and the node add it"),
        ("filename", f"the name of the file, without {suffix}"),
    ):
        if key not in config:
            raise SetupError(f"{function}: its config has no {key!r}: {what}")
    return Path(f"{config['directory_prefix']}/{config['filename']}{suffix}")


def _lock(descriptor: int) -> bool:
    """Lock a file; False if another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        # A file system without locks: here nobody can tell.
    return True
