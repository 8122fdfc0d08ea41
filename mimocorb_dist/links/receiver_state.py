"""The state machine of a link's receiving end.

Invariants: all events below `received` have arrived, each one once; those below `stored` have been published
in the target ring; an event is held from its arrival until it is released, which follows its being stored.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.links.leases import NO_RANGES, Numbers, Ranges, to_ranges
from mimocorb_dist.links.messages import Bye, Done, End, Frame, Hello, Refuse, Released, Welcome
from mimocorb_dist.links.protocol import (
    Broken,
    CloseRing,
    DropFrames,
    Finish,
    Garbled,
    Incoming,
    Keep,
    LimitReached,
    NoRoom,
    Reserved,
    Send,
    Store,
    Tick,
    TurnedAway,
)

if TYPE_CHECKING:
    from mimocorb_dist.links.messages import LinkMessage, Terms
    from mimocorb_dist.links.protocol import ReceiverAction, ReceiverInput, ReleaseMode

TELL_S = 1e-3
"""How long to wait for releases before the sender is told of nothing but that events have been stored."""
FAREWELL_S = 30.0
"""How long a receiver that is done waits for a sender whose connection broke before the last words."""


class ReceiverState:
    """The receiving end of a link.

    Parameters
    ----------
    terms
        What the sender must agree with.
    slots
        Slots of the target ring.
    release
        "read": an event is released when its slot has come back free, that is when the ring's readers have
        released it; the ring has no other writer.  "published": an event is released when it has been stored.

    Attributes
    ----------
    peer
        The connection on which the sender is heard now, None without any.
    readers
        Number of processes that read the target ring, told to the sender.
    received
        Number of events that have arrived.
    dropped
        Number of events that arrived after the run's limit was reached, or found no room in a ring whose
        writers do not wait.
    """

    def __init__(self, terms: Terms, slots: int, release: ReleaseMode) -> None:
        self.terms = terms
        self.release: ReleaseMode = release
        self.capacity = slots
        self.readers = 0
        self.received = 0
        self.stored = 0
        self.dropped = 0
        self.total: int | None = None
        self.closed = False
        self._limited = False
        self._sequence_of = np.full(slots, -1, dtype=np.int64)  # of the event in each slot; -1: none
        self._free: deque[Numbers] = deque()  # in the order in which they were reserved
        self._free_count = 0
        self._kept: deque[int] = deque()  # for each frame that is kept the number after its last event
        self._offset = 0  # events of the oldest of them that have been stored
        self._released: list[Numbers] = []  # not yet told to the sender
        self._told = 0  # events known to the sender as stored
        self._untold_s: float | None = None  # since when it has not known of others
        self.peer: bytes | None = None
        self._greeting = (0, 0)
        self._done_s: float | None = None

    def restore(
        self,
        greeting: tuple[int, int],
        stored: int,
        slots: Numbers,
        sequences: Numbers,
        dropped: int,
        *,
        closed: bool,
    ) -> None:
        """Go on where a process that was killed has stopped.

        What had arrived and was not stored has gone with it; the sender still has it.

        Parameters
        ----------
        greeting
            The sender's incarnation, and its attempt that was greeted last.
        stored
            Events that have been stored or dropped.
        slots, sequences
            Slots that hold events of this link which are not released, and their numbers.
        dropped
            Events that were dropped.
        closed
            Whether the ring's stream has been ended.
        """
        self._greeting = greeting
        if closed:
            self.closed, self.total = True, stored
        self.received = self.stored = self._told = stored
        self.dropped = dropped
        if self.release == "read":
            self._sequence_of[slots] = sequences

    @property
    def greeting(self) -> tuple[int, int]:
        """The sender's incarnation, and its attempt that was greeted last."""
        return self._greeting

    @property
    def wanted(self) -> int:
        """How many slots are to be reserved as soon as they are free."""
        if self.closed or self._limited:
            return 0
        if self.release == "read":
            return self.capacity - self._free_count
        return self.received - self.stored

    @property
    def untold(self) -> bool:
        """Whether the sender does not know yet that events have been stored."""
        return self.stored != self._told

    @property
    def held(self) -> Ranges:
        """The events that have arrived and have not been released."""
        kept = np.arange(self.stored, self.received, dtype=np.int64)
        return to_ranges(np.concatenate((self._sequence_of[self._sequence_of >= 0], kept)))

    def handle(self, given: ReceiverInput, now_s: float) -> list[ReceiverAction]:
        """Take an input at a monotonic time in s; return what is to be done, in order.

        Releases are gathered until `flush` tells the sender.
        """
        match given:
            case Incoming(message=message, peer=peer):
                return self._incoming(message, peer, now_s)
            case Reserved(slots=slots):
                return self._reserved(slots)
            case LimitReached():
                self._limited = True
                return self._drop()
            case NoRoom():
                return self._drop()
            case Broken(peer=peer):
                if peer == self.peer:
                    self.peer = None
                return []
            case Garbled(reason=reason, peer=peer):
                return self._turn_away(peer, reason) if peer == self.peer else [TurnedAway(reason)]
            case Tick():
                over = self._done_s is not None and now_s - self._done_s > FAREWELL_S
                return [Finish()] if over else []

    def flush(self, now_s: float) -> list[ReceiverAction]:
        """Tell the sender what was stored and released since the last time; end the stream at its end."""
        actions: list[ReceiverAction] = []
        if self._untold_s is None and self.untold:
            self._untold_s = now_s
        overdue = self.untold and self._untold_s is not None and now_s - self._untold_s >= TELL_S
        if self.peer is not None and (self._released or overdue):
            actions.append(Send(Released(self.stored, self._take_released(), self.readers), self.peer))
        if self.total is not None and not self.closed and len(self.held) == 0:
            self.closed = True
            self._done_s = now_s
            actions.append(CloseRing())
            if self.peer is not None:
                actions.append(Send(Done(), self.peer))
        return actions

    def _incoming(self, message: LinkMessage, peer: bytes, now_s: float) -> list[ReceiverAction]:
        if isinstance(message, Hello):
            return self._hello(message, peer)
        if peer != self.peer:
            return []  # of a connection that the sender has given up
        match message:
            case Frame():
                return self._frame(message, peer)
            case End(total=total) if total == self.received:
                return self._end(total, peer, now_s)
            case Bye() if self.closed:
                return [Finish()]
        return self._turn_away(peer, f"{message} does not fit {self.received} events received")

    def _hello(self, message: Hello, peer: bytes) -> list[ReceiverAction]:
        if difference := self.terms.difference(message.terms):
            return self._turn_away(peer, difference)
        incarnation, attempt = self._greeting
        if message.incarnation != incarnation and self.received:
            return self._turn_away(peer, "its sender was started anew in mid-run; start the whole run anew")
        if message.incarnation == incarnation and message.attempt <= attempt:
            return []  # overtaken by a later connection
        self._greeting = message.incarnation, message.attempt
        self.peer = peer
        self._take_released()  # `held` says it all
        return [Send(Welcome(self.received, self.stored, self.held, self.capacity, self.readers), peer)]

    def _frame(self, message: Frame, peer: bytes) -> list[ReceiverAction]:
        # There may be no slot for some: those whose readers have just let them go when this end went on in
        # the place of one that was killed are not held, and come back a little later.
        fits = self.received + message.count - self.stored <= self.capacity
        if message.first != self.received or message.count < 1 or not fits or self.total is not None:
            return self._turn_away(
                peer,
                f"event {message.first} and {message.count} in all do not follow {self.received} events, "
                f"or are, with {self.received - self.stored} that wait, too many for {self.capacity} slots",
            )
        self.received += message.count
        self._kept.append(self.received)
        return [Keep(), *(self._drop() if self._limited else self._store())]

    def _end(self, total: int, peer: bytes, now_s: float) -> list[ReceiverAction]:
        self.total = total
        if not self.closed:
            return []
        self._done_s = now_s
        return [Send(Done(), peer)]

    def _reserved(self, slots: Numbers) -> list[ReceiverAction]:
        back = self._sequence_of[slots]
        back = back[back >= 0]
        if len(back):
            self._sequence_of[slots] = -1
            self._released.append(back)
        self._free.append(slots)
        self._free_count += len(slots)
        return self._store()

    def _store(self) -> list[ReceiverAction]:
        actions: list[ReceiverAction] = []
        while self._kept and self._free:
            slots = self._free.popleft()
            count = min(len(slots), self._kept[0] - self.stored)
            if count < len(slots):
                self._free.appendleft(slots[count:])
                slots = slots[:count]
            self._free_count -= count
            first = self.stored
            sequences = np.arange(first, first + count, dtype=np.int64)
            if self.release == "read":
                self._sequence_of[slots] = sequences
            else:
                self._released.append(sequences)
            self.stored += count
            last = self.stored == self._kept[0]
            actions.append(Store(first, self._offset, slots, last))
            self._offset += count
            if last:
                self._kept.popleft()
                self._offset = 0
        return actions

    def _drop(self) -> list[ReceiverAction]:
        if self.stored == self.received:
            return []
        self._released.append(np.arange(self.stored, self.received, dtype=np.int64))
        self.dropped += self.received - self.stored
        self.stored = self.received
        self._kept.clear()
        self._offset = 0
        return [DropFrames()]

    def _take_released(self) -> Ranges:
        released = to_ranges(np.concatenate(self._released)) if self._released else NO_RANGES
        self._released.clear()
        self._told, self._untold_s = self.stored, None
        return released

    def _turn_away(self, peer: bytes, reason: str) -> list[ReceiverAction]:
        if peer == self.peer:
            self.peer = None
        reason = f"link {self.terms.link}: {reason}"
        return [Send(Refuse(reason), peer), TurnedAway(reason)]
