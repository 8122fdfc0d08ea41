"""What the pictures of mimoCoRB 1 have in common."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.workers.canvas import display_named

if TYPE_CHECKING:
    from collections.abc import Mapping

STYLE = "dark_background"
_WITHOUT_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def picture_path(config: Mapping[str, Any], function: str, buffer: str) -> Path:
    """Return the file for the picture of a function, where there is no display.

    It is ``<title>_<function>_<buffer>.png`` in the output directory; without a title that part is left out.
    """
    title = re.sub(r"[^\w.-]+", "_", str(config.get("title", ""))).strip("_.")
    name = "_".join(part for part in (title, function, buffer) if part)
    return Path(config.get("directory_prefix", ".")) / f"{name}.png"


def do_without_display() -> None:
    """Where there is no display, let users' ``matplotlib.use("TkAgg")`` be a wish that is not fulfilled.

    Modules of users say that after they have imported a module of windows from mimoCoRB 1; else they, and
    the run, would end there.
    """
    if display_named():
        return
    import matplotlib as mpl

    use = mpl.use
    if getattr(use, "tolerant", False):
        return

    def use_if_possible(backend: str, *, force: bool = True) -> None:
        if backend.lower() in _WITHOUT_WINDOWS:
            use(backend, force=force)
        else:
            logging.getLogger(__name__).debug("there is no display for %s: no windows are opened", backend)

    use_if_possible.tolerant = True  # type: ignore[attr-defined]
    mpl.use = use_if_possible
