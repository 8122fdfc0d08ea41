"""How much memory rings take, and sizes as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .plan import RingPlan

_TABLES_BYTES = 100 * 1024
_METADATA_BYTES = 24
_COLUMN_BYTES = 8
_COLUMNS, _GROUP_COLUMNS = 4, 5


def ring_bytes(ring: RingPlan) -> int:
    """Return how much memory a ring takes, in bytes, to within some pages."""
    unit = 64 if ring.buffer.event_bytes >= 64 else 8
    stride = -(-ring.buffer.event_bytes // unit) * unit
    columns = _COLUMNS + _GROUP_COLUMNS * len(ring.groups)
    return _TABLES_BYTES + ring.slot_count * (stride + _METADATA_BYTES + columns * _COLUMN_BYTES)


def total_bytes(rings: Iterable[RingPlan]) -> int:
    """Return how much memory rings take together, in bytes."""
    return sum(ring_bytes(ring) for ring in rings)


def size_text(size_bytes: int) -> str:
    """Return a size as text with a unit that fits."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes} B"


def megabytes(size_bytes: int) -> str:
    """Return a size in MB as text."""
    return f"{size_bytes / 1e6:.1f} MB"
