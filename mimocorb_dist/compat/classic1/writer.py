"""The `Writer` of mimoCoRB 1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferWriter
from mimocorb_dist.ring.layout import Header, Held
from mimocorb_dist.ring.ring import HELD_LOOK_S
from mimocorb_dist.workers.stopping import Stop

from .end import ClassicEnd
from .hands import Hand, keep, reads_elsewhere, tidy
from .place import LOOK_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from mimocorb_dist.ring import Ring

# Looking up members of an enumeration costs as much as the rest of a step.
_PAUSED, _STOPPING = int(Header.PAUSED), int(Header.STOPPING)
_EXPECTED_WRITERS = int(Header.EXPECTED_WRITERS)


class Writer(ClassicEnd):
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
        self._in_script = self._place.owner != 0
        self._stop = Stop() if self._worker is None else self._worker.stop
        self._header: Any = None

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
        held = hand.end.take_held()
        if 0 <= deadtime <= 1 and self._is_source():
            between_s = now_s - self._published_s - sum(held)
            self._book(deadtime * between_s + held.dead_s, (1 - deadtime) * between_s)
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
            if self._in_script:
                self._look_now_and_then()
            if end.wait(self._look_s):
                return hand
            if end.ring.limit_reached:
                break
        hand.over = True
        raise SystemExit

    def _is_over(self) -> bool:
        """Tell whether this writer is to end: one of a source at once, others after what they read."""
        if self._hand is None:
            self._attached()
        if not self._header[_STOPPING] and not self._stop.requested:
            return False
        return self._is_ended() or self._is_source()

    def _is_ended(self) -> bool:
        """Tell whether nobody will read what is written now."""
        return self._in_script and self._header[_EXPECTED_WRITERS] == 0

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

    def _wait_out_the_pause(self) -> Held:
        """Wait until the pause is over, with nothing in hand; return how long that took."""
        if not self._header[_PAUSED]:
            return Held()
        if not self._in_script:
            return self.ring.wait_while_held()
        since_s = time.monotonic()
        self._wait_while_held()
        return Held(idle_s=time.monotonic() - since_s)

    def _take_held(self) -> Held:
        """Return how long this writer was held when it published, since the last call."""
        return self._attached().end.take_held()

    def _wait_while_held(self) -> None:
        """Wait until the pause is over: in a script, whose end is to be seen; a node's rings wait."""
        while self._in_script and self._header[_PAUSED] and self.ring.held:
            self._look_now_and_then()
            time.sleep(HELD_LOOK_S)

    def _look_now_and_then(self) -> None:
        if time.monotonic() > self._next_look_s:
            tidy()
            self._place.look()
            self._next_look_s = time.monotonic() + LOOK_EVERY_S

    def _attached(self) -> Hand[BufferWriter]:
        if self._hand is None:
            tidy()
            io = self._worker
            end: Any = None if io is None else self._worker_end(io.write)
            if io is not None:
                io.begin()
            owned = end is None
            own = BufferWriter(self._place.made(by_writer=True)) if owned else end
            self._hand = Hand(own, owned=owned, counts=io is not None and not io.read)
            self._header = own.ring.header
            keep(self, self._hand)
        return self._hand
