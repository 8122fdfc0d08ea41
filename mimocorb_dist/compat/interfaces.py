"""Readers, writers and observers that a script makes for a `mimoBuffer`, in any of its processes.

They have the attributes of those that workers are given. Besides, they give back what they hold when they go
or their process ends, and set right what killed processes have left; in a run that is done by its node.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from mimocorb_dist import ring as rings
from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import EndOfStream
from mimocorb_dist.workers.generations import DataFirst, gives_data_first

from .classic1.bury import bury_the_dead
from .classic1.hands import Hand, keep, tidy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .buffer import mimoBuffer

    Event = tuple[npt.NDArray[np.void], npt.NDArray[Any]]

LOOK_EVERY_S = 0.25
"""How often who waits looks whether others have died."""


class _Kind(type):
    """Lets the ends that workers are given count as objects of these classes."""

    def __instancecheck__(cls, instance: Any) -> bool:
        kind = cls.__dict__.get("_made")
        return super().__instancecheck__(instance) or (kind is not None and isinstance(instance, kind))


class _End(metaclass=_Kind):
    """An end of a buffer.

    Parameters
    ----------
    buffer
        The buffer.

    Attributes
    ----------
    name, slot_count
        Name of the buffer, and number of its slots.
    data_example, metadata_example
        Arrays of zeros like its data, shape (data_length,), and metadata, shape (1,).
    is_shutdown
        Its `value` tells whether the stream has ended.
    """

    _made: ClassVar[Any]

    def __init__(self, buffer: mimoBuffer) -> None:
        tidy()
        self.buffer = buffer
        # A worker's buffer, with which some make ends of their own, is no mimoBuffer.
        self._end: Any = self._made(getattr(buffer, "for_ends", buffer))
        self._hand: Hand[Any] | None = None
        self._pid = -1
        self._next_look_s = 0.0
        self.name: str = self._end.name
        self.slot_count: int = self._end.slot_count
        self.data_example: npt.NDArray[Any] = self._end.data_example
        self.metadata_example: npt.NDArray[np.void] = self._end.metadata_example
        self.is_shutdown: Any = self._end.is_shutdown

    def get_stats(self) -> dict[str, Any]:
        """Return the classic figures of the buffer; rate (1/s) and dead time (share) since the last call."""
        figures: dict[str, Any] = self._end.get_stats()
        return figures

    def shutdown_buffer(self) -> None:
        """End the stream of the buffer."""
        self.buffer.send_flush_event()

    def send_flush_event(self) -> None:
        """End the stream of the buffer."""
        self.buffer.send_flush_event()

    def __reduce__(self) -> Any:
        return type(self), (self.buffer,)

    def _held(self) -> Hand[Any]:
        """Return what this object holds in this process."""
        if self._hand is None or self._pid != os.getpid():
            self._hand, self._pid = Hand(self._end, owned=True, counts=False), os.getpid()
            keep(self, self._hand)
        return self._hand

    def _look(self) -> None:
        """Set right what dead processes have left, if it is time."""
        if time.monotonic() > self._next_look_s:
            tidy()
            bury_the_dead(self.buffer)
            self._next_look_s = time.monotonic() + LOOK_EVERY_S

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        hand = self._held()
        if hand.full:
            hand.full = False
            self._end.__exit__(kind, error, trace)


class BufferReader(_End):
    """Reads events: each goes to one reader. ``with reader as (metadata, data)``: both None at the end."""

    _made = rings.BufferReader

    def __enter__(self) -> Event | tuple[None, None]:
        hand = self._held()
        if not self._comes():
            return None, None
        event: Event = self._end.__enter__()
        hand.full = True
        return event

    def _comes(self) -> bool:
        """Wait for an event; return False at the end."""
        try:
            while not self._end.wait(LOOK_EVERY_S):
                self._look()
                if self.buffer.deserted:
                    return False
        except EndOfStream:
            bury_the_dead(self.buffer)  # what they had in hand is to be read, too
            try:
                return bool(self._end.wait(0))
            except EndOfStream:
                return False
        return True


class BufferWriter(_End):
    """Writes events. ``with writer as (metadata, data)``: it is published at the end of the block."""

    _made = rings.BufferWriter

    def __enter__(self) -> Event:
        hand = self._held()
        while not self._end.wait(LOOK_EVERY_S):
            self._look()
            if self.buffer.deserted:
                raise RingError(
                    f"buffer {self.name} is full, and the process that made it has gone; keep that until "
                    "others have ended"
                )
        event: Event = self._end.__enter__()
        hand.full = True
        return event


class BufferObserver(_End):
    """Looks at events. ``with observer as (metadata, data)``: copies of a new event, both None at the end."""

    _made = rings.BufferObserver

    def __enter__(self) -> Event | tuple[None, None]:
        while not self._end.wait(LOOK_EVERY_S):
            self._look()
            if self.buffer.deserted:
                return None, None
        event: Event | tuple[None, None] = self._end.__enter__()
        return event

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Leave the event: nothing is held."""


def Reader(buffer: mimoBuffer) -> Any:
    """Make a reader as in the first months of mimoCoRB2: data come before metadata.

    They do so unless the file that calls this names them in the other order.
    """
    return _in_older_order(BufferReader(buffer))


def Writer(buffer: mimoBuffer) -> Any:
    """Make a writer; see `Reader`."""
    return _in_older_order(BufferWriter(buffer))


def Observer(buffer: mimoBuffer) -> Any:
    """Make an observer; see `Reader`."""
    return _in_older_order(BufferObserver(buffer))


def _in_older_order(end: Any) -> Any:
    caller = sys._getframe(2).f_code.co_filename
    return DataFirst(end) if gives_data_first(caller) else end
