"""Values of a worker's config, checked: an error names worker, key, value and what is allowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mimocorb_dist.workers import BufferIO


def wrong(io: BufferIO, key: str, allowed: str) -> SetupError:
    """Make the error for a config key; `allowed` completes "it must be ..."."""
    value = io.config.get(key)
    found = f"`{key}` is {value!r}" if key in io.config else f"`{key}` is missing"
    return SetupError(f"worker {io.name}: in its config {found}; it must be {allowed}")


def number(
    io: BufferIO,
    key: str,
    default: float | None = None,
    *,
    above: float = -math.inf,
    minimum: float = -math.inf,
    maximum: float = math.inf,
) -> float:
    """Return a number; without `default` the key must be there."""
    value = io.config.get(key, default)
    allowed = "a number"
    if above > -math.inf:
        allowed += f" above {above:g}"
    if minimum > -math.inf:
        allowed += f" not below {minimum:g}"
    if maximum < math.inf:
        allowed += f" not above {maximum:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise wrong(io, key, allowed)
    if not (value > above and minimum <= value <= maximum):
        raise wrong(io, key, allowed)
    return float(value)


def integer(io: BufferIO, key: str, default: int | None = None, *, minimum: int) -> int:
    """Return a whole number; without `default` the key must be there."""
    value = io.config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise wrong(io, key, f"a whole number not below {minimum}")
    return value


def seed(io: BufferIO) -> int | None:
    """Return `seed`, a whole number, or None for different random numbers each time."""
    return None if io.config.get("seed") is None else integer(io, "seed", minimum=0)


def flag(io: BufferIO, key: str, default: bool) -> bool:
    """Return true or false."""
    value = io.config.get(key, default)
    if not isinstance(value, bool):
        raise wrong(io, key, "true or false")
    return value


def choice(io: BufferIO, key: str, allowed: Iterable[str], default: str) -> str:
    """Return one of the allowed words."""
    value = io.config.get(key, default)
    words = list(allowed)
    if value not in words:
        raise wrong(io, key, f"one of {', '.join(words)}")
    return str(value)


def text(io: BufferIO, key: str, default: str | None = None) -> str:
    """Return a text that is not empty; without `default` the key must be there."""
    value = io.config.get(key, default)
    if not isinstance(value, str) or not value:
        raise wrong(io, key, "a text")
    return value


def bins(io: BufferIO, names: Iterable[str]) -> dict[str, tuple[float, float, int]]:
    """Return `bins`: field -> [lowest, highest, number of edges]."""
    value = io.config.get("bins")
    known = list(names)
    if not isinstance(value, dict) or not value:
        raise wrong(io, "bins", "a map of fields to [lowest, highest, number of edges]")
    for name, limits in value.items():
        if name not in known:
            raise wrong(io, "bins", f"a map of fields of the buffer, which has {', '.join(known)}")
        if not _are_limits(limits):
            raise wrong(io, "bins", f"[lowest, highest, number of edges (2 or more)] for {name}")
    return {name: (float(low), float(high), edges) for name, (low, high, edges) in value.items()}


def _are_limits(limits: Any) -> bool:
    if not isinstance(limits, (list, tuple)) or len(limits) != 3:
        return False
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in limits):
        return False
    low, high, edges = limits
    return math.isfinite(low) and math.isfinite(high) and low < high and isinstance(edges, int) and edges >= 2
