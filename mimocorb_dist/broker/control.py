"""Run control as a state machine: no sockets, files or clocks.

It is told what happens and answers with effects (messages to nodes, and what its surroundings have to do),
which are taken with `take_effects`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RefusedError
from mimocorb_dist.runs.neighbours import caught_up

from .course import Course
from .effects import MakeRun, Over
from .limits import event_limits, has_ended_a_link, have_ended
from .registration import Registration, addresses, differences
from .silence import GONE_S, QUIET_S, SILENCE_S, Silence
from .state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mimocorb_dist.topology import Plan, Worker

_HOLDING_STATES = (State.READY, State.RUNNING, State.PAUSED)
COMMANDS = ("pause", "resume", "stop", "abort")
RETURNED = (
    "what it had taken and not confirmed was given out again, so events may come twice that it had passed on"
)
STOPPED_EARLY = "stopped before it began"

_PLAIN: tuple[str, ...] = ("begun", "aborted", "reasons", "flaws", "_ready", "_stage", "_made", "_has_run")
_PLAIN += ("_holding", "_hurried", "_told_hurry", "_max_time_s")
_SETS = ("lost_nodes", "missed_nodes", "_started", "_closed")
_MOVING = ("reports", "_running_s", "_looked_s")
"""What outlives the process that this runs in; what is in the last line changes all the time."""


class RunControl(Course):
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
    reports
        The last report of each node, with the books of its earlier lives.
    """

    def __init__(
        self,
        plan: Plan,
        silence_s: float = SILENCE_S,
        epoch_s: float = 0.0,
        grace_s: float = 0.0,
    ) -> None:
        super().__init__(plan, epoch_s)
        self._silence = Silence(silence_s, grace_s)
        self._hurried = False
        self._rules = plan.topology.rules
        self.reports: dict[str, Mapping[str, Any]] = {}
        self._made = False
        self._has_run: tuple[str, str] | None = None
        self._ready: dict[str, Mapping[str, int]] = {}
        self._stage = -1
        self._started: set[str] = set()
        self._holding = False
        self._looked_s: float | None = None
        self._running_s = 0.0
        self._told_hurry = False
        self._max_time_s: float | None = None

    # What the surroundings ask.

    @property
    def ending(self) -> bool:
        """Whether the run ends, or has ended, and nobody keeps it from that."""
        return self.over or (self.state is State.DRAINING and not self.silent)

    @property
    def silent(self) -> list[str]:
        """Names of the nodes that are waited for because nothing is heard of them."""
        return [node for node in self.present if node in self._silence.quiet]

    @property
    def unheard(self) -> Mapping[str, float]:
        """Nodes that are waited for, dead or silent, and when they were last heard (monotonic time in s)."""
        silent = self.silent
        waited_for = [node for node in self.present if node in silent or self._silence.is_dead(node)]
        return {node: self._silence.since_s(node) for node in waited_for if node not in self._closed}

    @property
    def held(self) -> Mapping[str, str]:
        """Nodes whose disk lets importers wait, and why."""
        return {} if self.over or self.state is State.DRAINING else self.pauses.full

    # What nodes say.

    def register(self, registration: Registration, now_s: float) -> bool:
        """Take in a node.

        Returns
        -------
        bool
            False if that cannot be decided yet: it will ask again.

        Raises
        ------
        RefusedError
            If it does not belong to this run, or comes too late.
        """
        node = registration.node
        if node not in self._plan.nodes:
            known = ", ".join(self._plan.nodes)
            raise RefusedError(f"the setup of this run has no node {node}; its nodes are {known}")
        if node in self.registrations and self._may_return(node):
            is_gone: bool | None = node in self.lost_nodes or self._silence.is_dead(node)
            is_gone = is_gone or self.returns.is_gone(node, self._silence.heard_s(node), now_s)
            if is_gone is not False:
                return bool(is_gone) and self._take_back(registration, now_s)
        if node in self.registrations and node not in self.lost_nodes:
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
        return True

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
        self.returns.is_ready(node, node, self.registrations, self._ready)

    def node_renewed(self, node: str, returned: str, ports: Mapping[str, int]) -> None:
        """Note that a node has made its ends of the links anew with one that comes back."""
        self._ready[node] = ports
        self.returns.is_ready(node, returned, self.registrations, self._ready)

    def node_started(self, node: str, stage: int) -> None:
        """Note that a node's processes of a stage run."""
        if self.returns.has_started(node, stage, self._stages):
            self._notice(f"node {node} is back in the run")
            if self.state is State.DRAINING:
                self._push(node, "stop")
        if stage == self._stage:
            self._started.add(node)
            self._go_on()

    def report(self, node: str, report: Mapping[str, Any], now_s: float) -> None:
        """Note a node's counts."""
        self.heard(node, now_s)
        self.reports[node] = self.returns.total(node, report)
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
        self.reports[node] = self.returns.total(node, report)
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
                    self._notice(f"node {node} has died; start it again, and it goes on with what it had")
                return
        there = self.registrations[node]
        how = "has ended alone" if in_order else "has died"
        died = f"{how}: its process {there.pid} on {there.host} ended before {self._time(now_s)}"
        self.node_lost(node, f"{died}, its last word came at {self._time(self._silence.since_s(node))}")

    def node_returned(self, node: str, pid: int) -> str:
        """Note that a node that had died was started again; return what that was."""
        before = self.registrations[node]
        self.registrations[node] = replace(before, pid=pid, restarts=before.restarts + 1)
        self._notice(f"node {node} was started again, and goes on")
        return f"its process {before.pid} died, and process {pid} went on in its place"

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
        goes_on = self.begun and self._plan.can_do_without(node, self.present)
        goes_on = goes_on and self.state in (State.RUNNING, State.PAUSED)
        (self.flaws if goes_on else self.reasons).append(f"node {node} {what}")
        self._notice(f"node {node} {what}")
        if not goes_on:
            self.missed_nodes.add(node)
        if not self.begun:
            self._fail_at_once([])
            return
        for other in self.present:
            self._push(other, "node_lost", lost=node)
        self.returns.lost(node, self.registrations, self._ready)
        if goes_on:
            self._notice(
                f"other nodes have the workers of node {node}, and go on without it until it is back"
            )
        else:
            self._drain("the run ends in good order without it")
        self._end_if_closed()

    # What the surroundings say.

    def run_made(self, run_id: str, name: str) -> None:
        """Note that the run has its directory; nodes can make their rings."""
        self._has_run = (run_id, name)
        for node in self.present:
            self._prepare(node)

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
            can_wait = self.begun and not self._hurried
            is_through = has_ended_a_link(self._plan, self.reports, node)
            patience_s = self._silence.patience_s(node, can_wait=can_wait, is_through=is_through)
            if self._silence.is_dead(node):
                continue  # see `node_died`
            if self._silence.for_s(node, now_s) > patience_s and node not in self._closed:
                self.node_lost(node, f"has vanished: no word since {self._time(self._silence.since_s(node))}")
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
            "quiet": self._silence.quiet_since(),
        }
        kept["returns"] = self.returns.to_plain()
        kept["registrations"] = {name: node.to_plain() for name, node in self.registrations.items()}
        return kept, {name: getattr(self, name) for name in _MOVING}

    def recall(self, kept: Mapping[str, Any], moving: Mapping[str, Any], died_s: float, now_s: float) -> None:
        """Go on where `to_plain` was called; what was to be done then, and perhaps was not, is done again.

        `died_s`: when the broker died that called it.
        """
        for name in _PLAIN:
            setattr(self, name, kept[name])
        for name in _SETS:
            setattr(self, name, set(kept[name]))
        for name in _MOVING:
            setattr(self, name, moving[name])
        self.state = State(kept["state"])
        self.pauses.recall(kept["pauses"])
        self.returns.recall(kept["returns"])
        self.registrations = {name: Registration(**node) for name, node in kept["registrations"].items()}
        self._silence.recall(self.registrations, kept["quiet"], died_s, now_s)
        if self.over:
            self._effects.append(Over())
        elif self._made and not self._has_run:
            self._effects.append(MakeRun())

    # Inside.

    def _prepare(self, node: str, was: int = 0) -> None:
        """Let a node make its rings and processes; `was` is the process that it is the return of."""
        assert self._has_run is not None
        run_id, name = self._has_run
        limits = event_limits(self._plan, self._plan.topology.counted, self._limit("max_events"))[node]
        rings = self.reports.get(node, {}).get("rings", {})
        left = {ring: max(0, count - rings.get(ring, {}).get("written", 0)) for ring, count in limits.items()}
        keys = {name: registration.key for name, registration in self.registrations.items()}
        lives = dict(self.returns.lives)
        self._push(node, "prepare", run_id=run_id, name=name, limits=left, keys=keys, lives=lives, was=was)

    def _may_return(self, node: str) -> bool:
        return self.state in (State.RUNNING, State.PAUSED) and node not in self._closed

    def _take_back(self, registration: Registration, now_s: float) -> bool:
        """Let a node whose host has died begin its part anew."""
        node, before = registration.node, self.registrations[registration.node]
        others = [self.registrations[other] for other in self.present if other != node]
        if found := dict.fromkeys(text for other in others for text in differences(other, registration)):
            raise RefusedError("; ".join(found))
        if has_ended_a_link(self._plan, self.reports, node):
            raise RefusedError(f"node {node} comes too late: what was left of it has ended its streams")
        self.registrations[node] = replace(registration, restarts=before.restarts + 1)
        gone = frozenset({node})
        known = caught_up(self._plan, self.reports, gone).get(node, {})
        self.reports[node] = known
        what = (
            f"node {node} lost all that it held (process {before.pid} on {before.host}, last word at "
            f"{self._time(self._silence.since_s(node))}), and came back at {self._time(now_s)}"
        )
        self.flaws.append(f"{what}; {RETURNED}")
        self._notice(what)
        self.lost_nodes.discard(node)
        self.missed_nodes.discard(node)
        self._silence.heard(node, now_s)
        self._push(node, "registered", missing=[])
        self.returns.begin(node, [other.node for other in others], self.reports[node])
        self._prepare(node, was=before.pid)
        for scope in self.pauses.wanted:
            self._push(node, "pause", scope=scope)
        if self._holding:
            self._push(node, "hold")
        return True

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
