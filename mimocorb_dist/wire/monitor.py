"""What happens to a socket's connections: that they are made, break, or are refused."""

from __future__ import annotations

from typing import Literal, TypeAlias

import zmq

from mimocorb_dist.wire.base import SocketOwner

Happening: TypeAlias = Literal["connected", "disconnected", "unknown key", "other key", "other mechanism"]
"""The last three are refusals: the server does not know this client's key; what it was taken for has another
key; one of the two uses keys and the other does not."""

_MECHANISM_MISMATCH = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH


class Monitor(SocketOwner):
    """Report the making and breaking of a socket's connections.

    Attributes
    ----------
    socket
        For a `zmq.Poller`: readable when `events` has something.
    """

    _EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
    _EVENTS |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    _EVENTS |= zmq.EVENT_HANDSHAKE_FAILED_AUTH

    def __init__(self, watched: zmq.Socket[bytes]) -> None:
        self._watched = watched
        super().__init__(watched.get_monitor_socket(self._EVENTS))

    def events(self) -> list[Happening]:
        """Return what has happened since the last call, without waiting.

        After a refusal comes "disconnected", too.
        """
        happened: list[Happening] = []
        while self.socket.poll(0):
            content = self.socket.recv_multipart()[0]
            happened.append(_happening(int.from_bytes(content[:2], "little"), content[2:]))
        return happened

    def close(self) -> None:
        """Stop watching.  To be called before the watched socket is closed.  Idempotent."""
        if not self._watched.closed:
            self._watched.disable_monitor()
        super().close()


def _happening(event: int, value: bytes) -> Happening:
    match event:
        case zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return "connected"
        case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return "unknown key"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if int.from_bytes(value, "little") == _MECHANISM_MISMATCH:
            return "other mechanism"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return "other key"
    return "disconnected"
