"""The `Observer` of mimoCoRB 1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.ring import BufferObserver
from mimocorb_dist.workers.stopping import WorkerStop

from .end import ClassicEnd
from .hands import tidy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from mimocorb_dist.ring import Ring

OBSERVE_EVERY_S = 0.05
"""An observer gives at most 20 events a second."""


class Observer(ClassicEnd):
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
            if self._worker is not None:
                self._worker.begin()
                self._worker.stop.deferred = True  # from here on output may be in hand
            self._end = BufferObserver(self._place.made())
        return self._end
