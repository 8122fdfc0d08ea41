"""Events that a reader has taken, and keeps until what it made of them is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .commit_file import CommitFile, commit_path
from .interface import Run
from .layout import MAX_MEMBERS, MEMBER_WORDS, Member, Role

if TYPE_CHECKING:
    from .reader import Batch, BufferReader
    from .table import Slots

_MOST = 0.75
"""The share of the slots that the readers of a group may hold together."""


class Holding:
    """Lets a reader hold events: they are released by a commit, and not when the next ones are taken.

    Parameters
    ----------
    reader
        The reader; it is used for nothing else meanwhile.
    name
        Names this reader: whoever is started in its place takes the same name, and finds what was noted.

    Attributes
    ----------
    noted
        The note of the last commit, also of the process before this one; empty if there was none.
    held, sealed
        How many events are held, and chosen for the next commit.
    share
        How many may be held and chosen together.

    Raises
    ------
    RingError
        If there is no shared memory left.
    """

    def __init__(self, reader: BufferReader, name: str) -> None:
        self._reader = reader
        self._file = CommitFile(commit_path(reader.ring.path, reader.group, name), reader.slot_count)
        self.noted, tokens = self._file.last()
        reader.release_committed(tokens)
        self._done: list[Slots] = []
        self._sealed: list[Slots] = []
        self._in_hand: Slots | None = None
        self.held = self.sealed = 0
        self.share = 1
        self._find_share()

    def take_one(self, timeout_s: float | None) -> Batch | None:
        """Take an event; those taken before stay held.

        Parameters
        ----------
        timeout_s
            How long to wait in s; None: as long as it takes.

        Returns
        -------
        Batch or None
            Metadata, shape (1,), and data, shape (data_length,): views; None after the time-out.

        Raises
        ------
        EndOfStream
            If all writers have closed, and no event is left.
        """
        self.done()
        taken = self._reader.take(1, timeout_s)
        if taken is None:
            return None
        self._in_hand = taken.slots
        return self._reader.view(taken.first)

    def take_many(self, limit: int, timeout_s: float | None) -> Batch | None:
        """Do the same for up to `limit` events: metadata, shape (k,), and data, shape (k, data_length)."""
        self.done()
        taken = self._reader.take_at_hand(max(1, min(limit, self.share - self.held - self.sealed)), timeout_s)
        if taken is None:
            return None
        self._in_hand = taken.slots if isinstance(taken, Run) else taken
        return self._reader.events_of(taken)

    def done(self) -> None:
        """Count the events taken last to those that are done with."""
        if self._in_hand is not None:
            self._done.append(self._in_hand)
            self.held += len(self._in_hand)
            self._in_hand = None

    @property
    def full(self) -> bool:
        """Whether as many events are held as may be: more, and writers would have to wait."""
        return self.held + self.sealed >= self.share

    def seal(self) -> None:
        """Choose the events that are done with now for the next commit."""
        self._sealed += self._done
        self.sealed += self.held
        self._done, self.held = [], 0

    def commit(self, note: bytes) -> int:
        """Note that the events chosen are safe, and release them; return how many.

        Parameters
        ----------
        note
            What else belongs to this: how long the files are.
        """
        slots = np.concatenate(self._sealed) if self._sealed else np.empty(0, np.int64)
        # The step at which it happens: what is killed before has not committed, what is killed after has.
        self._file.commit(note, self._reader.tokens_of(slots))
        self.noted = note
        self._sealed.clear()
        self.sealed = 0
        if len(slots):
            self._reader.release_slots(slots)
        self._find_share()
        return len(slots)

    def give_back(self) -> None:
        """Let all that is held be delivered again, in order."""
        slots = [*self._sealed, *self._done, *(() if self._in_hand is None else (self._in_hand,))]
        self._sealed, self._done, self._in_hand = [], [], None
        self.sealed = self.held = 0
        if slots:
            self._reader.requeue_slots(np.concatenate(slots))

    def _find_share(self) -> None:
        """Find out how many events this reader may hold: the group's share of the slots is for all of it."""
        rows = np.asarray(self._reader.ring.members).reshape(MAX_MEMBERS, MEMBER_WORDS)
        live = (rows[:, Member.PID] > 0) & (rows[:, Member.ROLE] == Role.READER)
        partners = int(np.count_nonzero(live & (rows[:, Member.GROUP] == self._reader.group_number)))
        self.share = max(1, int(_MOST * self._reader.slot_count) // max(1, partners))
