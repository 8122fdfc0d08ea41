"""Workers that keep others waiting: since when they have done nothing, though events wait for them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology import WorkerPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mimocorb_dist.topology import Buffer

    from .tasks import Task

STALLED_AFTER_S = 10.0
"""A worker that has done no event for so long, though some wait, is talked about."""


class Stalls:
    """Compares what workers have done with what waits for them.

    Nothing is asked of the workers: it is seen in the counts of their rings and their own, at each look.

    Parameters
    ----------
    tasks
        The node's tasks.
    buffers
        The setup's buffers: `watchdog` of those that a worker reads is its patience instead of the usual one.
    """

    def __init__(self, tasks: Iterable[Task], buffers: Mapping[str, Buffer]) -> None:
        self._buffers = buffers
        self._workers: defaultdict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            if task.kind == "worker" and task.reads:
                self._workers[task.name].append(task)
        self._done: dict[str, tuple[int, ...]] = {}
        self._since_s: dict[str, float] = {}

    def look(
        self,
        workers: Mapping[str, Mapping[str, Any]],
        rings: Mapping[str, Mapping[str, Any]],
        now_s: float,
    ) -> dict[str, float]:
        """Return the workers that are stalled, and for how long, in s.

        Parameters
        ----------
        workers
            Worker name -> its counts.
        rings
            Ring name -> its statistics.
        now_s
            Monotonic time, in s.
        """
        for name, (task, *_) in self._workers.items():
            counts = workers[name]
            read = (rings[ring]["read"][group] for ring, group in task.reads)
            # One that fails, or is killed, is told as that, and is not slow.
            done = (counts["events"], counts["errors"], counts["restarts"], *read)
            has_work = all(rings[ring]["undelivered"][group] for ring, group in task.reads)
            has_room = all(rings[ring]["fill"] < 1.0 or self._drops(ring) for ring in task.writes)
            if done != self._done.get(name) or not (counts["alive"] and has_work and has_room):
                self._since_s[name] = now_s
            self._done[name] = done
        return {
            name: now_s - since_s
            for name, since_s in self._since_s.items()
            if now_s - since_s >= self._patience_s(name)
        }

    def _drops(self, ring: str) -> bool:
        """Whether who writes to a ring never waits for room: only home rings, named as their buffers."""
        buffer = self._buffers.get(ring)
        return buffer is not None and buffer.when_full != "block"

    def _patience_s(self, name: str) -> float:
        plan = self._workers[name][0].plan
        assert isinstance(plan, WorkerPlan)
        said_s = [self._buffers[source].watchdog_s for source in plan.worker.sources]
        limits_s = [limit_s for limit_s in said_s if limit_s is not None]
        return max((limit_s or float("inf") for limit_s in limits_s), default=STALLED_AFTER_S)
