"""The import names of the classic versions, `mimocorb2` and `mimocorb`, as names of ours.

User files that say ``from mimocorb2 import Importer`` run unchanged: in worker processes `install` puts a
finder before all others, so ours serve even where the real packages are installed.
"""

from __future__ import annotations

from .hook import ClassicFinder, install
from .names import CLASSIC_MODULES, CLASSIC_PACKAGES

__all__ = ["CLASSIC_MODULES", "CLASSIC_PACKAGES", "ClassicFinder", "install"]
