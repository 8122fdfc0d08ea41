"""What a node notes of its part in a run, for an heir who takes over if it is killed.

Notes are written before they are acted on. What is done twice by that does no harm: see `Work.take_over`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RingError, RunError, SetupError
from mimocorb_dist.ring.lifeline import can_be_inherited
from mimocorb_dist.ring.runtime import (
    RuntimeDirectory,
    is_dead,
    remove_runtime_directory,
    runtime_directories,
    runtime_name,
    runtime_root,
    waits_for_heir,
    was_given_up,
)
from mimocorb_dist.ring.seats import holder_of, holders_so_far, seat_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from mimocorb_dist.topology import Topology
    from mimocorb_dist.wire.messages import Message

    from .options import StartOptions

_NAME = "notes.json"
AWAITED_S = 120.0
"""How long after its last sign of life a host whose processes have all died goes on where it stood."""


class Notes:
    """The notes of a node, in its runtime directory.

    Parameters
    ----------
    directory
        The runtime directory.
    complain
        Called with a text if they cannot be written; then there are none from there on.
    sections
        What has been noted so far: names of sections and their plain values.

    Attributes
    ----------
    age_s
        How long before this the last sign of life was left, in s.
    """

    def __init__(
        self, directory: Path, complain: Callable[[str], None], sections: dict[str, Any] | None = None
    ) -> None:
        self._path: Path | None = directory / _NAME
        self._complain = complain
        self.sections = sections or {}
        self.age_s = _age_s(directory) or 0.0

    def write(self, section: str, content: Any) -> None:
        """Write a section anew: all of it, or nothing."""
        self.sections[section] = content
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(self.sections), encoding="utf-8")
            os.replace(fresh, self._path)
        except OSError as error:
            path, self._path = self._path, None
            path.unlink(missing_ok=True)  # who went on where an old note stands would go astray
            self._complain(
                f"{path}: cannot be written ({error.strerror}), so nobody can take over if this node dies; "
                "free shared memory before the next run"
            )

    def touch(self) -> None:
        """Leave a sign of life."""
        if self._path is not None:
            with contextlib.suppress(OSError):  # what cannot be read cannot be taken over either
                os.utime(self._path)


def _has_just_died(directory: Path) -> bool:
    """Tell whether all that worked in a directory has died, not long ago."""
    age_s = _age_s(directory)
    return age_s is not None and age_s < AWAITED_S and is_dead(directory) and not was_given_up(directory)


def _age_s(directory: Path) -> float | None:
    """Return how long ago a sign of life was left, in s; None if there is none, or it is of the future."""
    try:
        age_s = time.time() - (directory / _NAME).stat().st_mtime
    except OSError:
        return None
    return age_s if age_s >= 0.0 else None


def read_notes(directory: Path) -> dict[str, Any]:
    """Read the notes in a runtime directory.

    Raises
    ------
    RunError
        If there are none.
    """
    path = directory / _NAME
    try:
        sections: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: these are no notes of a node ({error}); start a new run") from error
    return sections


@dataclass(frozen=True)
class Found:
    """What an heir finds of one task.

    Parameters
    ----------
    holder
        The process that is at work; None if none is.
    dead
        Those before it, in order.
    """

    holder: int | None
    dead: list[int]

    @classmethod
    def look(cls, job: Path) -> Found:
        """Look who has done, and who does, the job of a file."""
        seat = seat_of(job)
        holder = holder_of(seat)
        return cls(holder, [pid for pid in holders_so_far(seat) if pid != holder])

    def all_dead(self, *, lives: bool) -> list[int]:
        """Return all that are dead, given whether the one at work still lives."""
        return list(self.dead) if lives or self.holder is None else [*self.dead, self.holder]


def new_runtime(run_id: str, node: str, lives: Mapping[str, int]) -> RuntimeDirectory:
    """Make the runtime directory of a node, and remove those of its earlier lives in the same run.

    Raises
    ------
    RingError
        If it cannot be made, or one of an earlier life is in use.
    """
    life = lives.get(node, 0)
    for earlier in range(life):
        path = runtime_root() / runtime_name(run_id, node, earlier)
        if path.exists():
            remove_runtime_directory(path)
    return RuntimeDirectory.create(run_id, node, life)


def grace_of(options: StartOptions) -> float:
    """Return how long processes wait for an heir, in s; what is in no file cannot be started again."""
    return options.grace_s if options.setup_text is None and can_be_inherited() else 0.0


def first_notes(
    node: str, prepare: Message, topology: Topology, grace_s: float, started: datetime
) -> dict[str, Any]:
    """Return what a node notes when its run begins.

    Parameters
    ----------
    node
        Its name.
    prepare
        The broker's order.
    topology
        The setup.
    grace_s
        How long its processes wait for an heir, in s.
    started
        When it was started.
    """
    return {
        "node": node,
        "nodes": [os.getpid()],
        "run": prepare.field("run_id", str),
        "name": prepare.field("name", str),
        "identity": identity(topology),
        "grace_s": grace_s,
        "limits": prepare.field("limits", dict),
        "keys": prepare.field("keys", dict),
        "lives": prepare.field("lives", dict),
        "started": started.isoformat(),
    }


def identity(topology: Topology) -> dict[str, Any]:
    """Return what an heir must have in common with the node before it."""
    return {
        "setup": str(topology.path),
        "setup_hash": topology.content_hash(),
        "function_files": dict(topology.function_files()),
    }


def find_inheritance(topology: Topology, node: str, *, with_others: bool) -> Path | None:
    """Return the directory of a node of this setup that has died, and whose run waits for an heir.

    Parameters
    ----------
    topology
        The setup.
    node
        Name of the node.
    with_others
        Whether other hosts have a part in the run: it goes on there, even if nothing lives here any more.

    Raises
    ------
    SetupError
        If there is one, and the setup or a function file is not what it was.
    """
    for directory in runtime_directories():
        is_awaited = waits_for_heir(directory)
        if not (is_awaited or (with_others and _has_just_died(directory))):
            continue
        try:
            noted = read_notes(directory)
        except RunError:  # its run had not begun
            continue
        if noted.get("node") != node or not {"identity", "work", "mail"} <= noted.keys():
            continue
        then, now = noted["identity"], identity(topology)
        if then["setup"] != now["setup"]:
            continue
        if (different := _difference(then, now)) and not is_awaited:
            continue  # nothing works on here, and the broker will tell what differs
        if different:
            raise SetupError(
                f"node {node} of the run {noted['name']} has died, and its processes work on and wait for "
                f"it, but {different} has been changed since: put back what it was to go on with that run; "
                f"for a new one wait until they have ended, {noted['grace_s']:g} s after the death"
            )
        return directory
    return None


def inherit(directory: Path, complain: Callable[[str], None]) -> tuple[RuntimeDirectory, Notes]:
    """Take over the directory of a dead node, with its notes.

    Raises
    ------
    RunError
        If that is not possible any more.
    """
    try:
        runtime = RuntimeDirectory.inherit(directory)
    except RingError as error:
        raise RunError(str(error)) from error
    return runtime, Notes(directory, complain, read_notes(directory))


def _difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Say what is not the same; empty if all is."""
    if then["setup_hash"] != now["setup_hash"]:
        return f"the setup {now['setup']}"
    before, after = then["function_files"], now["function_files"]
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return f"function file {', '.join(changed)}" if changed else ""
