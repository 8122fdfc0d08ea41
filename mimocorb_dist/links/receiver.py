"""The receiving end of a link: a writer of its ring that tells the sender when events have been released."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import WireError
from mimocorb_dist.links import messages
from mimocorb_dist.links.connection import MAX_PART_BYTES
from mimocorb_dist.links.end import FAREWELL_MS, LONGEST_WAIT_S, End
from mimocorb_dist.links.ledger import Entry, Ledger, ledger_path
from mimocorb_dist.links.protocol import (
    Broken,
    CloseRing,
    DropFrames,
    Finish,
    Garbled,
    Incoming,
    Keep,
    LimitReached,
    NoRoom,
    Reserved,
    Send,
    Store,
    Tick,
    TurnedAway,
)
from mimocorb_dist.links.receiver_state import TELL_S, ReceiverState
from mimocorb_dist.links.slots import TargetSlots, terms_of
from mimocorb_dist.ring import METADATA_DTYPE, Ring
from mimocorb_dist.wire.complaints import Complaints
from mimocorb_dist.wire.sockets import data_receiver, readable

if TYPE_CHECKING:
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.links.protocol import ReceiverAction, ReceiverInput
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

log = logging.getLogger(__name__)

_LOOK_ROUND_S = 1.0
"""How often to count the readers of the ring."""
_GATHER_S = 3e-4
"""How long releases may gather if they come few at a time: readers may release very many, one by one."""
_MESSAGES_A_TURN = 16
_MOST_UNSENT = 64


class LinkReceiver(End):
    """The receiving end of a link.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.

    Raises
    ------
    WireError
        When it cannot listen.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        super().__init__(job, status, control)
        self._target = TargetSlots(Ring.open(job.ring))
        ring = self._target.ring
        self.state = ReceiverState(terms_of(ring, job.run_id, job.link), ring.slot_count, job.release)
        self._ledger = Ledger(ledger_path(job.ring, job.link, job.kind), ring)
        self._go_on_from(job.previous)
        self.socket, port = data_receiver(
            job.host, job.ports, max_part_bytes=MAX_PART_BYTES, security=job.security
        )
        self.poller.register(self.socket, zmq.POLLIN)
        self._data: list[memoryview] = []  # the parts of the message in hand after the first
        self._kept: deque[tuple[bytes, list[memoryview]]] = deque()  # metadata and data of frames
        self._metadata = b""
        self._looked_round_s = 0.0
        self._complaints = Complaints(log)
        self._few_slots = ring.slot_count // 16
        self._polled = False  # whether the poller watches the ring
        self._noted = (0, 0, 0, 0)
        self._unsent: deque[Send] = deque()  # what a sender that is slow to read has no room for
        self.say("bound", port=port)

    def _go_on_from(self, previous: tuple[int, ...]) -> None:
        """Take over what ends have left that were killed."""
        ledger = self._ledger
        self.state.restore(
            (ledger[Entry.INCARNATION], ledger[Entry.ATTEMPT]),
            ledger[Entry.STORED],
            *ledger.held(),
            ledger[Entry.DROPPED],
            closed=any(self._target.ring.has_closed(pid) for pid in previous),
        )

    def _note(self) -> None:
        """Note where this end stands, for one that goes on if it is killed."""
        state, ledger = self.state, self._ledger
        now = (*state.greeting, state.stored, state.dropped)
        if now != self._noted:
            self._noted = now
            ledger[Entry.INCARNATION], ledger[Entry.ATTEMPT] = state.greeting
            ledger[Entry.STORED], ledger[Entry.DROPPED] = state.stored, state.dropped

    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""
        return {"received": self.state.received, "dropped": self.state.dropped}

    def order(self, order: dict[str, Any]) -> None:
        """Obey the node: ``go`` is acknowledged, work has begun already."""
        if order.get("do") == "go":
            self.say("running")

    @property
    def wait_s(self) -> float:
        """How long the next turn may wait for something to be ready."""
        return TELL_S if self.state.untold and self.state.peer is not None else LONGEST_WAIT_S

    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Receive, store, reserve, and tell the sender."""
        freed = self._reserve(now_s)
        if self.socket in ready:
            self._receive(now_s)
        elif 0 < freed < self._few_slots:
            time.sleep(_GATHER_S)
            self._reserve(now_s)
        if now_s - self._looked_round_s >= _LOOK_ROUND_S:
            self._looked_round_s = now_s
            self.state.readers = self._target.ring.statistics().readers
            self._do(Tick(), now_s)
        self._watch_ring(self.state.wanted > 0)
        self._send_waiting(now_s)
        self._note()  # before the sender is told
        if not any(send.peer == self.state.peer for send in self._unsent):
            for action in self.state.flush(now_s):
                self._act(action, now_s)

    def _receive(self, now_s: float) -> None:
        for _ in range(_MESSAGES_A_TURN):
            if not readable(self.socket):
                return
            peer, header, *self._data = (frame.buffer for frame in self.socket.recv_multipart(copy=False))
            try:
                message = messages.decode(bytes(header))
                if isinstance(message, messages.Frame):
                    self._check_size(message)
                    self._metadata = message.metadata
            except WireError as error:
                self._do(Garbled(str(error), bytes(peer)), now_s)
                continue
            self._do(Incoming(message, bytes(peer)), now_s)
            if self._kept:
                self._reserve(now_s)

    def _check_size(self, message: messages.Frame) -> None:
        """Raise `WireError` unless the frame's parts are what its header says."""
        sizes = len(message.metadata), sum(map(len, self._data))
        wanted = message.count * METADATA_DTYPE.itemsize, message.count * self._target.ring.stride
        if sizes != wanted:
            raise WireError(f"a frame of {message.count} events has {sizes} bytes instead of {wanted}")

    def _reserve(self, now_s: float) -> int:
        """Reserve what is wanted and free; return how many slots."""
        count = 0
        while wanted := self.state.wanted:
            slots = self._target.reserve(wanted)
            count += len(slots)
            if len(slots):
                self._do(Reserved(slots), now_s)
            elif self._target.ring.limit_reached:
                self._do(LimitReached(), now_s)
            elif not self._target.waits:
                self._target.writer.refuse(wanted)
                self._do(NoRoom(), now_s)
                self._note()  # who goes on if this end is killed counts again what is not noted
            if self._target.waits:
                break
        return count

    def _watch_ring(self, wanted: bool) -> None:
        """Let the poller wait for free slots only when they are wanted."""
        if wanted != self._polled:
            self._polled = wanted
            if wanted:
                self.poller.register(self._target.writer.fileno(), zmq.POLLIN)
            else:
                self.poller.unregister(self._target.writer.fileno())

    def _do(self, given: ReceiverInput, now_s: float) -> None:
        for action in self.state.handle(given, now_s):
            self._act(action, now_s)

    def _act(self, action: ReceiverAction, now_s: float) -> None:
        match action:
            case Send():
                if isinstance(action.message, messages.Welcome):
                    self._note()  # events of this sender may follow at once
                self._unsent.append(action)
                self._send_waiting(now_s)
            case Keep():
                self._kept.append((self._metadata, self._data))
            case Store(first=first, offset=offset, slots=slots, last=last):
                metadata, data = self._kept[0]
                self._ledger.note_storing(slots, first)
                self._target.store(slots, metadata, data, offset)
                if last:
                    self._kept.popleft()
            case DropFrames():
                self._kept.clear()
            case CloseRing():
                self._target.writer.close()
            case Finish():
                self.finished = True
            case TurnedAway(reason=reason):
                self._complaints.add(f"refused a sender: {reason}")

    def _send_waiting(self, now_s: float) -> None:
        """Send what waits, to each sender in order; one that is slow to read gets the rest later."""
        waiting, self._unsent = self._unsent, deque()
        slow = set()
        for send in waiting:
            try:
                if send.peer not in slow:
                    self.socket.send_multipart([send.peer, messages.encode(send.message)])
                    continue
            except zmq.Again:
                slow.add(send.peer)
            except zmq.ZMQError as error:
                level = logging.INFO if send.peer == self.state.peer else logging.DEBUG  # a stranger has gone
                log.log(level, "link %s: the sender cannot be reached (%s)", self.job.link, error)
                self._do(Broken(send.peer), now_s)
                continue
            if send.peer == self.state.peer or len(self._unsent) < _MOST_UNSENT:  # strangers may never read
                self._unsent.append(send)

    def close(self) -> None:
        """Let go of the socket and the ring."""
        self.socket.close(linger=FAREWELL_MS if self.finished else 0)
        self._target.close()
