"""Looking at the latest event of a ring without taking it, and without anybody noticing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .interface import Interface
from .layout import Header
from .table import fence
from .tokens import SLOT_MASK

if TYPE_CHECKING:
    from types import TracebackType

    import numpy.typing as npt

    from .ring import Event, Ring

_SHORTEST_WAIT_S = 0.001
_LONGEST_WAIT_S = 0.02
_ATTEMPTS = 1000


def _copied(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy data as bytes: numpy copies records field by field, which takes many times as long."""
    return data.view(np.uint8).copy().view(data.dtype)


class BufferObserver(Interface):
    """An observer of a ring.

    ``with observer as (metadata, data)`` waits for an event newer than the last one seen, and gives private
    copies of its metadata, shape (1,), and data, shape (data_length,); at the end of the stream both are
    None.

    Parameters
    ----------
    ring
        The ring, attached.
    """

    def __init__(self, ring: Ring) -> None:
        super().__init__(ring)
        self._seen_ns = 0  # when the event seen last was published

    def latest(self) -> Event | None:
        """Return copies of the newest event without waiting; None if there is none yet.

        An event that is overwritten while it is being copied is left for a newer one.
        """
        for _ in range(_ATTEMPTS):
            slot, published_ns = self._newest()
            if not published_ns:
                return None
            metadata, data = self._view(slot)
            event = metadata.copy(), _copied(data)
            fence()
            # The moment changes before a writer touches the slot, and never comes back.
            if self.ring.table.published[slot] == published_ns:
                self._seen_ns = published_ns
                return event
        return None

    def __enter__(self) -> Event | tuple[None, None]:
        while True:
            ended = self.ring.ended  # before looking: the last event comes before the end
            if self.has_newer:
                event = self.latest()
                if event is not None:
                    return event
            if ended:
                return None, None
            self.wait()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is an event newer than the last one seen, or the stream has ended.

        Parameters
        ----------
        timeout_s
            How long to wait in s; None: as long as it takes, 0: not at all.

        Returns
        -------
        bool
            False after the time-out.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        wait_s = _SHORTEST_WAIT_S
        while not self.has_newer and not self.ring.ended:
            if deadline_s is not None and time.monotonic() >= deadline_s:
                return False
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        return True

    @property
    def has_newer(self) -> bool:
        """Whether there is an event newer than the last one seen."""
        return self._newest()[1] > self._seen_ns

    def _newest(self) -> tuple[int, int]:
        """Return slot and moment in ns of the newest event; 0 if there is none or it is being overwritten."""
        slot = self.ring.header[Header.LATEST] & SLOT_MASK
        return slot, self.ring.table.published[slot]

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        """Leave the event: nothing is held."""
