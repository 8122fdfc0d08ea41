"""Where everything lies in the shared memory of a ring buffer.

    header            one page: numbers of the whole ring, and the specification as JSON
    member table      a row of counters for each attached process, written by that process only
    group table       a row for each reader group
    slot table        a column of 64-bit numbers for each property of a slot
    metadata          slot_count records, packed
    data              slot_count slots, each at a multiple of the stride

All numbers are unsigned 64-bit in the byte order of the machine, and each is written by a single store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from mimocorb_dist.errors import RingError

METADATA_DTYPE = np.dtype([("counter", np.int64), ("timestamp", np.float64), ("deadtime", np.float64)])
"""The metadata of an event: its number, the time in s since 1970, and the share of time lost before it."""

MAGIC = int.from_bytes(b"mimoring", "little")
VERSION = 3
MAX_SLOTS = 1 << 16
MAX_MEMBERS = 256
MAX_GROUPS = 64
_PAGE = 4096
_SPEC_BYTES = 60 * 1024
_WORD = 8

WhenFull = Literal["block", "drop_new", "drop_old"]
"""What a writer does that finds no free slot: see `BufferSpec`."""


class Header(IntEnum):
    """Words of the header."""

    MAGIC = 0
    VERSION = 1
    TOTAL_BYTES = 2
    LATEST = 3  # token of the event published last, for observers
    EVENTS_LEFT = 5  # under the writers' lock; UNLIMITED if there is no limit
    EXPECTED_WRITERS = 6  # under the writers' lock
    GONE_WRITERS = 7  # under the writers' lock: died, and will not come back
    PAUSED = 8  # a member of Pause
    STOPPING = 9
    MAX_FILLED = 10
    RETIRED_DISCARDED = 11  # what members counted whose rows are free again: see Member
    RETIRED_DEAD_NS = 12
    RETIRED_LIVE_NS = 13
    SPEC_LENGTH = 14
    CLAIM_LIMIT = 15  # total of claims at which no event is left; under the writers' lock
    SPARE = 16  # tokens in the queue of spare slots; under the writers' lock
    RETIRED_REFUSED = 17  # as the other RETIRED_...


class Pause(IntEnum):
    """What a ring does with what its writers publish; the value of `Header.PAUSED`."""

    OFF = 0
    DISCARD = 1
    HOLD = 2
    HOLD_DEAD = 3  # the same, and it is dead time


class Held(NamedTuple):
    """How long a writer was held, in s.

    Parameters
    ----------
    idle_s
        By somebody who wanted a pause: neither dead nor live time.
    dead_s
        Because data could not be kept: dead time.
    """

    idle_s: float = 0.0
    dead_s: float = 0.0


UNLIMITED = (1 << 64) - 1
"""Value of `Header.EVENTS_LEFT` without a limit."""


class Member(IntEnum):
    """Words of a row of the member table."""

    PID = 0  # 0: the row is free
    ROLE = 1
    GROUP = 2
    CLOSED = 3
    DISCARDED = 4
    DEAD_NS = 5
    LIVE_NS = 6
    WAITS_SINCE_NS = 7  # since when a source has waited for a free slot, which is dead time; 0: it does not
    REFUSED = 8  # events that were not written, for there was no slot, and writers do not wait


MEMBER_WORDS = 16


class Group(IntEnum):
    """Words of a row of the group table; written under the group's lock."""

    HEAD = 0  # part of the group's queue column that holds events to be delivered before those of the FIFO
    TAIL = 1
    REDELIVERED = 2
    RESCUED = 3


GROUP_WORDS = 8


class Role(IntEnum):
    """What a member does with the ring."""

    WRITER = 1
    READER = 2


@dataclass(frozen=True)
class BufferSpec:
    """What a buffer is: the part of a ring that its users choose.

    Parameters
    ----------
    name
        Name of the buffer in the setup.
    slot_count
        Number of events that the buffer can hold, 1 to 65536.
    data_length
        Number of records of `data_dtype` in one event.
    data_dtype
        Structured type of a record; no Python objects.
    groups
        Names of the reader groups. Each event goes to one reader of each group. Without any group
        events are free again as soon as they are written, and can only be observed.
    when_full
        What a writer does that finds no free slot: ``block``: it waits for one. ``drop_new``: it drops the
        event that it has. ``drop_old``: it gives up the oldest event that nobody reads just now, for those
        groups that have not taken it; if there is none, it drops its own.
    """

    name: str
    slot_count: int
    data_length: int
    data_dtype: np.dtype[Any]
    groups: tuple[str, ...] = ("readers",)
    when_full: WhenFull = "block"

    def __post_init__(self) -> None:
        if not 1 <= self.slot_count <= MAX_SLOTS:
            raise RingError(f"buffer {self.name}: slot_count is {self.slot_count}; choose 1 to {MAX_SLOTS}")
        if self.data_length < 1:
            raise RingError(f"buffer {self.name}: data_length is {self.data_length}; choose 1 or more")
        if self.data_dtype.hasobject or self.data_dtype.itemsize == 0:
            raise RingError(
                f"buffer {self.name}: dtype {self.data_dtype} cannot lie in shared memory; use plain numbers"
            )
        if len(self.groups) > MAX_GROUPS or len(set(self.groups)) != len(self.groups):
            raise RingError(f"buffer {self.name}: reader groups must be different, and at most {MAX_GROUPS}")
        if self.when_full not in get_args(WhenFull):
            raise RingError(
                f"buffer {self.name}: when_full is {self.when_full!r}; "
                f"choose one of {', '.join(get_args(WhenFull))}"
            )

    @property
    def data_bytes(self) -> int:
        """Size of one event's data in bytes."""
        return self.data_length * self.data_dtype.itemsize

    @property
    def stride(self) -> int:
        """Distance of two slots' data in bytes: cache lines are not shared by events that fill some."""
        unit = 64 if self.data_bytes >= 64 else 8
        return -(-self.data_bytes // unit) * unit

    def to_json(self) -> str:
        """Write the specification as JSON."""
        return json.dumps(
            {
                "name": self.name,
                "slot_count": self.slot_count,
                "data_length": self.data_length,
                "data_dtype": np.lib.format.dtype_to_descr(self.data_dtype),
                "groups": list(self.groups),
                "when_full": self.when_full,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> BufferSpec:
        """Read a specification written by `to_json`."""
        values = json.loads(text)
        return cls(
            name=values["name"],
            slot_count=values["slot_count"],
            data_length=values["data_length"],
            data_dtype=np.lib.format.descr_to_dtype(_descr(values["data_dtype"])),
            groups=tuple(values["groups"]),
            when_full=values["when_full"],
        )


def _descr(value: Any) -> Any:
    """Turn the lists that JSON made of a dtype's description into tuples where numpy wants them."""
    if not isinstance(value, list):
        return value
    return [(field[0], _descr(field[1]), *(tuple(shape) for shape in field[2:])) for field in value]


class Layout:
    """Offsets in bytes of all parts of a ring with the given specification.

    Parameters
    ----------
    spec
        The buffer's specification.
    """

    COLUMNS = ("claimed", "written", "writer", "published")
    """Columns of the slot table; each reader group has those of `GROUP_COLUMNS` besides."""
    GROUP_COLUMNS = ("taken", "released", "reader", "given_up", "queue")
    SPEC_OFFSET = _PAGE

    def __init__(self, spec: BufferSpec) -> None:
        self.spec = spec
        self.spec_offset = self.SPEC_OFFSET
        self.members_offset = self.spec_offset + _SPEC_BYTES
        self.groups_offset = self.members_offset + MAX_MEMBERS * MEMBER_WORDS * _WORD
        self.columns_offset = self.groups_offset + MAX_GROUPS * GROUP_WORDS * _WORD
        columns = len(self.COLUMNS) + len(self.GROUP_COLUMNS) * len(spec.groups)
        self.metadata_offset = self.columns_offset + columns * self._column_bytes
        self.data_offset = _round_up(self.metadata_offset + spec.slot_count * METADATA_DTYPE.itemsize, _PAGE)
        self.total_bytes = _round_up(self.data_offset + spec.slot_count * spec.stride, _PAGE)

    @property
    def _column_bytes(self) -> int:
        return _round_up(self.spec.slot_count * _WORD, 64)

    def column_offset(self, name: str, group: int | None = None) -> int:
        """Offset in bytes of a column of the slot table."""
        if group is None:
            index = self.COLUMNS.index(name)
        else:
            index = len(self.COLUMNS) + group * len(self.GROUP_COLUMNS) + self.GROUP_COLUMNS.index(name)
        return self.columns_offset + index * self._column_bytes

    def encoded_spec(self) -> bytes:
        """Return the specification as it lies in the header."""
        text = self.spec.to_json().encode()
        if len(text) > _SPEC_BYTES:
            raise RingError(
                f"buffer {self.spec.name}: its dtype has too many fields ({len(text)} bytes of {_SPEC_BYTES})"
            )
        return text


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
