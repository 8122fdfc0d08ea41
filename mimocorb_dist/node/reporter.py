"""What a node reports of its part in a run: the counts of rings, links and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .backlogs import Backlogs
from .meters import CpuMeters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .crew import Crew
    from .delays import Delays
    from .rings import RingSet


class Reporter:
    """Gathers the counts.

    Parameters
    ----------
    crew, rings
        Whose they are.
    delays
        Knows who keeps others waiting.
    """

    def __init__(self, crew: Crew, rings: RingSet, delays: Delays) -> None:
        self._crew = crew
        self._rings = rings
        self._delays = delays
        self._backlogs = Backlogs()
        self._meters = CpuMeters()

    def report(self, pids: Mapping[int, str]) -> dict[str, Any]:
        """Return the counts of rings, links and workers, as plain values.

        Parameters
        ----------
        pids
            Process id -> name of the worker, of those that live.
        """
        workers = self._crew.worker_counts()
        cpu_percent = self._meters.percent(pids)
        for name, row in workers.items():
            row["cpu_percent"] = cpu_percent.get(name, 0.0)
        rings = self._rings.statistics()
        self._backlogs.look(rings)
        for name, stalled_s in self._delays.look(workers, rings).items():
            workers[name]["stalled_s"] = stalled_s
        return {
            "rings": rings,
            "links": self._crew.link_counts(),
            "workers": workers,
            "limit_reached": self._rings.limit_reached,
            "held": self._rings.held,
        }
