"""A long run at full rate on three hosts: what it holds at its start and end: ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.chaos.books import books, complaints
from tests.chaos.lab import Lab, lab
from tests.support import let_pass

from .figures import Figures, table

MOST_GROWTH = 0.01
WARM_UP_S = 120.0
"""Within this time allocators have what they need, all slots were used, and files have their buffers."""
LOOK_EVERY_S = 60.0
WINDOW_S = 120.0
"""How long is looked at the beginning and at the end: twice the time after which a row group is written."""


def main() -> int:
    """Run, print what was held at the beginning and at the end, and return 0 if it is the same."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, help="where to work; it is kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lab is cleared away then, too
    folder = options.folder or Path(tempfile.mkdtemp(prefix="mimocorb-soak-"))
    with lab(folder / "lab") as the_lab:
        the_lab.start()
        let_pass(WARM_UP_S, "allocators settle, and slots are used")
        first, last = _watch(the_lab, 60.0 * options.minutes)
        the_lab.order_stop()
        statuses = the_lab.statuses()
        record = the_lab.record()
        found = books(the_lab.run_directory(), record)
        directories = [the_lab.run_directory(name) for name in the_lab.hosts]
        wrong = complaints(record, statuses, directories)
    wrong += [f"{book.worker}: {book}" for book in found if not book.right]
    wrong += last.over(first, MOST_GROWTH)
    print(table(first, last))
    events = {name: record["buffers"][name]["written"] for name in ("line", "pulses", "waves")}
    print("events in: " + ", ".join(f"{name} {count}" for name, count in events.items()))
    print("\n".join([*wrong, "NOT CLEAN" if wrong else "clean"]))
    if options.folder is None and not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


def _watch(the_lab: Lab, for_s: float) -> tuple[Figures, Figures]:
    """Return what is held at the beginning and at the end of a time."""
    begun_s = monotonic()
    window_s = min(WINDOW_S, for_s / 4)
    first = Figures.typical(the_lab, window_s)
    while monotonic() < begun_s + for_s - window_s:
        let_pass(min(LOOK_EVERY_S, max(0.1, begun_s + for_s - window_s - monotonic())), "the run goes on")
        the_lab.alive()
        print(f"{(monotonic() - begun_s) / 60:5.1f} min: {Figures.of(the_lab)}", flush=True)
    return first, Figures.typical(the_lab, window_s)


if __name__ == "__main__":
    sys.exit(main())
