"""A sending end's connection: a socket, its monitor, and the buffers that it may still read from."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.sockets import data_sender, readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mimocorb_dist.wire.sockets import Security

MAX_PART_BYTES = 2 << 20
"""Longer parts are not a link's: the longest has the metadata of a frame, or the ranges of all slots."""
_COPIED_BYTES = 1 << 16
"""Smaller message parts are copied: that costs less than keeping track of them."""
_LONGEST_CLOSE_S = 5.0


class Connection:
    """A connection to a receiver that is watched by a poller until it is closed.

    Parameters
    ----------
    address
        Where the receiver listens.
    security
        None (only this machine), "none", or keys and that of the receiver.
    poller
        Watches the socket and its monitor.
    """

    def __init__(self, address: str, security: Security, poller: zmq.Poller) -> None:
        self._socket, self._monitor = data_sender(address, max_part_bytes=MAX_PART_BYTES, security=security)
        self._poller = poller
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor.socket, zmq.POLLIN)
        self._under_way: deque[zmq.MessageTracker] = deque()

    def send(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send a message; its parts must stay as they are until the receiver has got it.

        Returns
        -------
        bool
            False if the connection does not take it.
        """
        try:
            for place, part in enumerate(parts, 1):
                flags = zmq.SNDMORE if place < len(parts) else 0
                if len(part) < _COPIED_BYTES:
                    self._socket.send(part, flags)
                else:
                    self._track(self._socket.send(part, flags, copy=False, track=True))
        except zmq.Again:
            return False
        return True

    def messages(self) -> Iterator[bytes]:
        """Yield what has arrived, without waiting."""
        while not self._socket.closed and readable(self._socket):
            yield self._socket.recv(zmq.NOBLOCK)

    def is_broken(self, ready: dict[Any, int]) -> bool:
        """Tell from what the poller found ready whether it has broken, or cannot be made."""
        return self._monitor.socket in ready and "disconnected" in self._monitor.events()

    def close(self, linger_ms: int = 0) -> None:
        """Close, and wait until no buffer is read from any more.

        Parameters
        ----------
        linger_ms
            How long messages that have not been sent yet may take.

        Raises
        ------
        WireError
            When a buffer is still being read from after 5 s.
        """
        self._poller.unregister(self._socket)
        self._poller.unregister(self._monitor.socket)
        self._monitor.close()
        self._socket.close(linger=linger_ms)
        deadline_s = time.monotonic() + _LONGEST_CLOSE_S
        try:
            for tracker in self._under_way:
                tracker.wait(max(0.0, deadline_s - time.monotonic()))
        except zmq.NotDone as error:
            raise WireError("a closed socket still reads from a ring buffer; start the run anew") from error

    def _track(self, tracker: zmq.MessageTracker | None) -> None:
        if tracker is not None:
            while self._under_way and self._under_way[0].done:
                self._under_way.popleft()
            self._under_way.append(tracker)
