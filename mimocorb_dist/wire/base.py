"""What all sockets have in common: limits, time-outs, where they may listen, and keys."""

from __future__ import annotations

import ipaddress
import socket as system_socket
import time
from typing import TYPE_CHECKING, Self

import zmq

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.door import watch_door
from mimocorb_dist.wire.security import Secured, secure_caller, secure_listener

if TYPE_CHECKING:
    from types import TracebackType

    from mimocorb_dist.wire.security import Security

LOOPBACK = "127.0.0.1"
PEER_SILENCE_MS = 2000
"""A peer that answers no heartbeat for this long is taken for gone."""

_ANY_PORT = 0
_FORM = "it must have the form tcp://host:port"


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """Return the process's ZeroMQ context."""
    return zmq.Context.instance()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _address(host: str, port: int) -> str:
    return f"tcp://[{host}]:{port}" if ":" in host.strip("[]") else f"tcp://{host}:{port}"


def make_socket(kind: int, queue: int, max_part_bytes: int) -> zmq.Socket[bytes]:
    """Make a socket that never blocks the end of the process, queues within bounds, and notices dead peers.

    Parameters
    ----------
    kind
        ZeroMQ socket type.
    queue
        Most messages that wait to be sent to, or received from, one peer.
    max_part_bytes
        Longest message part that is accepted; a peer that sends a longer one is disconnected.
    """
    made = context().socket(kind)
    made.linger = 0
    made.sndhwm = made.rcvhwm = queue
    made.setsockopt(zmq.MAXMSGSIZE, max_part_bytes)
    made.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    made.setsockopt(zmq.HEARTBEAT_IVL, PEER_SILENCE_MS // 4)
    made.setsockopt(zmq.HEARTBEAT_TIMEOUT, PEER_SILENCE_MS)
    made.setsockopt(zmq.HEARTBEAT_TTL, PEER_SILENCE_MS)
    # ZeroMQ asks for signs of life only between message parts: a full output is the system's to give up.
    made.setsockopt(zmq.TCP_MAXRT, 3 * PEER_SILENCE_MS)
    made.setsockopt(zmq.TCP_KEEPALIVE, 1)
    made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 10)
    made.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
    made.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    made.setsockopt(zmq.IPV6, 1)
    return made


def bind(made: zmq.Socket[bytes], host: str, ports: tuple[int, int] | None, security: Security) -> int:
    """Bind to the first free port of the (inclusive) range, or to any; return the port."""
    if isinstance(security, Secured):
        secure_listener(made, security)
    elif security is None and not is_loopback(host):
        raise WireError(
            f"will not listen on {host} without keys, everybody in the network could reach it; "
            "make keys with `mimocorb-node keys new`, or say `security: none` in the setup"
        )
    first, last = ports or (_ANY_PORT, _ANY_PORT)
    for port in range(first, last + 1):
        try:
            made.bind(_address(_numeric(host), port))
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                continue
            raise WireError(
                f"cannot listen on {host}, port {port}: {error}; is {host} an address of this machine, "
                "and the port allowed?"
            ) from error
        endpoint: str = made.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        taken = int(endpoint.rpartition(":")[2])
        watch_door(made, taken)
        return taken
    if first == last:
        raise WireError(
            f"port {first} on {host} is in use; end the program that uses it "
            f"(`ss -ltnp 'sport = :{first}'` shows it), or choose another with `Broker: {{port: ...}}`"
        )
    raise WireError(
        f"all ports from {first} to {last} on {host} are in use; "
        "end the programs that use them, or widen `Broker: {ports: [...]}`"
    )


def _numeric(host: str) -> str:
    """Return an address to bind to: ZeroMQ binds to addresses and interfaces, not to host names."""
    if host == "*":
        return host
    try:
        return str(system_socket.getaddrinfo(host.strip("[]"), None, type=system_socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise WireError(
            f"cannot listen on {host}: {error}; the name is not known here, use its IP address in `Nodes:`"
        ) from error


class SocketOwner:
    """Something that owns a ZeroMQ socket."""

    def __init__(self, made: zmq.Socket[bytes]) -> None:
        self.socket = made

    def close(self) -> None:
        """Close the socket and drop what it has not sent yet.  Idempotent."""
        self.socket.close(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(made: zmq.Socket[bytes], address: str, security: Security) -> None:
    """Begin to connect a socket to ``tcp://host:port``."""
    if isinstance(security, Secured):
        secure_caller(made, security)
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise WireError(f"{address!r} is not an address; {_FORM}")
    try:
        made.connect(address)
    except zmq.ZMQError as error:
        raise WireError(f"{address!r} is not an address ({error}); {_FORM}") from error


def deadline_after(timeout_s: float | None) -> float | None:
    """Return the monotonic time in s when a time-out is over; None for never."""
    return None if timeout_s is None else time.monotonic() + timeout_s


def left_ms(deadline: float | None) -> int | None:
    """Return the ms that are left until a deadline, as ZeroMQ's poll takes them."""
    # Rounded up: a poll of 0 ms at the end of a wait would spin.
    return None if deadline is None else max(0, -int(-(deadline - time.monotonic()) * 1000 // 1))
