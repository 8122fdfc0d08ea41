"""How a run is shown and controlled: what stands after ``-c``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from mimocorb_dist.topology import Topology

MODES = ("kbd", "stats", "gui", "none")
LATER_MODES = ("web",)


def read_controls(mode: str) -> frozenset[str]:
    """Read modes that are joined by +.

    Returns
    -------
    frozenset
        Any of ``kbd``, ``stats`` and ``gui``; none of them for ``none``.

    Raises
    ------
    SetupError
        If one of them is not known.
    """
    modes = mode.split("+")
    for name in modes:
        if name in LATER_MODES:
            raise SetupError(f"control mode {name!r} comes with a later release; use {', '.join(MODES)}")
        if name not in MODES:
            allowed = ", ".join((*MODES, *LATER_MODES))
            raise SetupError(f"{name!r} is no control mode; there are {allowed}, joined by +")
    if "none" in modes and len(modes) > 1:
        raise SetupError(f"control mode 'none' stands alone, not as in {mode!r}")
    return frozenset(modes) - {"none"}


def default_controls(topology: Topology) -> frozenset[str]:
    """Return the modes of a run of which the command line says nothing.

    A setup of mimoCoRB 1 says whether keys are wanted, which may then come through a pipe, too, and a window.
    """
    rules = topology.rules
    if rules.kbd is None:
        on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        return frozenset(("kbd", "stats") if on_terminal else ("stats",))
    wanted = {"stats": True, "kbd": rules.kbd, "gui": rules.gui}
    return frozenset(mode for mode, is_wanted in wanted.items() if is_wanted)
