"""The `Reader` of mimoCoRB 1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import BufferReader, EndOfStream
from mimocorb_dist.workers.commits import Commits
from mimocorb_dist.workers.stopping import WorkerStop

from .end import ClassicEnd
from .hands import Hand, keep, tidy

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from mimocorb_dist.ring import Ring

    Batch = tuple[npt.NDArray[np.void], npt.NDArray[Any]]


_RECOVERY_S = 5.0
"""How long it is waited for that what a dead process had in hand is delivered again."""


class Reader(ClassicEnd):
    """Reads events: each goes to one reader of every group.

    Parameters
    ----------
    setup_dict
        The dict of a reader group.
    """

    _role = "read"

    def __init__(self, setup_dict: Mapping[str, Any]) -> None:
        super().__init__(setup_dict)
        self._hand: Hand[BufferReader] | None = None
        self._metadata: npt.NDArray[np.void] | None = None

    @property
    def ring(self) -> Ring:
        """The ring, attached; waits until it is there."""
        return self._attached().end.ring

    @property
    def _active(self) -> _ReaderActive:
        return _ReaderActive(self)

    def get(self) -> npt.NDArray[Any]:
        """Return the data of the next event, shape (values_per_slot,); the one before counts as read.

        They are valid until the next call.

        Raises
        ------
        SystemExit
            At the end of the stream.
        """
        hand = self._hand or self._attached()
        if hand.full:
            hand.done()
        self._metadata = None
        if not self._wait(hand):
            raise SystemExit
        self._metadata, data = hand.end.__enter__()
        if data is None:
            raise SystemExit
        hand.full = True
        if self._worker is not None:
            self._worker.in_hand = self._metadata
        # Users of mimoCoRB 1 may change their data, which other groups get, too.
        return data if data.flags.writeable else data.copy()

    @property
    def metadata(self) -> npt.NDArray[np.void]:
        """The metadata of the event, shape (1,): a view."""
        if self._metadata is None:
            raise SetupError(f"{self.name}: no event has been read; call get() before")
        return self._metadata

    def get_metadata(self) -> tuple[int, float, float]:
        """Return counter, time in s since 1970, and dead time (share) of the event; 0, -1, -1 without one."""
        if self._metadata is None:
            return 0, -1, -1
        return self._metadata[0].item()  # type: ignore[no-any-return]

    def data_available(self) -> bool:
        """Return whether the next `get` returns at once, with an event."""
        tidy()
        if not self._is_made():
            return False
        hand = self._attached()
        hand.done()
        try:
            return hand.end.wait(0)
        except EndOfStream:
            hand.over = True
            return False

    def batches(self, limit: int = 1024) -> Generator[Batch, None, None]:
        """Give metadata, shape (k,), and data, shape (k, values_per_slot), of 1 <= k <= `limit` events.

        They count as read when the next ones are asked for. It ends at the end of the stream.
        """
        batches = self._batches(limit)
        return batches if self._worker is None else self._worker.iterate(batches)

    def _batches(self, limit: int) -> Generator[Batch, None, None]:
        hand, io = self._attached(), self._worker
        hand.done()
        while self._wait(hand):
            with hand.end.batch(limit) as (metadata, data):
                if metadata is None or data is None:
                    return
                if io is not None:
                    io.in_hand = metadata
                yield metadata, data
            if io is not None:
                io.events += len(data)
                io.in_hand = None

    def commits(self, name: str, folder: Path) -> Commits:
        """Hold events from now on until what is made of them is safe.

        Parameters
        ----------
        name
            Names what is made of them: a process that goes on with it takes the same name.
        folder
            Where its files are.
        """
        hand = self._attached()
        hand.done()
        # What a process before this one had in hand is delivered again soon, and comes first.
        until_s = time.monotonic() + _RECOVERY_S
        while hand.end.has_partners_at_work and time.monotonic() < until_s:
            time.sleep(_RECOVERY_S / 500)
        return Commits(hand.end, name, folder, self._worker)

    def held(self, commits: Commits, limit: int = 1024) -> Generator[Batch, None, None]:
        """Give events as `batches` does; they count as read when they are committed."""
        batches = self._held(commits, limit)
        return batches if self._worker is None else self._worker.iterate(batches)

    def _held(self, commits: Commits, limit: int) -> Generator[Batch, None, None]:
        hand, io = self._attached(), self._worker
        try:
            while io is None or not io.stop.requested:
                batch = commits.next(limit, self._look_s)
                if batch is None:
                    tidy()
                    self._place.look()
                    continue
                if io is not None:
                    io.in_hand = batch[0]
                yield batch
                commits.done()
                if io is not None:
                    io.in_hand = None
        except (EndOfStream, SystemExit, WorkerStop):
            hand.over = True
        except GeneratorExit:
            commits.finish()
            raise
        except BaseException:
            commits.fail()
            raise

    def _wait(self, hand: Hand[BufferReader]) -> bool:
        """Wait for an event; return False at the end of the stream, or when the worker is to end."""
        io, end = self._worker, hand.end
        try:
            while io is None or not io.stop.requested:
                if end.wait(self._look_s):
                    return True
                tidy()
                self._place.look()
        except (EndOfStream, SystemExit, WorkerStop):
            hand.over = True
        return False

    def _is_made(self) -> bool:
        return self._hand is not None or self._worker is not None or self._place.ring() is not None

    def _is_over(self) -> bool:
        """Tell whether no event will come any more."""
        if self._worker is not None and self._worker.stop.requested:
            return True
        if not self._is_made():
            return self._place.gone()
        hand = self._attached()
        if not hand.over and hand.end.ring.ended:
            try:
                hand.end.wait(0)
            except EndOfStream:
                hand.over = True
        return hand.over or bool(self._place.owner and self._place.gone())

    def _attached(self) -> Hand[BufferReader]:
        if self._hand is None:
            tidy()
            io = self._worker
            end: Any = None if io is None else self._worker_end(io.read)
            if io is not None:
                io.begin()
                io.stop.deferred = True  # from here on an event may be in hand
            owned = end is None
            own = BufferReader(self._place.made(), self.group) if owned else end
            self._hand = Hand(own, owned=owned, counts=True)
            keep(self, self._hand)
        return self._hand


class _ReaderActive:
    """Whether a reader may get further events: ``flag.is_set()``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def is_set(self) -> bool:
        return not self._reader._is_over()
