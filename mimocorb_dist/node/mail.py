"""What a node says to the broker: nothing leaves it before it has been noted what it follows from."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.wire.letters import Letter, Letters
from mimocorb_dist.wire.sockets import ControlClient, new_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mimocorb_dist.errors import KeysError
    from mimocorb_dist.wire.messages import Message
    from mimocorb_dist.wire.security import Security

    from .notes import Notes

_SECTION = "mail"


class Mail:
    """The connection to the broker, and the letters to and from it.

    An heir of the node goes on with both: the broker notices nothing. An order that the dead node has carried
    out and not confirmed comes again; it is carried out twice, which changes nothing.

    Parameters
    ----------
    node
        Name of the node.

    Attributes
    ----------
    notes
        Where the letters are noted for an heir; None as long as there cannot be one.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._client: ControlClient | None = None
        self._identity = new_identity()
        self._letters = Letters()
        self._out: list[tuple[str, Mapping[str, Any], Letter | None]] = []
        self._is_held = False
        self._noted: Any = None
        self.notes: Notes | None = None

    def call(self, broker: str, security: Security) -> None:
        """Call the broker at an address.

        Raises
        ------
        WireError
            If the address cannot be one.
        """
        self._client = ControlClient(broker, security=security, identity=self._identity)

    @property
    def socket(self) -> Any:
        """The socket, for a poller; None if the broker has not been called."""
        return None if self._client is None else self._client.socket

    @property
    def connected(self) -> bool:
        """Whether something can be sent now."""
        return self._client is not None and bool(self._client.socket.poll(0, zmq.POLLOUT))

    def refusal(self) -> KeysError | None:
        """Return why the broker's keys and those of this node do not fit; None while they may."""
        return None if self._client is None else self._client.refusal()

    def receive(self) -> Message | None:
        """Return the next message of the broker; None if there is none.

        Raises
        ------
        WireError
            If it cannot be understood.
        """
        return None if self._client is None else self._client.receive(0)

    def read(self, message: Message) -> bool:
        """Take in any message of the broker; return whether to act on it."""
        return self._letters.read(message)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Send nothing before the end of the block: in it an order is carried out."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self._send()

    def begin_anew(self) -> None:
        """Forget all letters: another broker has taken the place of the one that they were for."""
        self._letters, self._out = Letters(), []

    def post(self, kind: str, /, **fields: Any) -> None:
        """Send the broker a message that must arrive."""
        self._out.append((kind, fields, self._letters.write(kind, fields, time.monotonic())))
        self._send()

    def say(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Send the broker a message if it can be reached now."""
        self._out.append((kind, fields, None))
        self._send()

    def remind(self, now_s: float) -> None:
        """Send letters again that the broker has not read."""
        if self.connected:
            self._out += [(letter.kind, letter.fields, letter) for letter in self._letters.overdue(now_s)]
        self._send()

    def _send(self) -> None:
        if self._is_held:
            return
        self.note()
        out, self._out = self._out, []
        for kind, fields, letter in out:
            stamps = self._letters.stamps(letter)
            is_sent = self._client is not None and self._client.tell(
                kind, node=self._node, **fields, **stamps
            )
            if not is_sent and letter is not None:
                self._out.append((kind, fields, letter))

    def close(self) -> None:
        """Close the connection.  Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # What an heir has to know.

    def note(self) -> None:
        """Note the letters, if that is not done."""
        if self.notes is not None and (content := self._letters.to_plain()) != self._noted:
            self._noted = content
            self.notes.write(_SECTION, {"identity": self._identity.hex(), "letters": content})

    def recall(self, notes: Notes) -> None:
        """Go on with the letters of a dead node."""
        noted = notes.sections[_SECTION]
        self._identity = bytes.fromhex(noted["identity"])
        self._letters = Letters.from_plain(noted["letters"])
        self.notes = notes
