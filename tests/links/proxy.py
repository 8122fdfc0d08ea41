"""A TCP proxy that breaks, narrows and slows its connections in the ways networks do."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading

from tests.support import let_pass

_CHUNK_BYTES = 1 << 18
_CHUNKS_A_SECOND = 50
_NARROW_BUFFER_BYTES = 2048
_NARROW_SEGMENT_BYTES = 100


class Proxy:
    """Forward connections to a port of this machine until told otherwise.

    Each has a near end, that of the program which connected (a sender), and a far end (its receiver).

    Parameters
    ----------
    target
        The port to forward to.
    bytes_a_second
        At most so much of what the near end sends is forwarded; None: as much as comes.
    narrow
        Little of what the far end sends can be under way.
    """

    def __init__(self, target: int, *, bytes_a_second: int | None = None, narrow: bool = False) -> None:
        self._target = target
        self._bytes_a_second = bytes_a_second
        self._narrow = narrow
        self._listener = socket.create_server(("127.0.0.1", 0))
        if bytes_a_second is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, bytes_a_second // _CHUNKS_A_SECOND)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._left: list[socket.socket] = []  # half-open: the other end has been closed
        self._stalled: set[socket.socket] = set()
        self._closed = False
        self.connections = 0
        self.refused = 0
        self.refusing = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._thread.join()
        self._listener.close()
        self.close_connections()
        for end in self._left:
            end.close()

    def reset(self) -> None:
        """Break all connections with a RST, as a host does that was rebooted."""
        self._end(reset=True)

    def close_connections(self) -> None:
        """End all connections in order, as a program does that exits."""
        self._end(reset=False)

    def reset_near(self) -> None:
        """Break the near ends; the far ones stay half-open."""
        self._end(reset=True, far=False)

    def reset_far(self) -> None:
        """Break the far ends; the near ones stay half-open."""
        self._end(reset=True, near=False)

    def stall(self, *, near: bool = True, far: bool = True) -> None:
        """Silently stop forwarding what one end or both of all present connections send."""
        with self._lock:
            for pair in self._pairs:
                self._stalled.update(end for end, chosen in zip(pair, (near, far), strict=True) if chosen)

    def go_on(self) -> None:
        """Forward again what was stalled."""
        with self._lock:
            self._stalled.clear()

    def _end(self, *, reset: bool, near: bool = True, far: bool = True) -> None:
        with self._lock:
            for pair in self._pairs:
                for end, chosen in zip(pair, (near, far), strict=True):
                    if not chosen:
                        self._left.append(end)
                        continue
                    if reset:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()
            self._pairs.clear()
            self._stalled.clear()

    def _run(self) -> None:
        while not self._closed:
            with self._lock:
                others = {a: b for pair in self._pairs for a, b in (pair, pair[::-1])}
                near_ends = {near for near, _ in self._pairs}
                watched = [end for end in others if end not in self._stalled]
            with contextlib.suppress(OSError, ValueError):  # closed by another thread meanwhile
                ready, _, _ = select.select([self._listener, *watched], [], [], 0.02)
                for end in ready:
                    if end is self._listener:
                        self._accept()
                    else:
                        self._forward(end, others[end], self._bytes_a_second if end in near_ends else None)

    def _accept(self) -> None:
        incoming, _ = self._listener.accept()
        if self.refusing:
            self.refused += 1
            incoming.close()
            return
        outgoing = socket.socket()
        if self._narrow:
            outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT_BYTES)
            outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER_BYTES)
        try:
            outgoing.connect(("127.0.0.1", self._target))
        except OSError:
            incoming.close()
            outgoing.close()
            return
        for end in (incoming, outgoing):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.connections += 1
            self._pairs.append((incoming, outgoing))

    def _forward(self, source: socket.socket, target: socket.socket, bytes_a_second: int | None) -> None:
        try:
            data = source.recv(bytes_a_second // _CHUNKS_A_SECOND if bytes_a_second else _CHUNK_BYTES)
            if data:
                target.sendall(data)
                if bytes_a_second:
                    let_pass(len(data) / bytes_a_second, "the line is slow")
                return
        except OSError:
            pass
        with self._lock:
            self._pairs = [pair for pair in self._pairs if source not in pair]
            source.close()
            target.close()
