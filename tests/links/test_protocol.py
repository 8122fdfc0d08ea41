"""The link protocol on a network that breaks: every event arrives once and in order, every lease ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mimocorb_dist.links import sender_state
from mimocorb_dist.links.messages import (
    Bye,
    Done,
    End,
    Frame,
    Hello,
    LinkMessage,
    Refuse,
    Released,
    Terms,
    Welcome,
)
from mimocorb_dist.links.protocol import (
    Broken,
    Connecting,
    Fail,
    Garbled,
    Incoming,
    LimitReached,
    Reconnect,
    ReleaseMode,
    Send,
    Tick,
    TurnedAway,
)
from mimocorb_dist.links.receiver_state import FAREWELL_S, TELL_S, ReceiverState
from mimocorb_dist.links.sender_state import FLIGHT_FRAMES, GREETING_S, Phase, SenderState
from tests.links.simulation import NO_RANGES, STRIDE, TERMS, Simulation


class LinkMachine(RuleBasedStateMachine):
    """Everything that can happen to a link, in any order."""

    simulation: Simulation

    @initialize(
        source_slots=st.integers(1, 12),
        target_slots=st.integers(1, 12),
        mode=st.sampled_from(["read", "published"]),
        competing=st.booleans(),
    )
    def begin(self, source_slots: int, target_slots: int, mode: ReleaseMode, competing: bool) -> None:
        self.simulation = Simulation(source_slots, target_slots, mode, competing)

    @rule(count=st.integers(1, 12))
    def produce(self, count: int) -> None:
        if not self.simulation.ended:
            self.simulation.produce(count)

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        self.simulation.take(count)

    @rule()
    def connect(self) -> None:
        self.simulation.connect()

    @rule(
        produced=st.integers(0, 12),
        frames=st.integers(0, 3),
        answers=st.integers(0, 3),
        read=st.integers(0, 4),
    )
    def flow(self, produced: int, frames: int, answers: int, read: int) -> None:
        """What usually happens: without it, few connections would live to see anything."""
        self.simulation.flow(produced, frames, answers, read)

    @precondition(lambda self: self.simulation.connection is not None)
    @rule(late=st.integers(0, 5))
    def cut(self, late: int) -> None:
        self.simulation.cut(late)

    @precondition(lambda self: self.simulation.connection is not None)
    @rule()
    def sender_breaks(self) -> None:
        self.simulation.sender_breaks()

    @rule(place=st.integers(-3, -1), late=st.integers(0, 5), answers=st.integers(0, 3), noticed=st.booleans())
    def receiver_breaks(self, place: int, late: int, answers: int, noticed: bool) -> None:
        self.simulation.receiver_breaks(place, late, answers, noticed)

    @rule()
    def receiver_notices(self) -> None:
        """From now on, what it says to those who are gone fails."""
        for connection in self.simulation.connections.values():
            connection.noticed = True

    @precondition(lambda self: self.simulation.connection is not None)
    @rule(times=st.integers(1, 4))
    def sender_is_slow_to_read(self, times: int) -> None:
        if self.simulation.connection is not None:
            self.simulation.connection.full += times

    @rule(place=st.integers(-3, -1))
    def stranger_sends_rubbish(self, place: int) -> None:
        """Also one that was the sender's connection once."""
        known = [peer for peer in self.simulation.connections if peer != self.simulation.receiver.peer]
        peer = known[place % len(known)] if known else b"stranger"
        actions = self.simulation.receiver.handle(Garbled("rubbish", peer), self.simulation.now_s)
        assert actions == [TurnedAway("rubbish")]

    @rule(times=st.integers(1, 5))
    def to_receiver(self, times: int) -> None:
        for _ in range(times):
            self.simulation.to_receiver()

    @rule(times=st.integers(1, 5))
    def to_sender(self, times: int) -> None:
        for _ in range(times):
            self.simulation.to_sender()

    @rule(place=st.integers(0, 2), times=st.integers(1, 4))
    def old_to_receiver(self, place: int, times: int) -> None:
        for _ in range(times):
            self.simulation.old_to_receiver(place)

    @rule()
    def flush(self) -> None:
        self.simulation.flush()

    @rule(count=st.integers(1, 12))
    def reserve(self, count: int) -> None:
        self.simulation.reserve(count)

    @rule(place=st.integers(0, 11), times=st.integers(1, 4), slowly=st.booleans())
    def read(self, place: int, times: int, slowly: bool) -> None:
        for _ in range(times):
            self.simulation.read(place, slowly=slowly)

    @rule()
    def slots_come_back(self) -> None:
        self.simulation.come_back()

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.simulation.now_s += seconds
        self.simulation.sender_does(Tick())

    @precondition(lambda self: self.simulation.produced > 10)
    @rule()
    def end_of_stream(self) -> None:
        self.simulation.ended = True
        self.simulation.take(12)

    @invariant()
    def once_and_in_order(self) -> None:
        if not hasattr(self, "simulation"):
            return
        assert self.simulation.delivered == list(range(len(self.simulation.delivered)))
        assert self.simulation.failures == []

    @invariant()
    def bounded_and_consistent(self) -> None:
        if not hasattr(self, "simulation"):
            return
        simulation, sender, receiver = self.simulation, self.simulation.sender, self.simulation.receiver
        assert sorted([*simulation.source_free, *simulation.source]) == list(range(sender.leases.capacity))
        assert len(sender.leases) == len(simulation.source) - len(simulation.ready)
        sequences = sender.leases.sequences.tolist()
        assert sequences == sorted(set(sequences))
        leased_after = [sequence for sequence in sequences if sequence >= sender.arrived]
        if simulation.restored and sender.phase is not Phase.OPEN:  # it does not know yet what has arrived
            assert set(leased_after) <= set(range(sender.arrived, sender.taken))
        else:
            assert leased_after == list(range(sender.arrived, sender.taken))
        assert sender.acknowledged + len(sender.leases) == sender.taken
        assert receiver.stored <= receiver.received <= sender.taken
        assert receiver.stored == len(simulation.delivered)
        held = {first + step for first, count in receiver.held.tolist() for step in range(count)}
        assert held <= set(sequences), "what the receiver holds is leased"
        if simulation.mode == "read" and not simulation.receiver_restored:
            assert receiver.stored == receiver.received, "there was room for all"
        if simulation.connection is not None:
            frames = [m for m, _ in simulation.connection.to_receiver if b"frame" in m]
            assert len(frames) <= FLIGHT_FRAMES
        under_way = sender._next - sender.stored if sender.phase is Phase.OPEN else 0
        assert under_way * STRIDE <= sender_state.FLIGHT_BYTES

    def teardown(self) -> None:
        if not hasattr(self, "simulation"):
            return
        simulation = self.simulation
        simulation.run_to_the_end()
        assert simulation.failures == []
        assert simulation.delivered == list(range(simulation.produced))
        assert len(simulation.sender.leases) == 0
        assert simulation.source == {}
        assert simulation.ring_closed
        assert simulation.sender.sent == simulation.sender.acknowledged == simulation.receiver.received


TestLink = LinkMachine.TestCase
TestLink.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# -- single situations


def opened(mode: ReleaseMode = "read", source: int = 8, target: int = 8) -> Simulation:
    simulation = Simulation(source, target, mode, competing=False)
    simulation.reserve(target)
    simulation.connect()
    simulation.to_receiver()
    simulation.to_sender()
    assert simulation.sender.phase is Phase.OPEN
    return simulation


def test_only_what_has_not_arrived_is_sent_again() -> None:
    simulation = opened()
    simulation.produce(6)
    simulation.take(2)
    simulation.take(2)
    simulation.to_receiver()
    simulation.cut()
    simulation.connect()
    simulation.to_receiver()
    simulation.to_sender()
    assert simulation.sender.resent == 2
    assert simulation.sender.reconnects == 1
    simulation.take(10)
    simulation.run_to_the_end()
    assert simulation.delivered == list(range(6))
    assert simulation.sender.resent == 2


def test_an_end_that_was_lost_is_said_again() -> None:
    simulation = opened()
    simulation.produce(2)
    simulation.ended = True
    simulation.take(2)
    assert simulation.sender.total == 2
    simulation.cut(late=1)
    simulation.run_to_the_end()
    assert simulation.delivered == [0, 1]


def test_releases_in_any_order_free_the_leases_one_by_one() -> None:
    simulation = opened()
    simulation.produce(6)
    for _ in range(2):
        simulation.take(3)
        simulation.to_receiver()
    assert len(simulation.sender.leases) == 6
    simulation.read(4)
    simulation.read(1)
    simulation.reserve(8)
    simulation.flush()
    simulation.to_sender()
    assert simulation.sender.leases.sequences.tolist() == [0, 2, 3, 5]


def test_back_pressure_holds_what_the_receiver_has_no_room_for() -> None:
    simulation = opened(source=10, target=3)
    simulation.produce(10)
    for _ in range(5):
        simulation.take(10)
        simulation.to_receiver()
        simulation.flush()
        simulation.to_sender()
    assert len(simulation.delivered) == 3
    assert simulation.sender.room == 0


def test_a_connection_that_is_not_greeted_is_given_up() -> None:
    simulation = Simulation(4, 4, "read", competing=False)
    simulation.connect()
    simulation.now_s += GREETING_S + 0.1
    simulation.sender_does(Tick())
    assert simulation.connection is None
    assert simulation.reconnect_wanted


def test_pauses_grow_while_nobody_answers_and_shrink_again() -> None:
    sender = SenderState(TERMS, 1, 4)
    pauses = []
    for _ in range(7):
        sender.handle(Connecting(), 0.0)
        pauses += [action.pause_s for action in sender.handle(Broken(), 0.0) if isinstance(action, Reconnect)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    sender.handle(Connecting(), 0.0)
    sender.handle(Incoming(Welcome(0, 0, NO_RANGES, 4, 1)), 0.0)
    assert sender.handle(Broken(), 0.0) == [Reconnect(0.05)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "other"),
        ("link", "raw@a->c"),
        ("dtype", "<f8"),
        ("data_length", 11),
        ("stride", STRIDE + 64),
        ("byte_order", "big"),
    ],
)
def test_ends_that_do_not_fit_together_are_refused_with_the_difference(name: str, value: object) -> None:
    other = Terms(**{**TERMS.__dict__, name: value})
    receiver = ReceiverState(TERMS, 4, "read")
    actions = receiver.handle(Incoming(Hello(other, 1, 1), b"p"), 0.0)
    assert any(isinstance(action, TurnedAway) for action in actions)
    refusal = next(action.message for action in actions if isinstance(action, Send))
    assert isinstance(refusal, Refuse)
    assert name in refusal.reason
    assert str(value) in refusal.reason
    sender = SenderState(other, 1, 4)
    sender.handle(Connecting(), 0.0)
    assert [type(action) for action in sender.handle(Incoming(refusal), 0.0)] == [Fail]


def test_what_is_only_stored_is_told_a_little_later_and_releases_at_once() -> None:
    simulation = opened()
    simulation.produce(2)
    simulation.take(1)
    simulation.to_receiver()
    simulation.flush()
    assert not simulation.to_sender()
    simulation.now_s += TELL_S
    simulation.flush()
    assert simulation.to_sender()
    simulation.read(0)
    simulation.reserve(1)
    simulation.flush()
    assert simulation.to_sender()
    assert not simulation.sender.leases


def test_a_sender_that_is_slow_to_read_is_told_later_what_was_released() -> None:
    simulation = opened()
    simulation.produce(2)
    simulation.take(2)
    simulation.to_receiver()
    assert simulation.connection is not None
    simulation.connection.full = 2
    simulation.flush()
    simulation.now_s += TELL_S
    simulation.flush()
    simulation.read(0)
    simulation.reserve(1)
    simulation.flush()
    assert not simulation.to_sender()
    simulation.flush()
    simulation.flush()
    assert simulation.to_sender()
    assert simulation.to_sender()
    assert len(simulation.sender.leases) == 1
    assert len(simulation.connections) == 1


def test_a_sender_that_cannot_be_understood_is_turned_away_with_the_reason() -> None:
    simulation = opened()
    assert simulation.connection is not None
    actions = simulation.receiver.handle(Garbled("too short", simulation.connection.peer), 0.0)
    assert [type(action) for action in actions] == [Send, TurnedAway]
    refusal = next(action.message for action in actions if isinstance(action, Send))
    failure = simulation.sender.handle(Incoming(refusal), 0.0)[0]
    assert isinstance(failure, Fail)
    assert "too short" in failure.reason


def test_a_new_sender_in_mid_run_is_refused() -> None:
    simulation = opened()
    simulation.produce(1)
    simulation.take(1)
    simulation.to_receiver()
    actions = simulation.receiver.handle(Incoming(Hello(TERMS, 78, 1), b"new"), 0.0)
    assert any(isinstance(action, TurnedAway) for action in actions)


def test_a_new_receiver_in_mid_run_is_noticed() -> None:
    simulation = opened()
    simulation.produce(2)
    simulation.take(2)
    simulation.to_receiver()
    simulation.flush()
    simulation.now_s += TELL_S
    simulation.flush()
    simulation.to_sender()
    simulation.cut()
    simulation.receiver = ReceiverState(TERMS, 8, "read")
    simulation.connect()
    simulation.to_receiver()
    simulation.to_sender()
    assert len(simulation.failures) == 1
    assert "started anew" in simulation.failures[0]


@pytest.mark.parametrize(
    "message",
    [Frame(1, 1), Frame(0, 0), Frame(0, 9), End(1), Bye(), Done(), Welcome(0, 0, NO_RANGES, 1, 1)],
    ids=lambda message: repr(message)[:14],
)
def test_a_sender_that_breaks_the_rules_is_turned_away(message: LinkMessage) -> None:
    simulation = opened()
    assert simulation.connection is not None
    actions = simulation.receiver.handle(Incoming(message, simulation.connection.peer), 0.0)
    assert [type(action) for action in actions] == [Send, TurnedAway]


def ranges(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize(
    "message",
    [
        Released(9, NO_RANGES, 1),
        Released(2, ranges((0, 9)), 1),
        Released(2, ranges((0, 1 << 31)), 1),
        Done(),
        Hello(TERMS, 1, 1),
        Welcome(0, 0, NO_RANGES, 1, 1),
        Refuse("because"),
    ],
    ids=lambda message: repr(message)[:14],
)
def test_a_receiver_that_breaks_the_rules_ends_the_link(message: LinkMessage) -> None:
    simulation = opened()
    simulation.produce(2)
    simulation.take(2)
    actions = simulation.sender.handle(Incoming(message), 0.0)
    assert [type(action) for action in actions] == [Fail]
    assert simulation.sender.handle(Tick(), 0.0) == []


def test_at_the_limit_of_the_run_events_are_dropped_and_the_link_ends_in_order() -> None:
    simulation = opened("published", target=4)
    simulation.produce(8)
    for _ in range(3):
        simulation.take(3)
        simulation.to_receiver()
        simulation.reserve(2)
    assert len(simulation.target) == 4
    simulation.receiver_does(LimitReached())
    assert simulation.receiver.wanted == 0
    simulation.run_to_the_end()
    assert simulation.receiver.dropped == 4
    assert simulation.sender.acknowledged == 8


def test_a_receiver_whose_sender_vanished_before_the_last_words_ends_after_a_while() -> None:
    simulation = opened()
    simulation.ended = True
    simulation.take(1)
    simulation.to_receiver()
    simulation.flush()
    simulation.to_sender()
    assert simulation.sender_finished
    simulation.receiver_does(Tick())
    assert not simulation.receiver_finished
    simulation.now_s += FAREWELL_S + 1
    simulation.receiver_does(Tick())
    assert simulation.receiver_finished
