"""Run control as a state machine: no sockets, files or clocks.

It is told what happens and answers with effects (messages to nodes, and what its surroundings have to do),
which are taken with `take_effects`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RefusedError

from .effects import Effect, MakeRun, Notice, Over, Push
from .limits import event_limits, have_ended
from .pauses import Pauses
from .registration import Registration, addresses, differences
from .silence import GONE_S, QUIET_S, SILENCE_S, Silence
from .state import TRANSITIONS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mimocorb_dist.topology import Plan, Worker

_HOLDING_STATES = (State.READY, State.RUNNING, State.PAUSED)
COMMANDS = ("pause", "resume", "stop", "abort")
STOPPED_EARLY = "stopped before it began"

_PLAIN: tuple[str, ...] = ("begun", "aborted", "reasons", "_ready", "_stage", "_made", "_has_run")
_PLAIN += ("_holding", "_hurried", "_told_hurry", "_max_time_s")
_SETS = ("lost_nodes", "_started", "_closed")
_MOVING = ("reports", "_running_s", "_looked_s")
"""What outlives the process that this runs in; what is in the last line changes all the time."""


class RunControl:
    """The state of one run.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    silence_s
        How long a node may be silent in a run before it has vanished, in s.
    epoch_s
        What a wall clock shows when `now_s` is 0, in s since 1970: reasons tell times of the day.
    grace_s
        How long a node that has died is waited for, in s: it may be started again.

    Attributes
    ----------
    state
        See `State`.
    registrations
        The nodes that are here.
    reports
        The last report of each node.
    reasons
        What went wrong, one text each.
    begun
        Whether processes have been let go; what goes wrong before is a mistake in the setup or its
        surroundings.
    aborted
        Whether the run was ended at once.
    lost_nodes
        Nodes that vanished.
    pauses
        Why the run is paused.
    """

    def __init__(
        self,
        plan: Plan,
        silence_s: float = SILENCE_S,
        epoch_s: float = 0.0,
        grace_s: float = 0.0,
    ) -> None:
        self._plan = plan
        self._epoch_s = epoch_s
        self._silence = Silence(silence_s, grace_s)
        self._hurried = False
        self._rules = plan.topology.rules
        self.state = State.WAITING
        self.registrations: dict[str, Registration] = {}
        self.reports: dict[str, Mapping[str, Any]] = {}
        self.reasons: list[str] = []
        self.begun = False
        self.aborted = False
        self.lost_nodes: set[str] = set()
        self._effects: list[Effect] = []
        self._made = self._has_run = False
        self._ready: dict[str, Mapping[str, int]] = {}
        self._stage = -1
        self._started: set[str] = set()
        self._closed: set[str] = set()
        self.pauses = Pauses(self._label)
        self._holding = False
        self._looked_s: float | None = None
        self._running_s = 0.0
        self._told_hurry = False
        self._max_time_s: float | None = None

    # What the surroundings ask.

    def take_effects(self) -> list[Effect]:
        """Return what is to be done, in order; each effect once."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state in (State.FINISHED, State.FAILED)

    @property
    def ending(self) -> bool:
        """Whether the run ends, or has ended, and nobody keeps it from that."""
        return self.over or (self.state is State.DRAINING and not self.silent)

    @property
    def present(self) -> list[str]:
        """Names of the nodes that are here, in the order of the setup."""
        return [
            node for node in self._plan.nodes if node in self.registrations and node not in self.lost_nodes
        ]

    @property
    def missing(self) -> list[str]:
        """Names of the nodes that have not come yet."""
        return [node for node in self._plan.nodes if node not in self.registrations]

    @property
    def silent(self) -> list[str]:
        """Names of the nodes that are waited for because nothing is heard of them."""
        return [node for node in self.present if node in self._silence.quiet]

    @property
    def closed(self) -> frozenset[str]:
        """Names of the nodes whose processes have all ended: their last report is final."""
        return frozenset(self._closed)

    @property
    def held(self) -> Mapping[str, str]:
        """Nodes whose disk lets importers wait, and why."""
        return {} if self.over or self.state is State.DRAINING else self.pauses.full

    @property
    def exit_status(self) -> int:
        """Exit status of the nodes: 0 well, 1 failed, 2 failed before anything began."""
        if self.state is State.FINISHED:
            return 0
        return 1 if self.begun or self.aborted else 2

    # What nodes say.

    def register(self, registration: Registration, now_s: float) -> None:
        """Take in a node.

        Raises
        ------
        RefusedError
            If it does not belong to this run, or comes too late.
        """
        node = registration.node
        if node not in self._plan.nodes:
            known = ", ".join(self._plan.nodes)
            raise RefusedError(f"the setup of this run has no node {node}; its nodes are {known}")
        if node in self.registrations:
            there = self.registrations[node]
            raise RefusedError(
                f"two nodes of the name {node}: process {there.pid} on {there.host} is here already; "
                "give the other one another name with --node, or end it"
            )
        if self.over or self._made:
            why = f" ({'; '.join(self.reasons)})" if self.over and self.reasons else ""
            raise RefusedError(
                f"node {node} comes too late: the run is {self.state}{why}; start it again with the next run"
            )
        found = [text for other in self.registrations.values() for text in differences(other, registration)]
        self.registrations[node] = registration
        self._silence.heard(node, now_s)
        self._push(node, "registered", missing=self.missing)
        self._notice(f"node {node} is here ({registration.host})" + self._still_missing())
        if found:
            self._fail_at_once(dict.fromkeys(found))
        elif not self.missing:
            self._check_limits()

    def heard(self, node: str, now_s: float) -> None:
        """Note that a node lives."""
        if node in self.registrations and self._silence.heard(node, now_s):
            self._notice(f"node {node} is back")

    def hung_up(self, node: str, now_s: float) -> None:
        """Note that there is no connection to a node."""
        if node in self.registrations:
            self._silence.hung_up(node, now_s)

    def leave(self, node: str) -> None:
        """Let a node go that does not want to wait any longer.

        Raises
        ------
        RefusedError
            If the run has begun.
        """
        if self._made:
            raise RefusedError(f"the run is {self.state}: node {node} cannot leave it; use stop")
        if self.registrations.pop(node, None) is not None:
            self._notice(f"node {node} has left" + self._still_missing())

    def node_ready(self, node: str, ports: Mapping[str, int]) -> None:
        """Note that all processes of a node are ready; `ports` tells where its link receivers listen."""
        self._ready[node] = ports
        self._go_on()

    def node_started(self, node: str, stage: int) -> None:
        """Note that a node's processes of a stage run."""
        if stage == self._stage:
            self._started.add(node)
            self._go_on()

    def report(self, node: str, report: Mapping[str, Any], now_s: float) -> None:
        """Note a node's counts."""
        self.heard(node, now_s)
        self.reports[node] = report
        self._look_at_disk(node, report.get("disk", {}))
        if report.get("held") is (not self._holding) and self.state in _HOLDING_STATES:
            self._push(node, "hold" if self._holding else "release")  # one of the two was started again
        if self.state in (State.RUNNING, State.PAUSED):
            if any(other.get("limit_reached") for other in self.reports.values()):
                self._drain("the event limit is reached")
            elif self._has_ended(lambda worker: worker.role == "importer"):
                self._change(State.DRAINING)
                self._notice("all importers have ended; draining")
            elif self._has_ended(lambda worker: worker.name == self._rules.ends_with):
                self._drain(f"{self._rules.ends_with} has ended, and with it the run")
        waits = self.state is State.DRAINING and not self._told_hurry
        if waits and self._has_ended(lambda worker: bool(worker.sources or worker.sinks)):
            self._told_hurry = True
            self._push_all("hurry")

    def trouble(self, node: str, text: str, *, fatal: bool = False, link: str = "") -> None:
        """Note that something on a node went wrong for good.

        Parameters
        ----------
        node
            The node.
        text
            What went wrong.
        fatal
            Whether even draining is impossible.
        link
            The link that has lost one end by it; the other end must not wait for it.
        """
        reason = f"{self._label(node)}{text}"
        if self.over or reason in self.reasons:
            return
        if fatal or not self.begun:
            self._fail_at_once([reason])
        else:
            self.reasons.append(reason)
            self._notice(reason)
            for other in self.present if link else ():
                self._push(other, "link_lost", link=link)
            self._drain("the run ends in good order because of this")

    def node_closed(self, node: str, report: Mapping[str, Any]) -> None:
        """Note that all processes of a node have ended; `report` holds its final books."""
        self.reports[node] = report
        self._closed.add(node)
        self._look_at_disk(node, {})
        if self.state in (State.RUNNING, State.PAUSED) and len(self._closed) == len(self.present):
            self._change(State.DRAINING)
        self._end_if_closed()

    def node_died(self, node: str, now_s: float, *, in_order: bool = False, for_good: bool = False) -> None:
        """Note, as long as it is so, that the process of a node has ended without a word.

        `in_order`: by itself, cut off; `for_good`: it cannot be started again to go on.
        """
        if node not in self.present or node in self._closed:
            return
        if self.begun and not (in_order or for_good):
            is_news = self._silence.dies(node, now_s)
            if not self._silence.dead_too_long(node, now_s, can_wait=not self._hurried):
                if is_news:
                    self._notice(
                        f"node {node} has died; its processes work on: start it again, and it goes on"
                    )
                return
        there = self.registrations[node]
        how = "has ended alone" if in_order else "has died"
        died = f"{how}: its process {there.pid} on {there.host} ended before {self._time(now_s)}"
        self.node_lost(node, f"{died}, its last word came at {self._time(self._silence.heard_s(node))}")

    def node_returned(self, node: str, pid: int, now_s: float) -> tuple[str, float]:
        """Note that a node that had died was started again; return what that was, and how long it took."""
        before, died_s = self.registrations[node], self._silence.before_s(node)
        self.registrations[node] = replace(before, pid=pid, restarts=before.restarts + 1)
        self._notice(f"node {node} was started again, and goes on")
        return f"its process {before.pid} died, and process {pid} went on in its place", now_s - died_s

    def node_lost(self, node: str, what: str) -> None:
        """Note that a node is no more, and what has happened to it; the others end in good order."""
        if self.over or node in self.lost_nodes or node not in self.registrations:
            return
        if not self._made:
            del self.registrations[node]
            self._notice(f"node {node} {what}" + self._still_missing())
            return
        if node in self._closed:
            return
        self.lost_nodes.add(node)
        self._look_at_disk(node, {})
        self.reasons.append(f"node {node} {what}")
        self._notice(self.reasons[-1])
        if not self.begun:
            self._fail_at_once([])
            return
        for other in self.present:
            self._push(other, "node_lost", lost=node)
        self._drain("the run ends in good order without it")
        self._end_if_closed()

    # What the surroundings say.

    def run_made(self, run_id: str, name: str) -> None:
        """Note that the run has its directory; nodes can make their rings."""
        self._has_run = True
        limits = event_limits(self._plan, self._plan.topology.counted, self._limit("max_events"))
        keys = {node: registration.key for node, registration in self.registrations.items()}
        for node in self.present:
            self._push(node, "prepare", run_id=run_id, name=name, limits=limits[node], keys=keys)

    def cannot_make_run(self, reason: str) -> None:
        """Note that the run cannot get its directory."""
        self._fail_at_once([reason])

    def record_failed(self, reason: str) -> None:
        """Note that the record of the run could not be written; this makes the run a failed one."""
        self.reasons.append(reason)
        self.state = State.FAILED

    def tick(self, now_s: float) -> None:
        """Look at the clock: nodes that vanished, and the end of the run's time."""
        for node in self.present:
            patience_s = self._silence.patience_s(node, can_wait=self.begun and not self._hurried)
            if self._silence.is_dead(node):
                continue  # see `node_died`
            if self._silence.for_s(node, now_s) > patience_s and node not in self._closed:
                self.node_lost(node, f"has vanished: no word since {self._time(self._silence.heard_s(node))}")
            elif self._silence.begins(node, now_s):
                wait = f"for up to {patience_s:g} s"
                self._notice(
                    f"no word from node {node} for {QUIET_S:g} s; waiting for it, {wait}", but_at=node
                )
        if self.state in (State.RUNNING, State.PAUSED):
            held = self.state is State.PAUSED and (self._rules.holds or bool(self.pauses.full))
            if self._looked_s is not None and not held:
                self._running_s += now_s - self._looked_s
            self._looked_s = now_s
            if self._max_time_s is not None and self._running_s >= self._max_time_s:
                self._drain("the time is over")

    def command(self, name: str, scope: str = "roots") -> str:
        """Carry out a command of a user.

        Parameters
        ----------
        name
            ``pause``, ``resume``, ``stop`` or ``abort``.
        scope
            ``roots`` or ``all``: which buffers to pause or resume.

        Returns
        -------
        str
            What happens now.

        Raises
        ------
        RefusedError
            If it does not fit the state of the run.
        """
        if name not in COMMANDS:
            raise RefusedError(f"there is no command {name!r}; known are {', '.join(COMMANDS)}")
        if self.over:
            raise RefusedError(f"cannot {name}: the run is {self.state}")
        if name in ("pause", "resume"):
            return self._pause_or_resume(name, scope)
        if name == "abort":
            return self._abort()
        hurried, self._hurried = self._hurried, True
        if self.state is State.DRAINING:
            if self.silent and not hurried:
                return f"not waiting for node {', '.join(self.silent)} any longer than {GONE_S:g} s in all"
            raise RefusedError(
                "cannot stop: the run is draining already; a second Ctrl-C on a node ends it at once"
            )
        if not self.begun:
            self._cancel()
            return STOPPED_EARLY
        if self.state is State.READY:
            self.reasons.append(STOPPED_EARLY)
            self.aborted = True
        self._drain("stop")
        return "draining: importers end, then the buffers run empty"

    # What outlives the process that this runs in.

    def to_plain(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return all that a successor has to know: what messages depend on, and what may be a little old."""
        kept = {name: getattr(self, name) for name in _PLAIN}
        kept |= {name: sorted(getattr(self, name)) for name in _SETS} | {
            "state": str(self.state),
            "pauses": self.pauses.to_plain(),
        }
        kept["registrations"] = {name: node.to_plain() for name, node in self.registrations.items()}
        return kept, {name: getattr(self, name) for name in _MOVING}

    def recall(self, kept: Mapping[str, Any], moving: Mapping[str, Any], now_s: float) -> None:
        """Go on where `to_plain` was called; what was to be done then, and perhaps was not, is done again."""
        for name in _PLAIN:
            setattr(self, name, kept[name])
        for name in _SETS:
            setattr(self, name, set(kept[name]))
        for name in _MOVING:
            setattr(self, name, moving[name])
        self.state = State(kept["state"])
        self.pauses.recall(kept["pauses"])
        self.registrations = {name: Registration(**node) for name, node in kept["registrations"].items()}
        for node in self.registrations:
            self._silence.heard(node, now_s)
        if self.over:
            self._effects.append(Over())
        elif self._made and not self._has_run:
            self._effects.append(MakeRun())

    # Inside.

    def _pause_or_resume(self, name: str, scope: str) -> str:
        if self.state not in (State.RUNNING, State.PAUSED):
            raise RefusedError(f"cannot {name}: the run is {self.state}")
        self.pauses.change(name, scope, self.state)
        for node in self.present:
            self._push(node, name, scope=scope)
        self._show_pauses()
        return f"{self.state}{self.pauses.text}"

    def _look_at_disk(self, node: str, disk: Mapping[str, Any]) -> None:
        """Take in what a node says of its disk."""
        for text in self.pauses.look(node, {} if node in self.lost_nodes else disk):
            self._notice(text)
        self._hold_or_release()

    def _hold_or_release(self) -> None:
        """Let the importers of all nodes wait as long as the disk of one has no room."""
        full = bool(self.pauses.full)
        if full is self._holding or self.state not in _HOLDING_STATES:
            return
        self._holding = full
        self._push_all("hold" if full else "release")
        self._show_pauses()
        if not full:
            self._notice(f"there is room on the disk again; {self.state}{self.pauses.text}")

    def _show_pauses(self) -> None:
        wanted = State.PAUSED if self.pauses else State.RUNNING
        if self.state is not wanted and self.state is not State.READY:
            self._change(wanted)

    def _abort(self) -> str:
        if not self.begun:
            self._cancel()
            return STOPPED_EARLY
        self.aborted = True
        if "ended at once on request, without draining" not in self.reasons:
            self.reasons.append("ended at once on request, without draining")
        if self.state is not State.DRAINING:
            self._change(State.DRAINING)
        self._push_all("abort")
        return "all processes end at once"

    def _cancel(self) -> None:
        """End the waiting; a run that has a directory already is on record as one without data."""
        if self._made:
            self.reasons.append(STOPPED_EARLY)
            self.aborted = True
        self._push_all("abort")
        self._change(State.FAILED if self._made else State.FINISHED)
        self._effects.append(Over())

    def _check_limits(self) -> None:
        self._max_time_s = self._limit("max_time_s")
        try:
            event_limits(self._plan, self._plan.topology.counted, self._limit("max_events"))
        except RefusedError as error:
            self._fail_at_once([str(error)])
            return
        self._made = True
        self._effects.append(MakeRun())

    def _limit(self, name: str) -> Any:
        """Return the strictest limit that any node's command line sets, else that of the setup."""
        limits = [getattr(node, name) for node in self.registrations.values()]
        default = getattr(self._rules, name)
        return min((limit for limit in limits if limit is not None), default=default)

    def _go_on(self) -> None:
        """Let the next stage go when all nodes are through with the last one."""
        nodes = set(self._plan.nodes)
        if self.state is State.WAITING and set(self._ready) >= nodes:
            self._change(State.READY)
            self.begun = True
            self._hold_or_release()
            self._next_stage()
        while self.state is State.READY and self._started >= nodes:
            if self._stage + 1 < self._stages:
                self._next_stage()
            else:
                self._change(State.RUNNING)
                self._notice("running")
                self._show_pauses()

    @property
    def _stages(self) -> int:
        """Links first, then workers from the end of the data flow to the importers."""
        return 1 + len(self._plan.stages)

    def _next_stage(self) -> None:
        self._stage += 1
        self._started = set()
        for node in self.present:
            own = self._plan.nodes[node]
            found = addresses(own, self.registrations, self._ready) if self._stage == 0 else {}
            self._push(node, "go", stage=self._stage, addresses=found)

    def _has_ended(self, concerns: Callable[[Worker], bool]) -> bool:
        """Tell whether there are workers of a kind, and all their processes have ended."""
        return have_ended(self._plan, self.reports, self.lost_nodes, concerns)

    def _drain(self, why: str) -> None:
        if self.state is State.DRAINING or self.over:
            return
        self._notice(f"{why}; draining")
        if self.pauses:
            for node in self.present:
                self._push(node, "resume", scope="rest")
        self._change(State.DRAINING)
        self._push_all("stop")

    def _fail_at_once(self, reasons: Iterable[str]) -> None:
        """End everything without draining: nothing has begun, or nothing can go on."""
        for reason in reasons:
            if reason not in self.reasons:
                self.reasons.append(reason)
                self._notice(reason)
        self._push_all("abort")
        if self.begun:
            if self.state is not State.DRAINING:
                self._change(State.DRAINING)
            self._end_if_closed()
        else:
            self._change(State.FAILED)
            self._effects.append(Over())

    def _end_if_closed(self) -> None:
        if self.state is State.DRAINING and self._closed >= set(self.present):
            self._change(State.FAILED if self.reasons else State.FINISHED)
            self._effects.append(Over())

    def _change(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"run control: no way from {self.state} to {state}")
        self.state = state

    def _time(self, now_s: float) -> str:
        return f"{datetime.fromtimestamp(self._epoch_s + now_s):%H:%M:%S}"

    def _label(self, node: str) -> str:
        return f"node {node}: " if len(self._plan.nodes) > 1 else ""

    def _still_missing(self) -> str:
        return f"; waiting for {', '.join(self.missing)}" if self.missing else ""

    def _notice(self, text: str, but_at: str = "") -> None:
        self._effects.append(Notice(text, but_at))

    def _push(self, node: str, kind: str, **fields: Any) -> None:
        self._effects.append(Push(node, kind, fields))

    def _push_all(self, kind: str) -> None:
        for node in self.present:
            self._push(node, kind)
