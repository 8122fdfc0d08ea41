"""What happened to a run without harm to its data: importers were held, sources silent, workers stuck."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 100
"""Later ones are only added up: a record must not grow with the length of a run."""

Key = tuple[str, str]
"""Kind (``held``, ``silent``, ``stuck``, ``unheard``, ``gone``), and whom it is about."""


@dataclass(frozen=True)
class Sighting:
    """Something that is so just now.

    Parameters
    ----------
    why
        What it is.
    since
        From when on.
    """

    why: str
    since: datetime


class Incidents:
    """Keeps what was seen, with its beginning and its end."""

    def __init__(self) -> None:
        self._open: dict[Key, Sighting] = {}
        self._over: list[dict[str, Any]] = []
        self._more: Counter[str] = Counter()
        self._more_s: Counter[str] = Counter()

    def add(self, key: Key, sighting: Sighting, until: datetime) -> None:
        """Take in something that is over."""
        self._close(key, sighting, until)

    def note(self, seen: Mapping[Key, Sighting], now: datetime) -> None:
        """Take in all that is so now; what is not among it is over.

        Parameters
        ----------
        seen
            What is so now.
        now
            The time.
        """
        for key in self._open.keys() - seen.keys():
            self._close(key, self._open.pop(key), now)
        for key, sighting in seen.items():
            self._open.setdefault(key, sighting)

    def to_plain(self, now: datetime) -> dict[str, Any]:
        """Return ``incidents``, a list, and the sums of what it had no room for, as plain values.

        Parameters
        ----------
        now
            The time: what is not over yet is counted until then.
        """
        still = [_plain(key, sighting, now, over=False) for key, sighting in self._open.items()]
        content: dict[str, Any] = {"incidents": self._over + still}
        if self._more:
            content["more_incidents"] = {
                kind: {"count": count, "duration_s": round(self._more_s[kind], 1)}
                for kind, count in self._more.items()
            }
        return content

    def to_memory(self) -> dict[str, Any]:
        """Return all that a successor has to know, as plain values."""
        still = [[*key, sighting.why, sighting.since.isoformat()] for key, sighting in self._open.items()]
        return {"open": still, "over": self._over, "more": self._more, "more_s": self._more_s}

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any]) -> Incidents:
        """Go on where `to_memory` was written."""
        incidents = cls()
        incidents._open = {
            (kind, where): Sighting(why, datetime.fromisoformat(since))
            for kind, where, why, since in memory["open"]
        }
        incidents._over = list(memory["over"])
        incidents._more, incidents._more_s = Counter(memory["more"]), Counter(memory["more_s"])
        return incidents

    def _close(self, key: Key, sighting: Sighting, now: datetime) -> None:
        row = _plain(key, sighting, now, over=True)
        if len(self._over) < MOST:
            self._over.append(row)
        else:
            self._more[key[0]] += 1
            self._more_s[key[0]] += row["duration_s"]


def _plain(key: Key, sighting: Sighting, now: datetime, *, over: bool) -> dict[str, Any]:
    return {
        "kind": key[0],
        "where": key[1],
        "from": sighting.since.isoformat(timespec="milliseconds"),
        "to": now.isoformat(timespec="milliseconds") if over else None,
        "duration_s": round((now - sighting.since).total_seconds(), 1),
        "why": sighting.why,
    }
