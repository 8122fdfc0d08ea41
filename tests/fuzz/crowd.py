"""Crowds at the ports of a run: thousands of connections at once, and one after the other."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import selectors
import socket
from collections import Counter
from collections.abc import Iterator

_GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48)
_READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
"""What a client of ZeroMQ says first: after that it has a place in the memory of the other side."""
_ENOUGH_S = 20.0


@contextlib.contextmanager
def many_descriptors(count: int) -> Iterator[int]:
    """Let this process have as many descriptors as it may, up to a number; give that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))
    try:
        yield min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def at_once(port: int, count: int) -> Counter[str]:
    """Open so many connections, keep all of them until each was let in, refused or closed, and close them.

    Every other one speaks as clients of ZeroMQ do; the others say nothing.
    """
    outcome: Counter[str] = Counter()
    with many_descriptors(count) as most, selectors.DefaultSelector() as selector:
        crowd = [_begin(port) for _ in range(min(count, most))]
        try:
            for one in crowd:
                selector.register(one, selectors.EVENT_WRITE)
            waiting = len(crowd)
            while waiting and (ready := selector.select(_ENOUGH_S)):
                for key, _ in ready:
                    one = key.fileobj
                    error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    outcome[os.strerror(error) if error else "let in"] += 1
                    selector.unregister(one)
                    waiting -= 1
                    if not error and waiting % 2:
                        with contextlib.suppress(OSError):
                            one.send(_GREETING + _READY)
            outcome["left waiting"] += waiting
        finally:
            for one in crowd:
                one.close()
    return +outcome


def _begin(port: int) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    error = made.connect_ex(("127.0.0.1", port))
    assert error in (0, errno.EINPROGRESS), os.strerror(error)
    return made


def one_by_one(port: int, count: int) -> Counter[str]:
    """Open so many connections, each after the one before was closed."""
    outcome: Counter[str] = Counter()
    for number in range(count):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as one:
                if number % 2:
                    one.sendall(_GREETING + _READY)
        except OSError as error:
            outcome[error.strerror or str(error)] += 1
        else:
            outcome["let in"] += 1
    return outcome
