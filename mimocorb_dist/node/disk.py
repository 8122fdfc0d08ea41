"""The room on the disk of the run directory: looked at once a second, in a thread.

Runtime memory needs no such look: rings have all of theirs from the start.
"""

from __future__ import annotations

import shutil
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology.sizes import size_text

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.topology.disk import DiskRules

LOOK_EVERY_S = 1.0
SILENT_S = 10.0
"""A file server that has not told its room for so long takes no data either."""


class Room(StrEnum):
    """How much room there is."""

    ENOUGH = "enough"
    LITTLE = "little"
    NONE = "none"


class RoomJudge:
    """Judges the room of a disk, with a memory: what was too little is enough again some way above the bound.

    Parameters
    ----------
    folder
        A folder on the disk, for texts.
    rules
        How much room it must have.
    """

    def __init__(self, folder: Path, rules: DiskRules) -> None:
        self._folder = folder
        self._rules = rules
        self._room = Room.ENOUGH

    def judge(self, free_bytes: int, disk_bytes: int) -> dict[str, Any]:
        """Return ``room``, ``free_bytes``, and a ``text`` for people unless there is enough.

        Parameters
        ----------
        free_bytes
            Room that is left, in bytes.
        disk_bytes
            Size of the disk, in bytes.
        """
        bounds = self._rules.bounds(disk_bytes)
        full_below = bounds.go_on if self._room is Room.NONE else bounds.pause
        if free_bytes < full_below and not self._rules.never_pauses:
            self._room = Room.NONE
            then = f"; importers wait until it has {size_text(bounds.go_on)}"
        else:
            self._room = Room.LITTLE if free_bytes < bounds.warn else Room.ENOUGH
            then = f"; the run pauses below {size_text(bounds.pause)}" if bounds.pause else ""
        text = f"the disk of {self._folder} has {size_text(free_bytes)} free{then}"
        return {
            "room": str(self._room),
            "free_bytes": free_bytes,
            "text": "" if self._room is Room.ENOUGH else text,
        }

    def fail(self, what: str) -> dict[str, Any]:
        """Return the same for a disk that does not tell its room."""
        self._room = Room.LITTLE if self._rules.never_pauses else Room.NONE
        then = "" if self._rules.never_pauses else "; importers wait until it does"
        return {"room": str(self._room), "free_bytes": 0, "text": f"the disk of {self._folder} {what}{then}"}


class DiskWatch:
    """Knows how much room the disk of a folder has.

    Parameters
    ----------
    folder
        The folder.
    rules
        How much room there must be.
    """

    def __init__(self, folder: Path, rules: DiskRules) -> None:
        self._folder = folder
        self._judge = RoomJudge(folder, rules)
        self._usage: tuple[int, int] | str | None = None
        self._looked_s = time.monotonic()
        self._over = threading.Event()
        # A daemon: one that a file server never answers must not keep the node from its end.
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def report(self) -> dict[str, Any]:
        """Return what `RoomJudge` says of the last look; empty before the first."""
        silent_s = time.monotonic() - self._looked_s
        if silent_s > SILENT_S:
            return self._judge.fail(f"does not answer (for {silent_s:.0f} s)")
        usage = self._usage
        if usage is None:
            return {}
        return self._judge.fail(usage) if isinstance(usage, str) else self._judge.judge(*usage)

    def close(self) -> None:
        """End the looking; a look that does not come back is left alone.  Idempotent."""
        self._over.set()
        self._thread.join(0.5)

    def _run(self) -> None:
        while True:
            try:
                usage = shutil.disk_usage(self._folder)
                self._usage = usage.free, usage.total
            except OSError as error:
                self._usage = f"does not tell its room ({error.strerror})"
            self._looked_s = time.monotonic()
            if self._over.wait(LOOK_EVERY_S):
                return
