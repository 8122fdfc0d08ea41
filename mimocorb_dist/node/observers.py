"""The end of processes that no event depends on: nothing in the data flow tells them of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .crew import Crew
    from .loop import Loop
    from .process import Process
    from .tasks import Task

OBSERVER_PATIENCE_S = 5.0
"""How long processes that no event depends on may go on when all others have ended."""


def hurry(
    loop: Loop,
    crew: Crew,
    children: Mapping[Task, Process],
    dismiss: Callable[[Task], None],
    say: Callable[[str], None],
) -> None:
    """Let those end that no event depends on; rings tell the end to those that have any.

    Parameters
    ----------
    loop
        Its clock.
    crew, children
        The processes.
    dismiss
        Kills one.
    say
        Called with what people want to read.
    """

    def terminate(concerns: Callable[[Task], bool]) -> None:
        for task in crew.left:
            if task in children and concerns(task):
                crew.dismiss(task)  # however it ends, it is not to come back
                children[task].terminate()

    def terminate_observers() -> None:
        terminate(lambda task: task.only_observes)
        loop.after(OBSERVER_PATIENCE_S, kill_observers)

    def kill_observers() -> None:
        for task in crew.left:
            if task in children and task.only_observes:
                say(f"{task.label} does not end, and is killed; no event is lost by that")
                dismiss(task)

    terminate(lambda task: task.is_alone)
    loop.after(OBSERVER_PATIENCE_S, terminate_observers)
