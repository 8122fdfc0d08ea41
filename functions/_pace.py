"""When recorded or simulated events are due: at a rate, at random, or as they were recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO

    from ._targets import Batch

    # Gives the times in s from each of `count` events to the one before it; may look at their metadata.
    Waits = Callable[[int, NDArray[Any] | None], NDArray[np.float64]]

# A source that is late by more than this, being slow itself, does not hurry to catch up.
_PATIENCE_S = 0.1


def random_numbers(io: BufferIO, seed: int | None) -> np.random.Generator:
    """Return where a process of a worker takes random numbers from: each has its own, also with a seed."""
    if seed is None or io.number == 0:
        return np.random.default_rng(seed)
    return np.random.default_rng([seed, io.number])


def uniform(rate_hz: float) -> Waits:
    """Events at equal distances."""

    def waits(count: int, _metadata: NDArray[Any] | None) -> NDArray[np.float64]:
        return np.full(count, 1 / rate_hz)

    return waits


def poisson(rate_hz: float, random: np.random.Generator) -> Waits:
    """Events that do not know of each other: exponentially distributed distances."""

    def waits(count: int, _metadata: NDArray[Any] | None) -> NDArray[np.float64]:
        return random.exponential(1 / rate_hz, count)

    return waits


def as_recorded() -> Waits:
    """Distances of the recorded timestamps; where they step back, as at a repetition, the usual distance."""
    last_s: float | None = None
    usual_s = 0.0

    def waits(_count: int, metadata: NDArray[Any] | None) -> NDArray[np.float64]:
        nonlocal last_s, usual_s
        if metadata is None:
            raise ValueError("recorded times need metadata")
        stamps = metadata["timestamp"]
        steps: NDArray[np.float64] = np.diff(stamps, prepend=stamps[0] if last_s is None else last_s)
        forward = steps[steps > 0]
        if len(forward):
            usual_s = float(np.median(forward))
        last_s = float(stamps[-1])
        return np.where(steps < 0, usual_s, steps)

    return waits


@dataclass
class Pacer:
    """Hands out events when they are due.

    Parameters
    ----------
    waits
        Distances between events.
    sleep
        Waits for a time in s; may return early.
    clock
        Time in s that never steps back: that of an importer (`live_time_s`) stands still in dead time, in
        which a source brings nothing. That makes random events what theory takes them for: independent of
        each other in the time in which they are looked for, at the given rate.
    """

    waits: Waits
    clock: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    _last_due_s: float = field(init=False)

    def pace(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the events of `batches` as they fall due: all together that are due at once.

        The long-term rate by the clock is exact, since due times do not depend on how late events were taken.
        Only when they are late by more than 0.1 s, because they are made or read too slowly, the schedule is
        moved.
        """
        self._last_due_s = self.clock()
        for metadata, data in batches:
            due_s = self._last_due_s + np.cumsum(self.waits(len(data), metadata))
            done = 0
            while done < len(data):
                late_s = self.clock() - due_s[done]
                if late_s < 0:
                    self.sleep(-late_s)
                    continue
                if late_s > _PATIENCE_S:
                    due_s += late_s
                stop = int(np.searchsorted(due_s, self.clock(), side="right"))
                yield (None if metadata is None else metadata[done:stop]), data[done:stop]
                done = stop
            self._last_due_s = float(due_s[-1])
