"""The templates of mimoCoRB 1."""

from __future__ import annotations

from .exporting import rbDrain, rbExport, rbObserver, rbWSObserver
from .importing import rbImport, rbPut
from .transferring import rbProcess, rbTransfer

__all__ = [
    "rbDrain",
    "rbExport",
    "rbImport",
    "rbObserver",
    "rbProcess",
    "rbPut",
    "rbTransfer",
    "rbWSObserver",
]
