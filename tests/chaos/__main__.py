"""A run at full rate in which everything dies: ``python -m tests.chaos [--faults N] [--seed N]``."""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from .faults import KINDS, plan, possible
from .harness import run
from .memory import can_starve
from .report import report


def main() -> int:
    """Run, print the verdict, and return 0 if it is clean."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--minutes", type=float, help="no more faults after that time")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kinds", help="patterns of kinds, with commas between: 'kill *,* cable'")
    parser.add_argument("--list", action="store_true", help="show all kinds")
    parser.add_argument("--folder", type=Path, help="where to work; it is kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lab is cleared away then, too
    if options.list:
        print("\n".join(KINDS))
        return 0
    kinds = chosen(options.kinds)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="mimocorb-chaos-"))
    folder.mkdir(exist_ok=True)
    command = f"python -m tests.chaos --faults {options.faults} --seed {options.seed}"
    command += f" --kinds '{options.kinds}'" if options.kinds else ""
    print(f"{command}\nin {folder}", flush=True)
    clean = False
    try:
        with (folder / "faults.log").open("w", buffering=1) as log:
            strikes = plan(options.faults, options.seed, kinds)
            verdict = run(strikes, folder / "lab", log, 60.0 * options.minutes if options.minutes else None)
        print(report(verdict))
        clean = verdict.clean
    finally:
        if clean and options.folder is None:
            shutil.rmtree(folder)
        elif not clean:
            print(f"kept: {folder}\nonce more: {command}")
    return 0 if clean else 1


def chosen(patterns: str | None) -> tuple[str, ...]:
    """Return the kinds that are asked for, without those that cannot be made on this machine."""
    kinds = tuple(KINDS)
    if patterns is not None:
        kinds = tuple(kind for kind in KINDS if any(fnmatch.fnmatch(kind, p) for p in patterns.split(",")))
    if not can_starve():
        print("no control groups of memory (version 1) here: nothing runs out of memory")
    kinds = possible(kinds)
    if not kinds:
        sys.exit("no such kind; see --list")
    return kinds


if __name__ == "__main__":
    sys.exit(main())
