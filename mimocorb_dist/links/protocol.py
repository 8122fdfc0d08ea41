"""What goes into and comes out of the state machines of a link's two ends.

`SenderState` and `ReceiverState` take an input and return the actions that follow from it; they do nothing
themselves, the ends in `sender` and `receiver` do the I/O.  What the protocol promises, and why it is made
so, stands in docs/design/links.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from mimocorb_dist.links.leases import NO_NUMBERS

if TYPE_CHECKING:
    from mimocorb_dist.links.leases import Numbers
    from mimocorb_dist.links.messages import LinkMessage

ReleaseMode: TypeAlias = Literal["read", "published"]


@dataclass(frozen=True)
class Connecting:
    """Sender: a new connection has been begun."""


@dataclass(frozen=True)
class Broken:
    """Sender: the connection has broken, or cannot be made.  Receiver: `peer` cannot be reached any more."""

    peer: bytes = b""


@dataclass(frozen=True)
class Incoming:
    """A message has arrived; at the receiver from `peer`."""

    message: LinkMessage
    peer: bytes = b""


@dataclass(frozen=True)
class Garbled:
    """Receiver: `peer` has sent what is no message of a link."""

    reason: str
    peer: bytes


@dataclass(frozen=True, eq=False)
class Taken:
    """Sender: at most `room` events have been taken from the ring; they lie in `slots`."""

    slots: Numbers


@dataclass(frozen=True)
class Exhausted:
    """Sender: the ring's stream has ended, and its last event has been taken."""


@dataclass(frozen=True, eq=False)
class Reserved:
    """Receiver: these slots of its ring are free."""

    slots: Numbers


@dataclass(frozen=True)
class LimitReached:
    """Receiver: the run's number of events is complete; what else arrives is dropped."""


@dataclass(frozen=True)
class NoRoom:
    """Receiver: its ring is full and its writers do not wait; what has arrived is dropped."""


@dataclass(frozen=True)
class Tick:
    """Nothing but the time has changed."""


SenderInput: TypeAlias = Connecting | Broken | Incoming | Taken | Exhausted | Tick
ReceiverInput: TypeAlias = Broken | Incoming | Garbled | Reserved | LimitReached | NoRoom | Tick


@dataclass(frozen=True, eq=False)
class Send:
    """Send a message; with a frame go the events in `slots`."""

    message: LinkMessage
    peer: bytes = b""
    slots: Numbers = field(default_factory=lambda: NO_NUMBERS)


@dataclass(frozen=True, eq=False)
class Release:
    """Sender: the events in these slots have been dealt with."""

    slots: Numbers


@dataclass(frozen=True)
class Reconnect:
    """Sender: drop the connection, and begin a new one after `pause_s` seconds."""

    pause_s: float


@dataclass(frozen=True)
class Keep:
    """Receiver: the events of the frame just received have been accepted and will be stored later."""


@dataclass(frozen=True, eq=False)
class Store:
    """Receiver: copy events to these slots and publish them.

    They are those from number `offset` on in the oldest frame that is kept; if they are its `last`, the frame
    is done with. The first of them has the sequence number `first`.
    """

    first: int
    offset: int
    slots: Numbers
    last: bool


@dataclass(frozen=True)
class DropFrames:
    """Receiver: drop all frames that are kept."""


@dataclass(frozen=True)
class CloseRing:
    """Receiver: no event follows; end the ring's stream."""


@dataclass(frozen=True)
class Finish:
    """The work is done."""


@dataclass(frozen=True)
class Fail:
    """Sender: it cannot go on."""

    reason: str


@dataclass(frozen=True)
class TurnedAway:
    """Receiver: a peer was refused; `reason` says why."""

    reason: str


SenderAction: TypeAlias = Send | Release | Reconnect | Finish | Fail
ReceiverAction: TypeAlias = Send | Keep | Store | DropFrames | CloseRing | Finish | TurnedAway
