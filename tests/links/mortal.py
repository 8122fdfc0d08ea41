"""The simulated link with ends that are killed in the middle of a deed, and go on from their ledgers."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from mimocorb_dist.links.ledger import Entry, Ledger
from mimocorb_dist.links.messages import Bye, Welcome
from mimocorb_dist.links.protocol import (
    CloseRing,
    Exhausted,
    ReceiverAction,
    Release,
    ReleaseMode,
    Reserved,
    Send,
    SenderAction,
    Store,
    Taken,
)
from mimocorb_dist.links.receiver_state import ReceiverState
from mimocorb_dist.links.sender_state import SenderState

from .simulation import TERMS, Simulation

End: TypeAlias = Literal["send", "receive"]


class Killed(Exception):  # noqa: N818 (it is no error)
    """Stands for a death: raised where the process dies."""


class Columns:
    """What a slot table says of one reader group."""

    def __init__(self, slots: int) -> None:
        self.all_taken = np.zeros(slots, np.uint64)
        self.all_released = np.zeros(slots, np.uint64)


class Table:
    """As much of a ring and its slot table as a ledger knows."""

    def __init__(self, slots: int) -> None:
        self.slot_count = slots
        self.all_claimed = np.zeros(slots, np.uint64)
        self.all_written = np.zeros(slots, np.uint64)
        self.groups = [Columns(slots)]

    @property
    def table(self) -> Table:
        return self

    def publish(self, slot: int) -> None:
        self.all_written[slot] = self.all_claimed[slot]


class Stores:
    """An array of a ledger of which a process can die between any two stores."""

    def __init__(self, array: np.ndarray, step: Callable[[], None]) -> None:
        self._array, self._step = array, step

    def __setitem__(self, places: np.ndarray, values: object) -> None:
        for place, value in zip(places, np.broadcast_to(values, places.shape), strict=True):
            self._array[place] = value
            self._step()


@contextlib.contextmanager
def store_by_store(ledger: Ledger, step: Callable[[], None]) -> Iterator[None]:
    """Let a process die between any two stores of a note."""
    whole = ledger._sequences, ledger._generations
    ledger._sequences, ledger._generations = (Stores(array, step) for array in whole)  # type: ignore[assignment]
    try:
        yield
    finally:
        ledger._sequences, ledger._generations = whole


class MortalSimulation(Simulation):
    """Keeps the slot tables of both rings, and the ledgers of both ends in the order that the ends keep.

    A fuse tells after how many steps an end dies: a step is a store into a slot table or a ledger, or an
    action.
    """

    def __init__(
        self, folder: Path, source_slots: int, target_slots: int, mode: ReleaseMode, competing: bool
    ) -> None:
        self.tables = {"send": Table(source_slots), "receive": Table(target_slots)}
        self.folder = folder
        self.competing = competing
        self.ledgers = {kind: Ledger(folder / kind, table) for kind, table in self.tables.items()}
        self.ledgers["send"][Entry.INCARNATION] = 77
        self.fuse: dict[str, int] = {}
        self.backwards = False
        self.storing: list[tuple[int, int, int]] = []  # number in the stream, slot, event
        super().__init__(source_slots, target_slots, mode, competing)

    def step(self, kind: End) -> None:
        """Die if it is time."""
        if kind in self.fuse:
            self.fuse[kind] -= 1
            if self.fuse[kind] < 0:
                raise Killed

    @property
    def columns(self) -> Columns:
        """The link's group at its source."""
        return self.tables["send"].groups[0]

    # -- the sender

    def take(self, count: int) -> bool:
        count = min(count, self.sender.room, len(self.ready))
        if count > 0:
            slots = np.array([self.ready[place] for place in range(count)])
            for slot in slots.tolist():
                self.columns.all_taken[slot] += np.uint64(1)
                self.ready.popleft()
                self.step("send")
            with store_by_store(self.ledgers["send"], lambda: self.step("send")):
                self.ledgers["send"].note_taken(slots, self.sender.taken, self.columns)
            self.step("send")
            self.sender_does(Taken(slots))
        exhausted = self.ended and not self.ready and not self.exhausted_told
        if exhausted:
            self.exhausted_told = True
            self.sender_does(Exhausted())
        self.note_counts()
        return exhausted or count > 0

    def connect(self) -> bool:
        done = super().connect()
        self.note_counts()
        return done

    def to_sender(self) -> bool:
        done = super().to_sender()
        self.note_counts()
        return done

    def note_counts(self) -> None:
        self.ledgers["send"].note_counts(self.sender.counts)

    def sender_action(self, action: SenderAction) -> None:
        self.step("send")
        if isinstance(action, Release):
            for slot in action.slots.tolist():
                super().sender_action(Release(np.array([slot])))
                self.columns.all_released[slot] = self.columns.all_taken[slot]
                self.step("send")
            return
        if isinstance(action, Send) and isinstance(action.message, Bye):
            self.ledgers["send"][Entry.DONE] = 1
            self.step("send")
        super().sender_action(action)

    def sender_dies(self, late: int) -> None:
        """Kill the sender, and start it again; what it has said last may still arrive."""
        if self.connection is not None:
            while len(self.connection.to_receiver) > late:
                self.connection.to_receiver.pop()
            self.connection.to_sender.clear()
            self.connection = None
        self.ledgers["send"] = ledger = Ledger(self.folder / "send", self.tables["send"])
        slots, sequences = ledger.leased(self.columns)
        # What it had taken and not noted goes back to the head of the line, in the order of its publishing.
        taken = np.flatnonzero(self.columns.all_taken > self.columns.all_released)
        lost = sorted(set(taken.tolist()) - set(slots.tolist()), key=self.source.__getitem__, reverse=True)
        for slot in lost:
            self.columns.all_taken[slot] = self.columns.all_released[slot]
            self.ready.appendleft(slot)
        self.sender = SenderState(TERMS, ledger[Entry.INCARNATION], self.tables["send"].slot_count)
        self.sender.window.competing = self.competing
        self.sender.restore(ledger[Entry.TAKEN], slots, sequences, ledger.counts())
        self.exhausted_told = False
        self.restored = True
        self.sender_finished = bool(ledger[Entry.DONE])
        self.reconnect_wanted = True

    # -- the receiver

    def reserve(self, count: int) -> bool:
        count = min(count, self.receiver.wanted, len(self.target_free))
        if count > 0:
            slots = np.array([self.target_free[place] for place in range(count)])
            table = self.tables["receive"]
            for slot in slots.tolist():
                table.all_claimed[slot] = table.all_written[slot] + np.uint64(1)
                self.target_free.popleft()
                self.step("receive")
            self.receiver_does(Reserved(slots))
        return count > 0

    def read(self, place: int, *, slowly: bool = False) -> bool:
        slots = list(self.target)
        done = super().read(place, slowly=slowly)
        if done:
            slot = slots[place % len(slots)]
            table = self.tables["receive"]
            table.groups[0].all_released[slot] = table.all_written[slot]
        return done

    def flush(self) -> None:
        if not self.receiver_finished:
            self.note_receiver()
            self.step("receive")
        super().flush()

    def note_receiver(self) -> None:
        ledger = self.ledgers["receive"]
        ledger[Entry.INCARNATION], ledger[Entry.ATTEMPT] = self.receiver.greeting
        ledger[Entry.STORED], ledger[Entry.DROPPED] = self.receiver.stored, self.receiver.dropped

    def receiver_action(self, action: ReceiverAction) -> None:
        self.step("receive")
        if isinstance(action, Store):
            self.store(action)
            return
        if isinstance(action, Send) and isinstance(action.message, Welcome):
            self.note_receiver()
            self.step("receive")
        super().receiver_action(action)
        if isinstance(action, CloseRing):
            self.step("receive")

    def store(self, action: Store) -> None:
        """Note, and then publish one by one, in any order: processors may do so."""
        slots = action.slots.tolist()
        events = self.kept[0][action.offset : action.offset + len(slots)]
        assert action.last == (action.offset + len(slots) == len(self.kept[0]))
        numbers = range(action.first, action.first + len(slots))
        self.storing = list(zip(numbers, slots, events, strict=True))
        with store_by_store(self.ledgers["receive"], lambda: self.step("receive")):
            self.ledgers["receive"].note_storing(action.slots, action.first)
        self.step("receive")
        for slot in reversed(slots) if self.backwards else slots:
            self.tables["receive"].publish(slot)
            self.step("receive")
        if action.last:
            self.kept.popleft()
        self.note_published()

    def note_published(self) -> None:
        """Note which events are there, after they were published."""
        table = self.tables["receive"]
        for _, slot, event in sorted(self.storing):
            if table.all_written[slot] == table.all_claimed[slot]:
                self.delivered.append(event)
                self.target[slot] = event
        self.storing = []

    def receiver_dies(self, answers: int) -> None:
        """Kill the receiver, and start it again; some of what it has said may still arrive."""
        for connection in self.connections.values():
            if connection.reaches_receiver:
                connection.reaches_receiver = False
                while len(connection.to_sender) > answers:
                    connection.to_sender.pop()
            connection.to_receiver.clear()
        self.kept.clear()
        self.unsent.clear()
        self.receiver_restored = True
        table = self.tables["receive"]
        before = int(table.all_written.sum())
        settled = Ledger(self.folder / "receive", table).settle()
        assert int(table.all_written.sum()) - before == settled
        assert settled <= len(self.storing), "only what was just being stored is completed"
        self.note_published()
        claimed = np.flatnonzero(table.all_claimed > table.all_written).tolist()
        table.all_claimed[claimed] = table.all_written[claimed]
        self.target_free = deque(sorted([*self.target_free, *claimed]))  # as the ring lines them up
        self.ledgers["receive"] = ledger = Ledger(self.folder / "receive", table)
        self.receiver = ReceiverState(TERMS, table.slot_count, self.mode)
        self.receiver.restore(
            (ledger[Entry.INCARNATION], ledger[Entry.ATTEMPT]),
            ledger[Entry.STORED],
            *ledger.held(),
            ledger[Entry.DROPPED],
            closed=self.ring_closed,
        )
        with contextlib.suppress(Killed):
            self.reserve(table.slot_count)

    # -- both

    def kill(self, kind: End, step: int, deed: Callable[[], object], left: int) -> None:
        """Let an end do something, die at a step of it, or after it, and be started again."""
        with self.burning(kind, step), contextlib.suppress(Killed):
            deed()
        if kind == "send":
            self.sender_dies(left)
        elif not self.receiver_finished:
            self.receiver_dies(left)

    @contextlib.contextmanager
    def burning(self, kind: End, step: int) -> Iterator[None]:
        self.fuse[kind] = step
        try:
            yield
        finally:
            del self.fuse[kind]
