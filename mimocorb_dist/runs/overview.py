"""The state of a running run in one map: what tables, `status`, `stats.csv` and pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .books import Reports, buffer_books, link_books, worker_books
from .report import dead_time_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.topology import Plan


class OverviewMaker:
    """Makes overviews, with rates from the difference to the one before.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        workers = {part.worker.name: part.worker for node in plan.nodes.values() for part in node.workers}
        self._importers = {
            buffer: [
                worker.name
                for worker in workers.values()
                if worker.role == "importer" and buffer in worker.sinks
            ]
            for buffer in plan.topology.buffers
        }
        self._before: Mapping[str, Any] | None = None
        self._before_s = 0.0

    def overview(
        self, run: Mapping[str, Any], reports: Reports, now_s: float, control_cpu_percent: float = 0.0
    ) -> dict[str, Any]:
        """Return the state of the run.

        Parameters
        ----------
        run
            Facts of the run: id, name, state and the like.
        reports
            The last report of each node.
        now_s
            Monotonic time, in s.
        control_cpu_percent
            What node and broker processes take of a core, in percent.

        Returns
        -------
        dict
            ``run``, ``buffers``, ``links``, ``workers``, ``control``: the books, and ``rate_hz`` (buffers:
            events entered, workers: events handled), ``rate_bytes`` (links, per s), ``dead_time_share``
            (since the overview before; None where no importer takes data, or none has written yet).
        """
        buffers = buffer_books(self._plan, reports)
        for book in buffers.values():
            del book["consumers"]
        current = {
            "run": dict(run),
            "buffers": buffers,
            "links": link_books(self._plan, reports),
            "workers": worker_books(self._plan, reports),
            "control": {"cpu_percent": control_cpu_percent},
        }
        elapsed_s = now_s - self._before_s
        for section, counted, rate in (
            ("buffers", "entered", "rate_hz"),
            ("workers", "events", "rate_hz"),
            ("links", "bytes", "rate_bytes"),
        ):
            for name, book in current[section].items():
                before = self._before[section][name][counted] if self._before else book[counted]
                book[rate] = max(0.0, (book[counted] - before) / elapsed_s) if elapsed_s > 0 else 0.0
        for name, book in buffers.items():
            before = self._before["buffers"][name] if self._before else None
            taking = any(current["workers"][worker]["alive"] for worker in self._importers[name])
            book["dead_time_share"] = _recent_dead_time(book, before) if taking else None
        self._before, self._before_s = current, now_s
        return current


def _recent_dead_time(book: Mapping[str, Any], before: Mapping[str, Any] | None) -> float | None:
    if before is None:
        return dead_time_share(book)
    times = {time: book[time] - before[time] for time in ("dead_time_s", "live_time_s")}
    recent = dead_time_share(times)
    # Importers book their times with events: without one there is nothing new.
    last: float | None = before["dead_time_share"]
    return last if recent is None else recent
