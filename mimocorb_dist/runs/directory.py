"""Run directories: their names, who makes them, and what lies in them."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

RECORD = "run.json"
RESERVE = ".run.json.reserve"
"""Room for the last record, as long as the run goes on."""
_COMMON_FILES = (RECORD, RESERVE, "setup.yaml", "data_flow.svg", "stats.csv")

_SHARED_FILE_SYSTEM_S = 5.0
"""How long a file that another host wrote may take to be seen here."""


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one run on one node.

    Parameters
    ----------
    path
        The directory.
    shared
        Whether another node of the run keeps the common files (record, setup, drawing, statistics) in it.
    """

    path: Path
    shared: bool = False

    @property
    def record(self) -> Path:
        """The record of the run, `run.json`."""
        return self.path / RECORD

    @property
    def logs(self) -> Path:
        """Folder of what the workers printed."""
        return self.path / "logs"

    @property
    def rescue(self) -> Path:
        """Folder of events that no worker could take."""
        return self.path / "rescue"

    def was_kept_by(self, pid: int) -> bool:
        """Tell whether a process of this host has written the record that is there; 0 has not."""
        try:
            process = json.loads(self.record.read_text(encoding="utf-8"))["run"]["process"]
        except (OSError, ValueError, KeyError):
            return False
        return bool(pid) and (process["host"], process["pid"]) == (platform.node(), pid)

    def files_of(self, life: int) -> Path:
        """Return where the workers of a node write; one that has come back leaves what is there alone.

        `life`: how often it has come back after the death of its host.
        """
        if life == 0:
            return self.path
        folder = self.path / f"return-{life}"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        return folder

    def discard(self, copied: Collection[str] = ()) -> None:
        """Remove the directory of a run that could not begin; one that holds files of users stays.

        Parameters
        ----------
        copied
            Names of files that are copies.
        """
        known = {*_COMMON_FILES, self.logs.name, *copied}
        if any(path.name not in known for path in self.path.iterdir()):
            return
        shutil.rmtree(self.path, ignore_errors=True)


def allot_run_directory(target: Path, base: str, run_id: str = "") -> RunDirectory:
    """Make the directory of a new run, with a name that no other run has.

    Parameters
    ----------
    target
        The setup's target directory; made if it is missing.
    base
        Its name, made of the time of the start.
    run_id
        The run; a directory that it has already, by its record, is the one.

    Returns
    -------
    RunDirectory
        Of this name, with ``_2`` and so on for further runs that would have it.

    Raises
    ------
    RunError
        If it cannot be made or written.
    """
    check_target(target)
    for number in range(1, 1000):
        path = target / (base if number == 1 else f"{base}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            if _run_id_in(path / RECORD) != run_id:
                continue
        except OSError as error:
            raise _cannot_write(target, error) from error
        return _filled(RunDirectory(path))
    raise RunError(f"{target}: a thousand runs have the name {base}; start the next one later")


def join_run_directory(target: Path, name: str, run_id: str) -> RunDirectory:
    """Make, or share with its maker, the directory of a run whose name the broker has given.

    Parameters
    ----------
    target
        The setup's target directory on this host.
    name
        Name of the run directory.
    run_id
        The run; a directory of the same name is shared only if its record names this run.

    Raises
    ------
    RunError
        If it cannot be made or written, or belongs to another run.
    """
    check_target(target)
    path = target / name
    try:
        path.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + _SHARED_FILE_SYSTEM_S
        while _run_id_in(path / RECORD) != run_id:
            if time.monotonic() > deadline:
                raise RunError(
                    f"{path}: this directory belongs to another run; start again, or give this setup another "
                    "target_directory"
                ) from None
            time.sleep(0.05)
        return _filled(RunDirectory(path, shared=True))
    except OSError as error:
        raise _cannot_write(target, error) from error
    return _filled(RunDirectory(path))


def check_target(target: Path) -> None:
    """Make the target directory, and check that it can be written.

    Raises
    ------
    RunError
        If not.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            pass
    except OSError as error:
        raise _cannot_write(target, error) from error


def _cannot_write(target: Path, error: OSError) -> RunError:
    return RunError(
        f"{target}: cannot make run directories here ({error.strerror}); "
        "choose another `target_directory` (mimoCoRB 1: `output_directory`) in the setup, "
        "or change the permissions"
    )


def _filled(directory: RunDirectory) -> RunDirectory:
    try:
        directory.logs.mkdir(exist_ok=True)
    except OSError as error:
        raise _cannot_write(directory.path, error) from error
    return directory


def _run_id_in(record: Path) -> str | None:
    try:
        run_id = json.loads(record.read_text(encoding="utf-8"))["run"]["id"]
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or no record of ours
        return None
    return str(run_id)
