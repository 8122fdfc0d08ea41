"""How a worker is asked to end: SIGTERM, and what it may interrupt.

The signal comes at any instruction. It ends a wait for the next event, a blocking source of an importer, and
a function that works without templates. It never ends the handling of an event that has been taken, nor
anything inside a ring.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import mimocorb_dist.ring
from mimocorb_dist.ring import BufferObserver, BufferWriter, Ring
from mimocorb_dist.ring.tokens import TokenQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, FunctionType

F = TypeVar("F", bound="Callable[..., object]")

_RING_DIRECTORY = str(Path(mimocorb_dist.ring.__file__).parent) + os.sep
_OURS = tuple(str(Path(__file__).parent.parent / room) + os.sep for room in ("workers", "compat"))
"""Where the templates are: a method of theirs that is not marked by `calls` is not interrupted."""
_WAITS = (TokenQueue.wait.__code__, Ring.wait_while_held.__code__)
"""Waits for a token, and for the end of a pause."""
_WAIT_FOR_NEWER = BufferObserver.wait.__code__


class WorkerStop(BaseException):
    """The worker is to end; raised by the signal's handler where nothing is lost by it."""


class Calls(Enum):
    """What code of the user a method of ours calls."""

    SOURCE = "the generator of an importer: it holds no event that has been yielded"
    FUNCTION = "the whole function of a worker"


_callers: dict[CodeType, Calls] = {}


def calls(what: Calls) -> Callable[[F], F]:
    """Mark a method of ours whose call of the user's code may be interrupted."""

    def mark(method: F) -> F:
        function: FunctionType = method  # type: ignore[assignment]
        _callers[function.__code__] = what
        return method

    return mark


class Stop:
    """Whether a worker has been asked to end.

    Attributes
    ----------
    requested
        True from the first request on; templates look at it between two events.
    look_again_s
        The monotonic time from which on an importer looks at it again, and keeps its books; a request sets it
        to 0.
    deferred
        True once a template has begun its work. From then on the user's code outside of templates handles an
        event or finishes the output, and is not interrupted.
    in_vain
        True once nobody will make room for an event in hand: waiting for a slot is interrupted, too.
    """

    def __init__(self) -> None:
        self.requested = False
        self.look_again_s = 0.0
        self.deferred = False
        self.in_vain = False
        self._raised = False
        self._nudged = False

    def install(self) -> None:
        """Let SIGTERM request the stop, and a second one end this process. Call in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        # A child that is terminated as soon as it has been forked must end: the signal waits until it can.
        os.register_at_fork(
            before=lambda: _block_sigterm(True),
            after_in_parent=lambda: _block_sigterm(False),
            after_in_child=_start_as_child,
        )

    @property
    def pending(self) -> bool:
        """Whether a stop is requested that has not interrupted anything yet."""
        return self.requested and not self._raised

    def request(self) -> None:
        """Request the stop from another thread."""
        signal.pthread_kill(_main_thread(), signal.SIGTERM)

    def nudge(self) -> None:
        """Look again, from another thread, whether the main thread may be interrupted.

        The signal can come just before a wait begins; then only a second look ends the wait.
        """
        self._nudged = True
        signal.pthread_kill(_main_thread(), signal.SIGTERM)

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        nudged, self._nudged = self._nudged, False
        if self.requested and not nudged:
            _end_by_sigterm()
            signal.raise_signal(signal.SIGTERM)
        self.requested = True
        self.look_again_s = 0.0
        if self._raised or frame is None:
            return
        if (self.in_vain and frame.f_code in _WAITS) or _may_interrupt(frame, self.deferred):
            self._raised = True
            raise WorkerStop


def main_thread_waits() -> bool:
    """Tell, from another thread, whether the main thread waits for another process."""
    frame = sys._current_frames().get(_main_thread())
    return frame is not None and frame.f_code in (*_WAITS, _WAIT_FOR_NEWER)


def _main_thread() -> int:
    identity = threading.main_thread().ident
    assert identity is not None  # it runs
    return identity


def _end_by_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _block_sigterm(blocked: bool) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK, [signal.SIGTERM])


def _start_as_child() -> None:
    _end_by_sigterm()
    _block_sigterm(False)


def _may_interrupt(frame: FrameType, deferred: bool) -> bool:
    """Tell whether an exception raised in `frame` loses no event."""
    if frame.f_code is _WAIT_FOR_NEWER:
        return True
    if frame.f_code in _WAITS:
        return not _has_event_in_hand(frame)
    if frame.f_code.co_filename.startswith(_RING_DIRECTORY):
        return False
    ours: FrameType | None = frame
    while ours is not None and not ours.f_code.co_filename.startswith(_OURS):
        ours = ours.f_back
    if ours is None:
        return not deferred
    called = _callers.get(ours.f_code)
    if called is Calls.SOURCE:
        return ours is not frame  # else what the source has just given may be in hand
    return called is Calls.FUNCTION and not deferred


def _has_event_in_hand(frame: FrameType) -> bool:
    """Tell whether the wait is a writer's: it has an event to put into a slot, or to publish."""
    outer = frame.f_back
    while outer is not None and outer.f_code.co_filename.startswith(_RING_DIRECTORY):
        if isinstance(outer.f_locals.get("self"), BufferWriter):
            return True
        outer = outer.f_back
    return False
