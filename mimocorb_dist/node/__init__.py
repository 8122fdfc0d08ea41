"""One host's part of a run: starts, watches and ends its rings, workers and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.imports import uncollected

from .options import Outcome, StartOptions

if TYPE_CHECKING:
    from .launch import run as run
    from .launch import start as start

__all__ = ["Outcome", "StartOptions", "run", "start"]


def __getattr__(name: str) -> object:
    """Import what starts a node at its first use: clients of a run need none of it."""
    if name in ("run", "start"):
        with uncollected():
            from . import launch

        return getattr(launch, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
