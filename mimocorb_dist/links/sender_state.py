"""The state machine of a link's sending end.

Events are numbered in the order in which they are taken from the ring.  A lease is a slot whose event the
receiver has not released.  Invariants: leases are events below `taken`; all from `arrived` on are leased; on
one connection events go out in ascending order without a gap.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.links.leases import LeaseTable, Numbers, from_ranges
from mimocorb_dist.links.messages import (
    METADATA_BYTES,
    PART_BYTES,
    Bye,
    Done,
    End,
    Frame,
    Hello,
    Refuse,
    Released,
    Welcome,
)
from mimocorb_dist.links.protocol import (
    Broken,
    Connecting,
    Exhausted,
    Fail,
    Finish,
    Incoming,
    Reconnect,
    Release,
    Send,
    Taken,
    Tick,
)
from mimocorb_dist.links.window import Window

if TYPE_CHECKING:
    from mimocorb_dist.links.messages import LinkMessage, Terms
    from mimocorb_dist.links.protocol import SenderAction, SenderInput

FRAME_BYTES = 1 << 20
FLIGHT_BYTES = 8 * FRAME_BYTES
"""Data under way at one time: enough to keep both ends busy, little enough to stay in their caches."""
FLIGHT_FRAMES = 32
GREETING_S = 3.0
"""How long a receiver may take to answer a greeting."""
SHORTEST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


class Phase(Enum):
    """State of the sender's connection."""

    CLOSED = "closed"
    GREETING = "greeting"
    OPEN = "open"
    OVER = "over"


@dataclass(frozen=True)
class Counts:
    """What a sender counts: connections tried and made, events sent and sent again, bytes sent."""

    attempts: int = 0
    welcomes: int = 0
    sent: int = 0
    resent: int = 0
    bytes: int = 0


class SenderState:
    """The sending end of a link.

    Parameters
    ----------
    terms
        What the receiver must agree with.
    incarnation
        A number that tells this process from an earlier one; not 0.
    slots
        Slots of the source ring.

    Attributes
    ----------
    window
        How many leases are allowed.
    taken
        Events taken from the ring so far.
    sent, resent, acknowledged
        Events sent, sent again after a break, and released.
    bytes
        Bytes of data sent.
    frame_events
        The most events in one frame.
    """

    def __init__(self, terms: Terms, incarnation: int, slots: int) -> None:
        self.terms = terms
        self.incarnation = incarnation
        self.window = Window(slots)
        self.phase = Phase.CLOSED
        self.leases = LeaseTable(slots)
        self.taken = 0
        self.arrived = 0
        self.stored = 0
        self.total: int | None = None
        self.sent = self.resent = self.acknowledged = self.bytes = 0
        self._attempt = 0
        self._welcomes = 0
        self._next = 0  # the first event not yet sent on this connection
        self._end_sent = False
        self._flight: deque[int] = deque()  # for each frame under way the number after its last event
        self._pause_s = SHORTEST_PAUSE_S
        self._greeted_s = 0.0
        largest = min(FRAME_BYTES // (terms.stride + METADATA_BYTES), PART_BYTES // METADATA_BYTES)
        self.frame_events = max(1, largest)
        self._flight_events = max(2, FLIGHT_BYTES // terms.stride)

    def restore(self, taken: int, slots: Numbers, sequences: Numbers, counts: Counts) -> None:
        """Go on where a process that was killed has stopped.

        Parameters
        ----------
        taken
            Events taken from the ring.
        slots, sequences
            Slots of the events that are leased, and their numbers, ascending.
        counts
            What it had counted.
        """
        begins = [0, *(np.flatnonzero(np.diff(sequences) != 1) + 1).tolist(), len(sequences)]
        for begin, end in pairwise(begins):
            if end > begin:
                self.leases.add(int(sequences[begin]), slots[begin:end])
        self.taken = taken
        self.arrived = self.stored = int(sequences[0]) if len(sequences) else taken
        self._attempt, self._welcomes = counts.attempts, counts.welcomes
        self.sent, self.resent = min(counts.sent, taken), counts.resent
        self.acknowledged, self.bytes = taken - len(sequences), counts.bytes

    @property
    def counts(self) -> Counts:
        """What is counted, and outlives the process."""
        return Counts(self._attempt, self._welcomes, self.sent, self.resent, self.bytes)

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""
        return max(0, self._welcomes - 1)

    @property
    def room(self) -> int:
        """How many events may be taken from the ring now: they are sent at once, as one frame."""
        if self.phase is not Phase.OPEN or self.total is not None or self._next < self.taken:
            return 0
        return max(0, min(self.window.events - len(self.leases), self._flight_room()))

    def handle(self, given: SenderInput, now_s: float) -> list[SenderAction]:
        """Take an input at a monotonic time in s; return what is to be done, in order."""
        if self.phase is Phase.OVER:
            return []
        match given:
            case Connecting():
                return self._greet(now_s)
            case Broken():
                return self._broken()
            case Incoming(message=message):
                return self._incoming(message, now_s)
            case Taken(slots=slots):
                self.leases.add(self.taken, slots)
                self.taken += len(slots)
                return self._pump(now_s)
            case Exhausted():
                self.total = self.taken
                return self._pump(now_s)
            case Tick():
                late = self.phase is Phase.GREETING and now_s - self._greeted_s > GREETING_S
                return self._broken() if late else []

    def _greet(self, now_s: float) -> list[SenderAction]:
        self.phase = Phase.GREETING
        self._greeted_s = now_s
        self._attempt += 1
        return [Send(Hello(self.terms, self.incarnation, self._attempt))]

    def _broken(self) -> list[SenderAction]:
        self.phase = Phase.CLOSED
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return [Reconnect(pause_s)]

    def _incoming(self, message: LinkMessage, now_s: float) -> list[SenderAction]:
        match message:
            case Welcome() if self.phase is Phase.GREETING:
                return self._welcome(message, now_s)
            case Released() if self.phase is Phase.OPEN:
                return self._released(message, now_s)
            case Done() if self.phase is Phase.OPEN:
                return self._done()
            case Refuse(reason=reason):
                return self._fail(reason)
        return self._fail(
            f"the receiver sent {type(message).__name__} on a connection that is {self.phase.value}"
        )

    def _welcome(self, message: Welcome, now_s: float) -> list[SenderAction]:
        # A receiver that was killed has lost what had arrived and was not stored.
        if not self.stored <= message.stored <= message.next <= self.taken:
            return self._fail(
                f"the receiver expects event {message.next}, but {self.arrived} of {self.taken} had arrived "
                "before; was it started anew? Start the whole run anew"
            )
        self.phase = Phase.OPEN
        self._welcomes += 1
        self._pause_s = SHORTEST_PAUSE_S
        self.arrived = self._next = message.next
        uncounted = max(0, message.next - self.sent)  # sent by a process that was killed before it noted that
        self.sent += uncounted
        self.bytes += uncounted * self.terms.stride
        self.stored = message.stored
        self._end_sent = False
        self._flight.clear()
        self.window.receiver(message.capacity, message.readers)
        here = self.leases.sequences
        arrived = here[: np.searchsorted(here, message.next)]
        gone = arrived[~np.isin(arrived, from_ranges(message.held), assume_unique=True)]
        return [*self._release(gone, now_s), *self._pump(now_s)]

    def _released(self, message: Released, now_s: float) -> list[SenderAction]:
        last = int(message.ranges[-1].sum()) if len(message.ranges) else 0
        count = int(message.ranges[:, 1].sum())
        if not self.stored <= message.stored <= self._next or last > self._next or count > len(self.leases):
            return self._fail(
                f"the receiver speaks of events that it cannot have (stored {message.stored}, released "
                f"{count} up to {last}, sent {self._next}); use the same mimocorb_dist on all nodes"
            )
        self.stored = message.stored
        self.arrived = max(self.arrived, self.stored)
        while self._flight and self._flight[0] <= self.stored:
            self._flight.popleft()
        self.window.receiver(None, message.readers)
        return [*self._release(from_ranges(message.ranges), now_s), *self._pump(now_s)]

    def _done(self) -> list[SenderAction]:
        if self.total is None or self.arrived < self.total or len(self.leases):
            return self._fail("the receiver ended before all events were released; its log says more")
        self.phase = Phase.OVER
        return [Send(Bye()), Finish()]

    def _release(self, sequences: Numbers, now_s: float) -> list[SenderAction]:
        slots = self.leases.remove(sequences)
        self.acknowledged += len(slots)
        oldest = int(self.leases.sequences[0]) if len(self.leases) else None
        self.window.released(len(slots), oldest, now_s)
        return [Release(slots)] if len(slots) else []

    def _flight_room(self) -> int:
        """Return how many events the next frame may have."""
        if len(self._flight) >= FLIGHT_FRAMES:
            return 0
        return min(self.frame_events, self._flight_events - (self._next - self.stored))

    def _pump(self, now_s: float) -> list[SenderAction]:
        """Send what has been taken and not yet been sent on this connection, as far as there is room."""
        actions: list[SenderAction] = []
        if self.phase is not Phase.OPEN:
            return actions
        while self._next < self.taken and (count := min(self.taken - self._next, self._flight_room())) > 0:
            first, self._next = self._next, self._next + count
            self._flight.append(self._next)
            again = max(0, min(self.sent, self._next) - first)
            self.resent += again
            self.sent += count - again
            self.bytes += count * self.terms.stride
            self.window.sent(self._next - 1, len(self.leases), now_s)
            actions.append(Send(Frame(first, count), slots=self.leases.slots(first, count)))
        if self._next == self.total and not self._end_sent:
            self._end_sent = True
            actions.append(Send(End(self.total)))
        return actions

    def _fail(self, reason: str) -> list[SenderAction]:
        self.phase = Phase.OVER
        return [Fail(f"link {self.terms.link}: {reason}")]
