"""Both state machines of a link, and between them a network that breaks at either end of a connection."""

from __future__ import annotations

from collections import deque

import numpy as np

from mimocorb_dist.links import messages, sender_state
from mimocorb_dist.links.messages import Terms
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
from mimocorb_dist.links.sender_state import GREETING_S, SenderState

STRIDE = sender_state.FRAME_BYTES // 3 - sender_state.METADATA_BYTES
"""Three events fill a frame, so that a short test has many."""
TERMS = Terms("run", "raw@a->b", "<f4", 10, STRIDE, "little")
NO_RANGES = np.empty((0, 2), np.int64)


class Connection:
    """One ZeroMQ connection: a queue each way, and two ends that live and die on their own.

    Attributes
    ----------
    reaches_receiver
        Whether the receiver's end is there: what is said to the other end or by it is lost otherwise.
    noticed
        Whether the receiver's next send fails when its end is gone, instead of being lost.
    full
        How many sends of the receiver find the queue full.
    """

    def __init__(self, peer: bytes) -> None:
        self.peer = peer
        self.to_receiver: deque[tuple[bytes, list[int]]] = deque()
        self.to_sender: deque[bytes] = deque()
        self.reaches_receiver = True
        self.noticed = False
        self.full = 0


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
        self.restored = False  # whether the sender has taken over from one that was killed
        self.receiver_restored = False
        self.ended = False
        self.target_free = deque(range(target_slots))
        self.coming_back: list[int] = []
        self.target: dict[int, int] = {}
        self.delivered: list[int] = []
        self.finished_reading: set[int] = set()
        self.kept: deque[list[int]] = deque()
        self.payload: list[int] = []
        self.connection: Connection | None = None  # the sender's
        self.connections: dict[bytes, Connection] = {}
        self.reconnect_wanted = True
        self.unsent: deque[Send] = deque()
        self.sender_finished = self.receiver_finished = self.ring_closed = False
        self.failures: list[str] = []
        self.reserve(target_slots)  # as the end does before it listens to anybody

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
        self.connection = Connection(b"peer%d" % len(self.connections))
        self.connections[self.connection.peer] = self.connection
        self.sender_does(Connecting())
        return True

    def sender_breaks(self) -> None:
        """The sender gives its connection up: what it has said may still arrive."""
        if self.connection is not None:
            self.sender_does(Broken())

    def receiver_breaks(self, place: int, late: int, answers: int, noticed: bool) -> None:
        """The receiver's end of a connection dies, and the sender knows nothing of it.

        The receiver still finds `late` messages of it in its queue, the sender `answers`.
        """
        if self.connections:
            old = list(self.connections.values())[place % len(self.connections)]
            old.reaches_receiver, old.noticed = False, noticed
            for queue, left in ((old.to_receiver, late), (old.to_sender, answers)):
                while len(queue) > left:
                    queue.pop()

    def cut(self, late: int = 0) -> None:
        """Break the connection at both ends."""
        self.receiver_breaks(-1, late, answers=0, noticed=False)
        self.sender_breaks()

    def to_receiver(self) -> bool:
        if self.connection is None or not self.connection.to_receiver or self.receiver_finished:
            return False
        data, self.payload = self.connection.to_receiver.popleft()
        self.receiver_does(Incoming(messages.decode(data), self.connection.peer))
        return True

    def old_to_receiver(self, place: int) -> bool:
        """A leftover arrives of a connection that the sender has given up."""
        old = [each for each in self.connections.values() if each is not self.connection and each.to_receiver]
        if not old or self.receiver_finished:
            return False
        connection = old[place % len(old)]
        data, self.payload = connection.to_receiver.popleft()
        self.receiver_does(Incoming(messages.decode(data), connection.peer))
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

    def read(self, place: int, *, slowly: bool = False) -> bool:
        """A reader of the target ring is done with one of its events; slowly: its slot comes back later."""
        if not self.target:
            return False
        slot = list(self.target)[place % len(self.target)]
        self.finished_reading.add(self.target.pop(slot))
        (self.coming_back if slowly else self.target_free).append(slot)
        return True

    def come_back(self) -> bool:
        """Slots that a reader has let go are free."""
        slots, self.coming_back = self.coming_back, []
        self.target_free.extend(slots)
        return bool(slots)

    def flow(self, produced: int, frames: int, answers: int, read: int, *, slowly: bool = False) -> None:
        """Let events come from the source to the readers of the target."""
        self.connect()
        if not self.ended:
            self.produce(produced)
        for _ in range(3):
            self.take(4)
        for _ in range(frames):
            self.to_receiver()
        for place in range(read):
            self.read(place, slowly=slowly)
        self.reserve(12)
        self.flush()
        for _ in range(answers):
            self.to_sender()

    # -- doing what the machines say

    def sender_does(self, given: SenderInput) -> None:
        for action in self.sender.handle(given, self.now_s):
            self.sender_action(action)

    def sender_action(self, action: SenderAction) -> None:
        match action:
            case Send(message=message, slots=slots):
                assert self.connection is not None
                payload = [self.source[slot] for slot in slots.tolist()]
                if self.connection.reaches_receiver:
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
        if self.receiver_finished:
            return
        self.send_waiting()
        if not any(send.peer == self.receiver.peer for send in self.unsent):
            for action in self.receiver.flush(self.now_s):
                self.receiver_action(action)

    def send_waiting(self) -> None:
        """Send what the receiver has to say; to a sender whose queue is full the rest goes later."""
        waiting, self.unsent = self.unsent, deque()
        slow = set()
        for send in waiting:
            connection = self.connections[send.peer]
            if send.peer in slow:
                self.unsent.append(send)
            elif not connection.reaches_receiver:
                if connection.noticed:
                    self.receiver_does(Broken(send.peer))
            elif connection.full:
                connection.full -= 1
                slow.add(send.peer)
                self.unsent.append(send)
            elif connection is self.connection:
                connection.to_sender.append(messages.encode(send.message))

    def receiver_action(self, action: ReceiverAction) -> None:
        match action:
            case Send():
                self.unsent.append(action)
                self.send_waiting()
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
        for connection in self.connections.values():
            connection.full = 0
        if self.connection is not None and not self.connection.reaches_receiver:
            self.sender_breaks()  # it notices in the end
        idle = 0
        for _ in range(3_000):
            if self.sender_finished and self.receiver_finished:
                return
            self.now_s += 0.01
            busy = [
                self.connect(),
                self.take(1000),
                self.old_to_receiver(0),
                self.to_receiver(),
                self.to_sender(),
            ]
            busy += [self.come_back(), self.read(0), self.reserve(1000)]
            self.flush()
            idle = 0 if any(busy) else idle + 1
            if idle > 3:
                self.now_s += max(GREETING_S, FAREWELL_S)
                self.sender_does(Tick())
                if not self.receiver_finished:
                    self.receiver_does(Tick())
        raise AssertionError(f"does not end: {vars(self.sender)}, {vars(self.receiver)}")
