"""The event loop of a node: sockets, pipes, signals and timers in one thread."""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Callback = Callable[[], None]

_LONGEST_WAIT_S = 3600.0


class Timer:
    """A call that is due at some time; `cancel` takes it back."""

    def __init__(self, call: Callback) -> None:
        self.call: Callback | None = call

    def cancel(self) -> None:
        """Take the call back.  Idempotent."""
        self.call = None


class Loop:
    """Calls back when a descriptor or ZeroMQ socket is readable, a time has come, or a signal has arrived."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._callbacks: dict[Any, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._signal_calls: dict[int, Callback] = {}
        self._handlers: dict[int, Any] = {}
        self._wake_in, self._wake_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup_fd: int | None = None
        self.watch(self._wake_in, self._on_wake)

    def watch(self, readable: Any, call: Callback) -> None:
        """Call back whenever a descriptor or ZeroMQ socket is readable."""
        self._poller.register(readable, zmq.POLLIN)
        self._callbacks[readable] = call

    def unwatch(self, readable: Any) -> None:
        """Stop watching; to be called before it is closed."""
        if self._callbacks.pop(readable, None) is not None:
            self._poller.unregister(readable)

    def after(self, delay_s: float, call: Callback) -> Timer:
        """Call back once after a while."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), timer))
        return timer

    def on_signal(self, number: int, call: Callback) -> None:
        """Call back in the loop when a signal arrives, instead of what it does by default."""
        if self._old_wakeup_fd is None:
            self._old_wakeup_fd = signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        self._signal_calls[number] = call
        self._handlers[number] = signal.signal(number, _noted)

    def run_until(self, over: Callable[[], bool]) -> None:
        """Call back what is due until `over` says so."""
        while not over():
            for readable, _ in self._poller.poll(self._wait_ms()):
                call = self._callbacks.get(readable)  # one callback may have stopped the watch of another
                if call is not None:
                    call()
            self._call_timers()

    def close(self) -> None:
        """Give signals back to those who had them."""
        if self._old_wakeup_fd is not None:
            signal.set_wakeup_fd(self._old_wakeup_fd)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _wait_ms(self) -> int:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return int(1000 * _LONGEST_WAIT_S)
        # Rounded up: a wait of 0 ms just before a timer is due would spin.
        return max(0, int(1000 * (self._timers[0][0] - time.monotonic())) + 1)

    def _call_timers(self) -> None:
        now_s = time.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                call()

    def _on_wake(self) -> None:
        for number in set(os.read(self._wake_in, 4096)):
            call = self._signal_calls.get(number)
            if call is not None:
                call()


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor tells the loop; Python only needs some handler."""
