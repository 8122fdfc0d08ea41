"""Links of a node without a broker: nobody will tell it that the node at their other end is no more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .loop import Loop

LINKS_STILL_S = 60.0
"""Links in which nothing moves for so long lead nowhere; longer than a broker may take to return."""
LOOK_AT_LINKS_S = 5.0


class StillLinks:
    """Has the links cut when nothing has moved in them for long.

    Parameters
    ----------
    loop
        Its clock.
    counts
        Returns what the links have counted; None when nothing is to be done any more.
    cut
        Cuts the links.
    """

    def __init__(
        self, loop: Loop, counts: Callable[[], Mapping[str, Any] | None], cut: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._counts = counts
        self._cut = cut
        self._last: Mapping[str, Any] = {}
        self._moved_s = 0.0
        self._look()

    def _look(self) -> None:
        now_s, counts = time.monotonic(), self._counts()
        if counts is None:
            return
        if counts != self._last:
            self._last, self._moved_s = counts, now_s
        if now_s - self._moved_s < LINKS_STILL_S:
            self._loop.after(LOOK_AT_LINKS_S, self._look)
        else:
            self._cut()
