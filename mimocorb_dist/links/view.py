"""Views: the latest event of a buffer, for observers on another node, over a channel of its own.

The receiver asks, the sender answers with the latest event if it is a new one.  What is lost on the way is
not sent again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import LinkError, WireError
from mimocorb_dist.links import messages
from mimocorb_dist.links.connection import MAX_PART_BYTES, Connection
from mimocorb_dist.links.end import FAREWELL_MS, LONGEST_WAIT_S, End
from mimocorb_dist.links.messages import PART_BYTES, Bye, Done, Frame, Hello, LinkMessage, Look, Refuse
from mimocorb_dist.links.slots import TargetSlots, terms_of
from mimocorb_dist.ring import METADATA_DTYPE, BufferObserver, Ring
from mimocorb_dist.wire.complaints import Complaints
from mimocorb_dist.wire.messages import SAME_VERSION
from mimocorb_dist.wire.sockets import data_receiver

if TYPE_CHECKING:
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

log = logging.getLogger(__name__)

PERIOD_S = 0.04
"""Observers see at most 25 events a second."""
_PATIENCE_S = 2.0
"""After this time without an answer the receiver asks again, and the sender connects again."""
_PAUSE_S = 0.5
_FAREWELL_S = 5.0
"""How long after the end of the stream a sender waits to show its last event."""


class ViewSender(End):
    """The end of a view beside the buffer: an observer of its ring.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        super().__init__(job, status, control)
        self._ring = Ring.open(job.ring)
        self._observer = BufferObserver(self._ring)
        self._terms = terms_of(self._ring, job.run_id, job.link)
        self._address = job.address
        self._connection: Connection | None = None
        self._connect_s = 0.0
        self._heard_s = 0.0
        self._attempt = 0
        self._shown = b""  # metadata of the event sent last
        self._sent = 0
        self._ended_s = 0.0

    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""
        return {"sent": self._sent, "bytes": self._sent * self._ring.stride}

    def order(self, order: dict[str, Any]) -> None:
        """Obey the node: ``go`` tells the receiver's address."""
        if order.get("do") == "go":
            self._address = order.get("address", self._address)
            if self._address is None:
                raise LinkError(f"view {self.job.link}: told to go, but not where to; give an address")
            self.say("running")

    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Answer what has been asked."""
        connection = self._connection
        if connection is None:
            self._connect_if_due(now_s)
        else:
            taken = True
            for data in connection.messages():
                self._heard_s = now_s
                taken = taken and connection.send(self._answer(messages.decode(data)))
            if not taken or connection.is_broken(ready) or now_s - self._heard_s > _PATIENCE_S:
                self._disconnect(0)
                self._connect_s = now_s + _PAUSE_S
        if self._address is not None and self._ring.ended:
            self._ended_s = self._ended_s or now_s
            if now_s - self._ended_s > _FAREWELL_S:
                self.finished = True  # nobody looks any more

    def _connect_if_due(self, now_s: float) -> None:
        if self._address is None or now_s < self._connect_s:
            return
        self._connection = Connection(self._address, self.job.security, self.poller)
        self._heard_s = now_s
        self._attempt += 1
        self._connection.send([messages.encode(Hello(self._terms, 1, self._attempt))])

    def _answer(self, message: LinkMessage) -> list[bytes]:
        """Return the message parts that answer the receiver."""
        match message:
            case Look():
                return self._show()
            case Done():
                self.finished = True
                return [messages.encode(Bye())]
            case Refuse(reason=reason):
                raise LinkError(reason)
            case _:
                raise LinkError(f"view {self.job.link}: the receiver sent {message}; {SAME_VERSION}")

    def _show(self) -> list[bytes]:
        ended = self._ring.ended  # before looking: the last event comes before the end
        latest = self._observer.latest()
        shown = b"" if latest is None else latest[0].tobytes()
        if latest is not None and shown != self._shown:
            self._shown = shown
            self._sent += 1
            data = latest[1].tobytes().ljust(self._ring.stride, b"\0")
            parts = [data[begin : begin + PART_BYTES] for begin in range(0, len(data), PART_BYTES)]
            return [messages.encode(Frame(self._sent, 1, shown)), *parts]
        if ended:
            return [messages.encode(messages.End(self._sent))]
        return [messages.encode(Frame(self._sent, 0))]

    def _disconnect(self, linger_ms: int) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(linger_ms)

    def close(self) -> None:
        """Let go of the socket and the ring."""
        self._disconnect(FAREWELL_MS if self.finished else 0)
        self._ring.close()


class ViewReceiver(End):
    """The end of a view beside the observers: the writer of a ring that nobody reads.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.

    Raises
    ------
    WireError
        When it cannot listen.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        super().__init__(job, status, control)
        self._target = TargetSlots(Ring.open(job.ring))
        self._terms = terms_of(self._target.ring, job.run_id, job.link)
        self._complaints = Complaints(log)
        self.socket, port = data_receiver(
            job.host, job.ports, max_part_bytes=MAX_PART_BYTES, security=job.security
        )
        self.poller.register(self.socket, zmq.POLLIN)
        self._peer: bytes | None = None
        self._asked_s = 0.0
        self._waiting = False
        self._received = 0
        self.say("bound", port=port)

    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""
        return {"received": self._received}

    def order(self, order: dict[str, Any]) -> None:
        """Obey the node: ``go`` is acknowledged, work has begun already."""
        if order.get("do") == "go":
            self.say("running")

    @property
    def wait_s(self) -> float:
        """How long the next turn may wait for something to be ready."""
        if self._peer is None or self._waiting:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, self._asked_s + PERIOD_S - time.monotonic()))

    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Take in an answer, and ask again when it is time."""
        if self.socket in ready:
            peer, header, *parts = (frame.buffer for frame in self.socket.recv_multipart(copy=False))
            try:
                self._hear(bytes(peer), messages.decode(bytes(header)), parts)
            except WireError as error:
                self._complaints.add(f"view {self.job.link}: {error}")
        due = now_s - self._asked_s >= (_PATIENCE_S if self._waiting else PERIOD_S)
        if due and self._peer is not None and not self.finished:
            self._asked_s = now_s
            self._waiting = True
            self._send(Look(), self._peer)

    def _hear(self, peer: bytes, message: LinkMessage, parts: list[memoryview]) -> None:
        if isinstance(message, Hello):
            if difference := self._terms.difference(message.terms):
                self._complaints.add(f"view {self.job.link}: refused a sender: {difference}")
                self._send(Refuse(f"view {self.job.link}: {difference}"), peer)
                return
            self._peer, self._waiting, self._asked_s = peer, False, 0.0
        elif peer != self._peer:
            return  # of a connection that the sender has given up
        elif isinstance(message, Frame):
            self._waiting = False
            if message.count:
                self._store(message.metadata, parts)
        elif isinstance(message, messages.End):
            self._target.writer.close()
            self._send(Done(), peer)
            self.finished = True

    def _store(self, metadata: bytes, data: list[memoryview]) -> None:
        sizes = len(metadata), sum(map(len, data))
        wanted = METADATA_DTYPE.itemsize, self._target.ring.stride
        if sizes != wanted:
            raise WireError(f"an event has {sizes} bytes instead of {wanted}")
        slots = self._target.reserve(1)
        if len(slots):
            self._target.store(slots[:1], metadata, data, 0)
            self._received += 1

    def _send(self, message: LinkMessage, peer: bytes) -> None:
        try:
            self.socket.send_multipart([peer, messages.encode(message)])
        except zmq.ZMQError as error:
            log.info("view %s: the sender cannot be reached (%s)", self.job.link, error)
            self._peer = None

    def close(self) -> None:
        """Let go of the socket and the ring."""
        self.socket.close(linger=FAREWELL_MS if self.finished else 0)
        self._target.close()
