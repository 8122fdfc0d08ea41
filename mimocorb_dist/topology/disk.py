"""`Disk:` of a setup: how much room the disks of run directories must have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .fields import Fields, section
from .findings import shown

if TYPE_CHECKING:
    from .document import Item
    from .findings import Findings

DISK_KEYS = ("warn", "pause")
_EXAMPLE = "Disk: {warn: 5 GB, pause: 1 GB}"
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BOUND = re.compile(r"(\d+(?:\.\d+)?) ?(kB|MB|GB|TB|%)", re.ASCII)
_REMEDY = "write a number and a unit, kB, MB, GB, TB, or % of the disk: {}; 0 GB for never"
_WARN_BYTES, _WARN_SHARE = 5 * 10**9, 0.10
_PAUSE_BYTES, _PAUSE_SHARE = 10**9, 0.02


@dataclass(frozen=True)
class DiskBound:
    """So much room: of a number of bytes, or a share of the whole disk; the other one is None.

    Parameters
    ----------
    text
        As it stands in the setup.
    size_bytes
        In bytes.
    share
        0 to 1.
    """

    text: str
    size_bytes: int | None = None
    share: float | None = None

    def of(self, disk_bytes: int) -> int:
        """Return it in bytes, for a disk of a size in bytes."""
        return self.size_bytes if self.size_bytes is not None else int((self.share or 0.0) * disk_bytes)


class DiskBounds(NamedTuple):
    """Room on a disk, in bytes: below it is warned, below the run pauses, from there on it goes on."""

    warn: int
    pause: int
    go_on: int


@dataclass(frozen=True)
class DiskRules:
    """How much room the disks of run directories must have.

    Parameters
    ----------
    warn
        With less of it people are warned; None: 5 GB, or a tenth of a small disk.
    pause
        With less of it the run pauses; None: 1 GB, or a fiftieth of a small disk.
    """

    warn: DiskBound | None = None
    pause: DiskBound | None = None

    @property
    def never_pauses(self) -> bool:
        """Whether the setup wants no pause, however little room there is."""
        return self.pause is not None and not (self.pause.size_bytes or self.pause.share)

    def bounds(self, disk_bytes: int) -> DiskBounds:
        """Return what holds for a disk.

        Parameters
        ----------
        disk_bytes
            Its size, in bytes.

        Returns
        -------
        DiskBounds
            A bound that the setup does not give stands back behind the one that it gives. A paused run goes
            on some way above the bound, or it would pause again at once.
        """
        warn = (
            min(_WARN_BYTES, int(_WARN_SHARE * disk_bytes)) if self.warn is None else self.warn.of(disk_bytes)
        )
        if self.pause is None:
            pause = min(_PAUSE_BYTES, int(_PAUSE_SHARE * disk_bytes))
            pause = pause if self.warn is None else min(pause, warn)
        else:
            pause = self.pause.of(disk_bytes)
            warn = max(warn, pause) if self.warn is None else warn
        return DiskBounds(warn, pause, pause + max((warn - pause) // 4, pause // 10))

    def resolved(self) -> dict[str, str]:
        """Return what the setup gives, as it may stand there."""
        given = {"warn": self.warn, "pause": self.pause}
        return {key: bound.text for key, bound in given.items() if bound is not None}


def read_disk(findings: Findings, top: Fields) -> DiskRules:
    """Read `Disk:` from the top level of a setup."""
    item = top.item("Disk")
    entries = section(findings, item, "Disk", _EXAMPLE) if item else None
    if item is None or entries is None:
        return DiskRules()
    fields = Fields(findings, "Disk", item.place, entries)
    fields.check_keys(DISK_KEYS)
    warn, pause = (
        _read_bound(fields, key, example) for key, example in (("warn", "5 GB"), ("pause", "1 GB"))
    )
    if warn is not None and pause is not None and _is_below(warn, pause):
        place = fields.entries["warn"].item.place
        what = f"Disk: warn is {warn.text}, less than pause, {pause.text}"
        findings.mistake(place, what, "warn before the run pauses: write the larger one as warn")
    return DiskRules(warn, pause)


def _read_bound(fields: Fields, key: str, example: str) -> DiskBound | None:
    item = fields.item(key)
    if item is None:
        return None
    bound = _bound(item)
    if bound is None:
        fields.findings.mistake(
            item.place, f"Disk: {key} is {shown(item.value)}", _REMEDY.format(f"{key}: {example}")
        )
    return bound


def _bound(item: Item) -> DiskBound | None:
    match = _BOUND.fullmatch(item.value) if isinstance(item.value, str) else None
    if match is None:
        return None
    number, unit = float(match[1]), match[2]
    if unit != "%":
        return DiskBound(item.value, size_bytes=int(number * _UNITS[unit]))
    return DiskBound(item.value, share=number / 100) if number < 100 else None


def _is_below(one: DiskBound, other: DiskBound) -> bool:
    """Tell whether a bound is below another one on every disk."""
    if one.size_bytes is not None and other.size_bytes is not None:
        return one.size_bytes < other.size_bytes
    return one.share is not None and other.share is not None and one.share < other.share
