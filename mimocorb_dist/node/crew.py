"""The processes of a node as a state machine: who is ready, runs and has ended, and what a death means.

It starts nothing and touches no ring: it is told what happened, and says what to do.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology import WorkerPlan

from .ends import Ends, at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mimocorb_dist.ring import Traces

    from .tasks import Task

MAX_BARREN_DEATHS = 10
"""A worker's process that was killed so often in a row without handling an event is not started again."""
MAX_IDLE_DEATHS = 20
"""The same for an end of a link, and for who had no event in hand: none is to blame."""
MAX_RESTARTS = 1000
TOLD_AGAIN = (2, 3, 10, 100, 1000)
"""Which of a worker's failures for the same reason are told, after the first one."""
FUTILE_FAILURES = 10
"""When a worker has failed so often and handled no event, it is said that its function may be wrong."""
BACK_OFF_S = (0.0, 0.1, 0.5, 2.0)
OTHERS_S = (0.0, 0.2, 1.0, 5.0, 20.0)
"""How long a process that failed leaves its event to others of its group; if they fail too, it goes aside."""


class Phase(StrEnum):
    """Phases of a process."""

    STARTING = "starting"
    READY = "ready"
    GOING = "going"
    RUNNING = "running"
    ENDED = "ended"
    FAILED = "failed"


FAILURES_OF_AN_EVENT = 3
"""With `on_error: restart` an event is put aside when the function has failed on it so often."""
MAX_BARREN_FAILURES = 5 * FAILURES_OF_AN_EVENT
"""A process with `on_error: restart` whose function has failed so often in a row is not started again."""


@dataclass(frozen=True)
class Restart:
    """Start the process again after a while.

    Parameters
    ----------
    delay_s
        After how long, in s.
    why
        What has happened.
    told
        The same as people are to read it; empty if they have often enough.
    aside
        Whether the event that it failed on is to be put aside; `why` goes with it.
    """

    delay_s: float
    why: str
    told: str
    aside: bool = False


@dataclass(frozen=True)
class Gone:
    """The process has ended for good.

    Parameters
    ----------
    trouble
        What went wrong; None if it ended as it should.
    finished
        Whether it has come to its end by itself.
    """

    trouble: str | None = None
    finished: bool = False


@dataclass
class _Member:
    task: Task
    phase: Phase = Phase.STARTING
    went: bool = False
    dismissed: bool = False
    failure: str | None = None
    traceback: str = ""
    failures: int = 0
    barren_failures: int = 0
    said_finished: bool = False
    barren_deaths: int = 0
    idle_deaths: int = 0
    events: int = 0
    tells: int = 0
    trouble: str | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    past: dict[str, int] = field(default_factory=dict)


_ADDED = ("sent", "acknowledged", "resent", "reconnects", "bytes", "received", "dropped")
"""What ends of links count."""
_NOTED = [each for each in fields(_Member) if each.name != "task"]


class Crew:
    """The processes of one node.

    Parameters
    ----------
    tasks
        Its tasks.

    Attributes
    ----------
    stopping
        Whether the run ends: from then on nobody is started again for the sake of new events only.
    aborting
        Whether all processes are being killed.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._members = {task: _Member(task) for task in tasks}
        self._ports: dict[str, int] = {}
        self._past_events: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._ends = {task.name: Ends(task.name) for task in self._members}
        self.stopping = False
        self.aborting = False

    # What happens.

    def hear(self, task: Task, message: Mapping[str, Any]) -> None:
        """Take in what a process says on its status pipe."""
        member = self._members[task]
        match message.get("state"):
            case "bound":
                self._ports[task.name] = int(message["port"])
            case "ready":
                if member.phase is Phase.STARTING:  # to an heir of the node it says so again
                    member.phase = Phase.READY
            case "running":
                member.phase = Phase.RUNNING
            case "counts":
                self._count(member, message)
            case "told":
                if (number := message.get("number", member.tells + 1)) > member.tells:
                    member.tells = number
                    self._ends[task.name].add(task.label, f"tells: {message.get('text')}", "")
            case "finished":
                self._count(member, message)
                member.said_finished = True
            case "failed":
                self._count(member, {"events": message.get("events", 0)})
                where = f" ({message['where']})" if message.get("where") else ""
                # Who it is stands before it anyway.
                error = str(message.get("error", "failed")).removeprefix(f"{_kind(task)} {task.name}: ")
                member.failure = f"{error}{where}"
                member.traceback = str(message.get("traceback", ""))

    def _count(self, member: _Member, message: Mapping[str, Any]) -> None:
        counts = {name: value for name, value in message.items() if name != "state"}
        member.counts |= counts
        events = counts.get("events", counts.get("sent", counts.get("received", 0)))
        if events > member.events:
            member.events = events
            member.barren_deaths = member.idle_deaths = 0
            member.barren_failures = member.failures = 0

    def let_go(self, task: Task) -> None:
        """Note that a process was told to go."""
        self._members[task].phase = Phase.GOING
        self._members[task].went = True

    def renew(self, task: Task) -> None:
        """Begin an end of a link anew; what those before it have counted is added to what it counts."""
        before = self._members[task]
        member = self._members[task] = _Member(task, went=before.went)
        member.past = _total(before)

    def dismiss(self, task: Task) -> None:
        """Note that a process is being killed because nobody needs it any more."""
        self._members[task].dismissed = True

    def died(
        self,
        task: Task,
        exit_code: int,
        time: str = "",
        traces: Traces | None = None,
        *,
        with_host: bool = False,
    ) -> Restart | Gone:
        """Say what the end of a process means.

        Parameters
        ----------
        task
            Its task.
        exit_code
            As `subprocess` tells it: negative for a signal.
        time
            Time of the day when it was noticed, for people.
        traces
            What its rings tell of it. What it says itself comes once a second only.
        with_host
            Whether all processes have died at once: then importers are started again, too.
        """
        member = self._members[task]
        if traces is not None and traces.done:
            member.barren_deaths = member.idle_deaths = 0
        idle = with_host or (traces is not None and not traces.in_hand)
        meaning = self._meaning(member, exit_code, time, idle=idle, with_host=with_host)
        if isinstance(meaning, Gone):
            member.trouble = meaning.trouble
        return meaning

    def _meaning(
        self, member: _Member, exit_code: int, time: str, *, idle: bool, with_host: bool
    ) -> Restart | Gone:
        task = member.task
        if member.said_finished and exit_code <= 0:  # a signal after its last word undoes nothing
            member.phase = Phase.ENDED
            return Gone(finished=True)
        if self.aborting:
            member.phase = Phase.FAILED
            return Gone()
        if member.dismissed or (self.stopping and not member.went):
            member.phase = Phase.ENDED
            return Gone()
        if exit_code < 0:
            return self._killed(member, -exit_code, time, idle=idle, with_host=with_host)
        if member.failure is None:
            member.failure = f"it ended with status {exit_code} without a word"
        self._errors[task.name] += 1
        member.barren_failures += 1
        if member.went and self._may_fail(task) and self._may_restart(member):
            return self._failed(member, time)
        what = "could not start" if member.phase is Phase.STARTING else "failed"
        if member.barren_failures > 1:
            what += f" {member.barren_failures} times in a row, and is not started again"
        member.phase = Phase.FAILED
        return Gone(f"{_kind(task)} {task.label} {what}: {member.failure}{at(time) if member.went else ''}")

    def deserted(self, task: Task) -> Restart | Gone:
        """Say what it means that a process has ended because its node died before it let it go."""
        member = self._members[task]
        if self.aborting or member.dismissed or (self.stopping and not member.went):
            member.phase = Phase.ENDED
            return Gone()
        member.phase = Phase.STARTING
        return Restart(0.0, "", "")

    def _may_fail(self, task: Task) -> bool:
        """Whether the setup wants the run to go on without the event that a function failed on.

        Which event that was is known only if it came from the only source.
        """
        return (
            isinstance(task.plan, WorkerPlan) and task.plan.worker.on_error != "stop" and len(task.reads) < 2
        )

    def _may_restart(self, member: _Member) -> bool:
        """Whether starting a process again that has failed may still be of use."""
        return self._restarts[member.task.name] < MAX_RESTARTS and member.barren_failures < self._patience(
            member.task
        )

    def _patience(self, task: Task) -> int:
        """Return how often a function may fail in a row; the end of a run is not to wait for long."""
        if _skips(task):
            return MAX_BARREN_FAILURES if self.stopping else MAX_RESTARTS
        return 2 * FAILURES_OF_AN_EVENT if self.stopping else MAX_BARREN_FAILURES

    def give_up(self, task: Task) -> Gone | None:
        """Say what it means that the run ends while a process that has failed waits to be started again.

        Returns
        -------
        Gone or None
            None if it is worth starting it for what its sources still hold.
        """
        member = self._members[task]
        if member.barren_failures < self._patience(task):
            return None
        member.phase = Phase.FAILED
        member.trouble = (
            f"worker {task.label} failed {member.barren_failures} times in a row, "
            "and is not started again as the run ends"
        )
        return Gone(member.trouble)

    def event_is_aside(self, ring: str, group: str) -> None:
        """Note that the event on which the readers of a group have failed is in their way no more."""
        for task, member in self._members.items():
            if (ring, group) in task.reads:
                member.failures = 0

    def _failed(self, member: _Member, time: str) -> Restart:
        task = member.task
        skips = _skips(task)
        member.failures += 1
        why = f"worker {task.label} failed: {member.failure}{at(time)}"
        count = self._ends[task.name].add(task.label, f"failed: {member.failure}", time)
        told = why
        if self._errors[task.name] == FUTILE_FAILURES and task.reads and not self._events(task.name):
            told = (
                f"worker {task.label} failed{at(time)}, for the {FUTILE_FAILURES}th time, and no event was "
                "handled so far: it may be the function that is wrong, not the events (Ctrl-C ends the run)"
            )
        elif count > 1:
            told = f"worker {task.label} failed in the same way{at(time)}, {count} times by now"
            told = told if count in TOLD_AGAIN else ""
        why = f"{why}\n{member.traceback}".rstrip()
        aside = bool(task.reads) and (skips or member.failures >= FAILURES_OF_AN_EVENT)
        waits = not (skips or self.stopping)
        delays_s = OTHERS_S if self._has_partners(task) else BACK_OFF_S if waits else (0.0,)
        delay_s = delays_s[min(member.barren_failures, len(delays_s) - 1)]
        self._begin_again(member)
        return Restart(delay_s, why, told, aside)

    def _has_partners(self, task: Task) -> bool:
        """Whether other processes read the same, and so may have taken the event on which this one failed."""
        return any(
            other is not task and set(other.reads) & set(task.reads) and member.phase is Phase.RUNNING
            for other, member in self._members.items()
        )

    def _events(self, worker: str) -> int:
        """Return how many events a worker has handled."""
        now = sum(member.events for task, member in self._members.items() if task.name == worker)
        return self._past_events[worker] + now

    def _begin_again(self, member: _Member) -> None:
        self._restarts[member.task.name] += 1
        self._past_events[member.task.name] += member.events
        member.phase, member.said_finished, member.tells = Phase.STARTING, False, 0
        if member.task.kind not in ("send", "receive"):  # ends of links go on counting
            member.events = 0
        member.failure, member.traceback = None, ""

    def _killed(
        self, member: _Member, number: int, time: str, *, idle: bool, with_host: bool
    ) -> Restart | Gone:
        """A process that was killed is started again if no event is lost or doubled by that."""
        task = member.task
        what = f"was killed ({signal_name(number)})"
        why = f"{_kind(task)} {task.label} {what}{at(time)}"
        if idle or task.kind != "worker":
            member.idle_deaths += 1
        else:
            member.barren_deaths += 1
        deaths = member.idle_deaths + member.barren_deaths
        has_hope = member.barren_deaths < MAX_BARREN_DEATHS and member.idle_deaths < MAX_IDLE_DEATHS
        can_restart = member.went and (with_host or not task.is_importer)
        if can_restart and has_hope and self._restarts[task.name] < MAX_RESTARTS:
            self._ends[task.name].add(task.label, what, time)
            self._begin_again(member)
            return Restart(BACK_OFF_S[min(deaths - 1, len(BACK_OFF_S) - 1)], why, why)
        member.phase = Phase.FAILED
        if task.is_importer and self.stopping:
            return Gone()
        again = f", {deaths} times without handling an event" if deaths > 1 else ""
        return Gone(why + again)

    # What an heir has to know.

    def to_plain(self) -> dict[str, Any]:
        """Return all that is known, as plain values."""
        return {
            "stopping": self.stopping,
            "aborting": self.aborting,
            "ports": self._ports,
            "past_events": self._past_events,
            "restarts": self._restarts,
            "errors": self._errors,
            "ends": {name: ends.to_plain() for name, ends in self._ends.items()},
            "members": {
                task.label: {each.name: getattr(member, each.name) for each in _NOTED}
                for task, member in self._members.items()
            },
        }

    def restore(self, known: Mapping[str, Any]) -> None:
        """Take in what `to_plain` has returned; the tasks are the same."""
        self.stopping, self.aborting = known["stopping"], known["aborting"]
        self._ports = dict(known["ports"])
        for counter in ("past_events", "restarts", "errors"):
            setattr(self, f"_{counter}", Counter(known[counter]))
        for name, ends in known["ends"].items():
            self._ends[name].restore(ends)
        for task, member in self._members.items():
            for name, value in known["members"][task.label].items():
                setattr(member, name, Phase(value) if name == "phase" else value)

    # What is asked.

    @property
    def all_ready(self) -> bool:
        """Whether all processes are ready, and all link receivers listen."""
        return all(member.phase is not Phase.STARTING for member in self._members.values())

    @property
    def ports(self) -> dict[str, int]:
        """Link -> port where its receiver on this node listens."""
        return dict(self._ports)

    def of_stage(self, stage: int) -> list[Task]:
        """Return the tasks of a stage."""
        return [task for task in self._members if task.stage == stage]

    def stage_runs(self, stage: int) -> bool:
        """Whether all processes of a stage run, or have ended already."""
        waiting = (Phase.STARTING, Phase.READY, Phase.GOING)
        return not any(self._members[task].phase in waiting for task in self.of_stage(stage))

    def phase(self, task: Task) -> Phase:
        """Return the phase of a process."""
        return self._members[task].phase

    def went(self, task: Task) -> bool:
        """Whether a process, or one before it with the same task, was told to go."""
        return self._members[task].went

    def is_over(self, task: Task) -> bool:
        """Whether a process has ended for good."""
        return self._members[task].phase in (Phase.ENDED, Phase.FAILED)

    def end_of(self, task: Task) -> Gone:
        """Return what the end of a process that has ended for good meant."""
        member = self._members[task]
        return Gone(member.trouble, finished=member.phase is Phase.ENDED and member.said_finished)

    @property
    def left(self) -> list[Task]:
        """Tasks whose process has not ended for good."""
        return [task for task in self._members if not self.is_over(task)]

    @property
    def importers(self) -> list[Task]:
        """The importers that have not ended."""
        return [task for task in self.left if task.is_importer]

    def has_process(self, worker: str) -> bool:
        """Whether any process of a worker has not ended for good."""
        return any(task.name == worker for task in self.left)

    def has_reader(self, ring: str, group: str) -> bool:
        """Whether any process may still read a ring as a member of a group."""
        return any((ring, group) in task.reads for task in self.left)

    def worker_counts(self) -> dict[str, dict[str, Any]]:
        """Return processes alive, restarts and what led to them, errors and events of each worker."""
        counts: dict[str, dict[str, Any]] = {}
        for task, member in self._members.items():
            if task.kind == "worker":
                row = counts.setdefault(
                    task.name,
                    {
                        "alive": 0,
                        "restarts": self._restarts[task.name],
                        "ends": self._ends[task.name].told(),
                        "errors": self._errors[task.name],
                        "events": self._past_events[task.name],
                    },
                )
                row["alive"] += not self.is_over(task)
                row["events"] += member.events
        return counts

    def link_counts(self) -> dict[str, dict[str, Any]]:
        """Return what the link ends of this node last counted, and whether that is their last word."""
        return {
            task.name: {
                **member.counts,
                **_total(member),
                "final": member.said_finished,
                "restarts": self._restarts[task.name],
                "ends": self._ends[task.name].told(),
            }
            for task, member in self._members.items()
            if task.kind in ("send", "receive")
        }


def _total(member: _Member) -> dict[str, int]:
    """Return what an end of a link, and those before it that it knows nothing of, have counted."""
    past, now = member.past, member.counts
    return {name: past.get(name, 0) + now.get(name, 0) for name in _ADDED if name in past or name in now}


def signal_name(number: int) -> str:
    """Return the name of a signal: ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _skips(task: Task) -> bool:
    return isinstance(task.plan, WorkerPlan) and task.plan.worker.on_error == "skip"


def _kind(task: Task) -> str:
    return "worker" if task.kind == "worker" else "link"
