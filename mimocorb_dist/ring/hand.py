"""What a worker hands on from one ring to others: each event once, also if it is killed in between.

Whoever reads an event, publishes what it has made of it, and then releases the event does this in several
steps. A process that is killed in between would leave an event that is delivered again, though its result is
there already. So a note stands beside the ring that is read before a result is published: which slot of
which sink has the result of which event. The result lies in its slot by then. After a death, and before the
rings are recovered, `settle` looks at the note: what was about to be published is published, and an event
that has gone to all sinks is released. One that has gone to some of them is delivered again, and who reads it
then leaves these out: they stand in a file that all readers of the group share.
"""

from __future__ import annotations

import glob
import mmap
import os
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mimocorb_dist.errors import RingError

from .layout import MAX_MEMBERS, MEMBER_WORDS, Header, Member, Role
from .table import STORES_MAY_PASS, fence
from .tokens import SLOT_BITS, SLOT_MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .reader import BufferReader
    from .ring import Ring
    from .table import GroupColumns, Slots, Words
    from .writer import BufferWriter

MOST_SINKS = 16
"""A worker with more sinks has no notes."""
_HAND_SUFFIX, _DONE_SUFFIX = ".hand", ".handed"


class Hand:
    """The notes of a process that reads one ring and writes to others.

    Parameters
    ----------
    path
        Where they are kept: see `hand_path`. What an earlier process noted there must have been settled.
    reader
        The reader.
    writers
        The writers. Each gets at most one event for an event that is read, in the block in which it is read.

    Attributes
    ----------
    several
        Whether there are several sinks, so that an event may have gone to some of them only.
    """

    def __init__(self, path: Path, reader: BufferReader, writers: Sequence[BufferWriter]) -> None:
        self.several = len(writers) > 1
        self._reader = reader
        self._notes = _Notes.make(path, len(writers), max(writer.slot_count for writer in writers))
        self._pairs = self._notes.pairs
        self._done = _DoneSinks(reader.ring, reader.group)
        columns = reader.ring.table.groups[reader.ring.group_index(reader.group)]
        self._taken, self._all_taken = columns.taken, columns.all_taken
        self._piece: tuple[int, Slots] | None = None
        self._batch: Slots | None = None
        for number, writer in enumerate(writers):
            writer.hand, writer.number = self, number

    # Single events.

    def note(self, sink: int, token: int) -> None:
        """Note a result of the event that is being read, before it is published.

        Parameters
        ----------
        sink
            Number of the sink.
        token
            Token that its slot will have.
        """
        slot = self._reader._slot
        if slot >= 0:
            self._pairs[2 * sink] = token
            self._pairs[2 * sink + 1] = self._taken[slot] << SLOT_BITS | slot

    def is_done(self, sink: int) -> bool:
        """Tell whether the event that is being read went to a sink before it was delivered again."""
        slot = self._reader.slot
        return slot >= 0 and self._done.has(sink, slot, self._taken[slot])

    # Batches.

    def note_many(self, sink: int, tokens: Words, places: slice | Slots) -> None:
        """Note results of events of the batch that is being read, before they are published.

        Parameters
        ----------
        sink
            Number of the sink.
        tokens
            Tokens that its slots will have.
        places
            Which events of the batch they belong to.
        """
        batch = self._reader.batch_slots
        if batch is None:
            return
        if self._piece is not None and batch is self._batch:  # this note takes the place of that one
            self._mark_done(*self._piece)
        self._batch, self._piece = batch, (sink, batch[places])
        self._notes.commit(sink, tokens, _tokens(self._all_taken, batch[places]))

    def left(self, sink: int, count: int, index: Slots | None, places: Slots | None) -> Slots | None:
        """Leave out results that went to a sink before their events were delivered again.

        Parameters
        ----------
        sink
            Number of the sink.
        count, index, places
            How many results there are; which of them are to be written, None: all; and which event of the
            batch each has been made of, None: that at its own place.

        Returns
        -------
        array or None
            What is left of `index`.
        """
        batch = self._reader.batch_slots
        if batch is None:
            return index
        results = np.arange(count) if index is None else index
        slots = batch[results if places is None else places[results]]
        done = self._done.have(sink, slots, self._all_taken[slots])
        return results[~done] if done.any() else index

    def _mark_done(self, sink: int, slots: Slots) -> None:
        self._done.add(sink, slots, self._all_taken[slots])


class _Notes:
    """The file of notes: a pair of tokens for each sink, for single events; and two pages, for batches.

    A page is filled in, and becomes valid by one store.

    Parameters
    ----------
    path
        The file.
    sinks
        How many sinks there are.
    room
        For how many events a page has room.
    """

    _COMMITS, _SINKS, _ROOM, _PAIRS = range(4)
    _PAGE_HEADER = 2  # number of events, and of the sink

    def __init__(self, path: Path, sinks: int, room: int) -> None:
        self._page_words = self._PAGE_HEADER + 2 * room
        self._pages = self._PAIRS + 2 * sinks
        self._all = _map(path, self._pages + 2 * self._page_words)
        self._words = memoryview(self._all.data).cast("B").cast("Q")
        self._words[self._SINKS], self._words[self._ROOM] = sinks, room
        self.pairs = self._words[self._PAIRS : self._pages]

    @classmethod
    def make(cls, path: Path, sinks: int, room: int) -> _Notes:
        """Make the file, without notes; it gets its name when it is whole."""
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        notes = cls(draft, sinks, room)
        draft.replace(path)
        return notes

    @classmethod
    def of(cls, path: Path) -> _Notes:
        """Open what a process has noted."""
        _, sinks, room = np.fromfile(path, np.uint64, cls._PAIRS).tolist()
        return cls(path, sinks, room)

    def commit(self, sink: int, sink_tokens: Words, source_tokens: Words) -> None:
        """Note results."""
        commits, count = self._words[self._COMMITS] + 1, len(sink_tokens)
        start = self._page(commits)
        self._words[start], self._words[start + 1] = count, sink
        first = start + self._PAGE_HEADER
        self._all[first : first + count] = sink_tokens
        self._all[first + count : first + 2 * count] = source_tokens
        if STORES_MAY_PASS:
            fence()
        self._words[self._COMMITS] = commits

    def noted(self) -> Iterator[tuple[int, int, int]]:
        """Yield number of the sink, token there, and token of the event, in the order of publishing."""
        for sink in range(len(self.pairs) // 2):
            yield sink, self.pairs[2 * sink], self.pairs[2 * sink + 1]
        commits = self._words[self._COMMITS]
        if commits:
            start = self._page(commits)
            count, sink = self._words[start], self._words[start + 1]
            tokens = self._all[start + self._PAGE_HEADER :][: 2 * count].reshape(2, count)
            for sink_token, source_token in tokens.T.tolist():
                yield sink, sink_token, source_token

    def _page(self, commits: int) -> int:
        return self._pages + (commits & 1) * self._page_words


class _DoneSinks:
    """To which sinks an event has gone already that may be delivered again: for each slot of a ring.

    Parameters
    ----------
    ring
        The ring that is read.
    group
        The reader group.
    """

    def __init__(self, ring: Ring, group: str) -> None:
        path = ring.path.with_name(f"{ring.path.stem}.{group}{_DONE_SUFFIX}")
        self._all = _map(path, ring.slot_count)
        self._words = memoryview(self._all.data).cast("B").cast("Q")

    def has(self, sink: int, slot: int, generation: int) -> bool:
        """Tell whether the event in a slot has gone to a sink."""
        word = self._words[slot]
        return word >> MOST_SINKS == generation and bool(word >> sink & 1)

    def have(self, sink: int, slots: Slots, generations: Words) -> npt.NDArray[np.bool_]:
        """Do the same for many."""
        return (self._masks(slots, generations) >> np.uint64(sink) & np.uint64(1)).astype(np.bool_)

    def add(self, sink: int, slots: Slots, generations: Words) -> None:
        """Note that the events in some slots have gone to a sink."""
        masks = self._masks(slots, generations) | np.uint64(1 << sink)
        self._all[slots] = generations << np.uint64(MOST_SINKS) | masks

    def _masks(self, slots: Slots, generations: Words) -> Words:
        words = self._all[slots]
        masks = words & np.uint64((1 << MOST_SINKS) - 1)
        masks[words >> np.uint64(MOST_SINKS) != generations] = 0
        return masks


def hand_path(ring: Path, worker: str, number: int) -> Path:
    """Return where a process of a worker keeps its notes: beside the ring that it reads."""
    return ring.with_name(f"{ring.stem}.{worker}.{number}{_HAND_SUFFIX}")


def hand_files(ring: Path) -> Iterator[Path]:
    """Return the files of notes beside a ring."""
    for suffix in (_HAND_SUFFIX, _DONE_SUFFIX):
        yield from ring.parent.glob(f"{glob.escape(ring.stem)}.*{suffix}")
        yield from ring.parent.glob(f".{glob.escape(ring.stem)}.*{suffix}.draft")


def settle(path: Path, source: Ring, group: str, sinks: Sequence[Ring], pid: int) -> int:
    """Bring to an end what a process was handing on when it was killed.

    To be called before `Ring.recover` is for any of the rings.

    Parameters
    ----------
    path
        Where it kept its notes.
    source, group
        The ring that it read, and the reader group.
    sinks
        The rings that it wrote, in the order of its writers.
    pid
        The process.

    Returns
    -------
    int
        How many events have gone to all sinks, and are not delivered again.
    """
    if not path.exists():
        return 0
    index = source.group_index(group)
    columns = source.table.groups[index]
    with source.ready[index]:  # so that nobody takes what the dead process has just released
        held = _held_by(pid, source, columns)
    token_of = _tokens(columns.all_taken, held)
    slot_of = dict(zip(token_of.tolist(), held.tolist(), strict=True))
    done = _DoneSinks(source, group)
    for sink, sink_token, source_token in _Notes.of(path).noted():
        slot = slot_of.get(source_token)
        if slot is not None and _publish(sinks[sink], sink_token):
            done.add(sink, np.array([slot]), columns.all_taken[[slot]])
    everywhere = np.ones(len(held), np.bool_)
    for sink in range(len(sinks)):
        everywhere &= done.have(sink, held, columns.all_taken[held])
    source.table.release_many(columns, held[everywhere])  # `recover` tells writers what is free
    return int(np.count_nonzero(everywhere))


def _held_by(pid: int, ring: Ring, columns: GroupColumns) -> Slots:
    """Return the slots that a process has taken from a ring and not released."""
    rows = range(0, MAX_MEMBERS * MEMBER_WORDS, MEMBER_WORDS)
    mine = np.zeros(ring.slot_count, np.bool_)
    for row in rows:
        if ring.members[row + Member.PID] == pid and ring.members[row + Member.ROLE] == Role.READER:
            mine |= columns.all_reader == row // MEMBER_WORDS
    return np.flatnonzero(mine & (columns.all_taken > columns.all_released))


def _publish(ring: Ring, token: int) -> bool:
    """Publish what lies in a claimed slot, if that has not been done; return whether it is published."""
    table, slot, generation = ring.table, token & SLOT_MASK, token >> SLOT_BITS
    if table.written[slot] >= generation:
        return True
    if table.claimed[slot] != generation:
        return False
    if not table.published[slot]:  # else it was the last thing that the process did
        table.published[slot] = time.monotonic_ns()
    table.written[slot] = generation
    table.header[Header.LATEST] = token
    return True


def _tokens(generations: Words, slots: Slots) -> Words:
    return (generations[slots] << np.uint64(SLOT_BITS)) + slots.astype(np.uint64)


def _map(path: Path, words: int) -> Words:
    """Map a file of 64-bit words, which is made of zeros if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, 8 * words)
            return np.frombuffer(mmap.mmap(descriptor, 8 * words), np.uint64)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RingError(
            f"{path}: no room to note what has been handed on ({error.strerror}); free shared memory "
            "(mimocorb-node clean), or enlarge it"
        ) from error
