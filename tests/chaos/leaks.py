"""What a run holds: processes, descriptors, shared memory. At the end it must not be more than at first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.support import last_answer

from .lab import Lab
from .processes import Role, descriptors, processes

SETTLED_S = 20.0
_NOTES_SHARE = 100
"""What processes note in shared memory grows with what there is to tell: by less than this part of all."""
_OPENED_LATE = {"send": 7, "view-send": 7}
"""Descriptors that pyzmq opens when a process sends a large message for the first time, maybe late."""


@dataclass(frozen=True)
class Holdings:
    """What a run holds.

    Parameters
    ----------
    processes
        How many of each role.
    descriptors
        How many each role has open.
    files, shared_bytes
        Files in shared memory, and their size.
    """

    processes: Counter[Role | None]
    descriptors: Counter[Role]
    files: int
    shared_bytes: int

    def over(self, before: Holdings) -> Leaks:
        """Return what is held more than before."""
        may_open = Counter({role: _OPENED_LATE.get(role.part, 0) for role in self.descriptors})
        return Leaks(
            self.processes - before.processes,
            self.descriptors - before.descriptors - may_open,
            max(0, self.files - before.files),
            max(0, self.shared_bytes - before.shared_bytes - before.shared_bytes // _NOTES_SHARE),
        )


@dataclass(frozen=True)
class Leaks:
    """What is there, and should not be."""

    processes: Counter[Role | None]
    descriptors: Counter[Role]
    files: int
    shared_bytes: int

    def __bool__(self) -> bool:
        return bool(self.processes or self.descriptors or self.files or self.shared_bytes)

    def __str__(self) -> str:
        named = [f"{count} process of {role}" for role, count in self.processes.items()]
        named += [f"{count} descriptors of {role}" for role, count in self.descriptors.items()]
        return ", ".join([*named, f"{self.files} files, {self.shared_bytes} bytes of shared memory"])


def holdings(lab: Lab) -> Holdings:
    """Return what a run holds now."""
    files, shared_bytes = lab.shared_memory()
    return Holdings(Counter(processes(lab.mark).values()), descriptors(lab.mark), files, shared_bytes)


def leaks(lab: Lab, before: Holdings) -> Leaks:
    """Return what a run holds more than before, when no process starts any more and no connection changes."""
    found = holdings(lab).over(before)

    def none() -> bool:
        nonlocal found
        found = holdings(lab).over(before)
        return not found

    last_answer(none, SETTLED_S)
    return found
