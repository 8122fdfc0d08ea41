"""The work of one node in one run: its rings, its processes, and what their ends mean."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import MimocorbError, RunError, WireError
from mimocorb_dist.links.ledger import settle
from mimocorb_dist.ring.seats import last_words_path, seat_of

from .crew import Crew, Gone, Phase, Restart, signal_name
from .delays import Delays
from .jobs import Jobs
from .logs import append_line
from .notes import Found
from .observers import hurry
from .process import Adopted, Care, Child, Death, how_it_ended, last_words_of
from .renewals import Renewals
from .reporter import Reporter
from .rescue import Rescuer
from .rings import RingSet
from .tasks import Task, tasks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mimocorb_dist.ring.runtime import RuntimeDirectory
    from mimocorb_dist.runs import RunDirectory
    from mimocorb_dist.topology import Plan, Topology
    from mimocorb_dist.wire.security import Security

    from .events import WorkEvents
    from .loop import Loop, Timer
    from .notes import Notes
    from .output import OutputPump
    from .process import Process

NUDGE_S = 1.0
"""How long importers may take to notice that they are to end, before they are sent a signal."""
_NO_PID = -1
_LAST_WORDS = 32
"""Reads of the status pipe of a dead process, before it is believed that somebody else holds it open."""


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
    lives
        Node -> how often it has come back to the run after the death of its host.
    events
        Who is told how it goes on.
    notes
        Where is noted what an heir has to know; if that is there already, this is the heir.
    grace_s
        How long the processes wait for an heir if this node dies, in s.

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
        lives: Mapping[str, int],
        security: Security,
        public_keys: dict[str, str],
        events: WorkEvents,
        notes: Notes,
        grace_s: float,
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._topology = topology
        self._runtime = runtime
        self._run = run
        self._events = events
        self._tasks = tasks_of(plan.nodes[node], plan)
        self.crew = Crew(self._tasks)
        self._notes = notes
        self._grace_s = grace_s
        self._inherited: dict[str, Any] | None = notes.sections.get("work")
        self._rings = RingSet(
            runtime.path,
            plan.nodes[node],
            limits,
            holds=topology.rules.holds,
            writers_gone=None if self._inherited is None else self._inherited["writers_gone"],
        )
        known_lives, life = (self._inherited or {}).get("lives", lives), lives.get(node, 0)
        self._renewals = Renewals(self._tasks, known_lives, self._inherited)
        self._files = run.files_of(life)
        self._jobs = Jobs(
            topology,
            node,
            address,
            run_id,
            self._files,
            runtime.path,
            self._rings,
            security,
            public_keys,
            self._renewals.lives,
        )
        self._rescuer = Rescuer(
            self._rings,
            run.rescue,
            loop,
            self._progress,
            lambda text: events.trouble(text, fatal=True),
            again=self._inherited is not None or life > 0,
        )
        self._children: dict[Task, Process] = {}
        self._pending_restarts: dict[Task, Timer] = {}
        self._previous: defaultdict[Task, list[int]] = defaultdict(list)  # processes that have ended
        self._let_go: set[int] = set()
        self._addresses: dict[str, str] = {}
        self._stages_told: set[int] = set()
        self._told_ready = self._told_closed = self._hurried = False
        self._delays = Delays(
            loop, self.crew, self._tasks, topology.buffers, events.say, events.still_at_work
        )
        self._reporter = Reporter(self.crew, self._rings, self._delays)
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
        self._note()
        for task in self._tasks:
            self._start(task)
        if not self._tasks:
            self._progress()
        self._delays.watch_start(lambda: self._told_ready)

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
        self._order_go(task for task in self.crew.of_stage(stage) if self.crew.phase(task) is Phase.READY)
        self._progress()

    def pause(self, scope: str) -> None:
        """Discard and count what workers write to the rings of a scope, or let them wait."""
        self._rings.pause(scope)
        self._note()

    def resume(self, scope: str) -> None:
        """End a pause."""
        self._rings.resume(scope)
        self._note()

    def hold(self, *, on: bool) -> None:
        """Let importers wait for room on a disk, or let them go on."""
        self._rings.hold(on=on)
        self._note()

    def stop(self) -> None:
        """Let importers end; everything else follows from that."""
        if self.crew.stopping:
            return
        self.crew.stopping = True
        self._note()
        self._see_to_stop()

    def _see_to_stop(self) -> None:
        self._rings.stop_importers()
        for task in self.crew.left:
            if task in self._children and not self.crew.went(task):
                self._dismiss(task)  # it has done nothing yet
        for task, timer in list(self._pending_restarts.items()):
            gone = self.crew.give_up(task)
            if gone is not None:
                timer.cancel()
                del self._pending_restarts[task]
                self._lose(task, gone)
        self._loop.after(NUDGE_S, self._nudge_importers)
        self._delays.watch_end(lambda: self._told_closed)
        self._progress()

    def link_lost(self, link: str) -> None:
        """End this node's end of a link whose other end is gone for good."""
        self._give_up_links(task for task in self.crew.left if task.name == link)

    def node_lost(self, lost: str) -> None:
        """End the links from and to a node that has vanished."""
        self._give_up_links(task for task in self.crew.left if task.leads_to(lost))

    def renew(self, other: str, life: int) -> None:
        """Make all ends of links with another node anew: it has come back, and knows nothing of them."""
        if self.crew.aborting:
            return
        tasks = self._renewals.begin(other, life)
        self._note()
        for task in tasks:
            if task in self._children:
                self._children[task].kill()  # goes on with its death
                continue
            if (timer := self._pending_restarts.pop(task, None)) is not None:
                timer.cancel()
            self._renew(task)
        self._progress()

    def _renew(self, task: Task) -> None:
        """Start an end of a link anew; what those before it had goes back to the ring."""
        self._rings.forget(task, self._previous.pop(task, []), is_counted_off=self.crew.is_over(task))
        self._addresses.pop(task.name, None)
        self.crew.renew(task)
        self._renewals.started(task)
        self._start(task)

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
                    self._lose(task, meaning)
        self._progress()

    def abort(self) -> None:
        """End all processes at once."""
        self.crew.aborting = self.crew.stopping = True
        self._note()
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
        self._notes.touch()
        workers = [(child.pid, task.name) for task, child in self._children.items() if task.kind == "worker"]
        return self._final or self._reporter.report(dict(workers))

    def close(self) -> None:
        """End what is left of processes, and detach from the rings; also after a start that failed."""
        self.crew.aborting = True
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait(5.0)
            self._let_be(child)
        self._children.clear()
        self._rescuer.give_up()
        self._rings.close()

    # An heir of the node.

    def _note(self) -> None:
        """Note where this node stands, for an heir: before anything is done that follows from it."""
        content = {
            "paused": self._rings.paused,
            "crew": self.crew.to_plain(),
            "previous": {task.label: pids for task, pids in self._previous.items()},
            "writers_gone": self._rings.writers_gone,
            "let_go": sorted(self._let_go),
            "addresses": self._addresses,
            "hurried": self._hurried,
            **self._renewals.to_plain(),
            "final": self._final,
        }
        self._notes.write("work", content)

    def take_over(self, nodes: Iterable[int]) -> None:
        """Go on where a node stood that has died, in the place of `start`.

        All that it noted may have been done or not; so it is done, or done again, which changes nothing.
        `nodes`: the processes of this node that have died, perhaps while they were rescuing an event.
        """
        known = self._inherited
        assert known is not None
        self.crew.restore(known["crew"])
        self._let_go, self._addresses = set(known["let_go"]), dict(known["addresses"])
        self._final = known["final"]
        self._rings.recall(known["paused"])
        self._rings.release(nodes)
        found = {task: Found.look(self._jobs.path(task)) for task in self._tasks}
        living = {task for task, what in found.items() if what.holder and self._adopt(task, what.holder)}
        if known["hurried"]:
            self.hurry_observers()
        in_rings = self._rings.pids()
        unseen: dict[Task, int] = {}
        for task, what in found.items():
            self._previous[task] = dead = what.all_dead(lives=task in living)
            seen = task in living or not dead or dead[-1] in known["previous"].get(task.label, [])
            if not seen and not self.crew.is_over(task):
                unseen[task] = dead.pop()
            for pid in () if task in living else in_rings.intersection(self._previous[task]):
                self._recover(task, pid, has_heir=not self.crew.is_over(task))
        self._rings.end_writers()
        for task, pid in unseen.items():
            seat = seat_of(self._jobs.path(task))
            last_words = last_words_of(seat, pid)
            self._died(task, Death(pid, how_it_ended(last_words), last_words, with_host=not living))
            last_words_path(seat, pid).unlink(missing_ok=True)
        for task in self._tasks:
            if self.crew.is_over(task):
                self._gone(task, self.crew.end_of(task))
            elif task not in self._children and task not in self._pending_restarts:
                meaning = self.crew.deserted(task)
                if isinstance(meaning, Gone):
                    self._lose(task, meaning)
                else:
                    self._start(task)
        if self.crew.aborting:
            self.abort()
        elif self.crew.stopping:
            self._see_to_stop()
        for other, life in self._renewals.under_way.items():
            self.renew(other, life)
        self._progress()

    def _adopt(self, task: Task, pid: int) -> bool:
        """Take over a process; False if it has just ended."""
        try:
            child = Adopted(self._jobs.path(task), pid)
        except OSError:
            return False
        self._attend(task, child)
        with contextlib.suppress(WireError):  # it has just ended
            child.speak_up()
        return True

    # Processes.

    def _start(self, task: Task) -> None:
        self._pending_restarts.pop(task, None)
        module, names = self._jobs.write(
            task,
            port=self.crew.ports.get(task.name) if task.kind.endswith("receive") else None,
            previous=tuple(self._previous[task]),
        )
        care = Care(self._runtime.path, self._grace_s, self._log_of(task))
        self._attend(task, Child(module, self._jobs.path(task), names, care))

    def _attend(self, task: Task, child: Process) -> None:
        """Listen to a process from now on."""
        self._children[task] = child
        self._pump.add(child.output, task.label, self._log_of(task))
        self._loop.watch(child.status.fileno(), lambda: self._hear(task, child))
        if child.pidfd >= 0:
            self._loop.watch(child.pidfd, self.look_for_deaths)

    def _let_be(self, child: Process) -> None:
        """Close what leads to a process that has ended."""
        self._loop.unwatch(child.status.fileno())
        if child.pidfd >= 0:
            self._loop.unwatch(child.pidfd)
        child.close()

    def _log_of(self, task: Task) -> Path:
        return self._run.logs / f"{task.name}.log"

    def _hear(self, task: Task, child: Process) -> None:
        try:
            messages = child.status.read_ready()
        except WireError as error:
            self._events.say(f"{task.label}: {error}")
            self._loop.unwatch(child.status.fileno())
            return
        for message in messages:
            self.crew.hear(task, message)
            if self.crew.phase(task) is Phase.READY and task.stage in self._let_go:
                if not self._renewals.waits(task):
                    self._order_go([task])
                elif (other := self._renewals.ready(task)) is not None:
                    self._events.renewed(other, self.crew.ports)
        if child.status.closed:
            self._loop.unwatch(child.status.fileno())
        if messages:
            self._progress()

    def _order_go(self, tasks: Iterable[Task]) -> None:
        tasks = list(tasks)
        for task in tasks:
            self.crew.let_go(task)
        self._renewals.end(tasks)
        self._note()
        for task in tasks:
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

    def _ended(self, task: Task, child: Process, exit_code: int) -> None:
        for _ in range(_LAST_WORDS):
            if child.status.closed:
                break
            self._hear(task, child)
        self._let_be(child)
        del self._children[task]
        last_words = child.last_words if isinstance(child, Adopted) else None
        self._died(task, Death(child.pid, exit_code, last_words))
        child.forget()

    def _died(self, task: Task, death: Death) -> None:
        """See to what the end of a process means."""
        pid, exit_code, last_words = death.pid, death.exit_code, death.last_words
        when = f"{datetime.now():%H:%M:%S}"
        if last_words is not None:
            self.crew.hear(task, last_words)
        if self._renewals.wants(task):
            self._previous[task].append(pid)
            self._renew(task)
            return
        if last_words is not None and last_words["state"] == "orphaned":
            meaning = self.crew.deserted(task)
        else:
            if exit_code < 0:
                line = f"{when} {task.label} was killed ({signal_name(-exit_code)})\n"
                append_line(self._log_of(task), line, self._events.say)
            traces = self._rings.traces_of(task, pid)
            meaning = self.crew.died(task, exit_code, when, traces, with_host=death.with_host)
        self._previous[task].append(pid)
        if isinstance(meaning, Gone):
            self._rings.count_off(task, pid)
        self._note()
        self._recover(task, pid, has_heir=isinstance(meaning, Restart))
        if isinstance(meaning, Restart):
            aside = meaning.aside and self._put_aside(task, meaning.why)
            then = "its event is put aside, and it is started again" if aside else "it is started again"
            if meaning.told:
                self._events.say(f"{meaning.told.splitlines()[0]}; {then}")
            self._pending_restarts[task] = self._loop.after(meaning.delay_s, lambda: self._restart(task))
        else:
            self._gone(task, meaning)
        self._events.changed()

    def _recover(self, task: Task, pid: int, *, has_heir: bool) -> None:
        """Put right what a process left in its rings; an end of a link leaves it to the one after it."""
        if task.kind == "receive":
            for ring in task.writes:
                settle(self._rings[ring], task.name)
        if task.kind != "send":
            self._rings.recover(task, pid)
        elif not has_heir:
            for each in self._previous[task]:
                self._rings.recover(task, each)

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

    def _lose(self, task: Task, meaning: Gone) -> None:
        """Give up a process that waits to be started again."""
        self._rings.count_off(task, _NO_PID)
        self._note()
        self._gone(task, meaning)

    def _gone(self, task: Task, meaning: Gone) -> None:
        """Let the data flow go on, or end, without a process that will not come back."""
        self._rings.end_writers()
        trouble = meaning.trouble
        if not meaning.finished:
            self._rings.cut_files(task, self._files, self.crew.has_process(task.name), self._events.trouble)
        may_leave = self.crew.stopping or task.name == self._topology.rules.ends_with
        if not self.crew.aborting:
            for ring, group in task.reads:
                if not self.crew.has_reader(ring, group) and self._rings.has_events_to_come(ring, group):
                    self._rescuer.adopt(ring, group)
                    if trouble is None and not may_leave:
                        trouble = f"{task.label} has ended, and nobody reads {ring} any more"
        if trouble is not None and task.only_observes and task.kind != "worker":
            self._events.say(f"{trouble}; its observers see nothing more, and no event is lost")
        elif trouble is not None:
            self._events.trouble(trouble, link="" if task.kind == "worker" else task.name)
        self._rescuer.start()

    def _nudge_importers(self) -> None:
        for task in self._children.keys() & set(self.crew.importers):
            self._children[task].terminate()

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
        """Let those end that no event depends on, for all others have."""
        if not self._hurried:
            self._hurried = True
            self._note()
            hurry(self._loop, self.crew, self._children, self._dismiss, self._events.say)

    def _dismiss(self, task: Task) -> None:
        self.crew.dismiss(task)
        self._note()
        self._children[task].kill()

    def _close_books(self) -> None:
        try:
            self._rescuer.close()
        except RunError as error:
            self._events.trouble(str(error))
        self._final = self.report()
        self._note()
        self._events.closed()
