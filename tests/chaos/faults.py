"""The kinds of faults: how each is made, how it ends, and when it is healed.

A kind is named by what happens and to whom: ``kill filter``, ``down cable``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from time import monotonic

from .cables import AT_ONCE, CABLES
from .clocks import set_clock
from .lab import NAMES, Lab
from .memory import MemoryGroup, can_starve
from .routes import Passing
from .targets import CONSUMERS, HOSTS, PROCESSES, Target, routes_of

_DIES_WITHIN_S = 10.0
PATIENCE_S = 60.0
"""A fault that is not healed after this time is a failure."""


@dataclass(frozen=True)
class Strike:
    """A fault as it was planned.

    Parameters
    ----------
    number
        Which one it is, from 1.
    kind
        What happens, and to what.
    victim
        Which of these: the number of a process or host in the list of them.
    lasts_s
        How long it lasts, in s: cables, and processes that stand still.
    pause_s
        How long the lab is left alone before it.
    joins
        Whether it comes while the one before is not healed.
    """

    number: int
    kind: str
    victim: int
    lasts_s: float
    pause_s: float
    joins: bool


class Fault(ABC):
    """A fault that is made, ends after a while, and is healed.

    Parameters
    ----------
    lab
        Where.
    strike
        What was planned.
    """

    def __init__(self, lab: Lab, strike: Strike) -> None:
        self.lab, self.strike = lab, strike
        self.lasts_s = 0.0
        self.through_s: float | None = None
        """How long it took from the fault, or its end, until events went through."""
        self.healed_s: float | None = None
        """How long it took until all was as before."""
        self._routes: tuple[str, ...] = ()
        self._passing: list[Passing] = []
        self._since_s = self._begun_s = self._look_s = 0.0
        self._ended = False

    def __str__(self) -> str:
        return f"{self.strike.number} {self.strike.kind}: {self.what}"

    @property
    @abstractmethod
    def what(self) -> str:
        """Return whom it strikes."""

    def can_begin(self) -> bool:
        """Return whether it can be made now."""
        return True

    def begin(self) -> None:
        """Make it."""
        self._begun_s = monotonic()
        self._strike()
        if not self.lasts_s:
            self._over()

    def look(self) -> bool:
        """Go on with it; return whether it is healed."""
        now_s = monotonic()
        if not self._ended:
            if now_s < self._begun_s + self.lasts_s:
                self._meanwhile()
                return False
            self._end()
            self._over()
        if self._passing:
            self._passing = [passing for passing in self._passing if not passing()]
            if not self._passing:
                self.through_s = monotonic() - self._since_s
        if not self._passing and now_s > self._look_s:
            if self._as_before():
                self.healed_s = monotonic() - self._since_s
                return True
            self._look_s = monotonic() + 0.05
        if now_s > self._since_s + PATIENCE_S:
            waiting = ", ".join(passing.name for passing in self._passing) or "the process to be back"
            raise AssertionError(f"{self} is not healed after {PATIENCE_S:g} s; waiting for {waiting}")
        return False

    def undo(self) -> None:
        """End it, whatever has become of it."""
        if not self._ended:
            self._ended = True
            self._end()

    def _over(self) -> None:
        self._ended = True
        self._since_s = monotonic()
        self._passing = [self.lab.probes.passing(name) for name in self._routes]

    @abstractmethod
    def _strike(self) -> None:
        """Begin it."""

    def _meanwhile(self) -> None:  # noqa: B027 (most go on by themselves)
        """Do what it takes to go on."""

    def _end(self) -> None:  # noqa: B027 (most are over at once)
        """Put an end to it."""

    def _as_before(self) -> bool:
        return True


class OfProcess(Fault):
    """A fault of a process."""

    _LEFT_ALONE_S = 0.0

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        choice = PROCESSES[strike.kind.split()[1]]
        self._target: Target = choice[strike.victim % len(choice)]
        self._routes = self._target.routes
        self._pid = 0

    @property
    def what(self) -> str:
        return f"{self._target} ({self._pid})"

    def can_begin(self) -> bool:
        """Return whether there is a process to strike.

        One that is killed over and over before it has done anything is given up by its node, as it should be.
        So each is left alone until it has told that it does something.
        """
        self._pid = self.lab.pid(self._target.role) or 0
        return self._pid > 0 and self.lab.at_work_s(self._target.role, self._pid) > self._LEFT_ALONE_S

    def _signal(self, number: int) -> None:
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:  # it was struck a moment ago
            return


class Death(OfProcess):
    """A process dies; it is healed when there is another one in its place, which uses the rings."""

    def _strike(self) -> None:
        self._signal(signal.SIGKILL if self.strike.kind.startswith("kill") else signal.SIGSEGV)

    def _as_before(self) -> bool:
        role = self._target.role
        pid = self.lab.pid(role)
        return pid not in (None, self._pid) and self.lab.at_work_s(role, pid) > 0.0


class OutOfMemory(Death):
    """A process gets no more memory, and the kernel ends it.

    Where it cannot be made to need a page it lives on until it does: this lasts until then, or is given up.
    """

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        self.lasts_s = 5.0
        self.reached = False

    def _strike(self) -> None:
        self._group = MemoryGroup(f"mimocorb-chaos-{self.lab.mark}-{self.strike.number}")
        self._group.starve(self._pid)

    def _meanwhile(self) -> None:
        if self._group.kills():
            self.lasts_s = 0.0

    def _end(self) -> None:
        self.reached = self._group.kills() > 0
        self._group.close()

    def _as_before(self) -> bool:
        return super()._as_before() if self.reached else True


class OfNode:
    """A node that has been ended is started again at once, as a service manager does it."""

    lab: Lab
    _target: Target

    def _start_again(self) -> None:
        name = self._target.role.node
        self.lab.nodes[name].wait(_DIES_WITHIN_S)
        self.lab.start_node(name)
        self.lab.dying.discard(name)


class NodeDeath(OfNode, Death):
    """A node dies; it is healed when the next one has taken over."""

    def _strike(self) -> None:
        super()._strike()
        self._start_again()


class NodeOutOfMemory(OfNode, OutOfMemory):
    """A node gets no more memory."""

    def _strike(self) -> None:
        self.lab.dying.add(self._target.role.node)
        super()._strike()

    def _end(self) -> None:
        super()._end()
        if self.reached:
            self._start_again()
        self.lab.dying.discard(self._target.role.node)


class HostDeath(OfNode, Fault):
    """All processes of a host die at once, and its node is started again.

    What lies in its shared memory stays: only so can every event still be there once.
    """

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        self._target = HOSTS[strike.victim % len(HOSTS)]
        self._routes = self._target.routes

    @property
    def what(self) -> str:
        return str(self._target)

    def _strike(self) -> None:
        name = self._target.role.node
        self.lab.dying.add(name)
        for pid in self.lab.hosts[name].processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._start_again()

    def _as_before(self) -> bool:
        role = self._target.role
        pid = self.lab.pid(role)
        return pid is not None and self.lab.at_work_s(role, pid) > 0.0


class Stall(OfProcess):
    """A process stands still for a while."""

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        self.lasts_s = strike.lasts_s

    def _strike(self) -> None:
        self._signal(signal.SIGSTOP)

    def _end(self) -> None:
        self._signal(signal.SIGCONT)


class Slowness(Stall):
    """A process gets a tenth of the time it needs: it is stopped most of the time."""

    _ON_S, _OFF_S = 0.01, 0.1

    def _meanwhile(self) -> None:
        now_s = monotonic()
        if now_s > self._begun_s + self._turn_s:
            self._stopped = not self._stopped
            self._signal(signal.SIGSTOP if self._stopped else signal.SIGCONT)
            self._turn_s = now_s - self._begun_s + (self._OFF_S if self._stopped else self._ON_S)

    def _strike(self) -> None:
        self._stopped, self._turn_s = False, 0.0
        self._meanwhile()


class Cut(Fault):
    """A cable does not do what it should for a while."""

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        self._host = lab.hosts[NAMES[strike.victim % len(NAMES)]]
        self._routes = routes_of(self._host.name)
        self._cable = strike.kind.split()[0]
        self.lasts_s = 0.0 if self._cable in AT_ONCE else strike.lasts_s
        self._broken = ExitStack()

    @property
    def what(self) -> str:
        return f"{self._host.name}, {self.lasts_s:.1f} s"

    def _strike(self) -> None:
        self._broken.enter_context(CABLES[self._cable](self._host))

    def _end(self) -> None:
        self._broken.close()


class ClockJump(Fault):
    """The clock of a host is set anew, by hours."""

    _LONGEST_S = 12 * 3600

    def __init__(self, lab: Lab, strike: Strike) -> None:
        super().__init__(lab, strike)
        self._host = NAMES[strike.victim % len(NAMES)]
        self._shift_s = float(strike.victim * 1009 % (2 * self._LONGEST_S) - self._LONGEST_S)
        self._routes = routes_of(self._host)

    @property
    def what(self) -> str:
        return f"{self._host} to {self._shift_s / 3600:+.1f} h"

    def _strike(self) -> None:
        set_clock(self.lab.folder / self._host, self._shift_s)


Maker = Callable[[Lab, Strike], Fault]
KINDS: dict[str, Maker] = {
    **{f"{how} {who}": Death for how in ("kill", "segv") for who in PROCESSES},
    **{f"oom {who}": OutOfMemory for who in PROCESSES},
    **{f"{how} node": NodeDeath for how in ("kill", "segv")},
    "oom node": NodeOutOfMemory,
    "kill host": HostDeath,
    **{f"stall {who}": Stall for who in PROCESSES},
    **{f"slow {who}": Slowness for who in CONSUMERS},
    **{f"{how} cable": Cut for how in CABLES},
    "jump clock": ClockJump,
}
"""All kinds that can be made."""


def possible(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return those kinds that can be made on this machine."""
    return tuple(kind for kind in kinds if can_starve() or not kind.startswith("oom"))


def plan(count: int, seed: int, kinds: tuple[str, ...]) -> list[Strike]:
    """Return which faults come, in which order: the same ones for the same seed and kinds.

    All kinds come equally often.
    """
    chance = Random(seed)
    order: list[str] = []
    while len(order) < count:
        turn = list(kinds)
        chance.shuffle(turn)
        order += turn
    return [
        Strike(
            number=number,
            kind=kind,
            victim=chance.randrange(1 << 16),
            lasts_s=chance.uniform(0.3, 3.0),
            pause_s=chance.choice((0.0, 0.05, 0.5)) * chance.random(),
            joins=chance.random() < 0.25,
        )
        for number, kind in enumerate(order[:count], 1)
    ]
