"""A TCP proxy that breaks its connections in the ways networks do."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading

_CHUNK_BYTES = 1 << 18


class Proxy:
    """Forward connections to a port of this machine until told otherwise.

    Parameters
    ----------
    target
        The port to forward to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._stalled: set[socket.socket] = set()
        self._closed = False
        self.connections = 0
        self.refusing = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._thread.join()
        self._listener.close()
        self._end(reset=False)

    def reset(self) -> None:
        """Break all connections with a RST, as a host does that was rebooted."""
        self._end(reset=True)

    def close_connections(self) -> None:
        """End all connections in order, as a program does that exits."""
        self._end(reset=False)

    def stall(self) -> None:
        """Silently stop forwarding on all present connections: they stay half-open."""
        with self._lock:
            for pair in self._pairs:
                self._stalled.update(pair)

    def _end(self, reset: bool) -> None:
        with self._lock:
            for end in [end for pair in self._pairs for end in pair]:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
            self._pairs.clear()
            self._stalled.clear()

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                others = {a: b for pair in self._pairs for a, b in (pair, pair[::-1])}
                watched = [end for end in others if end not in self._stalled]
            with contextlib.suppress(OSError, ValueError):  # closed by another thread meanwhile
                ready, _, _ = select.select([self._listener, *watched], [], [], 0.02)
                for end in ready:
                    if end is self._listener:
                        self._accept()
                    else:
                        self._forward(end, others[end])

    def _accept(self) -> None:
        incoming, _ = self._listener.accept()
        if self.refusing:
            incoming.close()
            return
        try:
            outgoing = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            incoming.close()
            return
        for end in (incoming, outgoing):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.connections += 1
            self._pairs.append((incoming, outgoing))

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            data = source.recv(_CHUNK_BYTES)
            if data:
                target.sendall(data)
                return
        except OSError:
            pass
        with self._lock:
            self._pairs = [pair for pair in self._pairs if source not in pair]
            source.close()
            target.close()
