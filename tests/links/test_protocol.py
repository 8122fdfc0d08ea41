"""The link protocol on a network that breaks: every event arrives once and in order, every lease ends."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mimocorb_dist.links import messages, sender_state
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
    CloseRing,
    Connecting,
    DropFrames,
    Exhausted,
    Fail,
    Finish,
    Incoming,
    Keep,
    LimitReached,
    ReceiverAction,
    ReceiverInput,
    Reconnect,
    Release,
    ReleaseMode,
    Reserved,
    Send,
    SenderAction,
    SenderInput,
    Store,
    Taken,
    Tick,
    TurnedAway,
)
from mimocorb_dist.links.receiver_state import FAREWELL_S, ReceiverState
from mimocorb_dist.links.sender_state import FLIGHT_FRAMES, GREETING_S, Phase, SenderState

STRIDE = sender_state.FRAME_BYTES // 3 - sender_state.METADATA_BYTES
"""Three events fill a frame, so that a short test has many."""
TERMS = Terms("run", "raw@a->b", "<f4", 10, STRIDE, "little")
NO_RANGES = np.empty((0, 2), np.int64)


class Connection:
    """One ZeroMQ connection: two queues that lose their contents when it breaks."""

    def __init__(self, peer: bytes) -> None:
        self.peer = peer
        self.to_receiver: deque[tuple[bytes, list[int]]] = deque()
        self.to_sender: deque[bytes] = deque()


class Simulation:
    """Both ends, a source and a target ring, and the network between them."""

    def __init__(self, source_slots: int, target_slots: int, mode: ReleaseMode, competing: bool) -> None:
        self.now_s = 100.0
        self.mode: ReleaseMode = mode
        self.sender = SenderState(TERMS, 77, source_slots)
        self.sender.window.competing = competing
        self.receiver = ReceiverState(TERMS, target_slots, mode)
        self.source_free = list(range(source_slots))
        self.source: dict[int, int] = {}  # slot: event
        self.ready: deque[int] = deque()
        self.produced = 0
        self.exhausted_told = False
        self.ended = False
        self.target_free = deque(range(target_slots))
        self.target: dict[int, int] = {}
        self.delivered: list[int] = []
        self.finished_reading: set[int] = set()
        self.kept: deque[list[int]] = deque()
        self.payload: list[int] = []
        self.connection: Connection | None = None
        self.reconnect_wanted = True
        self.connections = 0
        self.stale: deque[tuple[bytes, bytes, list[int]]] = deque()
        self.sender_finished = self.receiver_finished = self.ring_closed = False
        self.failures: list[str] = []

    # -- what the rings and the network do

    def produce(self, count: int) -> None:
        for _ in range(min(count, len(self.source_free))):
            slot = self.source_free.pop(0)
            self.source[slot] = self.produced
            self.produced += 1
            self.ready.append(slot)

    def take(self, count: int) -> bool:
        count = min(count, self.sender.room, len(self.ready))
        if count > 0:
            self.sender_does(Taken(np.array([self.ready.popleft() for _ in range(count)])))
        if self.ended and not self.ready and not self.exhausted_told:
            self.exhausted_told = True
            self.sender_does(Exhausted())
            return True
        return count > 0

    def connect(self) -> bool:
        if not self.reconnect_wanted or self.sender_finished:
            return False
        self.reconnect_wanted = False
        self.connections += 1
        self.connection = Connection(b"peer%d" % self.connections)
        self.sender_does(Connecting())
        return True

    def cut(self, late: int, tell_receiver: bool) -> None:
        """Break the connection; the receiver still finds the first `late` messages of it in its queue."""
        old = self.connection
        if old is None:
            return
        self.connection = None
        self.stale.extend((old.peer, data, payload) for data, payload in list(old.to_receiver)[:late])
        if tell_receiver:
            self.receiver_does(Broken(old.peer))
        self.sender_does(Broken())

    def to_receiver(self) -> bool:
        if self.connection is None or not self.connection.to_receiver or self.receiver_finished:
            return False
        data, self.payload = self.connection.to_receiver.popleft()
        self.receiver_does(Incoming(messages.decode(data), self.connection.peer))
        return True

    def stale_to_receiver(self) -> bool:
        if not self.stale or self.receiver_finished:
            return False
        peer, data, self.payload = self.stale.popleft()
        self.receiver_does(Incoming(messages.decode(data), peer))
        return True

    def to_sender(self) -> bool:
        if self.connection is None or not self.connection.to_sender:
            return False
        self.sender_does(Incoming(messages.decode(self.connection.to_sender.popleft())))
        return True

    def reserve(self, count: int) -> bool:
        count = min(count, self.receiver.wanted, len(self.target_free))
        if count > 0:
            self.receiver_does(Reserved(np.array([self.target_free.popleft() for _ in range(count)])))
        return count > 0

    def read(self, place: int) -> bool:
        """A reader of the target ring is done with one of its events."""
        if not self.target:
            return False
        slot = list(self.target)[place % len(self.target)]
        self.finished_reading.add(self.target.pop(slot))
        self.target_free.append(slot)
        return True

    # -- doing what the machines say

    def sender_does(self, given: SenderInput) -> None:
        for action in self.sender.handle(given, self.now_s):
            self.sender_action(action)

    def sender_action(self, action: SenderAction) -> None:
        match action:
            case Send(message=message, slots=slots):
                assert self.connection is not None
                payload = [self.source[slot] for slot in slots.tolist()]
                self.connection.to_receiver.append((messages.encode(message), payload))
            case Release(slots=slots):
                for slot in slots.tolist():
                    event = self.source.pop(slot)
                    assert event in (self.finished_reading if self.mode == "read" else self.delivered)
                    self.source_free.append(slot)
            case Reconnect(pause_s=pause_s):
                assert pause_s <= 1.0
                self.connection = None
                self.reconnect_wanted = True
            case Finish():
                self.sender_finished = True
            case Fail(reason=reason):
                self.failures.append(reason)

    def receiver_does(self, given: ReceiverInput) -> None:
        for action in self.receiver.handle(given, self.now_s):
            self.receiver_action(action)

    def flush(self) -> None:
        if not self.receiver_finished:
            for action in self.receiver.flush(self.now_s):
                self.receiver_action(action)

    def receiver_action(self, action: ReceiverAction) -> None:
        match action:
            case Send(message=message, peer=peer):
                if self.connection is not None and peer == self.connection.peer:
                    self.connection.to_sender.append(messages.encode(message))
            case Keep():
                self.kept.append(self.payload)
            case Store(offset=offset, slots=slots, last=last):
                events = self.kept[0][offset : offset + len(slots)]
                assert len(events) == len(slots)
                assert last == (offset + len(slots) == len(self.kept[0]))
                if last:
                    self.kept.popleft()
                self.delivered.extend(events)
                self.target.update(zip(slots.tolist(), events, strict=True))
            case DropFrames():
                for events in self.kept:
                    self.delivered.extend(events)
                self.kept.clear()
            case CloseRing():
                assert not self.ring_closed
                self.ring_closed = True
            case Finish():
                self.receiver_finished = True
            case TurnedAway(reason=reason):
                self.failures.append(reason)

    def run_to_the_end(self) -> None:
        """Let everything happen that can, without further breaks."""
        self.ended = True
        idle = 0
        for _ in range(3_000):
            if self.sender_finished and self.receiver_finished:
                return
            self.now_s += 0.01
            busy = [
                self.connect(),
                self.take(1000),
                self.stale_to_receiver(),
                self.to_receiver(),
                self.to_sender(),
            ]
            busy += [self.read(0), self.reserve(1000)]
            self.flush()
            idle = 0 if any(busy) else idle + 1
            if idle > 3:
                self.now_s += max(GREETING_S, FAREWELL_S)
                self.sender_does(Tick())
                if not self.receiver_finished:
                    self.receiver_does(Tick())
        raise AssertionError(f"does not end: {vars(self.sender)}, {vars(self.receiver)}")


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
        simulation = self.simulation
        simulation.connect()
        if not simulation.ended:
            simulation.produce(produced)
        for _ in range(3):
            simulation.take(4)
        for _ in range(frames):
            simulation.to_receiver()
        for place in range(read):
            simulation.read(place)
        simulation.reserve(12)
        simulation.flush()
        for _ in range(answers):
            simulation.to_sender()

    @precondition(lambda self: self.simulation.connection is not None)
    @rule(late=st.integers(0, 5), tell_receiver=st.booleans())
    def cut(self, late: int, tell_receiver: bool) -> None:
        self.simulation.cut(late, tell_receiver)

    @rule(times=st.integers(1, 5))
    def to_receiver(self, times: int) -> None:
        for _ in range(times):
            self.simulation.to_receiver()

    @rule(times=st.integers(1, 5))
    def to_sender(self, times: int) -> None:
        for _ in range(times):
            self.simulation.to_sender()

    @precondition(lambda self: self.simulation.stale)
    @rule()
    def stale_to_receiver(self) -> None:
        self.simulation.stale_to_receiver()

    @rule()
    def flush(self) -> None:
        self.simulation.flush()

    @rule(count=st.integers(1, 12))
    def reserve(self, count: int) -> None:
        self.simulation.reserve(count)

    @rule(place=st.integers(0, 11), times=st.integers(1, 4))
    def read(self, place: int, times: int) -> None:
        for _ in range(times):
            self.simulation.read(place)

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.simulation.now_s += seconds
        self.simulation.sender_does(Tick())

    @precondition(lambda self: self.simulation.produced > 10)
    @rule()
    def end_of_stream(self) -> None:
        self.simulation.ended = True

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
        assert leased_after == list(range(sender.arrived, sender.taken))
        assert sender.acknowledged + len(sender.leases) == sender.taken
        assert receiver.stored <= receiver.received <= sender.taken
        assert receiver.stored == len(simulation.delivered)
        held = {first + step for first, count in receiver.held.tolist() for step in range(count)}
        assert held <= set(sequences), "what the receiver holds is leased"
        if simulation.mode == "read":
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
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
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
    simulation.cut(late=0, tell_receiver=False)
    simulation.connect()
    simulation.to_receiver()
    simulation.to_sender()
    assert simulation.sender.resent == 2
    assert simulation.sender.reconnects == 1
    simulation.take(10)
    simulation.run_to_the_end()
    assert simulation.delivered == list(range(6))
    assert simulation.sender.resent == 2


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
    simulation.to_sender()
    simulation.cut(0, tell_receiver=False)
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
