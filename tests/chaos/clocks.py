"""The clocks of hosts, which are hours apart, and jump."""

from __future__ import annotations

import os
import struct
from pathlib import Path

SHIFTS_S = {"daq": 3 * 3600.0, "filter": -5 * 3600.0, "storage": 0.0}
"""How far the clocks are ahead at the start."""
_FOLDER = Path(__file__).with_name("clock")
_VARIABLE = "MIMOCORB_CHAOS_CLOCK"


def set_clock(host: Path, shift_s: float) -> None:
    """Let the clock of a host be ahead of the machine's; `host` is its folder."""
    file = host / "clock"
    file.touch()
    with file.open("r+b", buffering=0) as clock:
        clock.write(struct.pack("=d", shift_s))


def clock_environment(host: Path) -> dict[str, str]:
    """Return what programs of a host need in their environment to have its clock."""
    paths = [str(_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {_VARIABLE: str(host / "clock"), "PYTHONPATH": os.pathsep.join(paths)}
