"""What has led to restarts of a worker: what came again and again is told once, with how often and when."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TOLD = 5
"""So many different ends are kept; the others are only counted."""
LONGEST_TOLD = 300
"""So many characters of an end are kept; logs have all."""
_EVENTS = re.compile(r"\bevents? \d+(?: to \d+)?: ", re.ASCII)


@dataclass
class _End:
    label: str
    text: str
    first: str
    last: str
    count: int = 1

    def told(self, kind: str) -> str:
        if self.count == 1:
            return f"{self.label} {self.text}{at(self.first)}"
        when = f" from {self.first} to {self.last}" if self.last else ""
        return f"{self.label} {kind}, {self.count} times{when}"


class Ends:
    """Ends of the processes of one worker after which they were started again.

    Parameters
    ----------
    name
        Name of the worker.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._ends: dict[str, _End] = {}
        self._others = 0

    def add(self, label: str, text: str, time: str) -> int:
        """Take in one end, and return how often this has happened by now, as far as is known.

        Parameters
        ----------
        label
            The process.
        text
            What happened to it. Failures on different events are the same if all else is.
        time
            Time of the day, for people.
        """
        text = " ".join(text.split())
        text = text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}..."
        kind = _EVENTS.sub("", text, count=1)
        end = self._ends.get(kind)
        if end is not None:
            end.count += 1
            end.last = time
            end.label = label if end.label == label else self._name
            return end.count
        if len(self._ends) < MOST_TOLD:
            self._ends[kind] = _End(label, text, time, time)
        else:
            self._others += 1
        return 1

    def to_plain(self) -> dict[str, Any]:
        """Return all that is known, as plain values."""
        return {"ends": {kind: asdict(end) for kind, end in self._ends.items()}, "others": self._others}

    def restore(self, known: Mapping[str, Any]) -> None:
        """Take in what `to_plain` has returned."""
        self._ends = {kind: _End(**end) for kind, end in known["ends"].items()}
        self._others = known["others"]

    def told(self) -> list[str]:
        """Return a text for each kind of end, in the order in which they first came."""
        texts = [end.told(kind) for kind, end in self._ends.items()]
        return [*texts, f"and {self._others} more"] if self._others else texts


def at(time: str) -> str:
    """Return the time of an end as it is told, if it is known."""
    return f", at {time}" if time else ""
