"""What a broker says, and to whom: nothing leaves before it has been noted what it follows from."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import UnreachableError
from mimocorb_dist.wire.letters import Letter, Letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mimocorb_dist.wire.messages import Message
    from mimocorb_dist.wire.sockets import ControlServer, Request

log = logging.getLogger(__name__)


class Post:
    """The nodes' addresses, the letters to and from them, and what is to be sent.

    Parameters
    ----------
    server
        The socket.
    """

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._peers: dict[str, bytes] = {}
        self._letters: dict[str, Letters] = {}
        self._out: list[tuple[str, Callable[[], None]]] = []

    # The nodes.

    def admit(self, node: str, peer: bytes) -> None:
        """Take in a node: from now on it is this peer, and both sides begin to count their letters."""
        self._peers[node], self._letters[node] = peer, Letters()

    def forget(self, node: str) -> None:
        """Let a node go when what is under way to it has been sent."""

        def forget() -> None:
            del self._peers[node], self._letters[node]

        self._out.append(("", forget))

    def is_node(self, node: object, peer: bytes) -> bool:
        """Tell whether a peer is the node that it says it is."""
        return isinstance(node, str) and self._peers.get(node) == peer

    def node_of(self, request: Request) -> str | None:
        """Return the name of the node that this is the word of; None if it is that of somebody else."""
        node = request.message.fields.get("node")
        return node if isinstance(node, str) and self.is_node(node, request.peer) else None

    def read(self, node: str, message: Message) -> bool:
        """Take in any message of a node; return whether to act on it."""
        return self._letters[node].read(message)

    # What is said.

    def tell(self, node: str, kind: str, /, **fields: Any) -> None:
        """Write a letter to a node: it will arrive, unless the node is gone.

        Raises
        ------
        WireError
            If the node does not read its letters.
        """
        self._say(node, kind, fields, self._letters[node].write(kind, fields, time.monotonic()))

    def say(self, node: str, kind: str, /, **fields: Any) -> None:
        """Tell a node something that is soon said anew anyway."""
        self._say(node, kind, fields)

    def remind(self, nodes: Iterable[str], now_s: float) -> None:
        """Send letters again that nodes have not read."""
        for node in nodes:
            for letter in self._letters[node].overdue(now_s):
                self._say(node, letter.kind, letter.fields, letter)

    def answer(self, request: Request, kind: str, /, **fields: Any) -> None:
        """Answer a client's request."""
        self._out.append(("", lambda: self._server.reply(request, kind, **fields)))

    def push(self, peer: bytes, kind: str, /, **fields: Any) -> None:
        """Say something to somebody who is no node of this run."""
        self._out.append(("", lambda: self._server.push(peer, kind, **fields)))

    def _say(self, node: str, kind: str, fields: Mapping[str, Any], letter: Letter | None = None) -> None:
        def send() -> None:
            stamps = self._letters[node].stamps(letter)
            self._server.push(self._peers[node], kind, **fields, **stamps)

        self._out.append((node, send))

    def send(self) -> set[str]:
        """Send it all; return the nodes to which there is no connection: their silence will be noticed."""
        out, self._out = self._out, []
        unreachable = set()
        for node, send in out:
            try:
                send()
            except UnreachableError as error:
                log.info("%s", error)
                unreachable.add(node)
        return unreachable - {""}

    # What outlives this process.

    def to_plain(self) -> dict[str, Any]:
        """Return all that a successor has to know, as plain values."""
        return {node: [peer.hex(), self._letters[node].to_plain()] for node, peer in self._peers.items()}

    def recall(self, plain: Mapping[str, Any]) -> None:
        """Go on where `to_plain` was called: nodes keep their addresses when they connect anew."""
        for node, (peer, letters) in plain.items():
            self._peers[node], self._letters[node] = bytes.fromhex(peer), Letters.from_plain(letters)
