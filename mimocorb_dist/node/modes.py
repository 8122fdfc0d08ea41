"""How a run is shown and controlled: what stands after ``-c``."""

from __future__ import annotations

from mimocorb_dist.errors import SetupError

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
