"""One run with faults, from its start to the verdict."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tests.support import let_pass

from .books import Book, books, complaints
from .faults import KINDS, Fault, OutOfMemory, Strike
from .lab import Lab, lab
from .leaks import Leaks, holdings, leaks
from .processes import processes

_MOST_AT_ONCE = 4
_WARM_UP_S = 2.0
_LOOK_EVERY_S = 0.003
_STOP_UNHEARD_S = 1.0
"""The order to stop is given while two cables are cut, and these come back so long after it."""


@dataclass
class Tally:
    """What is known of one kind of faults.

    Parameters
    ----------
    made
        How many there were.
    through_s, healed_s
        The longest times, in s, until events went through and until all was as before.
    """

    made: int = 0
    through_s: float = 0.0
    healed_s: float = 0.0


@dataclass
class Verdict:
    """How a run went.

    Parameters
    ----------
    tallies
        By kind.
    not_reached
        Faults that could not be made: processes that needed no more memory.
    books
        What is in the files.
    complaints
        What else was wrong.
    leaks
        What was held at the end and not at the beginning.
    wall_s
        How long the run took, in s.
    """

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    not_reached: int = 0
    events_in: dict[str, int] = field(default_factory=dict)
    books: list[Book] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    leaks: Leaks | None = None
    wall_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether all is as promised."""
        return bool(self.books) and all(b.right for b in self.books) and not (self.complaints or self.leaks)


def run(strikes: list[Strike], folder: Path, output: TextIO, most_s: float | None = None) -> Verdict:
    """Start a run, let the faults come, end it, and look at what it has left.

    Parameters
    ----------
    strikes
        The faults.
    folder
        An empty folder for all that the run writes.
    output
        Where each fault is told.
    most_s
        After this time in s no more faults are made.
    """
    verdict = Verdict()
    begun_s = time.monotonic()
    with lab(folder) as the_lab:
        the_lab.start()
        let_pass(_WARM_UP_S, "connections and processes settle")
        before = holdings(the_lab)
        output.write(f"running after {time.monotonic() - begun_s:.1f} s\n")
        _strike_all(the_lab, strikes, verdict, output, most_s)
        verdict.leaks = leaks(the_lab, before) or None
        with the_lab.hosts["daq"].resetting(), the_lab.hosts["filter"].resetting():
            the_lab.order_stop()
            let_pass(_STOP_UNHEARD_S, "the order comes while the connections break")
        statuses = the_lab.statuses()
        left = processes(the_lab.mark)
        verdict.complaints += [f"left behind: process {pid} {role}" for pid, role in left.items()]
        kept = [path for path in the_lab.directories.values() if path.exists()]
        verdict.complaints += [f"left behind: {path}" for path in kept]
        record = the_lab.record()
        verdict.events_in = {name: record["buffers"][name]["written"] for name in ("line", "pulses", "waves")}
        directories = [the_lab.run_directory(name) for name in the_lab.hosts]
        verdict.complaints += complaints(record, statuses, directories)
        verdict.books = books(the_lab.run_directory(), record)
    verdict.wall_s = time.monotonic() - begun_s
    return verdict


def _strike_all(
    the_lab: Lab, strikes: list[Strike], verdict: Verdict, output: TextIO, most_s: float | None
) -> None:
    active: list[Fault] = []
    waiting = [KINDS[strike.kind](the_lab, strike) for strike in reversed(strikes)]
    begun_s = quiet_s = time.monotonic()
    try:
        while waiting or active:
            the_lab.alive()
            if most_s is not None and quiet_s > begun_s + most_s:
                waiting.clear()
            if waiting and _is_due(waiting[-1], active, quiet_s) and waiting[-1].can_begin():
                active.append(waiting.pop())
                active[-1].begin()
            for fault in list(active):
                if fault.look():
                    active.remove(fault)
                    quiet_s = time.monotonic()
                    _note(fault, verdict, output)
            let_pass(_LOOK_EVERY_S, "faults last")
    finally:
        for fault in active:
            fault.undo()


def _is_due(fault: Fault, active: list[Fault], quiet_s: float) -> bool:
    if active:
        return fault.strike.joins and len(active) < _MOST_AT_ONCE
    return time.monotonic() > quiet_s + fault.strike.pause_s


def _note(fault: Fault, verdict: Verdict, output: TextIO) -> None:
    if isinstance(fault, OutOfMemory) and not fault.reached:
        verdict.not_reached += 1
        output.write(f"{fault}: needed no more memory\n")
        return
    tally = verdict.tallies[fault.strike.kind]
    tally.made += 1
    tally.through_s = max(tally.through_s, fault.through_s or 0.0)
    tally.healed_s = max(tally.healed_s, fault.healed_s or 0.0)
    output.write(f"{fault}: events after {fault.through_s:.2f} s, healed after {fault.healed_s:.2f} s\n")
