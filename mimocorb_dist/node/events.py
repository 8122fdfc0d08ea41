"""What a node's work tells its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class WorkEvents(Protocol):
    """Who is told how the work goes on."""

    def ready(self) -> None:
        """All processes are ready."""

    def stage_runs(self, stage: int) -> None:
        """All processes of a stage run."""

    def renewed(self, other: str, ports: Mapping[str, int]) -> None:
        """All ends of links with a node that comes back have been made anew; receivers listen on `ports`."""

    def trouble(self, text: str, *, fatal: bool = False, link: str = "") -> None:
        """Something went wrong for good; `link` is the link whose end on this node is gone."""

    def changed(self) -> None:
        """A process has ended."""

    def closed(self) -> None:
        """All processes have ended, and their books are final."""

    def still_at_work(self, names: list[str]) -> None:
        """These processes have not ended, though they are to."""

    def say(self, text: str) -> None:
        """People want to read this."""
