"""The work of one node in one run: its rings, its processes, and what their ends mean."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from mimocorb_dist.errors import MimocorbError, RunError, WireError
from mimocorb_dist.links.ledger import settle
from mimocorb_dist.topology import WorkerPlan
from mimocorb_dist.workers.commits import cut_back_after

from .backlogs import Backlogs
from .crew import Crew, Gone, Phase, Restart, signal_name
from .jobs import order_for
from .process import Child
from .rescue import Rescuer
from .rings import RingSet
from .stalls import Stalls
from .tasks import Task, tasks_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mimocorb_dist.ring.runtime import RuntimeDirectory
    from mimocorb_dist.runs import RunDirectory
    from mimocorb_dist.topology import Plan, Topology
    from mimocorb_dist.wire.security import Security

    from .loop import Loop, Timer
    from .output import OutputPump

NUDGE_S = 1.0
"""How long importers may take to notice that they are to end, before they are sent a signal."""
OBSERVER_PATIENCE_S = 5.0
"""How long processes that no event depends on may go on when all others have ended."""
RESCUE_EVERY_S = 0.05
STILL_THERE_S = 10.0
NOT_READY_S = (5.0, 30.0, 60.0)
"""How long to wait before it is said who is not ready: the first time, the second, and each further time."""
_NO_PID = -1
_LAST_WORDS = 32
"""Reads of the status pipe of a dead process, before it is believed that somebody else holds it open."""


class WorkEvents(Protocol):
    """Who is told how the work goes on."""

    def ready(self) -> None:
        """All processes are ready."""

    def stage_runs(self, stage: int) -> None:
        """All processes of a stage run."""

    def trouble(self, text: str, *, fatal: bool = False, link: str = "") -> None:
        """Something went wrong for good; `link` is the link whose end on this node is gone."""

    def changed(self) -> None:
        """A process has ended."""

    def closed(self) -> None:
        """All processes have ended, and their books are final."""

    def still_at_work(self, names: list[str]) -> None:
        """These processes have not ended, though they are to."""

    def say(self, text: str) -> None:
        """People want to read this."""


class Work:
    """Rings and processes of one node in one run.

    Parameters
    ----------
    loop, pump
        Where pipes are read.
    topology, plan
        The setup.
    node
        Name of this node.
    address
        Host name or address on which link receivers of this node listen.
    runtime
        The node's runtime directory.
    run
        The node's run directory.
    run_id
        Id of the run.
    limits
        Ring -> most events that may be written to it.
    events
        Who is told how it goes on.

    Raises
    ------
    RingError
        If shared memory lacks room.
    """

    def __init__(
        self,
        loop: Loop,
        pump: OutputPump,
        topology: Topology,
        plan: Plan,
        node: str,
        address: str,
        runtime: RuntimeDirectory,
        run: RunDirectory,
        run_id: str,
        limits: dict[str, int],
        security: Security,
        public_keys: dict[str, str],
        events: WorkEvents,
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._topology = topology
        self._node = node
        self._address = address
        self._runtime = runtime
        self._run = run
        self._run_id = run_id
        self._security = security
        self._public_keys = public_keys
        self._events = events
        self._tasks = tasks_of(plan.nodes[node], plan)
        self.crew = Crew(self._tasks)
        self._rings = RingSet(runtime.path, plan.nodes[node], limits, holds=topology.rules.holds)
        self._rescuer = Rescuer(self._rings, run.rescue)
        self._children: dict[Task, Child] = {}
        self._pending_restarts: dict[Task, Timer] = {}
        self._previous: defaultdict[Task, list[int]] = defaultdict(list)  # processes that have ended
        self._let_go: set[int] = set()
        self._addresses: dict[str, str] = {}
        self._stages_told: set[int] = set()
        self._told_ready = self._told_closed = self._hurried = False
        self._rescue_timer: Timer | None = None
        self._backlogs = Backlogs()
        self._stalls = Stalls(self._tasks, topology.buffers)
        self._stalled_s: dict[str, float] = {}
        self._meters: dict[int, Any] = {}
        self._final: dict[str, Any] | None = None

    # What the broker asks.

    def start(self) -> None:
        """Start all processes; they get ready and wait.

        Raises
        ------
        RunError
            If one cannot be started.
        """
        (self._runtime.path / "jobs").mkdir()
        for task in self._tasks:
            self._start(task)
        if not self._tasks:
            self._progress()
        self._loop.after(NOT_READY_S[0], self._tell_who_is_not_ready)

    def go(self, stage: int, addresses: dict[str, str]) -> None:
        """Let the processes of a stage go.

        Parameters
        ----------
        stage
            Number of the stage.
        addresses
            Link -> address of its receiver, for the links that this node sends.
        """
        self._let_go.add(stage)
        self._addresses |= addresses
        for task in self.crew.of_stage(stage):
            if self.crew.phase(task) is Phase.READY:
                self._order_go(task)
        self._progress()

    def pause(self, scope: str) -> None:
        """Discard and count what workers write to the rings of a scope, or let them wait."""
        self._rings.pause(scope)

    def resume(self, scope: str) -> None:
        """End a pause."""
        self._rings.resume(scope)

    def hold(self, *, on: bool) -> None:
        """Let importers wait for room on a disk, or let them go on."""
        self._rings.hold(on=on)

    def stop(self) -> None:
        """Let importers end; everything else follows from that."""
        if self.crew.stopping:
            return
        self.crew.stopping = True
        self._rings.stop_importers()
        for task in self.crew.left:
            if task in self._children and not self.crew.went(task):
                self._dismiss(task)  # it has done nothing yet
        for task, timer in list(self._pending_restarts.items()):
            gone = self.crew.give_up(task)
            if gone is not None:
                timer.cancel()
                del self._pending_restarts[task]
                self._gone(task, _NO_PID, gone)
        self._loop.after(NUDGE_S, self._nudge_importers)
        self._loop.after(STILL_THERE_S, self._tell_who_is_left)
        self._progress()

    def link_lost(self, link: str) -> None:
        """End this node's end of a link whose other end is gone for good."""
        self._give_up_links(task for task in self.crew.left if task.name == link)

    def node_lost(self, lost: str) -> None:
        """End the links from and to a node that has vanished."""
        self._give_up_links(
            task
            for task in self.crew.left
            if not isinstance(task.plan, WorkerPlan) and lost in (task.plan.from_node, task.plan.to_node)
        )

    def _give_up_links(self, tasks: Iterable[Task]) -> None:
        """End ends of links, those that live and those that wait to be started again."""
        for task in list(tasks):
            if task in self._children:
                self._dismiss(task)
            elif task in self._pending_restarts:
                self._pending_restarts.pop(task).cancel()
                self.crew.dismiss(task)
                meaning = self.crew.died(task, -9)
                self._recover(task, _NO_PID, has_heir=False)
                if isinstance(meaning, Gone):
                    self._gone(task, _NO_PID, meaning)
        self._progress()

    def abort(self) -> None:
        """End all processes at once."""
        self.crew.aborting = self.crew.stopping = True
        self._rescuer.give_up()
        for timer in self._pending_restarts.values():
            timer.cancel()
        for task in self._pending_restarts:
            self.crew.died(task, -9)
        self._pending_restarts.clear()
        for child in self._children.values():
            child.kill()
        self._progress()

    def report(self) -> dict[str, Any]:
        """Return the counts of rings, links and workers, as plain values."""
        if self._final is not None:
            return self._final
        workers = self.crew.worker_counts()
        cpu_percent = self._cpu_percent()
        for name, row in workers.items():
            row["cpu_percent"] = cpu_percent.get(name, 0.0)
        rings = self._rings.statistics()
        self._backlogs.look(rings)
        self._note_stalls(self._stalls.look(workers, rings, time.monotonic()))
        for name, stalled_s in self._stalled_s.items():
            workers[name]["stalled_s"] = stalled_s
        return {
            "rings": rings,
            "links": self.crew.link_counts(),
            "workers": workers,
            "limit_reached": self._rings.limit_reached,
            "held": self._rings.held,
        }

    def close(self) -> None:
        """End what is left of processes, and detach from the rings; also after a start that failed."""
        self.crew.aborting = True
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait(5.0)
            self._loop.unwatch(child.status.fileno())
            child.close()
        self._children.clear()
        self._rescuer.give_up()
        self._rings.close()

    # Processes.

    def _start(self, task: Task) -> None:
        self._pending_restarts.pop(task, None)
        order = order_for(
            task,
            self._topology,
            self._node,
            self._address,
            self._run_id,
            self._run.path,
            self._rings,
            self._security,
            self._public_keys,
            port=self.crew.ports.get(task.name) if task.kind.endswith("receive") else None,
            previous=tuple(self._previous[task]),
        )
        job = self._runtime.path / "jobs" / f"{task.label}.json"
        try:
            job.write_text(order.job, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{job}: cannot be written ({error.strerror}); free shared memory") from error
        child = Child(order.module, job, order.names)
        self._children[task] = child
        self._pump.add(child.output, task.label, self._log_of(task))
        self._loop.watch(child.status.fileno(), lambda: self._hear(task, child))

    def _log_of(self, task: Task) -> Path:
        return self._run.logs / f"{task.name}.log"

    def _hear(self, task: Task, child: Child) -> None:
        try:
            messages = child.status.read_ready()
        except WireError as error:
            self._events.say(f"{task.label}: {error}")
            self._loop.unwatch(child.status.fileno())
            return
        for message in messages:
            self.crew.hear(task, message)
            if message.get("state") == "ready" and task.stage in self._let_go:
                self._order_go(task)
        if child.status.closed:
            self._loop.unwatch(child.status.fileno())
        if messages:
            self._progress()

    def _order_go(self, task: Task) -> None:
        self.crew.let_go(task)
        fields = {"address": self._addresses[task.name]} if task.name in self._addresses else {}
        # One that has died will be noticed by its death.
        with contextlib.suppress(WireError):
            self._children[task].order(do="go", **fields)

    def look_for_deaths(self) -> None:
        """See which processes have ended; to be called when the system says that some have."""
        for task, child in list(self._children.items()):
            exit_code = child.exit_code
            if exit_code is not None and self._children.get(task) is child:
                self._ended(task, child, exit_code)
        self._progress()

    def _ended(self, task: Task, child: Child, exit_code: int) -> None:
        for _ in range(_LAST_WORDS):
            if child.status.closed:
                break
            self._hear(task, child)
        self._loop.unwatch(child.status.fileno())
        child.close()
        del self._children[task]
        self._meters.pop(child.pid, None)
        when = f"{datetime.now():%H:%M:%S}"
        if exit_code < 0:
            self._note_kill(task, exit_code, when)
        meaning = self.crew.died(task, exit_code, when, self._rings.traces_of(task, child.pid))
        self._recover(task, child.pid, has_heir=isinstance(meaning, Restart))
        if isinstance(meaning, Restart):
            aside = meaning.aside and self._put_aside(task, meaning.why)
            then = "its event is put aside, and it is started again" if aside else "it is started again"
            if meaning.told:
                self._events.say(f"{meaning.told.splitlines()[0]}; {then}")
            self._pending_restarts[task] = self._loop.after(meaning.delay_s, lambda: self._restart(task))
        else:
            self._gone(task, child.pid, meaning)
        self._events.changed()

    def _recover(self, task: Task, pid: int, *, has_heir: bool) -> None:
        """Put right what a process left in its rings; an end of a link leaves it to the one after it."""
        previous = self._previous[task]
        previous.append(pid)
        if task.kind == "receive":
            for ring in task.writes:
                settle(self._rings[ring], task.name)
        if task.kind != "send":
            self._rings.recover(task, pid)
        elif not has_heir:
            for each in previous:
                self._rings.recover(task, each)

    def _note_kill(self, task: Task, exit_code: int, when: str) -> None:
        """Write into the log of a process what it could not write itself."""
        try:
            with self._log_of(task).open("a", encoding="utf-8") as log:
                log.write(f"{when} {task.label} was killed ({signal_name(-exit_code)})\n")
        except OSError as error:
            self._events.say(f"{self._log_of(task)}: cannot be written ({error.strerror})")

    def _put_aside(self, task: Task, why: str) -> bool:
        """Rescue the event that a function has failed on: the first that waits, if no other reader took it.

        If one did, it will fail there, too, until all readers of the group are down and the event is here.
        """
        aside = False
        for ring, group in task.reads:
            if not any((ring, group) in other.reads for other in self._children):
                try:
                    aside = self._rescuer.put_aside(ring, group, why)
                except RunError as error:
                    self._events.trouble(str(error))
                if aside:
                    self.crew.event_is_aside(ring, group)
        return aside

    def _restart(self, task: Task) -> None:
        try:
            self._start(task)
        except MimocorbError as error:
            self._pending_restarts.pop(task, None)
            self.crew.aborting = True
            self.crew.died(task, 1)
            self._events.trouble(str(error), fatal=True)

    def _gone(self, task: Task, pid: int, meaning: Gone) -> None:
        """Let the data flow go on, or end, without a process that will not come back."""
        self._rings.end_writers(task, pid)
        trouble = meaning.trouble
        if not meaning.finished:
            self._cut_files(task)
        may_leave = self.crew.stopping or task.name == self._topology.rules.ends_with
        if not self.crew.aborting:
            for ring, group in task.reads:
                if not self.crew.has_reader(ring, group) and self._has_events_to_come(ring, group):
                    self._rescuer.adopt(ring, group)
                    if trouble is None and not may_leave:
                        trouble = f"{task.label} has ended, and nobody reads {ring} any more"
        if trouble is not None and task.only_observes and task.kind != "worker":
            self._events.say(f"{trouble}; its observers see nothing more, and no event is lost")
        elif trouble is not None:
            self._events.trouble(trouble, link="" if task.kind == "worker" else task.name)
        if self._rescuer.busy and self._rescue_timer is None:
            self._rescue()

    def _cut_files(self, task: Task) -> None:
        """Let the files of a worker end with the last event that it has read: the others go elsewhere."""
        if task.kind != "worker":
            return
        number = task.number if self.crew.has_process(task.name) else None
        for ring, group in task.reads:
            try:
                cut_back_after(self._rings[ring].path, group, task.name, number, self._run.path)
            except OSError as error:
                self._events.trouble(f"{task.label}: its files cannot be cut back ({error})")

    def _has_events_to_come(self, ring: str, group: str) -> bool:
        ended = self._rings[ring].ended
        return not ended or bool(self._rings[ring].statistics().undelivered[group])

    def _rescue(self) -> None:
        self._rescue_timer = None
        try:
            self._rescuer.work()
        except RunError as error:
            self._rescuer.give_up()
            self._events.trouble(str(error), fatal=True)
        if self._rescuer.busy:
            self._rescue_timer = self._loop.after(RESCUE_EVERY_S, self._rescue)
        self._progress()

    def _nudge_importers(self) -> None:
        for task in self.crew.importers:
            if task in self._children:
                self._children[task].terminate()

    def _tell_who_is_left(self) -> None:
        left = [f"{task.label}{self._stalled(task)}" for task in self.crew.left]
        if left and not self._told_closed:
            self._events.still_at_work(left)
            self._loop.after(STILL_THERE_S, self._tell_who_is_left)

    def _stalled(self, task: Task) -> str:
        stalled_s = self._stalled_s.get(task.name) if task.kind == "worker" else None
        return f" (no event done for {stalled_s:.0f} s)" if stalled_s else ""

    def _note_stalls(self, stalled_s: dict[str, float]) -> None:
        """Say once who keeps the others waiting; tables and `status` show it as long as it is so."""
        before, self._stalled_s = self._stalled_s, stalled_s
        for task in self._tasks:
            if task.kind == "worker" and task.number == 0 and task.name in stalled_s.keys() - before.keys():
                since = f"has done no event for {stalled_s[task.name]:.0f} s, though some wait"
                self._events.say(f"worker {task.name} {since}: its {_function(task)} is slow, or hangs")

    def _tell_who_is_not_ready(self, count: int = 0) -> None:
        missing = [task for task in self.crew.left if self.crew.phase(task) is Phase.STARTING]
        if self._told_ready or self.crew.stopping or not missing:
            return
        waited_s = sum(NOT_READY_S[min(number, 2)] for number in range(count + 1))
        who = ", ".join(f"{task.label} ({_preparation(task)})" for task in missing)
        self._events.say(f"still not ready after {waited_s:.0f} s: {who}; Ctrl-C ends the start")
        self._loop.after(NOT_READY_S[min(count + 1, 2)], lambda: self._tell_who_is_not_ready(count + 1))

    def _progress(self) -> None:
        """Tell what is new."""
        if not self._told_ready and self.crew.all_ready and not self.crew.aborting:
            self._told_ready = True
            self._events.ready()
        for stage in sorted(self._let_go - self._stages_told):
            if self.crew.stage_runs(stage):
                self._stages_told.add(stage)
                self._events.stage_runs(stage)
        left = self.crew.left
        # Where nothing else was, others may still be at work elsewhere: the broker says when they are not.
        alone = self.crew.stopping or not all(task.only_observes for task in self._tasks)
        if left and alone and all(task.only_observes for task in left) and not self.crew.aborting:
            self.hurry_observers()
        began = self._let_go or self.crew.stopping
        if not left and began and not self._rescuer.busy and not self._told_closed:
            self._told_closed = True
            self._close_books()

    def hurry_observers(self) -> None:
        """Let those end that no event depends on, for all others have; rings tell it to who has them."""
        if not self._hurried:
            self._hurried = True
            self._terminate(task for task in self.crew.left if task.is_alone)
            self._loop.after(OBSERVER_PATIENCE_S, self._terminate_observers)

    def _terminate_observers(self) -> None:
        self._terminate(task for task in self.crew.left if task.only_observes)
        self._loop.after(OBSERVER_PATIENCE_S, self._kill_observers)

    def _terminate(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task in self._children:
                self.crew.dismiss(task)  # however it ends, it is not to come back
                self._children[task].terminate()

    def _kill_observers(self) -> None:
        for task in self.crew.left:
            if task in self._children and task.only_observes:
                self._events.say(f"{task.label} does not end, and is killed; no event is lost by that")
                self._dismiss(task)

    def _dismiss(self, task: Task) -> None:
        self.crew.dismiss(task)
        self._children[task].kill()

    def _close_books(self) -> None:
        try:
            self._rescuer.close()
        except RunError as error:
            self._events.trouble(str(error))
        self._final = self.report()
        self._events.closed()

    def _cpu_percent(self) -> dict[str, float]:
        """Return what the processes of each worker take of a core, in percent, since the last call."""
        import psutil

        percent: dict[str, float] = {}
        for task, child in self._children.items():
            if task.kind == "worker":
                try:
                    if child.pid not in self._meters:
                        self._meters[child.pid] = psutil.Process(child.pid)
                    percent[task.name] = percent.get(task.name, 0.0) + self._meters[child.pid].cpu_percent(
                        None
                    )
                except psutil.Error:  # it has just ended
                    continue
        return percent


def _function(task: Task) -> str:
    """Name the function of a worker as the setup does."""
    assert isinstance(task.plan, WorkerPlan)
    worker = task.plan.worker
    return f"function {worker.function}" + ("" if worker.file is None else f" in {worker.file.name}")


def _preparation(task: Task) -> str:
    """Say what a process does before it is ready."""
    if not isinstance(task.plan, WorkerPlan):
        return "starting"
    worker = task.plan.worker
    return f"preparing {worker.function}" if worker.file is None else f"importing {worker.file.name}"
