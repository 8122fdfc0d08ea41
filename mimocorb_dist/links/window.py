"""How many events a link may hold in its source ring.  No I/O here.

A link that is the only reader of its group may hold as many as the receiver has room for: an event that waits
at the far end occupies one slot here in any case.  One that shares the events with other readers must not
take what these could do sooner: it holds about what the receiver passes on in `FAIR_TIME_S`.
"""

from __future__ import annotations

FAIR_TIME_S = 0.25
"""Longer than the fixed cost of most readers' batches, short for a user who waits for the end of a run."""
_START_EVENTS = 16
_EVENTS_PER_READER = 2
"""One to work on and one to go on with."""


class Window:
    """The number of leases that a link may have.

    It doubles while it is what limits the link and events come back soon, and shrinks to the receiver's rate
    times `FAIR_TIME_S` when they come back late.

    Parameters
    ----------
    slots
        Slots of the source ring.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._capacity = slots
        self._readers = 1
        self._fair = _START_EVENTS
        self.competing = False
        self._limited = False
        self._released = 0
        self._probe: int | None = None  # the sequence number whose return is being timed
        self._probe_s = 0.0

    @property
    def events(self) -> int:
        """The most leases allowed now."""
        if not self.competing:
            return min(self._slots, self._capacity)
        # Half of the ring stays for the others even if nothing ever comes back.
        return max(1, min(self._fair, self._slots // 2, self._capacity))

    def receiver(self, capacity: int | None, readers: int) -> None:
        """Note the receiver's slots (None: as before) and how many processes read there."""
        if capacity is not None:
            self._capacity = max(1, capacity)
        self._readers = max(1, readers)

    def sent(self, last: int, leased: int, now_s: float) -> None:
        """Note that events up to `last` have been sent, and that now `leased` are held."""
        self._limited |= leased >= self.events
        if self._probe is None:
            self._probe, self._probe_s, self._released = last, now_s, 0

    def released(self, count: int, oldest: int | None, now_s: float) -> None:
        """Note that `count` events came back, and which is the oldest that is still away, if any."""
        self._released += count
        if self._probe is None:
            return
        time_s = now_s - self._probe_s
        back = oldest is None or oldest > self._probe
        if time_s > FAIR_TIME_S:
            floor = _EVENTS_PER_READER * self._readers
            self._fair = min(max(floor, int(self._released / time_s * FAIR_TIME_S)), self._slots)
        elif back and self._limited:
            self._fair = min(2 * max(self._fair, 1), self._slots)
        if back or time_s > FAIR_TIME_S:
            self._probe, self._limited = None, False
