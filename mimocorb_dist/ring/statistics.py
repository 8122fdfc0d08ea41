"""The state and the books of a buffer at one moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class BufferStatistics:
    """What a ring holds and what went through it.

    The command line, the record of the run and the tests all read this. Rates come from the
    difference of two records.

    Parameters
    ----------
    name
        Name of the buffer.
    slot_count
        Number of its slots.
    written
        Events published since the start.
    read
        Events released by each reader group, without those rescued or given up.
    rescued
        Events taken out of each reader group's stream to be kept in a file.
    given_up
        Events that were published, and given up for newer ones before the reader group took them.
    refused
        Events that were not published, for there was no slot, and writers of the buffer do not wait.
    undelivered
        Events published that each reader group has not released yet.
    redelivered
        Events that are to be delivered again because their reader died or gave them back; without those
        rescued.
    filled
        Slots that hold an event some group has not released.
    fill
        Share of such slots, 0 to 1.
    max_fill
        Largest share of slots that no writer could have so far, 0 to 1.
    discarded_while_paused
        Events that writers published while the buffer was paused.
    dead_time_s
        Time in s in which importers waited for a slot of this buffer.
    live_time_s
        Time in s in which importers could take data.
    paused, stopping, ended
        State of the buffer: see `Ring`.
    writers, readers
        Number of processes attached as writers and readers.
    time_s
        Monotonic time in s of this record.
    """

    name: str
    slot_count: int
    written: int
    read: dict[str, int]
    rescued: dict[str, int]
    given_up: dict[str, int]
    refused: int
    undelivered: dict[str, int]
    redelivered: int
    filled: int
    fill: float
    max_fill: float
    discarded_while_paused: int
    dead_time_s: float
    live_time_s: float
    paused: bool
    stopping: bool
    ended: bool
    writers: int
    readers: int
    time_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, for messages and files."""
        return asdict(self)


@dataclass(frozen=True)
class Recovery:
    """What became of the slots of a dead process.

    Parameters
    ----------
    redelivered
        Number of events that it was reading; other readers of its group get them.
    freed
        Number of slots that it was writing; they are free again.
    """

    redelivered: int
    freed: int


class Traces(NamedTuple):
    """What the slots still tell of a process: other processes' later steps cover it up.

    Parameters
    ----------
    done
        Number of slots whose last step was that it released them, or published an event in them.
    in_hand
        Number of slots that it has taken, or claimed.
    """

    done: int = 0
    in_hand: int = 0


class ClassicFigures:
    """The figures of a buffer as mimoCoRB2 names them.

    Parameters
    ----------
    now
        The buffer's statistics at the beginning.
    """

    def __init__(self, now: BufferStatistics) -> None:
        self._before = now

    def of(self, now: BufferStatistics) -> dict[str, Any]:
        """Return the figures of this moment; rate (1/s) and dead time (share) since the last time."""
        before, self._before = self._before, now
        elapsed_s = max(now.time_s - before.time_s, 1e-9)
        dead_s, live_s = now.dead_time_s - before.dead_time_s, now.live_time_s - before.live_time_s
        return {
            "event_count": now.written,
            "filled_slots": now.fill,
            "empty_slots": 1.0 - now.fill,
            "flush_event_received": now.ended,
            "rate": (now.written - before.written) / elapsed_s,
            "average_deadtime": dead_s / (dead_s + live_s) if dead_s + live_s > 0 else 0.0,
            "paused_count": now.discarded_while_paused,
            "paused": now.paused,
        }
