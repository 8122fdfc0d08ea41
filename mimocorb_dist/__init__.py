"""A data-acquisition buffer network: ring buffers, workers and links from one YAML file.

Attributes
----------
connect
    Attaches to a buffer of a running run, to look at its events without disturbing it
    (see `mimocorb_dist.ring.connect`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimocorb_dist.ring import connect as connect

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> object:
    """Import `connect` at its first use: the command line must start without numpy."""
    if name == "connect":
        from mimocorb_dist.ring import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
