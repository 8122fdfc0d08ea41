"""The sending end of a link: a reader of its ring that sends events on, and holds their slots meanwhile."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import LinkError, WireError
from mimocorb_dist.links import messages
from mimocorb_dist.links.end import FAREWELL_MS, LONGEST_WAIT_S, End
from mimocorb_dist.links.pace import Pace
from mimocorb_dist.links.protocol import (
    Broken,
    Connecting,
    Exhausted,
    Fail,
    Finish,
    Incoming,
    Reconnect,
    Release,
    Send,
    Taken,
    Tick,
)
from mimocorb_dist.links.sender_state import SenderState
from mimocorb_dist.links.slots import PART_BYTES, SourceSlots, terms_of
from mimocorb_dist.ring import EndOfStream, Ring
from mimocorb_dist.wire.sockets import data_sender, readable

if TYPE_CHECKING:
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.links.protocol import SenderAction, SenderInput
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

log = logging.getLogger(__name__)

MAX_PART_BYTES = 2 * PART_BYTES
_LOOK_ROUND_S = 1.0
"""How often to see whether others read the same events."""
_OLD_SOCKET_S = 5.0
_COPIED_BYTES = 1 << 16
"""Smaller message parts are copied: that costs less than keeping track of them."""


class Connection:
    """A socket to the receiver, its monitor, and the buffers that it may still be reading from.

    Parameters
    ----------
    address
        Where the receiver listens.
    security
        The setup's security.
    """

    def __init__(self, address: str, security: str | None) -> None:
        self.socket, self.monitor = data_sender(address, max_part_bytes=MAX_PART_BYTES, security=security)
        self._under_way: deque[zmq.MessageTracker] = deque()

    def send(self, parts: list[bytes | memoryview]) -> None:
        """Send a message; its parts must stay as they are until the receiver has got it.

        Raises
        ------
        zmq.Again
            When it cannot be sent now.
        """
        for place, part in enumerate(parts, 1):
            flags = zmq.SNDMORE if place < len(parts) else 0
            if len(part) < _COPIED_BYTES:
                self.socket.send(part, flags)
            else:
                self._track(self.socket.send(part, flags, copy=False, track=True))

    def is_broken(self, ready: dict[Any, int]) -> bool:
        """Tell from the ready sockets whether the connection has broken, or cannot be made."""
        return self.monitor.socket in ready and "disconnected" in self.monitor.events()

    def _track(self, tracker: zmq.MessageTracker | None) -> None:
        if tracker is not None:
            while self._under_way and self._under_way[0].done:
                self._under_way.popleft()
            self._under_way.append(tracker)

    def close(self, linger_ms: int = 0) -> None:
        """Close, and wait until no buffer is read from any more."""
        self.monitor.close()
        self.socket.close(linger=linger_ms)
        deadline_s = time.monotonic() + _OLD_SOCKET_S
        for tracker in self._under_way:
            tracker.wait(max(0.0, deadline_s - time.monotonic()))


class LinkSender(End):
    """The sending end of a link.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        super().__init__(job, status, control)
        self._source = SourceSlots(Ring.open(job.ring), job.group)
        ring = self._source.ring
        # Incarnation 0 means nobody.
        self.state = SenderState(
            terms_of(ring, job.run_id, job.link), secrets.randbits(48) + 1, ring.slot_count
        )
        self._pace = Pace(self.state.frame_events, ring.slot_count)
        self._connection: Connection | None = None
        self._address: str | None = job.address
        self._connect_s: float | None = 0.0
        self._looked_round_s = 0.0
        self._polled = False  # whether the poller watches the ring

    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""
        state = self.state
        return {
            "sent": state.sent,
            "acknowledged": state.acknowledged,
            "resent": state.resent,
            "reconnects": state.reconnects,
            "bytes": state.bytes,
        }

    def order(self, order: dict[str, Any]) -> None:
        """Obey the node: ``go`` tells the receiver's address."""
        if order.get("do") == "go":
            self._address = order.get("address", self._address)
            if self._address is None:
                raise LinkError(f"link {self.job.link}: told to go, but not where to; give an address")
            self.say("running")

    @property
    def wait_s(self) -> float:
        """How long the next turn may wait for something to be ready."""
        if self._connect_s is None or self._address is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, self._connect_s - time.monotonic()))

    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Receive, take and send what there is."""
        self._connect_if_due(now_s)
        connection = self._connection
        if connection is not None and connection.socket in ready:
            self._receive(connection, now_s)
        if connection is not None and self._connection is connection and connection.is_broken(ready):
            log.info("link %s: connection to %s broken", self.job.link, self._address)
            self._do(Broken(), now_s)
        if now_s - self._looked_round_s >= _LOOK_ROUND_S:
            self._looked_round_s = now_s
            self.state.window.competing = self._source.competing
            self._do(Tick(), now_s)
        self._take(now_s)

    def _connect_if_due(self, now_s: float) -> None:
        if self._connect_s is None or self._address is None or now_s < self._connect_s:
            return
        self._connect_s = None
        self._connection = Connection(self._address, self.job.security)
        self.poller.register(self._connection.socket, zmq.POLLIN)
        self.poller.register(self._connection.monitor.socket, zmq.POLLIN)
        self._do(Connecting(), now_s)

    def _receive(self, connection: Connection, now_s: float) -> None:
        while self._connection is connection and readable(connection.socket):
            self._do(Incoming(messages.decode(connection.socket.recv(zmq.NOBLOCK))), now_s)

    def _take(self, now_s: float) -> None:
        room = self.state.room
        if room > 0:
            try:
                slots = self._source.take(room)
            except EndOfStream:
                self._do(Exhausted(), now_s)
            else:
                if len(slots):
                    self._do(Taken(slots), now_s)
                    if pause_s := self._pace.pause_s(len(slots), room, now_s):
                        time.sleep(pause_s)
        self._watch_ring(self.state.room > 0)

    def _watch_ring(self, wanted: bool) -> None:
        """Let the poller wait for events only when they can be sent: else it would never wait."""
        if wanted != self._polled:
            self._polled = wanted
            if wanted:
                self.poller.register(self._source.reader.fileno(), zmq.POLLIN)
            else:
                self.poller.unregister(self._source.reader.fileno())

    def _do(self, given: SenderInput, now_s: float) -> None:
        for action in self.state.handle(given, now_s):
            self._act(action, now_s)

    def _act(self, action: SenderAction, now_s: float) -> None:
        match action:
            case Send(message=message, slots=slots):
                self._send(message, slots, now_s)
            case Release(slots=slots):
                self._source.release(slots)
            case Reconnect(pause_s=pause_s):
                self._disconnect()
                self._connect_s = now_s + pause_s
            case Finish():
                self.finished = True
            case Fail(reason=reason):
                raise LinkError(reason)

    def _send(self, message: messages.LinkMessage, slots: Any, now_s: float) -> None:
        if self._connection is None:
            return  # it broke while an earlier one of the same actions was done
        parts: list[bytes | memoryview] = []
        if isinstance(message, messages.Frame):
            message = replace(message, metadata=self._source.metadata(slots))
            parts.extend(self._source.data(slots))
        parts.insert(0, messages.encode(message))
        try:
            self._connection.send(parts)
        except zmq.Again:
            log.info("link %s: %s does not take its messages", self.job.link, self._address)
            self._do(Broken(), now_s)

    def _disconnect(self, linger_ms: int = 0) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self.poller.unregister(connection.socket)
        self.poller.unregister(connection.monitor.socket)
        try:
            connection.close(linger_ms)
        except zmq.NotDone as error:
            raise WireError(
                f"link {self.job.link}: a closed socket still reads from the ring; start the run anew"
            ) from error

    def close(self) -> None:
        """Let go of the socket and the ring."""
        self._disconnect(FAREWELL_MS if self.finished else 0)
        self._source.close()
