"""The broker's surroundings: its socket, its clock and its files around the state machine of `control`."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RefusedError, RunError, WireError
from mimocorb_dist.runs import RunDirectory, RunRecord, allot_run_directory
from mimocorb_dist.runs.incidents import Incidents, Sighting
from mimocorb_dist.runs.overview import OverviewMaker
from mimocorb_dist.wire.complaints import Complaints

from .control import COMMANDS, RunControl
from .effects import MakeRun, Notice, Over, Push
from .memory import Memory
from .post import Post
from .registration import Registration
from .remains import Deaths, Remains
from .state import State
from .watchdog import Still, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mimocorb_dist.topology import Plan, Topology
    from mimocorb_dist.wire.messages import Message
    from mimocorb_dist.wire.sockets import ControlServer, Request

    from .job import BrokerJob

log = logging.getLogger(__name__)

TICK_S = 0.25
OVERVIEW_S = 1.0
SETTLE_S = 2.0
"""So soon after its death nodes have found the broker in its place, and told it their counts."""
DEATHS_S = 1.0
"""How often is looked whether nodes on this machine are still alive."""
TOUCH_S = 0.5
"""How often is noted that this process is alive: who finds it dead later knows since when."""
YOUNG_S = 60.0
RECORD_S, RECORD_OF_YOUNG_S = 10.0, 2.0
"""How often the record is written as the run goes: a power cut leaves counts not older than this."""
FAREWELL_S = 3.0
"""How long nodes may take to say that they know of the end."""
READ_S = 1.0
"""How long who is answered last may take to read it: what is unread when the broker ends is lost."""


class Broker:
    """Serves one run: keeps its state, tells the nodes what to do, and writes its record.

    Parameters
    ----------
    topology, plan
        The setup.
    job
        What the node that started this broker told it.
    server
        The socket that nodes and clients speak to.
    orphaned
        Tells whether the node that started this broker has gone, given whether an heir of it can go on.
    """

    def __init__(
        self,
        topology: Topology,
        plan: Plan,
        job: BrokerJob,
        server: ControlServer,
        orphaned: Callable[[bool], bool],
    ) -> None:
        self._topology = topology
        self._plan = plan
        self._run_id = job.run_id
        self._server = server
        self._post = Post(server)
        self._memory = Memory(Path(job.memory)) if job.memory else None
        self._orphaned = orphaned
        self._control = RunControl(
            plan, job.silence_s, epoch_s=time.time() - time.monotonic(), grace_s=job.grace_s
        )
        self._deaths = Deaths(job.run_id)
        self._remains: dict[str, Remains] = {}
        self._over = False
        self._directory: RunDirectory | None = None
        self._started = datetime.now().astimezone()
        self._is_named = False
        self._overviews = OverviewMaker(plan)
        self._overview: dict[str, Any] | None = None
        self._next_overview_s = 0.0
        self._settling = False
        self._next_record_s = 0.0
        self._next_deaths_s = self._next_touch_s = 0.0
        self._made_s = 0.0
        self._cpu = _CpuMeter()
        self._complaints = Complaints(log)
        self._watchdog = Watchdog(plan)
        self._still: dict[tuple[str, str], Still] = {}
        self._incidents = Incidents()
        self._farewells: set[str] | None = None
        self._last_word_s = self._read_s = 0.0
        if job.death is not None:
            self._go_on_after(*job.death)

    def run(self) -> int:
        """Serve until the run is over and the nodes know it; return the exit status of the run."""
        while not self._told_all:
            request = self._server.receive(TICK_S)
            while request is not None:
                self._take(request)
                self._carry_out()
                self._speak()
                request = self._server.receive(0)
            self._tick()
            self._carry_out()
            self._speak()
        return self._control.exit_status

    @property
    def _told_all(self) -> bool:
        """Whether the run is over, and everybody knows it, or does not answer."""
        if self._farewells is None:
            return False
        last_s = max(self._read_s, self._last_word_s) if self._farewells else self._read_s
        return time.monotonic() >= last_s

    def _tick(self) -> None:
        now_s = time.monotonic()
        if self._orphaned(self._control.begun and self._farewells is None):
            self._control.node_died(self._topology.broker_node, now_s, for_good=True)
            if self._farewells is not None:
                self._farewells.discard(self._topology.broker_node)
            elif self._directory is None:
                self._farewells = set()  # the other nodes go on waiting, for another broker
        if now_s >= self._next_deaths_s:
            self._next_deaths_s = now_s + DEATHS_S
            present = {node: self._control.returns.lives[node] for node in self._control.present}
            for node, in_order in self._deaths.look(present).items():
                self._control.node_died(node, now_s, for_good=in_order, in_order=in_order)
        if self._memory is not None and now_s >= self._next_touch_s:
            self._next_touch_s = now_s + TOUCH_S
            self._memory.touch()
        self._control.tick(now_s)
        self._note_incidents()
        self._post.remind(self._control.present, now_s)
        self._see_to_remains(now_s)
        if self._farewells is None and now_s >= self._next_overview_s:
            self._next_overview_s = now_s + OVERVIEW_S
            self._show(now_s)
        if self._directory is not None and self._farewells is None and now_s >= self._next_record_s:
            is_young = now_s - self._made_s < YOUNG_S
            self._next_record_s = now_s + (RECORD_OF_YOUNG_S if is_young else RECORD_S)
            self._write_record()

    def _hold_rings(self, node: str) -> None:
        """Open the rings of a node, if it is on this machine.

        Who is dead may be cleaned away by any start here, before it is noticed: the books stay at hand.
        """
        remains = self._remains_of(node, time.monotonic())
        if remains.complete and not remains.over:
            self._remains[node] = remains

    def _remains_of(self, node: str, now_s: float) -> Remains:
        life, held = self._control.returns.lives[node], self._remains.get(node)
        if held is not None and held.life == life:
            return held
        return Remains(self._run_id, self._plan.nodes[node], life, now_s)

    def _see_to_remains(self, now_s: float) -> None:
        """Keep the books of rings whose node has died, and end the run when all is over."""
        for node in sorted(self._control.lost_nodes):
            remains = self._remains[node] = self._remains_of(node, now_s)
            remains.look(now_s)
            before = self._control.reports.get(node, {})
            rings = self._control.returns.total(node, {"rings": remains.statistics()})["rings"]
            self._control.reports[node] = {**before, "rings": {**before.get("rings", {}), **rings}}
        is_quiet = all(self._remains[node].over for node in self._control.lost_nodes)
        if self._over and self._farewells is None and is_quiet:
            self._end()

    # Messages.

    def _take(self, request: Request) -> None:
        message, node = request.message, self._post.node_of(request)
        if node is not None and not self._post.read(node, message):
            return
        try:
            if message.kind == "register":
                self._register(request)
            elif message.kind in ("status", *COMMANDS):
                self._answer(request)
            else:
                self._hear(request.peer, message)
        except RefusedError as error:
            self._refuse(request, str(error))
        except WireError as error:
            self._complaints.add(f"a {message.kind!r} message cannot be understood: {error}")
            self._refuse(request, str(error))

    def _register(self, request: Request) -> None:
        registration = Registration.from_message(request.message, request.key)
        if self._post.is_node(registration.node, request.peer):
            return  # said again, for the first time was not answered soon enough
        try:
            is_taken = self._control.register(registration, time.monotonic())
        except RefusedError as error:
            self._post.push(request.peer, "rejected", reason=str(error))
            self._complaints.add(f"refused: {error}")
            if self._farewells is not None and registration.node in self._farewells:
                self._farewells.remove(registration.node)
                self._read_s = time.monotonic() + READ_S
            return
        if not is_taken:
            return  # it will ask again
        self._post.admit(registration.node, request.peer)
        offset_s = registration.clock_s - time.time()
        if abs(offset_s) > 1.0:
            log.warning(
                "the clock of node %s differs by %.1f s; timestamps of its events do too",
                registration.node,
                offset_s,
            )

    def _hear(self, peer: bytes, message: Message) -> None:
        """Take in the word of a node; who it is stands in each of its messages."""
        node, now_s = message.field("node", str), time.monotonic()
        if not self._post.is_node(node, peer):
            self._post.push(peer, "unknown")
            return
        self._control.heard(node, now_s)
        if node in self._control.lost_nodes:
            reason = "the run ends without this node, which was silent for too long"
            self._post.say(node, "lost", reason=reason)
            if message.kind not in ("report", "closed"):
                return  # its books still count
        if message.kind == "report":
            self._control.report(node, message.field("report", dict), now_s)
        elif message.kind == "ready":
            self._control.node_ready(node, message.field("ports", dict))
            self._hold_rings(node)
        elif message.kind == "started":
            self._control.node_started(node, message.field("stage", int))
        elif message.kind == "trouble":
            self._control.trouble(
                node,
                message.field("text", str),
                fatal=message.field("fatal", bool),
                link=message.field("link", str),
            )
        elif message.kind == "renewed":
            returned = message.field("returned", str)
            self._control.node_renewed(node, returned, message.field("ports", dict))
        elif message.kind == "returned":
            self._note_return(node, message.field("pid", int), message.field("gone_s", float))
        elif message.kind == "closed":
            self._control.node_closed(node, message.field("report", dict))
        elif message.kind == "leave":
            self._control.leave(node)
            self._tell(node, "left")
            self._post.forget(node)
        elif message.kind == "farewell" and self._farewells is not None:
            self._farewells.discard(node)
            self._tell(node, "goodbye")
        elif message.kind not in ("alive", "farewell"):
            log.warning(
                "node %s said %r, which is not known; use the same version everywhere", node, message.kind
            )

    def _note_return(self, node: str, pid: int, gone_s: float) -> None:
        """Note that a node that had died was started again, and how long it had been gone."""
        why = self._control.node_returned(node, pid)
        now = datetime.now().astimezone()
        self._incidents.add(("gone", node), Sighting(why, now - timedelta(seconds=gone_s)), now)

    def _answer(self, request: Request) -> None:
        """Answer a client: the state of the run, or what its command does."""
        kind, fields = request.message.kind, request.message.fields
        if kind == "status":
            self._reply(request, "status", overview=self._overview or self._make_overview(time.monotonic()))
            return
        if kind == "stop" and self._control.ending and self._post.node_of(request) is not None:
            return  # Ctrl-C on several nodes asks for the same
        answer = self._control.command(kind, str(fields.get("scope", "roots")))
        self._reply(request, "done", text=answer)
        if self._post.node_of(request) is None:
            self._read_s = time.monotonic() + READ_S

    # Effects.

    def _carry_out(self) -> None:
        for effect in self._control.take_effects():
            if isinstance(effect, Push):
                self._tell(effect.node, effect.kind, **effect.fields)
            elif isinstance(effect, Notice):
                self._announce(effect.text, effect.but_at)
            elif isinstance(effect, MakeRun):
                self._make_run()
                self._carry_out()
            elif isinstance(effect, Over):
                self._over = True
                self._see_to_remains(time.monotonic())

    def _announce(self, text: str, but_at: str = "") -> None:
        log.info("%s", text)
        for node in self._control.present:
            if node != but_at:
                self._tell(node, "notice", text=text)

    def _make_run(self) -> None:
        if not self._is_named:
            self._started, self._is_named = datetime.now().astimezone(), True
            self._note()  # so that a successor finds the directory, if this process dies now
        self._made_s = time.monotonic()
        try:
            self._directory = allot_run_directory(
                self._topology.target_directory, self._topology.run_name(self._started), self._run_id
            )
            self._record().write(self._directory.record)
        except RunError as error:
            if self._directory is not None:
                self._directory.discard()
                self._directory = None
            self._control.cannot_make_run(str(error))
            return
        self._control.run_made(self._run_id, self._directory.path.name)

    def _end(self) -> None:
        content = None
        self._incidents.note({}, datetime.now().astimezone())
        if self._directory is not None:
            record = self._record().ended(bool(self._control.reasons), datetime.now().astimezone())
            content = record.to_dict()
            try:
                record.write(self._directory.record)
            except RunError as error:
                self._control.record_failed(str(error))
                log.error("%s", error)
        overview = self._make_overview(time.monotonic())
        self._farewells = set(self._control.present)
        if self._control.state is State.FAILED and not self._control.begun:
            self._farewells |= set(self._control.missing)  # who comes a little later is told why
        self._last_word_s = time.monotonic() + FAREWELL_S
        for node in self._control.present:
            self._tell(
                node,
                "end",
                state=str(self._control.state),
                status=self._control.exit_status,
                reasons=self._control.reasons,
                record=content,
                overview=overview,
            )

    def _write_record(self) -> None:
        if self._directory is None:
            return
        try:
            self._record().write(self._directory.record)
        except RunError as error:
            self._control.trouble(self._topology.broker_node, str(error))

    def _record(self) -> RunRecord:
        control = self._control
        return RunRecord(
            plan=self._plan,
            setup=self._topology.resolved,
            run_id=self._run_id,
            started=self._started,
            reasons=tuple(control.reasons),
            flaws=tuple(control.flaws),
            aborted=control.aborted or (control.begun and bool(control.missed_nodes)),
            lost_nodes=frozenset(control.lost_nodes),
            returned_nodes=frozenset(control.returns.lives),
            closed_nodes=control.closed,
            settled_nodes=frozenset(node for node, left in self._remains.items() if left.settled),
            nodes={node: registration.facts() for node, registration in control.registrations.items()},
            reports=control.reports,
            incidents=self._incidents.to_plain(datetime.now().astimezone()),
        )

    def _show(self, now_s: float) -> None:
        if self._settling:  # rates need two looks, and counts the word of all nodes
            self._settling = False
            self._make_overview(now_s)
            return
        self._overview = self._make_overview(now_s)
        self._look_at_still(self._overview, now_s)
        for node in self._control.present:
            self._post.say(node, "overview", overview=self._overview)

    def _look_at_still(self, overview: dict[str, Any], now_s: float) -> None:
        """See what does not move; a node itself says that of its workers."""
        before, self._still = self._still, self._watchdog.look(overview, now_s)
        for key, still in self._still.items():
            if key not in before and key[1] in overview["buffers"]:
                self._announce(still.text)
        told = [still.text for (_, name), still in self._still.items() if name in overview["buffers"]]
        unheard = [
            f"no word from node {node} for {for_s:.0f} s: what is shown of it is as old"
            for node, for_s in self._unheard_for_s().items()
        ]
        overview["run"]["remarks"] = [
            *unheard,
            *self._control.held.values(),
            *self._control.pauses.little.values(),
            *told,
        ]

    def _note_incidents(self) -> None:
        now = datetime.now().astimezone()
        seen = {("held", node): Sighting(why, now) for node, why in self._control.held.items()}
        for key, still in self._still.items():
            seen[key] = Sighting(f"{still.what}, {still.why}", now - timedelta(seconds=still.for_s))
        for node, for_s in self._unheard_for_s().items():
            if node in self._control.silent:
                seen["unheard", node] = Sighting(
                    "no word came from this node", now - timedelta(seconds=for_s)
                )
        self._incidents.note(seen, now)

    def _unheard_for_s(self) -> dict[str, float]:
        now_s = time.monotonic()
        return {node: now_s - since_s for node, since_s in self._control.unheard.items()}

    def _make_overview(self, now_s: float) -> dict[str, Any]:
        control = self._control
        run: Mapping[str, Any] = {
            "id": self._run_id,
            "name": self._directory.path.name if self._directory else None,
            "directory": str(self._directory.path) if self._directory else None,
            "setup": self._topology.path.name,
            "state": str(control.state),
            "reasons": list(control.reasons),
            "remarks": [],
            "started": self._started.isoformat(timespec="seconds"),
            "nodes": {node: self._node_state(node) for node in self._plan.nodes},
        }
        cpu_percent = self._cpu.percent(now_s)
        cpu_percent += sum(report.get("cpu_percent", 0.0) for report in control.reports.values())
        return self._overviews.overview(run, control.reports, now_s, cpu_percent)

    def _node_state(self, node: str) -> str:
        if node in self._control.lost_nodes:
            return "vanished"
        if node in self._control.unheard:
            return "silent" if node in self._control.silent else "dead"
        return "here" if node in self._control.registrations else "missing"

    # Speaking.

    def _tell(self, node: str, kind: str, /, **fields: Any) -> None:
        """Tell a node something that must arrive."""
        try:
            self._post.tell(node, kind, **fields)
        except WireError as error:
            self._control.node_lost(node, f"has stopped to listen: {error}")

    def _reply(self, request: Request, kind: str, /, **fields: Any) -> None:
        if (node := self._post.node_of(request)) is not None:
            self._tell(node, kind, **fields)
        else:
            self._post.answer(request, kind, **fields)

    def _refuse(self, request: Request, reason: str) -> None:
        self._reply(request, "refused", reason=reason)

    def _speak(self) -> None:
        """Say what there is to say, once it has been noted what it follows from."""
        self._note()
        for node in self._post.send():
            self._control.hung_up(node, time.monotonic())

    # What outlives this process.

    def _note(self) -> None:
        """Write down what a successor has to know."""
        if self._memory is None:
            return
        control, moving = self._control.to_plain()
        content = {
            "control": control,
            "post": self._post.to_plain(),
            "incidents": self._incidents.to_memory(),
            "directory": str(self._directory.path) if self._directory else None,
            "started": self._started.isoformat(),
            "is_named": self._is_named,
            "farewells": None if self._farewells is None else sorted(self._farewells),
        }
        try:
            self._memory.note(content, moving)
        except RunError as error:
            self._memory = None
            self._announce(str(error))

    def _go_on_after(self, how: str, died_s: float) -> None:
        """Go on in the place of a broker that died: nodes and the course of the run are as it left them."""
        noted = self._memory.read() if self._memory is not None else None
        if self._memory is None or noted is None:
            return  # nobody had come yet
        content, moving = noted
        now = datetime.now().astimezone()
        # Who was not there to see it die has found it dead later than it was.
        died_s = min(died_s, self._memory.touched_s() + TOUCH_S)
        now_s = time.monotonic()
        self._control.recall(content["control"], moving, now_s - max(0.0, time.time() - died_s), now_s)
        self._settling, self._next_overview_s = True, now_s + SETTLE_S
        for node in self._control.present:
            self._hold_rings(node)
        self._post.recall(content["post"])
        self._incidents = Incidents.from_memory(content["incidents"])
        died = datetime.fromtimestamp(died_s).astimezone()
        self._incidents.add(("gone", "broker"), Sighting(f"the broker {how}", died), now)
        self._directory = RunDirectory(Path(content["directory"])) if content["directory"] else None
        self._started, self._is_named = datetime.fromisoformat(content["started"]), content["is_named"]
        if content["farewells"] is not None:
            self._farewells = set(content["farewells"])
            self._last_word_s = time.monotonic() + FAREWELL_S
        else:
            self._announce(f"the broker {how} at {died:%H:%M:%S}; it is here again, and the run goes on")


class _CpuMeter:
    """Measures what this process takes of a core."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), time.process_time()

    def percent(self, now_s: float) -> float:
        cpu_s = time.process_time()
        elapsed_s = now_s - self._wall_s
        percent = 100 * (cpu_s - self._cpu_s) / elapsed_s if elapsed_s > 0 else 0.0
        self._wall_s, self._cpu_s = now_s, cpu_s
        return percent
