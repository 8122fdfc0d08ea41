"""The processes of the lab, found by what their command lines say they are."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MARK = "MIMOCORB_CHAOS"
"""Variable of the environment that all processes of a lab have: orphans are found by it, too."""


@dataclass(frozen=True, order=True)
class Role:
    """What a process is for.

    Parameters
    ----------
    node
        Its node; that of the broker is not told by its command line.
    name
        Name of the worker or link, ``broker``, or ``node``.
    part
        Number of the worker's process, or kind of the link's end.
    """

    node: str
    name: str
    part: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.node, self.name, self.part)))


def processes(mark: str) -> dict[int, Role | None]:
    """Return the living processes of a lab; None are those that are nothing of a run."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                environment = Path("/proc", name, "environ").read_bytes()
                if f"{MARK}={mark}".encode() not in environment.split(b"\0"):
                    continue
                arguments = Path("/proc", name, "cmdline").read_bytes().decode().split("\0")[:-1]
            except OSError:  # it has just ended
                continue
            if arguments:  # a process that has ended, and that nobody has waited for, has none
                found[int(name)] = _role(arguments)
    return found


def _role(arguments: list[str]) -> Role | None:
    module = arguments[arguments.index("-m") + 1] if "-m" in arguments else ""
    if module == "mimocorb_dist.cli":
        return Role(arguments[-1], "node")
    if "--job" not in arguments:
        return None
    if module == "mimocorb_dist.broker":
        return Role("", "broker")
    if module in ("mimocorb_dist.workers", "mimocorb_dist.links"):
        return Role(*arguments[-3:])
    return None


def descriptors(mark: str) -> Counter[Role]:
    """Count the open descriptors of each role's processes."""
    counts: Counter[Role] = Counter()
    for pid, role in processes(mark).items():
        try:
            counts[role or Role("", "?")] += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:  # it has just ended
            continue
    return counts
