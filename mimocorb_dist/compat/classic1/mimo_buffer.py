"""Readers, writers and observers of mimoCoRB 1, made from the dicts of a `NewBuffer` or of a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import (
    METADATA_DTYPE,
    BufferObserver,
    BufferReader,
    BufferWriter,
    EndOfStream,
)
from mimocorb_dist.ring.layout import Header
from mimocorb_dist.ring.ring import HELD_LOOK_S
from mimocorb_dist.workers.stopping import WorkerStop

from .ends import Hand, keep, reads_elsewhere, tidy
from .new_buffer import NewBuffer
from .place import LOOK_EVERY_S, Place, plain_dtype, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import numpy.typing as npt

    from mimocorb_dist.ring import Ring

__all__ = ["NewBuffer", "Observer", "Reader", "Writer"]

OBSERVE_EVERY_S = 0.05
"""An observer gives at most 20 events a second."""

Batch = tuple["npt.NDArray[np.void]", "npt.NDArray[Any]"]


class _End:
    """What `Reader`, `Writer` and `Observer` have in common.

    Parameters
    ----------
    setup_dict
        A dict of a `NewBuffer`, or one that a worker's function was given.

    Attributes
    ----------
    number_of_slots, values_per_slot
        How many slots the buffer has, and how many records are in one.
    dtype
        Type of a record: a list of tuples (name, dtype), or a plain dtype.
    """

    _role = ""

    def __init__(self, setup_dict: Mapping[str, Any]) -> None:
        tidy()
        try:
            self._place: Place = setup_dict["place"]
            role = setup_dict["role"]
        except (KeyError, TypeError) as error:
            raise SetupError(
                f"{type(self).__name__} was made from {type(setup_dict).__name__} without the place of a "
                "buffer; give it an item of source_list, sink_list or observe_list, or what "
                "new_reader_group(), new_writer() or new_observer() of a NewBuffer returned"
            ) from error
        if role != self._role:
            raise SetupError(
                f"{type(self).__name__} was made from a dict to {role} a buffer; "
                f"give it one to {self._role} it"
            )
        self.number_of_slots: int = setup_dict["number_of_slots"]
        self.values_per_slot: int = setup_dict["values_per_slot"]
        self.dtype: Any = setup_dict["dtype"]
        self.metadata_dtype: Any = plain_dtype(METADATA_DTYPE)
        self.group: str = setup_dict["group"]
        self.name: str = setup_dict["buffer"]
        self._flag: Any = setup_dict["active"]
        self._paused = setup_dict["paused"]
        self._debug = setup_dict["debug"]
        self._worker = worker()
        self._look_s = None if self._place.owner == 0 else LOOK_EVERY_S

    @property
    def _active(self) -> Any:
        return self._flag

    def _worker_end(self, ends: list[Any]) -> Any:
        """Return the worker's own end of this ring; None if it has none."""
        for end in ends:
            if str(end.ring.path) == self._place.path and getattr(end, "group", self.group) == self.group:
                return end
        return None


class Reader(_End):
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


class Writer(_End):
    """Writes events.

    Parameters
    ----------
    setup_dict
        The dict of a writer.
    """

    _role = "write"

    def __init__(self, setup_dict: Mapping[str, Any]) -> None:
        super().__init__(setup_dict)
        self._hand: Hand[BufferWriter] | None = None
        self._metadata: npt.NDArray[np.void] = np.zeros(1, METADATA_DTYPE)
        self._count = 0
        self._published_s = time.monotonic()
        self._next_look_s = 0.0

    @property
    def ring(self) -> Ring:
        """The ring, attached; it is made if it is not there."""
        return self._attached().end.ring

    def get_new_buffer(self) -> npt.NDArray[Any]:
        """Return the data of a free slot, shape (values_per_slot,); the one before is published.

        Raises
        ------
        SystemExit
            If writers are to end.
        """
        self.process_buffer()
        hand = self._ready()
        self._metadata, data = hand.end.__enter__()
        hand.full = True
        self._metadata[0] = (self._count, -1, -1)
        self._count += 1
        return data

    def set_metadata(self, counter: int, timestamp: float, deadtime: float) -> None:
        """Set the metadata of the slot in hand: number, time in s since 1970, and dead time (share)."""
        if self._hand is not None and self._hand.full:
            self._metadata[0] = (counter, timestamp, deadtime)

    def process_buffer(self) -> None:
        """Publish the slot in hand; without one nothing happens."""
        hand = self._hand
        if hand is None or not hand.full:
            return
        _, timestamp, deadtime = self._metadata[0].item()
        if timestamp == -1:
            self._metadata["timestamp"] = time.time()
        self._wait_while_held()
        hand.done()
        now_s = time.monotonic()
        if 0 <= deadtime <= 1 and self._is_source():
            self._book(deadtime * (now_s - self._published_s), (1 - deadtime) * (now_s - self._published_s))
        self._published_s = now_s

    def _copy(self, metadata: npt.NDArray[np.void], data: Any) -> None:
        """Copy an event, as bytes where that means the same, with metadata of shape (1,), and publish it."""
        hand = self._ready()
        self._wait_while_held()
        if not hand.end.copy(metadata, data):
            raise SystemExit

    def _book(self, dead_s: float, live_s: float) -> None:
        self._attached().end.add_dead_time(dead_s, live_s)

    def _ready(self, *, for_last: bool = False) -> Hand[BufferWriter]:
        """Wait for a slot.

        Parameters
        ----------
        for_last
            Go on if a source is to end: it has an event in hand.

        Raises
        ------
        SystemExit
            If writers are to end.
        """
        hand = self._hand or self._attached()
        end = hand.end
        while not (self._is_ended() if for_last else self._is_over()):
            if self._place.owner:
                self._look_now_and_then()
            if end.wait(self._look_s):
                return hand
            if end.ring.limit_reached:
                break
        hand.over = True
        raise SystemExit

    def _is_over(self) -> bool:
        """Tell whether this writer is to end: one of a source at once, others after what they read."""
        ring, io = self._attached().end.ring, self._worker
        if self._is_ended():
            return True
        if not ring.stopping and not (io is not None and io.stop.requested):
            return False
        return self._is_source()

    def _is_ended(self) -> bool:
        """Tell whether nobody will read what is written now."""
        return bool(self._place.owner) and self._attached().end.ring.header[Header.EXPECTED_WRITERS] == 0

    def _is_source(self) -> bool:
        if self._worker is not None:
            return not self._worker.read
        return not reads_elsewhere(self._place.path)

    def _write(self, fill: Callable[[npt.NDArray[Any]], None], metadata: tuple[Any, Any, Any]) -> None:
        """Publish an event that `fill` puts into a slot, once ready; if that raises, nothing is published."""
        end = self._attached().end
        try:
            its_metadata, data = end.__enter__()
            fill(data)
            its_metadata[0] = metadata
            self._wait_while_held()
        except BaseException as error:
            end.__exit__(type(error), error, None)
            raise
        end.__exit__(None, None, None)
        if self._worker is not None and not self._worker.read:
            self._worker.events += 1

    def _begin(self) -> None:
        """Come to the events: from here on a template says what may be interrupted."""
        self._attached()
        if self._worker is not None:
            self._worker.stop.deferred = True

    def _wait_out_the_pause(self) -> float:
        """Wait until the pause is over, with nothing in hand; return how long that took, in s."""
        if not self._place.owner:
            return self.ring.wait_while_held()
        since_s = time.monotonic()
        self._wait_while_held()
        return time.monotonic() - since_s

    def _wait_while_held(self) -> None:
        """Wait until the pause is over: in a script, whose end is to be seen; a node's rings wait."""
        while self._place.owner and self.ring.held:
            self._look_now_and_then()
            time.sleep(HELD_LOOK_S)

    def _look_now_and_then(self) -> None:
        if time.monotonic() > self._next_look_s:
            tidy()
            self._place.look()
            self._next_look_s = time.monotonic() + LOOK_EVERY_S

    def _attached(self) -> Hand[BufferWriter]:
        if self._hand is None:
            io = self._worker
            end: Any = None if io is None else self._worker_end(io.write)
            if io is not None:
                io.begin()
            owned = end is None
            own = BufferWriter(self._place.made(by_writer=True)) if owned else end
            self._hand = Hand(own, owned=owned, counts=io is not None and not io.read)
            keep(self, self._hand)
        return self._hand


class Observer(_End):
    """Looks at the newest event, at most 20 times a second.

    Parameters
    ----------
    setup_dict
        The dict of an observer.
    """

    _role = "observe"

    def __init__(self, setup_dict: Mapping[str, Any]) -> None:
        super().__init__(setup_dict)
        self._end: BufferObserver | None = None
        self._next_s = 0.0

    @property
    def ring(self) -> Ring:
        """The ring, attached; waits until it is there."""
        return self._attached().ring

    @property
    def dataQ(self) -> Observer:
        """The queue from which users of mimoCoRB 1 took events, too: this observer."""
        return self

    def get(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.void]] | None:
        """Wait for an event newer than the last one.

        Returns
        -------
        tuple or None
            Copies of its data, shape (values_per_slot,), and metadata, shape (1,); None at the end.
        """
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        try:
            end, io = self._attached(), self._worker
            while not end.wait(self._look_s):
                tidy()
                self._place.look()
            if io is not None and io.stop.requested:
                return None
            with end as (metadata, data):
                pass
        except (SystemExit, WorkerStop):
            return None
        if metadata is None or data is None:
            return None
        return self._given(metadata, data)

    def latest(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.void]] | None:
        """Return the newest event as `get` does, without waiting; None if it has been given before."""
        if self._worker is None and self._end is None and self._place.ring() is None:
            return None
        end = self._attached()
        if time.monotonic() < self._next_s or not end.has_newer:
            return None
        event = end.latest()
        return None if event is None else self._given(*event)

    def empty(self) -> bool:
        """Return whether there is no event newer than the last one."""
        if self._worker is None and self._end is None and self._place.ring() is None:
            return True
        return not self._attached().has_newer

    def _given(
        self, metadata: npt.NDArray[np.void], data: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.void]]:
        self._next_s = time.monotonic() + OBSERVE_EVERY_S
        if self._worker is not None:
            self._worker.events += 1
        return data, metadata

    def _attached(self) -> BufferObserver:
        if self._end is None:
            io = self._worker
            end = None if io is None else self._worker_end(io.observe)
            if io is not None:
                io.begin()
                io.stop.deferred = True  # from here on output may be in hand
            self._end = end or BufferObserver(self._place.made())
        return self._end
