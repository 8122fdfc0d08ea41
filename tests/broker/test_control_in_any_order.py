from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import sampled_from

from mimocorb_dist.broker.control import RunControl
from mimocorb_dist.broker.effects import MakeRun, Over
from mimocorb_dist.broker.state import State
from mimocorb_dist.errors import RefusedError

from .plans import THREE_NODES, planned
from .registrations import PORTS, registration


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, no transition is impossible, and an ended run stays ended."""

    nodes = sampled_from(["daq", "filter", "storage"])

    def __init__(self):
        super().__init__()
        self.control = RunControl(PLAN)
        self.now_s = 0.0
        self.ended = None

    @rule(node=nodes, bad=sampled_from([False, False, False, True]))
    def register(self, node, bad):
        try:
            self.control.register(registration(node, setup_hash="x" if bad else "abc"), self.now_s)
        except RefusedError:
            return

    @rule()
    def make(self):
        if any(isinstance(effect, MakeRun) for effect in self.control.take_effects()):
            self.control.run_made("id", "run_1")

    @rule(node=nodes)
    def ready(self, node):
        if node in self.control.registrations:
            self.control.node_ready(node, PORTS[node])

    @rule(node=nodes)
    def started(self, node):
        for stage in range(4):
            self.control.node_started(node, stage)

    @rule(node=nodes, alive=sampled_from([0, 1]), room=sampled_from(["enough", "enough", "little", "none"]))
    def report(self, node, alive, room):
        disk = {"room": room, "text": room, "free_bytes": 1}
        self.control.report(node, {"workers": {"source": {"alive": alive}}, "disk": disk}, self.now_s)

    @rule(node=nodes, fatal=sampled_from([False, True]))
    def trouble(self, node, fatal):
        self.control.trouble(node, "trouble", fatal=fatal)

    @precondition(lambda self: self.control.begun)
    @rule(node=nodes)
    def closed(self, node):
        self.control.node_closed(node, {})

    @rule(seconds=sampled_from([0.5, 6.0]))
    def time_passes(self, seconds):
        self.now_s += seconds
        self.control.tick(self.now_s)

    @rule(
        name=sampled_from(["pause", "resume", "stop", "abort"]),
        scope=sampled_from(["roots", "all"]),
    )
    def command(self, name, scope):
        try:
            self.control.command(name, scope)
        except RefusedError:
            return

    @rule(node=nodes, other=nodes)
    def renewed(self, node, other):
        if node in self.control.registrations:
            self.control.node_renewed(node, other, PORTS[node])

    @rule(node=nodes)
    def leave(self, node):
        try:
            self.control.leave(node)
        except RefusedError:
            return

    @rule()
    def dies(self):
        """Somebody else goes on with what was noted; messages that were pending are noted as letters."""
        noted = json.loads(json.dumps(self.control.to_plain()))
        asked = [effect for effect in self.control.take_effects() if isinstance(effect, (MakeRun, Over))]
        self.control = RunControl(PLAN)
        self.control.recall(*noted, self.now_s, self.now_s)
        assert json.loads(json.dumps(self.control.to_plain())) == noted
        again = [effect for effect in self.control._effects if isinstance(effect, (MakeRun, Over))]
        if self.control.over:  # who has not been told to make the run does not make it any more
            asked = [effect for effect in asked if isinstance(effect, Over)]
        assert set(map(type, asked)) <= set(map(type, again))

    @invariant()
    def paused_while_there_is_no_room(self):
        if self.control.state in (State.RUNNING, State.PAUSED):
            assert bool(self.control.pauses) == (self.control.state is State.PAUSED)

    @invariant()
    def ended_for_ever(self):
        assert self.ended in (None, self.control.state)
        if self.control.over:
            self.ended = self.control.state
            assert (self.control.state is State.FAILED) == bool(self.control.reasons)


@pytest.fixture(scope="module", autouse=True)
def _plan(tmp_path_factory):
    global PLAN
    # Nobody needs the filter as long as storage is there.
    setup = THREE_NODES.replace("node: filter", "node: [filter, storage]").replace(
        "good: {", "good: {node: daq, "
    )
    _, PLAN = planned(tmp_path_factory.mktemp("plan"), setup)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
