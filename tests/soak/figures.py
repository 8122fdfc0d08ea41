"""What a run holds at one moment: memory, descriptors, shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import monotonic

import psutil

from tests.chaos.lab import Lab
from tests.chaos.processes import Role, processes
from tests.support import let_pass

LOOK_EVERY_S = 3.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Figures:
    """What a run holds.

    Parameters
    ----------
    rss_bytes
        Resident memory of each process, with the rings that it has mapped.
    descriptors
        How many it has open.
    files, shared_bytes
        Files in shared memory, and their size.
    """

    rss_bytes: dict[Role, int]
    descriptors: dict[Role, int]
    files: int
    shared_bytes: int

    @classmethod
    def of(cls, lab: Lab) -> Figures:
        """Look what a run holds now."""
        found = {role: psutil.Process(pid) for pid, role in processes(lab.mark).items() if role is not None}
        return cls(
            {role: process.memory_info().rss for role, process in sorted(found.items())},
            {role: process.num_fds() for role, process in sorted(found.items())},
            *lab.shared_memory(),
        )

    @classmethod
    def typical(cls, lab: Lab, for_s: float) -> Figures:
        """Look for some time, and take the median of each: exporters gather events, and then write them."""
        looks, end_s = [], monotonic() + for_s
        while not looks or monotonic() < end_s:
            looks.append(cls.of(lab))
            let_pass(LOOK_EVERY_S, "exporters gather and write")

        def each(column: str) -> dict[Role, int]:
            return {
                role: int(median(look.__dict__[column].get(role, 0) for look in looks))
                for role in looks[-1].rss_bytes
            }

        return cls(each("rss_bytes"), each("descriptors"), looks[-1].files, looks[-1].shared_bytes)

    def __str__(self) -> str:
        return (
            f"{len(self.rss_bytes)} processes, {sum(self.rss_bytes.values()) / _MIB:.1f} MiB resident, "
            f"{sum(self.descriptors.values())} descriptors, {self.files} files and "
            f"{self.shared_bytes / _MIB:.2f} MiB of shared memory"
        )

    def over(self, before: Figures, share: float) -> list[str]:
        """Return what has grown by more than a share of it."""
        pairs = {
            "resident memory": (sum(before.rss_bytes.values()), sum(self.rss_bytes.values())),
            "descriptors": (sum(before.descriptors.values()), sum(self.descriptors.values())),
            "files in shared memory": (before.files, self.files),
            "shared memory": (before.shared_bytes, self.shared_bytes),
            "processes": (len(before.rss_bytes), len(self.rss_bytes)),
        }
        return [
            f"{what}: {then} at the beginning, {now} at the end"
            for what, (then, now) in pairs.items()
            if now > then * (1 + share)
        ]


def table(first: Figures, last: Figures) -> str:
    """Return what each process held at the beginning and at the end."""
    rows = [f"{'process':<40}{'RSS/MiB':>10}{'at the end':>12}{'descriptors':>13}{'at the end':>12}"]
    for role, then in first.rss_bytes.items():
        now, opened = last.rss_bytes.get(role, 0), last.descriptors.get(role, 0)
        rows.append(
            f"{role!s:<40}{then / _MIB:>10.1f}{now / _MIB:>12.1f}{first.descriptors[role]:>13}{opened:>12}"
        )
    return "\n".join([*rows, f"first: {first}", f"last:  {last}"])
