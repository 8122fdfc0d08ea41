"""The course of a run as far as it needs no clock: its state, who is there, what went wrong, and its end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .effects import Effect, Notice, Over, Push
from .pauses import Pauses
from .returns import Returns
from .state import TRANSITIONS, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mimocorb_dist.topology import Plan

    from .registration import Registration


class Course:
    """The state of a run, and what leads from one state to the next.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    epoch_s
        What a wall clock shows when the time is 0, in s since 1970: reasons tell times of the day.

    Attributes
    ----------
    state
        See `State`.
    registrations
        The nodes that are here.
    reasons
        What went wrong, one text each.
    flaws
        What the data lack though the run has not failed, one text each.
    begun
        Whether processes have been let go; what goes wrong before is a mistake in the setup or its
        surroundings.
    aborted
        Whether the run was ended at once.
    lost_nodes
        Nodes that vanished.
    missed_nodes
        Those of them that the others could not do without.
    pauses
        Why the run is paused.
    returns
        Nodes that come back.
    """

    def __init__(self, plan: Plan, epoch_s: float) -> None:
        self._plan = plan
        self._epoch_s = epoch_s
        self.state = State.WAITING
        self.registrations: dict[str, Registration] = {}
        self.reasons: list[str] = []
        self.flaws: list[str] = []
        self.begun = False
        self.aborted = False
        self.lost_nodes: set[str] = set()
        self.missed_nodes: set[str] = set()
        self.pauses = Pauses(self._label)
        self.returns = Returns(plan, self._push)
        self._effects: list[Effect] = []
        self._closed: set[str] = set()

    def take_effects(self) -> list[Effect]:
        """Return what is to be done, in order; each effect once."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.state in (State.FINISHED, State.FAILED)

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
    def closed(self) -> frozenset[str]:
        """Names of the nodes whose processes have all ended: their last report is final."""
        return frozenset(self._closed)

    @property
    def exit_status(self) -> int:
        """Exit status of the nodes: 0 well, 1 failed, 2 failed before anything began."""
        if self.state is State.FINISHED:
            return 0
        return 1 if self.begun or self.aborted else 2

    # Inside.

    def _drain(self, why: str) -> None:
        if self.state is State.DRAINING or self.over:
            return
        self._notice(f"{why}; draining")
        if self.pauses:
            for node in self.present:
                self._push(node, "resume", scope="rest")
        self._change(State.DRAINING)
        for node in self.present:
            if not self.returns.is_coming(node):  # it has to be back, to help the buffers run empty
                self._push(node, "stop")

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
