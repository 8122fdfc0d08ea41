"""What a dead node left on this machine: its rings, and processes that work on without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import Ring
from mimocorb_dist.ring.layout import MAX_MEMBERS, MEMBER_WORDS, Member, Role
from mimocorb_dist.ring.runtime import dead_runtime_directories, runtime_name, runtime_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mimocorb_dist.topology import NodePlan

PATIENCE_S = 5.0
"""How long processes without a node may handle no event before they are not waited for any more."""
LONGEST_STEP_S = 0.5
"""Of a longer time between two looks only so much counts: a machine that stood still let nobody work."""


def directory_of(run_id: str, node: str, life: int) -> Path:
    """Return the runtime directory of a node on this machine; `life`: how often it has come back."""
    return runtime_root() / runtime_name(run_id, node, life)


class Deaths:
    """Sees which nodes on this machine have ended: each has a runtime directory as long as it lives.

    Parameters
    ----------
    run_id
        Id of the run.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._seen: set[Path] = set()

    def look(self, nodes: Mapping[str, int]) -> dict[str, bool]:
        """Return those nodes whose process has ended, and whether in order: without leaving its directory.

        `nodes`: how often each has come back.
        """
        dead, ended = set(dead_runtime_directories()), {}
        for node, life in nodes.items():
            directory = directory_of(self._run_id, node, life)
            if directory in dead:
                ended[node] = False
            elif directory.exists():
                self._seen.add(directory)
            elif directory in self._seen:
                ended[node] = True
        return ended


class Remains:
    """The rings of a node on this machine, and what becomes of them when it has died.

    Processes whose node has died let their events come through, and end. Here it is seen to that they do not
    wait for those among them that died, and their books are kept.

    Parameters
    ----------
    run_id
        Id of the run.
    plan
        The node's plan.
    life
        How often it has come back.
    now_s
        Monotonic time in s.

    Attributes
    ----------
    life
        As given.
    complete
        Whether all its rings could be opened.
    over
        Whether nobody works on them any more, or nobody has for long.
    """

    def __init__(self, run_id: str, plan: NodePlan, life: int, now_s: float) -> None:
        self.life = life
        directory = directory_of(run_id, plan.node.name, life)
        self._rings: dict[str, Ring] = {}
        self.complete = True
        for ring in plan.rings:
            try:
                self._rings[ring.ring] = Ring.open(directory / f"{ring.ring}.ring")
            except RingError:  # on another machine, or removed by the next start on this one
                self.complete = False
        self._counts: list[tuple[int, int]] = []
        self._looked_s, self._still_s = now_s, 0.0
        self._alive = True
        self.over = not self._rings

    @property
    def settled(self) -> bool:
        """Whether all rings are here, and nobody works on them any more: their books are final."""
        return self.complete and not self._alive

    def look(self, now_s: float) -> None:
        """See how far the processes are."""
        if self.over:
            return
        self._alive = bool(sum(self._bury(ring) for ring in self._rings.values()))
        counts = [(book["written"], book["filled"]) for book in self.statistics().values()]
        self._still_s += min(now_s - self._looked_s, LONGEST_STEP_S)
        self._looked_s = now_s
        if counts != self._counts:
            self._counts, self._still_s = counts, 0.0
        self.over = not self._alive or self._still_s > PATIENCE_S

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Return the statistics of the rings that could be reached, as plain values."""
        return {name: ring.statistics().to_dict() for name, ring in self._rings.items()}

    def _bury(self, ring: Ring) -> int:
        """Set right what dead processes left in a ring; return how many living ones are attached to it."""
        import psutil

        alive = 0
        for row in range(0, MAX_MEMBERS * MEMBER_WORDS, MEMBER_WORDS):
            pid = ring.members[row + Member.PID]
            if pid and psutil.pid_exists(pid):
                alive += 1
            elif pid and not ring.members[row + Member.CLOSED]:  # its last word, if it has ended in order
                is_writer = ring.members[row + Member.ROLE] == Role.WRITER
                ring.recover(pid)
                if is_writer:
                    ring.writer_gone()
        return alive
