"""What a reader that brings events out of a ring has brought to safety: a commit is one store.

A reader that writes events to a file has two things to say when they are safe: how long the file is with
them, and that their slots are free. A process can be killed between any two instructions, so these must be
one step. Both stand in a commit file beside the ring: two pages, of which one number tells the valid one.
A commit fills in the other page, and then stores the number. Whoever takes care of a dead reader's slots
looks into the commit files of its group: a slot that stands there with its count of writings has been dealt
with and becomes free, any other one is delivered again.
"""

from __future__ import annotations

import glob
import mmap
import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mimocorb_dist.errors import RingError

from .table import STORES_MAY_PASS, fence
from .tokens import SLOT_BITS, SLOT_MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .table import GroupColumns

NOTE_BYTES = 16 * 1024
"""Most bytes of what is noted with a commit."""
SUFFIX = ".commits"
_WORD = 8
_HEADER_WORDS = 8
_COUNT = 0  # the word that is stored last: how many commits there have been
_PAGE_WORDS = 2  # of a page: bytes of its note, and number of its tokens
_PAGE_BYTES = _PAGE_WORDS * _WORD + NOTE_BYTES
_TRIES = 1000

Tokens = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.int64]


class CommitFile:
    """The commits of one reader of a ring.

    Parameters
    ----------
    path
        The file; it is made if it is not there.
    slot_count
        Slots of the ring: a commit can be of as many events.

    Raises
    ------
    RingError
        If there is no room for it.
    """

    def __init__(self, path: Path, slot_count: int) -> None:
        self.path = path
        self._page_bytes = _PAGE_BYTES + slot_count * _WORD
        total = _HEADER_WORDS * _WORD + 2 * self._page_bytes
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, total)
                self._memory = memoryview(mmap.mmap(descriptor, total))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RingError(
                f"{path}: no room to note what has been brought to the disk ({error.strerror}); free shared "
                "memory (mimocorb-node clean), or enlarge it"
            ) from error
        self._header = self._memory[: _HEADER_WORDS * _WORD].cast("Q")

    @property
    def count(self) -> int:
        """How many commits there have been."""
        return int(self._header[_COUNT])

    def commit(self, note: bytes, tokens: Tokens) -> None:
        """Commit events: from the last store in here on they are dealt with.

        Parameters
        ----------
        note
            What belongs to it: how long the files are.
        tokens
            Of the slots: each with its count of writings.

        Raises
        ------
        RingError
            If the note is too long.
        """
        if len(note) > NOTE_BYTES:
            raise RingError(f"{self.path.name}: a note of {len(note)} bytes is too long ({NOTE_BYTES} fit)")
        count = self._header[_COUNT] + 1
        page = self._page(count)
        words = page[: _PAGE_WORDS * _WORD].cast("Q")
        start = _PAGE_WORDS * _WORD
        page[start : start + len(note)] = note
        content = tokens.astype(np.uint64, copy=False).tobytes()
        start += NOTE_BYTES
        page[start : start + len(content)] = content
        words[0], words[1] = len(note), len(tokens)
        if STORES_MAY_PASS:
            fence()
        self._header[_COUNT] = count

    def last(self) -> tuple[bytes, Tokens]:
        """Return note and tokens of the last commit; an empty note if there was none.

        Raises
        ------
        RingError
            If it is overwritten again and again while it is read.
        """
        for _ in range(_TRIES):
            count = self._header[_COUNT]
            if count == 0:
                return b"", np.empty(0, np.uint64)
            page = self._page(count)
            note_bytes, tokens = page[: _PAGE_WORDS * _WORD].cast("Q")
            start = _PAGE_WORDS * _WORD
            note = bytes(page[start : start + note_bytes])
            start += NOTE_BYTES
            content = bytes(page[start : start + tokens * _WORD])
            if STORES_MAY_PASS:
                fence()
            if self._header[_COUNT] == count:
                return note, np.frombuffer(content, np.uint64)
        raise RingError(f"{self.path.name}: changes all the time")

    def _page(self, count: int) -> memoryview:
        start = _HEADER_WORDS * _WORD + (count % 2) * self._page_bytes
        return self._memory[start : start + self._page_bytes]


def last_commit(path: Path) -> tuple[bytes, Tokens]:
    """Return note and tokens of the last commit of a reader, by its path; see `CommitFile.last`."""
    try:
        slot_bytes = path.stat().st_size - _HEADER_WORDS * _WORD - 2 * _PAGE_BYTES
    except FileNotFoundError:
        slot_bytes = 0
    if slot_bytes <= 0:  # its reader has died when it made it
        return b"", np.empty(0, np.uint64)
    return CommitFile(path, slot_bytes // (2 * _WORD)).last()


def commit_path(ring: Path, group: str, reader: str) -> Path:
    """Return the path of the commit file of a reader: whoever is started in its place takes the same name."""
    return ring.with_name(f"{ring.stem}.{group}.{reader}{SUFFIX}")


def commit_paths(ring: Path, group: str) -> Iterator[Path]:
    """Yield the paths of all commit files of a reader group."""
    yield from sorted(ring.parent.glob(f"{glob.escape(f'{ring.stem}.{group}')}.*{SUFFIX}"))


def committed_by(member: int, paths: Iterable[Path], group: GroupColumns) -> Iterator[Slots]:
    """Yield the slots that a member has committed, and not released.

    Parameters
    ----------
    member
        The reader: it is dead, or asks itself.
    paths
        Of the commit files of its group. Its own is among them; in the others none of its slots is found.
    group
        The group's part of the slot table.
    """
    taken = (group.all_reader == member) & (group.all_taken > group.all_released)
    for path in paths if taken.any() else ():
        slots = still_taken(last_commit(path)[1], group)
        slots = slots[taken[slots]]
        if len(slots):
            yield slots


def still_taken(tokens: Tokens, group: GroupColumns) -> Slots:
    """Return the slots of a commit that have not been released since."""
    slots = (tokens & np.uint64(SLOT_MASK)).astype(np.int64)
    generations = tokens >> np.uint64(SLOT_BITS)
    still: Slots = slots[(group.all_taken[slots] == generations) & (group.all_released[slots] < generations)]
    return still
