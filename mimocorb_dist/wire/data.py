"""Data sockets: the two ends of a link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.base import bind, connect, make_socket
from mimocorb_dist.wire.monitor import Monitor

if TYPE_CHECKING:
    from mimocorb_dist.wire.security import Security

QUEUE_FRAMES = 256
"""More than a link ever has under way; a bound against peers that do not keep to the protocol."""


def data_receiver(
    host: str, ports: tuple[int, int] | None, *, max_part_bytes: int, security: Security = None
) -> tuple[zmq.Socket[bytes], int]:
    """Make the receiving socket of a link (ROUTER) and bind it.

    Parameters
    ----------
    host
        Address to listen on.
    ports
        First and last TCP port that may be used; None takes any free one.
    max_part_bytes
        Longest message part that is accepted; a peer that sends a longer one is disconnected.

    Returns
    -------
    socket, port

    Raises
    ------
    WireError
        When no port of the range is free, or the address is not allowed or not one of this machine.
    """
    made = make_socket(zmq.ROUTER, QUEUE_FRAMES, max_part_bytes)
    made.setsockopt(zmq.ROUTER_MANDATORY, 1)
    made.setsockopt(zmq.SNDTIMEO, 0)
    try:
        return made, bind(made, host, ports, security)
    except WireError:
        made.close()
        raise


def data_sender(
    address: str, *, max_part_bytes: int, security: Security = None
) -> tuple[zmq.Socket[bytes], Monitor]:
    """Make the sending socket of a link (DEALER) with its monitor, and begin to connect it.

    It never reconnects by itself: a link knows what the other end has received only after a new handshake,
    which it does on a new socket.

    Returns
    -------
    socket, monitor

    Raises
    ------
    WireError
        When the address cannot be one.
    """
    made = make_socket(zmq.DEALER, QUEUE_FRAMES, max_part_bytes)
    made.setsockopt(zmq.RECONNECT_IVL, -1)
    made.setsockopt(zmq.SNDTIMEO, 0)
    monitor = Monitor(made)  # before the first event
    try:
        connect(made, address, security)
    except WireError:
        monitor.close()
        made.close()
        raise
    return made, monitor


def readable(made: zmq.Socket[bytes]) -> bool:
    """Tell whether a message can be received at once: much quicker than to try, or to poll."""
    return bool(int(made.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
