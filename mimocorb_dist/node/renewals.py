"""Which ends of links are being made anew, for a node that has come back to the run with nothing it held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .tasks import Task


class Renewals:
    """Keeps in mind what is to be made anew, and what waits for the word to go.

    Parameters
    ----------
    tasks
        The tasks of this node.
    lives
        Node -> how often it has come back.
    inherited
        Of an heir: what the node before it has noted.

    Attributes
    ----------
    lives
        The same, kept up to date.
    under_way
        Node -> its life, for those that come back now.
    """

    def __init__(
        self, tasks: Iterable[Task], lives: Mapping[str, int], inherited: Mapping[str, Any] | None
    ) -> None:
        self._tasks = tuple(tasks)
        self.lives = dict(lives)
        self.under_way: dict[str, int] = dict(inherited["under_way"]) if inherited else {}
        self._old: set[Task] = set()
        self._waiting: set[Task] = set()
        self._ready: set[Task] = set()

    def begin(self, other: str, life: int) -> list[Task]:
        """Note that a node comes back; return the tasks that are to be made anew."""
        tasks = [task for task in self._tasks if task.leads_to(other)]
        self.lives[other] = self.under_way[other] = life
        self._old.update(tasks)
        self._waiting.update(tasks)
        self._ready.difference_update(tasks)
        return tasks

    def wants(self, task: Task) -> bool:
        """Tell whether a process has been ended to be made anew."""
        return task in self._old

    def started(self, task: Task) -> None:
        """Note that the new process of a task has been started."""
        self._old.discard(task)

    def waits(self, task: Task) -> bool:
        """Tell whether a new process must not go before the broker's word."""
        return task in self._waiting

    def ready(self, task: Task) -> str | None:
        """Note that a new process is ready; return the node that comes back if it was the last."""
        self._ready.add(task)
        for other in self.under_way:
            if task.leads_to(other) and self._ready.issuperset(self._of(other)):
                return other
        return None

    def end(self, tasks: Iterable[Task]) -> None:
        """Note that processes have got the word to go."""
        self._waiting.difference_update(tasks)
        self._ready.intersection_update(self._waiting)
        for other in list(self.under_way):
            if not self._waiting.intersection(self._of(other)):
                del self.under_way[other]

    def _of(self, other: str) -> list[Task]:
        return [task for task in self._tasks if task.leads_to(other)]

    def to_plain(self) -> dict[str, Any]:
        """Return what an heir has to know."""
        return {"lives": self.lives, "under_way": self.under_way}
