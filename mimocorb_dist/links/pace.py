"""When to send events: at once while few come, a millisecond's worth together while many do."""

from __future__ import annotations

LONGEST_PAUSE_S = 1e-3
_FEW_EVENTS = 2.0
"""When fewer come within the longest pause, waiting for more gains nothing."""
_SHORTEST_PAUSE_S = 1e-4


class Pace:
    """Find out how long to let events gather before the next frame.

    Parameters
    ----------
    frame_events
        Number of events that fill a frame.
    slots
        Slots of the source ring: writers must not find it full because events wait here.
    """

    def __init__(self, frame_events: int, slots: int) -> None:
        self._enough = max(1, min(frame_events, slots // 4))
        self._sent_s = 0.0

    def pause_s(self, count: int, room: int, now_s: float) -> float:
        """Return the pause in s after a frame of `count` events, when `room` had been allowed."""
        elapsed_s = now_s - self._sent_s
        self._sent_s = now_s
        if count >= min(self._enough, room) or count * LONGEST_PAUSE_S < _FEW_EVENTS * elapsed_s:
            return 0.0
        pause_s = min(LONGEST_PAUSE_S, self._enough * elapsed_s / count)
        return pause_s if pause_s >= _SHORTEST_PAUSE_S else 0.0
