"""Log lines about what strangers send: a stranger must not fill the disk with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

_ALL_UP_TO = 3


class Complaints:
    """Counts complaints, and logs the first three, the 10th, the 100th, and so on.

    Parameters
    ----------
    log
        Where they are logged, as warnings.

    Attributes
    ----------
    count
        How many there have been.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._next = 1
        self.count = 0

    def add(self, text: str) -> None:
        """Count one, and log it if it is time."""
        self.count += 1
        if self.count < self._next:
            return
        self._next = self.count + 1 if self.count < _ALL_UP_TO else 10 ** len(str(self.count))
        seen = f" ({self.count} such so far, told ever more seldom)" if self.count >= _ALL_UP_TO else ""
        self._log.warning("%s%s", text, seen)
