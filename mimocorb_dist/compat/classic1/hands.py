"""What readers, writers and observers of mimoCoRB 1 hold in this process, and how it is given back.

Users let go of these objects as it happens, and processes end in the midst of things. What a `Reader` had in
hand then is done with, as in mimoCoRB 1; after an error it is not, and is delivered again.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections import deque
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

from mimocorb_dist.ring import BufferReader, BufferWriter

from .place import worker

E = TypeVar("E", bound=BufferReader | BufferWriter)

_EXIT_PRIORITY = 20
"""Before the processes of `multiprocessing` that this one has started are waited for."""


class Hand(Generic[E]):
    """An end of a ring, and whether it has a slot in hand: what is left when a user's object has gone.

    Parameters
    ----------
    end
        The end of the ring.
    owned
        Whether it is this object's alone; a worker's ends are the worker's.
    counts
        Whether the worker's events are counted here.

    Attributes
    ----------
    full
        Whether a slot is in hand.
    over
        Whether the stream has ended for this end.
    """

    def __init__(self, end: E, *, owned: bool, counts: bool) -> None:
        self.end = end
        self.full = False
        self.over = False
        self._owned = owned
        self._counts = counts
        self._pid = os.getpid()
        _hands.add(self)

    def done(self) -> None:
        """Say that the slot in hand has been dealt with."""
        if self.full:
            self.full = False
            self.end.__exit__(None, None, None)
            io = worker() if self._counts else None
            if io is not None:
                io.events += 1
                io.in_hand = None

    def drop(self, *, failed: bool = False) -> None:
        """Give back all that is held: an event is done with unless that failed; an empty slot is free."""
        if self._pid != os.getpid() or self not in _hands:  # a parent's, before a fork, or dropped before
            return
        _hands.discard(self)
        if isinstance(self.end, BufferReader):
            if not failed:
                self.done()
            if self._owned:
                self.end.close()
        else:
            if self.full:
                self.full = False
                self.end.__exit__(RuntimeError, None, None)
            if self._owned:
                self.end.detach()


_hands: set[Hand[Any]] = set()
_let_go: deque[Hand[Any]] = deque()
_watching: set[int] = set()
"""The processes at whose end all is given back: this one, and those from which it was forked."""


def keep(user: object, hand: Hand[Any]) -> None:
    """Give back what a hand holds some time after the user's object has gone, and at the end of the process.

    The object may go at any instruction, also in the midst of a step of the ring; so only `tidy` gives back.
    """
    weakref.finalize(user, _let_go.append, hand).atexit = False
    if os.getpid() not in _watching:
        _watching.add(os.getpid())
        Finalize(None, drop_all, exitpriority=_EXIT_PRIORITY)


def tidy() -> None:
    """Give back what objects held that have gone."""
    while _let_go:
        _let_go.popleft().drop()


def drop_all(*, failed: bool | None = None) -> None:
    """Give back everything: the process ends, or the worker's function has returned.

    Parameters
    ----------
    failed
        Whether that is by an error; None: whether one is being handled.
    """
    if failed is None:
        kind = sys.exc_info()[0]
        failed = kind is not None and not issubclass(kind, SystemExit)
    _let_go.clear()
    for hand in list(_hands):
        hand.drop(failed=failed)


def is_held(end: BufferReader | BufferWriter) -> bool:
    """Tell whether an object in this process has an end of a ring."""
    return any(hand.end is end for hand in list(_hands))


def finish_reading(path: str) -> None:
    """Say that this process is done with the events of a ring that it has in hand."""
    for hand in list(_hands):
        if isinstance(hand.end, BufferReader) and str(hand.end.ring.path) == path:
            hand.done()


def reads_elsewhere(path: str) -> bool:
    """Tell whether this process reads another ring: then what it writes comes from there."""
    return any(
        isinstance(hand.end, BufferReader) and str(hand.end.ring.path) != path and not hand.over
        for hand in list(_hands)
    )


def _after_fork() -> None:
    _hands.clear()
    _let_go.clear()


os.register_at_fork(after_in_child=_after_fork)
