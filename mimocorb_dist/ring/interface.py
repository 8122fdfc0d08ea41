"""What readers, writers and observers have in common, and runs of slots that lie together."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .layout import METADATA_DTYPE
from .statistics import ClassicFigures

if TYPE_CHECKING:
    from types import TracebackType

    from .ring import Ring

CLAIM_AHEAD_S = 1e-3
"""A reader or writer holds about as many slots in advance as it uses in this time."""
NAP_S = 5e-5
"""How long a reader of batches sleeps at least before it waits to be woken."""
TRUE_NAP_S = 1.2e-4
"""How long that takes in truth: timers are coarse."""
MOST_NAPS = 5


class EndOfStream(Exception):  # noqa: N818 (it is no error)
    """All writers have closed, and no event is left for this reader's group."""


@dataclass(frozen=True)
class Run:
    """Consecutive slots, taken for reading or reserved for writing.

    Parameters
    ----------
    ring
        The ring that they belong to.
    first
        Number of the first slot.
    count
        How many slots.
    """

    ring: Ring
    first: int
    count: int

    @property
    def slots(self) -> npt.NDArray[np.int64]:
        """Numbers of the slots, shape (count,)."""
        return np.arange(self.first, self.first + self.count)

    @property
    def metadata(self) -> npt.NDArray[np.void]:
        """Metadata of the events, shape (count,): a view."""
        return self.ring.all_metadata[self.first : self.first + self.count]

    @property
    def data(self) -> npt.NDArray[Any]:
        """Data of the events, shape (count, data_length): a view."""
        return self.ring.all_data[self.first : self.first + self.count]

    @property
    def data_bytes(self) -> memoryview:
        """The data as bytes, `ring.stride` for each slot."""
        return self.ring.data_bytes(self.first, self.count)

    @property
    def metadata_bytes(self) -> memoryview:
        """The metadata as bytes, 24 for each slot."""
        return self.ring.metadata_bytes(self.first, self.count)

    def split(self, count: int) -> tuple[Run, Run]:
        """Cut into the first `count` slots and the rest."""
        return Run(self.ring, self.first, count), Run(self.ring, self.first + count, self.count - count)


class _Flag:
    """A live truth value with the classic way to read it: ``flag.value``."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    @property
    def value(self) -> bool:
        return self._ring.stopping or self._ring.ended


class _Buffer:
    """A ring, with what the buffers of mimoCoRB2 have besides."""

    metadata_dtype = METADATA_DTYPE
    metadata_length = 1

    def __init__(self, end: Interface) -> None:
        self._end = end
        self.get_stats = end.get_stats
        self.send_flush_event = end.send_flush_event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end.ring, name)


class Interface:
    """A worker's end of a ring.

    Parameters
    ----------
    ring
        The ring, attached.
    """

    _all: ClassVar[weakref.WeakSet[Interface]] = weakref.WeakSet()

    def __init__(self, ring: Ring) -> None:
        self._all.add(self)
        self.ring = ring
        self.name = ring.name
        self.slot_count = ring.slot_count
        self.data_example = ring.data_example
        self.metadata_example = ring.metadata_example
        self.is_shutdown = _Flag(ring)
        self._figures = ClassicFigures(ring.statistics())
        self._views: list[tuple[npt.NDArray[np.void], npt.NDArray[Any]] | None] = [None] * ring.slot_count

    def _view(self, slot: int) -> tuple[npt.NDArray[np.void], npt.NDArray[Any]]:
        """Return metadata and data of one slot as views, made once: making one costs more than using it."""
        view = self._views[slot]
        if view is None:
            view = self._views[slot] = (self.ring.all_metadata[slot : slot + 1], self.ring.all_data[slot])
        return view

    @property
    def buffer(self) -> _Buffer:
        """The buffer as users of mimoCoRB2 know it."""
        return _Buffer(self)

    def shutdown_buffer(self) -> None:
        """Ask those who bring events into the run's buffer to end: that of a reader or observer.

        In mimoCoRB2 it ended the stream at once, and what was on its way was lost.
        """
        self.ring.request_stop()

    def send_flush_event(self) -> None:
        """Do as `shutdown_buffer`."""
        self.shutdown_buffer()

    def get_stats(self) -> dict[str, Any]:
        """Return the classic figures of the buffer; rate (1/s) and dead time (share) since the last call."""
        return self._figures.of(self.ring.statistics())

    def close(self) -> None:
        """Give back what this end holds. Closing twice is harmless."""

    def _forget(self) -> None:
        """Hold nothing, and be no member: what the parent of a forked process holds is not the child's."""

    def __enter__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be entered")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the event."""


def _after_fork() -> None:
    for interface in list(Interface._all):
        interface._forget()


os.register_at_fork(after_in_child=_after_fork)


class Pace:
    """How many slots to claim at once, and how to wait for them.

    Parameters
    ----------
    slots
        Slots of the ring that are this end's share.

    Attributes
    ----------
    share, batch_share
        The most slots to claim in advance of single events, and for a batch.
    naps, nap_s
        How often, and how long in s, to sleep before waiting to be woken. Being woken costs the other side
        more than publishing a batch, so where batches follow each other fast it is better to look again a
        little later; but where a nap uses up a large part of the ring, it would hold up the other side.
    """

    def __init__(self, slots: int) -> None:
        self.naps = 0
        self.nap_s = NAP_S
        self.share = max(1, slots // 4)
        self.batch_share = max(1, slots // 2)
        self._slots = slots
        self._count = 1
        self._since_s = 0.0

    def next(self, now_s: float, limit: int) -> int:
        """Return how many slots to claim now, given the time it took to use those claimed last."""
        elapsed_s = now_s - self._since_s
        self._since_s = now_s
        if limit > 1:
            fast = elapsed_s < CLAIM_AHEAD_S and self._count * TRUE_NAP_S < 0.5 * self._slots * elapsed_s
            self.naps = MOST_NAPS if fast else 0
            self.nap_s = max(NAP_S, 0.25 * elapsed_s)
            self._count = min(limit, self.batch_share)
        elif elapsed_s < 0.5 * CLAIM_AHEAD_S:
            self._count = min(2 * self._count, self.share)
        elif elapsed_s > CLAIM_AHEAD_S:
            self._count = max(1, self._count // 2)
        return self._count
