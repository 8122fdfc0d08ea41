"""What the two ends of a link say to each other, and how it is written in wire messages.

sender                                receiver
  HELLO terms, incarnation, attempt ->
                                    <- WELCOME next, stored, held, capacity, readers
  FRAME first, count  + events      ->
                                    <- RELEASED stored, ranges, readers
  END total                         ->
                                    <- DONE
  BYE                               ->
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire import messages as wire

if TYPE_CHECKING:
    from mimocorb_dist.links.leases import Ranges

_RANGE_DTYPE = np.dtype("<i8")
METADATA_BYTES = 24
PART_BYTES = 1 << 19
"""Longest part of a message: a peer counts as alive when a part has arrived, also on a slow network."""


@dataclass(frozen=True)
class Terms:
    """What both ends of a link must agree on.

    Parameters
    ----------
    run_id
        The run.
    link
        Name of the link.
    dtype
        Description of the records of an event, as text.
    data_length
        Number of records in an event.
    stride
        Bytes of an event's data in a frame.
    byte_order
        "little" or "big".
    """

    run_id: str
    link: str
    dtype: str
    data_length: int
    stride: int
    byte_order: str

    def difference(self, other: Terms) -> str | None:
        """Say in which term the other end differs, and what to do; None when all are the same."""
        remedies = {
            "run_id": "end the processes of the older run",
            "link": "two programs use the same port; start the run anew",
            "byte_order": "both hosts must have the same byte order",
        }
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(other, field.name)
            if here != there:
                remedy = remedies.get(field.name, "start all nodes with the same setup and version")
                return f"{field.name} is {there!r} at the sender and {here!r} at the receiver; {remedy}"
        return None


@dataclass(frozen=True)
class Hello:
    """Opens a connection.  `incarnation` is the sender's process, `attempt` counts its connections."""

    terms: Terms
    incarnation: int
    attempt: int


@dataclass(frozen=True, eq=False)
class Welcome:
    """Answers `Hello`.

    All events below `next` have arrived, all below `stored` are in the receiver's ring, and all that have
    arrived except `held` have been released.  `capacity` is the number of the ring's slots, `readers` that of
    the processes that read there.
    """

    next: int
    stored: int
    held: Ranges
    capacity: int
    readers: int


@dataclass(frozen=True)
class Refuse:
    """Answers what cannot be accepted.  The sender gives up."""

    reason: str


@dataclass(frozen=True)
class Frame:
    """Events `first` to `first + count - 1` with their metadata; their data follow as further parts."""

    first: int
    count: int
    metadata: bytes = b""


@dataclass(frozen=True, eq=False)
class Released:
    """All events below `stored` are in the receiver's ring, and those in `ranges` have been released."""

    stored: int
    ranges: Ranges
    readers: int


@dataclass(frozen=True)
class End:
    """No event follows: there have been `total`."""

    total: int


@dataclass(frozen=True)
class Done:
    """Everything has been released, and the receiver's ring has ended."""


@dataclass(frozen=True)
class Bye:
    """The sender has seen `Done`."""


@dataclass(frozen=True)
class Look:
    """Asks a view's sender for the latest event: a `Frame` answers, of no event if it is still the same."""


LinkMessage: TypeAlias = Hello | Welcome | Refuse | Frame | Released | End | Done | Bye | Look


def encode(message: LinkMessage) -> bytes:
    """Return a message as bytes."""
    values: dict[str, Any] = {field.name: getattr(message, field.name) for field in fields(message)}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            values[name] = value.astype(_RANGE_DTYPE, copy=False).tobytes()
        elif isinstance(value, Terms):
            values[name] = asdict(value)
    return wire.encode(type(message).__name__.lower(), **values)


def decode(data: bytes) -> LinkMessage:
    """Return the message that `data` holds.

    Raises
    ------
    WireError
        When it is none, or one with impossible values.
    """
    message = wire.decode(data)
    match message.kind:
        case "hello":
            return Hello(_terms(message), message.field("incarnation", int), _count(message, "attempt"))
        case "welcome":
            return Welcome(
                _count(message, "next"),
                _count(message, "stored"),
                _ranges(message, "held"),
                _count(message, "capacity"),
                _count(message, "readers"),
            )
        case "refuse":
            return Refuse(message.field("reason", str))
        case "frame":
            return Frame(_count(message, "first"), _count(message, "count"), message.field("metadata", bytes))
        case "released":
            return Released(_count(message, "stored"), _ranges(message, "ranges"), _count(message, "readers"))
        case "end":
            return End(_count(message, "total"))
        case "done":
            return Done()
        case "bye":
            return Bye()
        case "look":
            return Look()
    raise WireError(f"a link received a {message.kind!r} message; {wire.SAME_VERSION}")


def _count(message: wire.Message, name: str) -> int:
    value = message.field(name, int)
    if not 0 <= value < 1 << 62:
        raise WireError(f"field {name!r} of a {message.kind!r} message is {value}; {wire.SAME_VERSION}")
    return value


def _ranges(message: wire.Message, name: str) -> Ranges:
    data = message.field(name, bytes)
    if len(data) % (2 * _RANGE_DTYPE.itemsize):
        raise WireError(
            f"field {name!r} of a {message.kind!r} message has {len(data)} bytes; {wire.SAME_VERSION}"
        )
    ranges = np.frombuffer(data, dtype=_RANGE_DTYPE).reshape(-1, 2).astype(np.int64, copy=False)
    if len(ranges) == 0:
        return ranges
    firsts, counts = ranges[:, 0], ranges[:, 1]
    # Bounded before they are added, so that no sum can overflow.
    bounded = firsts[0] >= 0 and counts.min() > 0 and ranges.max() < 1 << 61
    if not bounded or (len(ranges) > 1 and (firsts[1:] < (firsts + counts)[:-1]).any()):
        raise WireError(
            f"field {name!r} of a {message.kind!r} message is not made of ranges; {wire.SAME_VERSION}"
        )
    return ranges


def _terms(message: wire.Message) -> Terms:
    inner = wire.Message("hello", message.field("terms", dict))
    return Terms(
        run_id=inner.field("run_id", str),
        link=inner.field("link", str),
        dtype=inner.field("dtype", str),
        data_length=inner.field("data_length", int),
        stride=inner.field("stride", int),
        byte_order=inner.field("byte_order", str),
    )
