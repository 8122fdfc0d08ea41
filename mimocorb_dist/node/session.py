"""A node's part in a run, from its call to the broker to its farewell."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import MimocorbError, RunError, WireError
from mimocorb_dist.runs import RunDirectory, RunRecord, join_run_directory
from mimocorb_dist.runs.parts import add_part
from mimocorb_dist.runs.record import own_part, write_record
from mimocorb_dist.wire.sockets import PEER_SILENCE_MS

from .absence import Absence
from .cards import leave_a_card, registration_of
from .disk import DiskWatch
from .mail import Mail
from .notes import Notes, first_notes, grace_of, new_runtime
from .papers import Papers
from .still import StillLinks
from .work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mimocorb_dist.ring.runtime import RuntimeDirectory
    from mimocorb_dist.topology import Plan, Topology
    from mimocorb_dist.wire.messages import Message
    from mimocorb_dist.wire.security import Security

    from .console import Console
    from .loop import Loop, Timer
    from .options import StartOptions
    from .output import OutputPump

CALL_EVERY_S = 0.05
ASK_EVERY_S = 1.5
SAY_EVERY_S = 5.0
REPORT_EVERY_S = 0.5
LAST_WORD_S = 5.0
"""How long the broker may take to end a run in which this node has nothing left to do at once."""
FAREWELL_S = 1.0
BRIEFLY_S = 30.0
"""How long a silent broker is waited for where a break of the network is no reason to wait longer."""
RETURN_S = 120.0
"""How long a broker that has died in a run is waited for: its node starts it again, if that lives."""
NOT_BEGUN = 2
"""Exit status of a run that could not begin."""


class NodeSession:
    """One node in one run.

    Parameters
    ----------
    loop, pump, console
        Its surroundings.
    topology, plan
        The setup.
    name
        Its name.
    address
        Host name or address under which the other nodes reach it.
    options
        What the user asked.
    security
        How it is protected, with the broker's key.
    outspoken
        Whether it shows what the broker tells all nodes; of several nodes in one terminal only one does.
    on_over
        Called once, when all is done, with the exit status.
    """

    def __init__(
        self,
        loop: Loop,
        pump: OutputPump,
        console: Console,
        topology: Topology,
        plan: Plan,
        name: str,
        address: str,
        options: StartOptions,
        security: Security,
        *,
        outspoken: bool,
        on_over: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._console = console
        self._terminal = console.terminal
        self._topology = topology
        self._plan = plan
        self._address = address
        self._options = options
        self._security = security
        self._grace_s = grace_of(options)
        self._outspoken = outspoken
        self._on_over = on_over
        self.name = name
        self.runtime: RuntimeDirectory | None = None
        self._mail = Mail(name)
        self._broker = ""
        self._registered = False
        self._asked_s = self._said_s = self._heard_s = 0.0
        self._give_up_s = time.monotonic() + options.wait_s
        self._absence = Absence(self._say)
        self._notes: Notes | None = None
        self._work: Work | None = None
        self._papers: Papers | None = None
        self._disk: DiskWatch | None = None
        self._run: RunDirectory | None = None
        self._keeper = False
        self.run_id = ""
        self._started = datetime.now().astimezone()
        self._reasons: list[str] = []
        self._closed = self._alone = self._over = False
        self._tick_timer: Timer | None = None
        self._status = 1
        self._told_end = self._leaving = False
        self._missing: list[str] = []
        self._told: set[str] = set()
        self._broker_gone = self._hung_up = self._asked_to_end = False

    # What its surroundings ask.

    @property
    def in_run(self) -> bool:
        """Whether it has rings and processes: then the run can be ended for all nodes."""
        return self._work is not None

    @property
    def directory(self) -> Path | None:
        """The run directory, if it has been made."""
        return None if self._run is None else self._run.path

    def call(self, broker: str) -> None:
        """Call the broker at an address, until it answers."""
        self._broker = broker
        try:
            self._mail.call(broker, self._security)
        except WireError as error:
            self._end(2, str(error))
            return
        if self._registered:  # this is an heir
            self._heard_s = time.monotonic()
            self._leave_a_card()
        self._loop.watch(self._mail.socket, self._listen)
        self._tick()

    def stop(self) -> None:
        """End in good order: the whole run, or the waiting for it."""
        if self._over:
            return
        self._asked_to_end = True
        if self._alone and self._work is not None:
            self._work.stop()
        elif self._work is not None:
            self._mail.post("stop")
        elif self._registered and self.name != self._topology.broker_node:
            self._leaving = True
            self._mail.post("leave")  # the others go on waiting; the broker's answer ends this node
        else:
            self._end(0, "ended before the run began")

    def abort(self) -> None:
        """End at once."""
        if self._over:
            return
        if self._registered:
            self._mail.post("abort")
        if self._work is None:
            self._end(1, "ended before the run began")
            return
        self._work.abort()
        self._loop.after(LAST_WORD_S, lambda: self._go_alone("the broker does not answer"))

    def children_ended(self) -> None:
        """Look which processes have ended."""
        if self._work is not None:
            self._work.look_for_deaths()

    def broker_ended(self, failure: str | None) -> None:
        """Note that the broker's process, which this node has started, is no more."""
        if self._told_end:
            self._end(self._status, None)
        else:
            self._go_alone(failure or "the broker has ended")

    def close(self) -> None:
        """End all that is left, and let go of it, but for the runtime directory.  Idempotent."""
        self._over = True
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        if self._work is not None:
            self._work.close()
            self._work = None
        if self._papers is not None:
            self._papers.close()
        if self._disk is not None:
            self._disk.close()
        if self._run is not None and self._keeper and self._told_end and self._status == NOT_BEGUN:
            self._run.discard(self._topology.rules.copied)
        if self._mail.socket is not None:
            self._loop.unwatch(self._mail.socket)
            self._mail.close()

    # The broker.

    @property
    def _patience_s(self) -> float:
        """How long the broker may be silent: long where its return would save the run.

        The system closes the connections of a process that ends, at once; a cut line is noticed by its
        silence only.
        """
        longest_s = 1.5 * self._options.silence_s
        if self._asked_to_end or self._work is None:
            return min(BRIEFLY_S, longest_s)
        return min(RETURN_S, longest_s) if self._hung_up else longest_s

    def _tick(self) -> None:
        now_s = time.monotonic()
        if self._work is not None and not self._alone and not self._told_end:
            self._absence.look(self._broker, now_s - self._heard_s, self._mail.refusal())
        if 1000 * (now_s - self._heard_s) < PEER_SILENCE_MS and not self._mail.connected:
            self._hung_up = True
        self._mail.remind(now_s)
        if not self._registered:
            self._ask(now_s)
            if refusal := self._mail.refusal():
                self._end(NOT_BEGUN, str(refusal))
                return
        elif self._alone or now_s - self._heard_s < self._patience_s:
            self._report()
        elif self._work is None:
            self._report()  # another broker will answer that it does not know this node
            if not self._broker_gone:
                self._broker_gone = True
                self._say(f"the broker at {self._broker} has gone; waiting for it")
        else:
            self._go_alone(f"the broker at {self._broker} has been silent for {self._patience_s:g} s")
        if self._work is None and not self._over and now_s > self._give_up_s:
            self._give_up()
        if not self._over:
            delay_s = REPORT_EVERY_S if self._registered else CALL_EVERY_S
            self._tick_timer = self._loop.after(delay_s, self._tick)

    def _ask(self, now_s: float) -> None:
        if now_s - self._asked_s > ASK_EVERY_S and self._mail.connected:
            self._asked_s = now_s
            registration = registration_of(self._topology, self._address, self._options)
            self._mail.say("register", registration)
        if self._said_s == 0.0:
            self._said_s = now_s
        elif now_s - self._said_s > SAY_EVERY_S:
            self._said_s = now_s
            self._say(f"waiting for the broker at {self._broker} (node {self._topology.broker_node})")

    def _give_up(self) -> None:
        waited = f"after {self._options.wait_s:g} s"
        if self._registered:
            self._mail.post("leave")
            who = f"nodes {', '.join(self._missing)} have" if self._missing else "the broker's word has"
            self._end(2, f"{who} not come {waited}; start what is missing, or try --all")
        else:
            self._end(
                2,
                f"nobody answers at {self._broker} {waited}; start node {self._topology.broker_node} "
                "on its host (or look why it ended there), and check address, port and firewall",
            )

    def _report(self) -> None:
        if self._work is None or self._closed:
            self._mail.say("alive", {})
        elif self._mail.connected:
            disk = {} if self._disk is None else self._disk.report()
            self._mail.say("report", {"report": {**self._work.report(), "disk": disk}})

    def _listen(self) -> None:
        while self._mail.socket is not None:
            try:
                message = self._mail.receive()
            except WireError as error:
                self._say(str(error), error=True)
                continue
            if message is None:
                return
            self._heard_s, self._broker_gone, self._hung_up = time.monotonic(), False, False
            try:
                with self._mail.held():
                    if self._mail.read(message):
                        self._take(message)
            except WireError as error:
                self._say(f"a message of the broker cannot be understood: {error}", error=True)

    def _take(self, message: Message) -> None:
        match message.kind:
            case "registered":
                self._registered = True
                self._missing = message.field("missing", list)
            case "rejected":
                self._end(2, message.field("reason", str).removeprefix(f"node {self.name} "))
            case "notice":
                self._notice(message.field("text", str))
            case "overview":
                self._show(message.field("overview", dict))
            case "prepare":
                self._prepare(message)
            case "end":
                self._finish(message)
            case "left":
                self._end(0, "ended before the run began")
            case "unknown" if self._leaving:
                self._end(0, "ended before the run began")
            case "unknown" if self._work is None:
                # Another broker has taken the place of the one that knew this node.
                self._registered = False
                self._mail.begin_anew()
            case "unknown":
                self._go_alone(f"the broker at {self._broker} serves another run")
            case "lost":
                self._go_alone(message.field("reason", str))
                self._cut_links()
            case "goodbye":
                self._end(self._status, None)
            case "refused" if self._leaving:
                self._leaving = False
                self._mail.post("stop")  # the run has just come into being
            case "refused":
                self._say(message.field("reason", str))
            case kind if self._work is not None:
                self._order(self._work, kind, message)

    def _order(self, work: Work, kind: str, message: Message) -> None:
        match kind:
            case "go":
                work.go(message.field("stage", int), message.field("addresses", dict))
            case "pause":
                work.pause(message.field("scope", str))
            case "resume":
                work.resume(message.field("scope", str))
            case "hold" | "release":
                work.hold(on=kind == "hold")
            case "stop":
                work.stop()
            case "hurry":
                work.hurry_observers()
            case "abort":
                work.abort()
            case "link_lost":
                work.link_lost(message.field("link", str))
            case "node_lost":
                work.node_lost(message.field("lost", str))
            case "renew":
                work.renew(message.field("returned", str), message.field("life", int))

    # The run.

    def _prepare(self, message: Message) -> None:
        """Make directories and rings, and start all processes."""
        self.run_id = message.field("run_id", str)
        try:
            if self.runtime is None:
                self.runtime = new_runtime(self.run_id, self.name, message.field("lives", dict))
            noted = first_notes(self.name, message, self._topology, self._grace_s, self._started)
            self._notes = Notes(self.runtime.path, self._say, noted)
            self._make_work(self._notes, was=message.field("was", int)).start()
            self._keep_papers(again=self._life > 0)
            self._mail.notes = self._notes
        except (MimocorbError, OSError) as error:
            self._mail.post("trouble", text=str(error), fatal=True, link="")

    def take_over(self, runtime: RuntimeDirectory, notes: Notes) -> None:
        """Go on where a node stood that has died; the broker is to be called after this."""
        self.runtime, self._notes = runtime, notes
        noted = notes.sections
        self.run_id, self._registered = noted["run"], True
        self._started = datetime.fromisoformat(noted["started"])
        self._mail.recall(notes)
        with self._mail.held():
            self._mail.post("returned", pid=os.getpid(), gone_s=notes.age_s)
            try:
                work = self._make_work(notes)
                dead = noted["nodes"]
                notes.write("nodes", [*dead, os.getpid()])
                work.take_over(dead)
                self._keep_papers(again=True)
            except (MimocorbError, OSError) as error:
                self._mail.post("trouble", text=str(error), fatal=True, link="")
        if why := noted.get("alone"):
            self._go_alone(why)

    @property
    def _life(self) -> int:
        """How often this node has come back to the run after the death of its host."""
        return 0 if self._notes is None else int(self._notes.sections["lives"].get(self.name, 0))

    def _make_work(self, notes: Notes, was: int = 0) -> Work:
        assert self.runtime is not None
        noted = notes.sections
        is_heir = "work" in noted
        run = join_run_directory(self._topology.target_directory, noted["name"], self.run_id)
        has_broker = self.name == self._topology.broker_node
        self._keeper = has_broker or (noted["keeper"] if is_heir else not run.shared or run.was_kept_by(was))
        notes.sections["keeper"] = self._keeper
        self._run = run
        if self._keeper and not has_broker and not is_heir:
            write_record(run.record, own_part(self._record().to_dict(), [self.name]))
        if not is_heir:
            self._leave_a_card()
        self._work = Work(
            self._loop,
            self._pump,
            self._topology,
            self._plan,
            self.name,
            self._address,
            self.runtime,
            run,
            self.run_id,
            noted["limits"],
            noted["lives"],
            self._security,
            noted["keys"],
            self,
            notes,
            self._grace_s,
        )
        return self._work

    def _keep_papers(self, *, again: bool = False) -> None:
        if self._keeper and self._run is not None:
            self._papers = Papers(self._plan, self._topology, self._run, again=again)
            self._disk = DiskWatch(self._run.path, self._topology.disk)

    def _leave_a_card(self) -> None:
        assert self.runtime is not None and self._run is not None
        leave_a_card(self.runtime.path, self.run_id, self.name, self._broker, self._run.path, self._topology)

    def ready(self) -> None:
        """All processes are ready."""
        assert self._work is not None
        self._mail.post("ready", ports=self._work.crew.ports)

    def stage_runs(self, stage: int) -> None:
        """All processes of a stage run."""
        self._mail.post("started", stage=stage)

    def renewed(self, other: str, ports: Mapping[str, int]) -> None:
        """All ends of links with a node that comes back have been made anew."""
        self._mail.post("renewed", returned=other, ports=ports)

    def trouble(self, text: str, *, fatal: bool = False, link: str = "") -> None:
        """Something went wrong for good; `link` is the link whose end on this node is gone."""
        self._reasons.append(text)
        self._mail.post("trouble", text=text, fatal=fatal, link=link)
        if self._alone and self._work is not None:
            (self._work.abort if fatal else self._work.stop)()

    def changed(self) -> None:
        """A process has ended."""
        self._report()

    def closed(self) -> None:
        """All processes have ended, and their books are final."""
        assert self._work is not None
        self._closed = True
        self._mail.post("closed", report=self._work.report())
        if self._alone:
            self._finish_alone()

    def still_at_work(self, names: list[str]) -> None:
        """These processes have not ended, though they are to."""
        how = "a second Ctrl-C" if self._asked_to_end else "Ctrl-C, twice,"
        self._say(f"still at work: {', '.join(names)}; {how} ends them at once")

    def say(self, text: str) -> None:
        """People want to read this."""
        self._say(text)

    def _notice(self, text: str) -> None:
        self._told.add(text)
        if self._outspoken:
            self._terminal.say(text)

    def _show(self, overview: Mapping[str, Any]) -> None:
        self._missing = [node for node, state in overview["run"]["nodes"].items() if state == "missing"]
        if self._outspoken:
            self._console.note(overview)
        if self._papers is not None:
            try:
                self._papers.note(self._own(overview))
            except RunError as error:
                self._papers.close()
                self._papers = None
                self.trouble(str(error))

    def _own(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what concerns this node; for the broker's node that is all."""
        return content if self.name == self._topology.broker_node else own_part(content, [self.name])

    # The end.

    def _finish(self, message: Message) -> None:
        """Take in the broker's word that the run is over."""
        status, record = message.field("status", int), message.fields.get("record")
        self._show(message.field("overview", dict))
        here = self._run is not None and self._keeper and self.name != self._topology.broker_node
        if record is not None and self._run is not None and here:
            try:
                write_record(self._run.record, own_part(record, [self.name]))
            except RunError as error:
                self._say(str(error), error=True)
                status = status or 1
        if record is not None and self._outspoken and status != NOT_BEGUN:
            self._terminal.conclude(self._farewell(record))
        elif record is None and status == 0:
            self._say("ended before the run began")
        self._status, self._told_end = status, True
        self._mail.post("farewell")
        self._loop.after(FAREWELL_S, lambda: self._end(status, None))

    def _go_alone(self, why: str) -> None:
        """End in good order without a broker: events already in the buffers still find their way."""
        if self._over or self._alone:
            return
        self._alone = True
        if self._notes is not None:
            self._notes.write("alone", why)
        if self._work is None:
            self._end(2, why if self._outspoken else None)
            return
        self._reasons.append(why)
        if self._outspoken:
            self._terminal.say(f"{self._me}{why}; what is left here ends in good order", error=True)
        if self._closed:
            self._finish_alone()
        else:
            self._work.stop()
            StillLinks(self._loop, self._link_counts, self._cut_links)

    def _link_counts(self) -> Mapping[str, Any] | None:
        return None if self._work is None or self._over else self._work.crew.link_counts()

    def _cut_links(self) -> None:
        """End all links: what they should have sent goes to the rescue files."""
        for node in self._plan.nodes:
            if node != self.name and self._work is not None:
                self._work.node_lost(node)

    def _finish_alone(self) -> None:
        """Bring what this node knows into the record of the run: the broker cannot do it any more."""
        if self._run is not None:
            try:
                record = add_part(self._run.record, self._record(), self.name)
            except RunError as error:
                self._say(str(error), error=True)
            else:
                if self._outspoken:
                    self._terminal.conclude(self._farewell(record))
        self._end(1, None)

    def _record(self) -> RunRecord:
        """Return what this node knows of the run without the broker."""
        return RunRecord(
            plan=self._plan,
            setup=self._topology.resolved,
            run_id=self.run_id,
            started=self._started,
            reasons=tuple(f"{self._me}{reason}" for reason in self._reasons),
            lost_nodes=frozenset(self._plan.nodes) - {self.name},
            reports={self.name: self._work.report()} if self._work is not None else {},
        )

    def _end(self, status: int, why: str | None) -> None:
        if self._over:
            return
        self._over = True
        if why is not None:
            self._say(why, error=status != 0)
        self._on_over(status)

    def _farewell(self, record: Mapping[str, Any]) -> str:
        """Return the result of the run, with the reasons that have not been told yet."""
        facts = record["run"]
        where = f": {self._run.path}" if self._run else ""
        untold = [f"\n  {reason}" for reason in facts["reasons"] if reason not in self._told]
        return f"run {facts['state']}, quality {facts['quality']}{where}{''.join(untold)}"

    @property
    def _me(self) -> str:
        return f"node {self.name}: " if self._topology.distributed else ""

    def _say(self, text: str, *, error: bool = False) -> None:
        self._terminal.say(self._me + text, error=error)
