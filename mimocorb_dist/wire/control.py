"""Control sockets: requests to a server, its answers, and what it pushes to its clients."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import KeysError, RefusedError, UnreachableError, WireError
from mimocorb_dist.wire.base import LOOPBACK, SocketOwner, bind, connect, deadline_after, left_ms, make_socket
from mimocorb_dist.wire.complaints import Complaints
from mimocorb_dist.wire.keys import fingerprint
from mimocorb_dist.wire.messages import MAX_MESSAGE_BYTES, Message, decode, encode
from mimocorb_dist.wire.monitor import Monitor
from mimocorb_dist.wire.security import Secured, Security

if TYPE_CHECKING:
    from mimocorb_dist.wire.monitor import Happening

log = logging.getLogger(__name__)

QUEUE_MESSAGES = 1000
_BROKEN_OFF_ENOUGH = 3
"""So many handshakes broken off in a row mean that the keys do not fit; one may be a server that ends."""


@dataclass(frozen=True)
class Request:
    """A message that a `ControlServer` received, with the peer and number needed to answer it.

    `key` is the public key of who sent it; empty without keys.
    """

    peer: bytes
    number: bytes
    message: Message
    key: str = ""


class ControlServer(SocketOwner):
    """Receive requests from many clients, answer them, and push messages to clients that have spoken before.

    Parameters
    ----------
    host
        Address or name to listen on.
    port
        TCP port; None takes any free one.
    security
        None (only loopback is allowed), "none" (the setup allows any address without keys), or keys.

    Attributes
    ----------
    socket
        The ZeroMQ socket, for a `zmq.Poller`.
    port
        The port that is listened on.

    Raises
    ------
    WireError
        When the port is in use, or the address is not allowed or not one of this machine.
    """

    def __init__(self, host: str = LOOPBACK, port: int | None = None, *, security: Security = None) -> None:
        super().__init__(make_socket(zmq.ROUTER, QUEUE_MESSAGES, MAX_MESSAGE_BYTES))
        self._secured = isinstance(security, Secured)
        self._complaints = Complaints(log)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.SNDTIMEO, 0)
        try:
            self.port = bind(self.socket, host, None if port is None else (port, port), security)
        except WireError:
            self.close()
            raise

    def receive(self, timeout_s: float | None = None) -> Request | None:
        """Wait for the next request; None when the time is over.

        What is not a message is answered with a refusal, logged and dropped.
        """
        deadline = deadline_after(timeout_s)
        while self.socket.poll(left_ms(deadline)):
            frames = self.socket.recv_multipart(copy=False)
            parts = [frame.bytes for frame in frames]
            try:
                if len(parts) != 3:
                    raise WireError(
                        f"received {len(parts)} message parts instead of 3; check who uses this port"
                    )
                key = str(frames[2].get("User-Id")) if self._secured else ""
                return Request(parts[0], parts[1], decode(parts[2]), key)
            except WireError as error:
                self._complaints.add(f"port {self.port}: {error}")
                self._answer_rubbish(parts, str(error))
        return None

    def _answer_rubbish(self, parts: list[bytes], reason: str) -> None:
        try:
            self._send(parts[0], parts[1] if len(parts) > 1 else b"", encode("refused", reason=reason))
        except UnreachableError:
            log.info("the sender of it has gone already")

    def reply(self, request: Request, kind: str, /, **fields: Any) -> None:
        """Answer a request.

        Raises
        ------
        UnreachableError
            When the client has gone, or does not take its messages.
        """
        self._send(request.peer, request.number, encode(kind, **fields))

    def refuse(self, request: Request, reason: str) -> None:
        """Answer a request with a refusal: the client's `request` raises `RefusedError` with this reason."""
        self.reply(request, "refused", reason=reason)

    def push(self, peer: bytes, kind: str, /, **fields: Any) -> None:
        """Send a message to a client that did not ask for it.

        Parameters
        ----------
        peer
            The `Request.peer` of an earlier request; it outlives the client's connection.

        Raises
        ------
        UnreachableError
            When the client has gone, or does not take its messages.
        """
        self._send(peer, b"", encode(kind, **fields))

    def _send(self, peer: bytes, number: bytes, data: bytes) -> None:
        try:
            self.socket.send_multipart([peer, number, data])
        except zmq.ZMQError as error:
            raise UnreachableError(
                f"a client of port {self.port} cannot be reached ({error}); "
                "it has ended or hangs, look at its host"
            ) from error


def new_identity() -> bytes:
    """Return an identity that no other client has."""
    return b"c" + secrets.token_bytes(16)


class ControlClient(SocketOwner):
    """Ask a `ControlServer`, and receive what it pushes.

    The connection is made, and made again after a break, in the background; the server sees the same peer
    each time.

    Parameters
    ----------
    address
        ``tcp://host:port``.
    identity
        As which peer the server sees it: 17 bytes, the first of them ``c``; None chooses one.

    Attributes
    ----------
    socket
        The ZeroMQ socket, for a `zmq.Poller`: readable when `receive` may have something.

    Raises
    ------
    WireError
        When the address cannot be one.
    """

    def __init__(self, address: str, *, security: Security = None, identity: bytes | None = None) -> None:
        super().__init__(make_socket(zmq.DEALER, QUEUE_MESSAGES, MAX_MESSAGE_BYTES))
        self.address = address
        self._security = security
        self._monitor = Monitor(self.socket)
        self._refusal: KeysError | None = None
        self._broken_off = 0
        self._count = 0
        self._pushes: deque[Message] = deque()
        # Chosen here so that it outlives connections; those that begin with a zero byte are ZeroMQ's own.
        self.socket.setsockopt(zmq.ROUTING_ID, identity or new_identity())
        # Requests wait for a connection here, not in a queue: one that was given up must not be sent later.
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        # One that has just broken must not hold up who sends: perhaps only they can bring it back.
        self.socket.setsockopt(zmq.SNDTIMEO, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        try:
            connect(self.socket, address, security)
        except WireError:
            self.close()
            raise

    def request(self, kind: str, /, timeout_s: float = 5.0, **fields: Any) -> Message:
        """Send a request and wait for its answer.

        Parameters
        ----------
        kind
            Kind of the message.
        timeout_s
            How long to wait for a connection and the answer.
        **fields
            The message's fields.

        Returns
        -------
        Message
            The answer.  Messages that are pushed meanwhile are kept for `receive`.

        Raises
        ------
        UnreachableError
            When there is no answer in time.
        KeysError
            When the two ends' keys do not fit.
        RefusedError
            When the server refuses, with its reason.
        """
        deadline = deadline_after(timeout_s)
        self._count += 1
        number = self._count.to_bytes(8, "little")
        data = encode(kind, **fields)
        is_sent = False
        while not is_sent:
            if not self._connected(deadline):
                raise UnreachableError(
                    f"nobody answers at {self.address} within {timeout_s:g} s; is the broker running there, "
                    "and do address, port and firewall fit?"
                )
            is_sent = self._send(number, data)
        while self.socket.poll(left_ms(deadline)):
            answered, message = self._next()
            if answered == number:
                if message.kind == "refused":
                    raise RefusedError(message.field("reason", str))
                return message
            self._keep_push(answered, message)
        raise UnreachableError(
            f"{self.address} did not answer a {kind!r} request within {timeout_s:g} s; "
            "is the program there busy or hung?"
        )

    def tell(self, kind: str, /, **fields: Any) -> bool:
        """Send a message that is not answered, without waiting; return whether there was a connection."""
        return self._send(b"", encode(kind, **fields))

    def _send(self, number: bytes, data: bytes) -> bool:
        try:
            self.socket.send_multipart([number, data])
        except zmq.Again:
            return False
        return True

    def _connected(self, deadline: float | None) -> bool:
        """Wait for a connection; a refusal because of keys is not waited out."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLOUT)
        poller.register(self._monitor.socket, zmq.POLLIN)
        while ready := dict(poller.poll(left_ms(deadline))):
            if self.socket in ready:
                return True
            if refusal := self.refusal():
                raise refusal
        return False

    def refusal(self) -> KeysError | None:
        """Return why the server's keys and those of this client do not fit; None while they may."""
        for happening in self._monitor.events():
            if happening == "connected":
                self._refusal, self._broken_off = None, 0
            elif happening == "other key":
                self._broken_off += 1
                if self._broken_off >= _BROKEN_OFF_ENOUGH:
                    self._refusal = _refusal(self.address, happening, self._security)
            elif happening != "disconnected":
                self._refusal = _refusal(self.address, happening, self._security)
        return self._refusal

    def close(self) -> None:
        """Close the socket and drop what it has not sent yet.  Idempotent."""
        self._monitor.close()
        super().close()

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """Wait for the next pushed message; None when the time is over."""
        deadline = deadline_after(timeout_s)
        while not self._pushes and self.socket.poll(left_ms(deadline)):
            self._keep_push(*self._next())
        return self._pushes.popleft() if self._pushes else None

    def _next(self) -> tuple[bytes, Message]:
        parts = self.socket.recv_multipart()
        if len(parts) != 2:
            raise WireError(
                f"{self.address} sent {len(parts)} message parts instead of 2; check what listens there"
            )
        return parts[0], decode(parts[1])

    def _keep_push(self, number: bytes, message: Message) -> None:
        if number:
            return  # the late answer to a request that was given up
        if len(self._pushes) >= QUEUE_MESSAGES:
            raise WireError(
                f"{len(self._pushes)} messages from {self.address} were never received; call receive() too"
            )
        self._pushes.append(message)


def _refusal(address: str, happening: Happening, security: Security) -> KeysError:
    """Say why a server has not let this client in, and what to do."""
    if happening == "other mechanism" and isinstance(security, Secured):
        return KeysError(
            f"{address} uses no keys, but this setup does; do all nodes have the same setup? "
            "(`security: none` turns keys off)"
        )
    if not isinstance(security, Secured):
        return KeysError(f"{address} lets only holders of keys in; make one with `mimocorb-node keys new`")
    if happening == "unknown key":
        own = security.own
        return KeysError(
            f"{address} does not know the key of this machine (fingerprint {fingerprint(own.public)}); "
            "type there what `mimocorb-node keys show` says here",
            unknown=True,
        )
    return KeysError(
        f"{address} has another key than is known here; type here what `mimocorb-node keys show` says there, "
        "if the machine there is the right one"
    )
