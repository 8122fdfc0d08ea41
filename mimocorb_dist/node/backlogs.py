"""Who keeps the slots of full rings: how far each group of readers was behind when they were full."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FULL = 0.9
"""Share of slots in use from which a ring counts as full: writers claim some ahead."""


class Backlogs:
    """Averages, over all looks at full rings, what their groups had not read yet."""

    def __init__(self) -> None:
        self._looks: Counter[str] = Counter()
        self._shares: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def look(self, rings: Mapping[str, dict[str, Any]]) -> None:
        """Look at the rings, and add to each what is known of it.

        Parameters
        ----------
        rings
            Ring name -> its statistics; those that have ever been full get ``behind``: group -> the share of
            the slots that it had not read, 0 to 1, on average.
        """
        for name, row in rings.items():
            if row["fill"] >= FULL:
                self._looks[name] += 1
                for group, count in row["undelivered"].items():
                    self._shares[name][group] += min(1.0, count / row["slot_count"])
            if looks := self._looks[name]:
                row["behind"] = {group: round(self._shares[name][group] / looks, 3) for group in row["read"]}
