"""One host's part of a run: starts, watches and ends its rings, workers and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import StartOptions

if TYPE_CHECKING:
    from .launch import start as start

__all__ = ["StartOptions", "start"]


def __getattr__(name: str) -> object:
    """Import `start` at its first use: clients of a run need none of it."""
    if name == "start":
        from .launch import start

        return start
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
