"""The connections to a port: how many there are, and that there are never too many."""

from __future__ import annotations

import logging
import resource
import socket as system_socket
import threading
import time

import zmq

from mimocorb_dist.wire.complaints import Complaints

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 500
"""To one port, at a time: many times more than a run has nodes, and far less than does harm."""
_DESCRIPTORS = 4096
_COUNT_EVERY_S = 1.0

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED | _REFUSED
"""Keys that are not known are the gate's affair."""


def watch_door(made: zmq.Socket[bytes], port: int) -> Door:
    """Watch over the connections to a socket that is bound to a port, until it is closed."""
    door = Door(made, port)
    door.start()
    return door


class Door(threading.Thread):
    """Counts connections to a port, and turns away those who come when it is crowded.

    ZeroMQ lets everybody in as long as the process has descriptors, and the process fails when it has none.
    It is a thread, for ZeroMQ waits until what it reports is read.

    Parameters
    ----------
    made
        The socket.
    port
        The port.

    Attributes
    ----------
    come
        How many connections there have been.
    """

    def __init__(self, made: zmq.Socket[bytes], port: int) -> None:
        super().__init__(name=f"door of port {port}", daemon=True)
        self.port = port
        self.come = 0
        self._open: set[int] = set()
        self._peers: dict[int, str] = {}
        self._is_wordless = False
        self._counted_s = 0.0
        self._most = min(MOST_CONNECTIONS, _allow_descriptors() // 4)
        self._wordless, self._crowd = Complaints(log), Complaints(log)
        self._events = made.get_monitor_socket(_EVENTS)

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._open)

    def run(self) -> None:
        """Take in what happens until the socket is closed."""
        with self._events:
            while True:
                content = self._events.recv_multipart()[0]
                event, value = int.from_bytes(content[:2], "little"), int.from_bytes(content[2:], "little")
                if event == zmq.EVENT_MONITOR_STOPPED:
                    return
                if event == zmq.EVENT_ACCEPTED:
                    self._let_in(value)
                elif event == zmq.EVENT_DISCONNECTED:
                    self._let_out(value)
                else:  # the connection ends next
                    self._is_wordless = True

    def _let_in(self, descriptor: int) -> None:
        self.come += 1
        self._open.add(descriptor)
        self._peers[descriptor] = _peer_of(descriptor)
        if len(self._open) > self._most and time.monotonic() - self._counted_s > _COUNT_EVERY_S:
            self._counted_s = time.monotonic()
            self._open = {each for each in self._open if self._leads_here(each)}
        if len(self._open) > self._most:
            self._crowd.add(
                f"port {self.port}: more than {self._most} connections at a time; one is turned away"
            )
            # The number may be that of another one already, but of one that has come as late.
            self._leads_here(descriptor, turn_away=True)

    def _let_out(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        peer = self._peers.pop(descriptor, "an unknown host")
        if self._is_wordless:
            self._is_wordless = False
            self._wordless.add(
                f"port {self.port}: a connection from {peer} ended before it said who it is: no program of "
                "this kind, or one that tried the key of another host first"
            )

    def _leads_here(self, descriptor: int, *, turn_away: bool = False) -> bool:
        """Tell whether a descriptor is a connection to this port, and end it if it is to be turned away."""
        try:
            one = system_socket.socket(fileno=descriptor)
        except OSError:
            return False
        try:
            if one.getsockname()[1] != self.port:
                return False
            if turn_away:
                one.shutdown(system_socket.SHUT_RDWR)
            return True
        except OSError:  # it has just been closed
            return False
        finally:
            one.detach()


def _peer_of(descriptor: int) -> str:
    """Return the address of who has just connected."""
    try:
        one = system_socket.socket(fileno=descriptor)
    except OSError:
        return "an unknown host"
    try:
        return str(one.getpeername()[0]).removeprefix("::ffff:")  # IPv4 at a socket that takes both
    except OSError:  # gone already
        return "an unknown host"
    finally:
        one.detach()


def _allow_descriptors() -> int:
    """Let this process have more descriptors than a crowd takes before it is turned away; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft == resource.RLIM_INFINITY or soft >= enough:
        return enough
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    return enough
