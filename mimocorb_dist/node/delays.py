"""Telling people whom a run waits for: at its start, at its end, and in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .crew import Phase
from .stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mimocorb_dist.topology import Buffer

    from .crew import Crew
    from .loop import Loop
    from .tasks import Task

STILL_THERE_S = 10.0
NOT_READY_S = (5.0, 30.0, 60.0)
"""How long to wait before it is said who is not ready: the first time, the second, and each further time."""


class Delays:
    """Says who is not ready, who keeps the others waiting, and who has not ended.

    Parameters
    ----------
    loop
        Its clock.
    crew, tasks, buffers
        Whom it is about.
    say
        Called with what people want to read.
    still_at_work
        Called with the names of those that have not ended, though they are to.
    """

    def __init__(
        self,
        loop: Loop,
        crew: Crew,
        tasks: Sequence[Task],
        buffers: Mapping[str, Buffer],
        say: Callable[[str], None],
        still_at_work: Callable[[list[str]], None],
    ) -> None:
        self._loop = loop
        self._crew = crew
        self._tasks = tasks
        self._say = say
        self._still_at_work = still_at_work
        self._stalls = Stalls(tasks, buffers)
        self._stalled_s: dict[str, float] = {}

    def watch_start(self, is_ready: Callable[[], bool], count: int = 0) -> None:
        """Say again and again who is not ready, until all are."""
        self._loop.after(NOT_READY_S[min(count, 2)], lambda: self._tell_who_is_not_ready(is_ready, count))

    def watch_end(self, is_closed: Callable[[], bool]) -> None:
        """Say again and again who has not ended, until all have."""
        self._loop.after(STILL_THERE_S, lambda: self._tell_who_is_left(is_closed))

    def look(self, workers: Mapping[str, Any], rings: Mapping[str, Any]) -> dict[str, float]:
        """Return for how long workers keep others waiting, in s; say so once of each.

        Parameters
        ----------
        workers, rings
            The counts of workers and rings.
        """
        before, self._stalled_s = self._stalled_s, self._stalls.look(workers, rings, time.monotonic())
        for task in self._tasks:
            new = self._stalled_s.keys() - before.keys()
            if task.kind == "worker" and task.number == 0 and task.name in new:
                since = f"has done no event for {self._stalled_s[task.name]:.0f} s, though some wait"
                self._say(f"worker {task.name} {since}: its {task.function} is slow, or hangs")
        return self._stalled_s

    def _tell_who_is_not_ready(self, is_ready: Callable[[], bool], count: int) -> None:
        missing = [task for task in self._crew.left if self._crew.phase(task) is Phase.STARTING]
        if is_ready() or self._crew.stopping or not missing:
            return
        waited_s = sum(NOT_READY_S[min(number, 2)] for number in range(count + 1))
        who = ", ".join(f"{task.label} ({task.preparation})" for task in missing)
        self._say(f"still not ready after {waited_s:.0f} s: {who}; Ctrl-C ends the start")
        self.watch_start(is_ready, count + 1)

    def _tell_who_is_left(self, is_closed: Callable[[], bool]) -> None:
        left = [f"{task.label}{self._stalled(task)}" for task in self._crew.left]
        if left and not is_closed():
            self._still_at_work(left)
            self.watch_end(is_closed)

    def _stalled(self, task: Task) -> str:
        stalled_s = self._stalled_s.get(task.name) if task.kind == "worker" else None
        return f" (no event done for {stalled_s:.0f} s)" if stalled_s else ""
