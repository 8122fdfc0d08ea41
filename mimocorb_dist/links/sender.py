"""The sending end of a link: a reader of its ring that sends events on, and holds their slots meanwhile."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import LinkError
from mimocorb_dist.links import messages
from mimocorb_dist.links.connection import Connection
from mimocorb_dist.links.end import FAREWELL_MS, LONGEST_WAIT_S, End
from mimocorb_dist.links.ledger import Entry, Ledger, ledger_path
from mimocorb_dist.links.pace import Pace
from mimocorb_dist.links.protocol import (
    Broken,
    Connecting,
    Exhausted,
    Fail,
    Finish,
    Incoming,
    Reconnect,
    Release,
    Send,
    Taken,
    Tick,
)
from mimocorb_dist.links.sender_state import Phase, SenderState
from mimocorb_dist.links.slots import SourceSlots, terms_of
from mimocorb_dist.ring import EndOfStream, Ring

if TYPE_CHECKING:
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.links.protocol import SenderAction, SenderInput
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

log = logging.getLogger(__name__)

_LOOK_ROUND_S = 1.0
"""How often to see whether others read the same events."""


class LinkSender(End):
    """The sending end of a link.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        super().__init__(job, status, control)
        self._source = SourceSlots(Ring.open(job.ring), job.group)
        ring = self._source.ring
        self._ledger = Ledger(ledger_path(job.ring, job.link, job.kind), ring)
        if self._ledger[Entry.INCARNATION] == 0:  # that means nobody
            self._ledger[Entry.INCARNATION] = secrets.randbits(48) + 1
        self.state = SenderState(
            terms_of(ring, job.run_id, job.link), self._ledger[Entry.INCARNATION], ring.slot_count
        )
        self._go_on_from(job.previous)
        self._pace = Pace(self.state.frame_events, ring.slot_count)
        self._connection: Connection | None = None
        self._address: str | None = job.address
        self._connect_s: float | None = 0.0
        self._looked_round_s = 0.0
        self._broken_s: float | None = None
        self._polled = False  # whether the poller watches the ring
        self._noted = self.state.counts

    def _go_on_from(self, previous: tuple[int, ...]) -> None:
        """Take over what ends have left that were killed."""
        ledger, columns = self._ledger, self._source.columns
        slots, sequences = ledger.leased(columns)
        for pid in previous:
            self._source.reader.inherit(pid, slots)
        self.state.restore(ledger[Entry.TAKEN], slots, sequences, ledger.counts())
        self.finished = bool(ledger[Entry.DONE])

    def _note_counts(self) -> None:
        """Note what has been counted, for an end that goes on if this one is killed."""
        counts = self.state.counts
        if counts != self._noted:
            self._noted = counts
            self._ledger.note_counts(counts)

    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""
        state = self.state
        return {
            "sent": state.sent,
            "acknowledged": state.acknowledged,
            "resent": state.resent,
            "reconnects": state.reconnects,
            "bytes": state.bytes,
        }

    def order(self, order: dict[str, Any]) -> None:
        """Obey the node: ``go`` tells the receiver's address."""
        if order.get("do") == "go":
            self._address = order.get("address", self._address)
            if self._address is None:
                raise LinkError(f"link {self.job.link}: told to go, but not where to; give an address")
            self.say("running")

    @property
    def wait_s(self) -> float:
        """How long the next turn may wait for something to be ready."""
        if self._connect_s is None or self._address is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, self._connect_s - time.monotonic()))

    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Receive, take and send what there is."""
        self._connect_if_due(now_s)
        if connection := self._connection:
            for data in connection.messages():
                self._do(Incoming(messages.decode(data)), now_s)
            if self._connection is connection and connection.is_broken(ready):
                self._do(Broken(), now_s)
        if now_s - self._looked_round_s >= _LOOK_ROUND_S:
            self._looked_round_s = now_s
            self.state.window.competing = self._source.competing or self._source.keeps_up_to_date
            self._do(Tick(), now_s)
        self._take(now_s)
        self._note_counts()

    def _connect_if_due(self, now_s: float) -> None:
        if self._connect_s is None or self._address is None or now_s < self._connect_s:
            return
        self._connect_s = None
        self._connection = Connection(self._address, self.job.security, self.poller)
        self._do(Connecting(), now_s)

    def _take(self, now_s: float) -> None:
        room = self.state.room
        if room > 0:
            try:
                slots = self._source.take(room)
            except EndOfStream:
                self._do(Exhausted(), now_s)
            else:
                if len(slots):
                    self._ledger.note_taken(slots, self.state.taken, self._source.columns)
                    self._do(Taken(slots), now_s)
                    if pause_s := self._pace.pause_s(len(slots), room, now_s):
                        time.sleep(pause_s)
        self._watch_ring(self.state.room > 0)

    def _watch_ring(self, wanted: bool) -> None:
        """Let the poller wait for events only when they can be sent: else it would never wait."""
        if wanted != self._polled:
            self._polled = wanted
            if wanted:
                self.poller.register(self._source.reader.fileno(), zmq.POLLIN)
            else:
                self.poller.unregister(self._source.reader.fileno())

    def _do(self, given: SenderInput, now_s: float) -> None:
        before = self.state.phase
        actions = self.state.handle(given, now_s)
        if self.state.phase is not before:
            self._tell(before, now_s)
        for action in actions:
            self._act(action, now_s)

    def _tell(self, before: Phase, now_s: float) -> None:
        """Log once that the connection has broken, or cannot be made, and when it is there."""
        link, phase = self.job.link, self.state.phase
        if phase is Phase.OPEN and self._broken_s is not None:
            log.warning("link %s: connected after %.1f s", link, now_s - self._broken_s)
            self._broken_s = None
        elif phase is Phase.CLOSED and self._broken_s is None:
            self._broken_s = now_s
            what = "has broken" if before is Phase.OPEN else "cannot be made (is a firewall in the way?)"
            log.warning("link %s: the connection to %s %s; events wait for it", link, self._address, what)

    def _act(self, action: SenderAction, now_s: float) -> None:
        match action:
            case Send(message=message, slots=slots):
                if isinstance(message, messages.Bye):
                    self._ledger[Entry.DONE] = 1
                self._send(message, slots, now_s)
            case Release(slots=slots):
                self._source.release(slots)
            case Reconnect(pause_s=pause_s):
                self._disconnect()
                self._connect_s = now_s + pause_s
            case Finish():
                self.finished = True
            case Fail(reason=reason):
                raise LinkError(reason)

    def _send(self, message: messages.LinkMessage, slots: Any, now_s: float) -> None:
        if self._connection is None:
            return  # it broke while an earlier one of the same actions was done
        parts: list[bytes | memoryview] = []
        if isinstance(message, messages.Frame):
            message = replace(message, metadata=self._source.metadata(slots))
            parts.extend(self._source.data(slots))
        parts.insert(0, messages.encode(message))
        if not self._connection.send(parts):
            self._do(Broken(), now_s)

    def _disconnect(self, linger_ms: int = 0) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(linger_ms)

    def close(self) -> None:
        """Let go of the socket and the ring."""
        self._disconnect(FAREWELL_MS if self.finished else 0)
        self._source.close()
