"""The ways of events through the lab, and when events go through to their ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mimocorb_dist.ring.files import map_ring
from mimocorb_dist.ring.layout import MAX_MEMBERS, MEMBER_WORDS, METADATA_DTYPE, Header, Layout, Member
from mimocorb_dist.ring.table import SlotTable
from mimocorb_dist.ring.tokens import SLOT_MASK


class RingProbe:
    """A ring that is only looked at: its queues stay closed, for one held open would outlive its owners.

    Parameters
    ----------
    path
        The ring's file.
    """

    def __init__(self, path: Path) -> None:
        memory, self.spec = map_ring(path)
        layout = Layout(self.spec)
        self._table = SlotTable(memory, layout)
        self._members = np.ndarray((MAX_MEMBERS, MEMBER_WORDS), np.uint64, memory, layout.members_offset)
        self._metadata = np.ndarray((self.spec.slot_count,), METADATA_DTYPE, memory, layout.metadata_offset)

    @property
    def latest(self) -> int:
        """Counter of the event published last; -1 before the first."""
        token = self._table.header[Header.LATEST]
        return int(self._metadata["counter"][token & SLOT_MASK]) if token else -1

    @property
    def written(self) -> int:
        """Events published so far."""
        return self._table.written_total()

    def has_member(self, pid: int) -> bool:
        """Tell whether a process has begun to read or write here."""
        return bool((self._members[:, Member.PID] == pid).any())

    def read(self) -> tuple[int, ...]:
        """Return how many events each reader group has released so far."""
        return tuple(int(group.all_released.sum()) for group in self._table.groups)


@dataclass(frozen=True)
class Route:
    """A way of events through the lab.

    Parameters
    ----------
    name
        Its name: that of the buffer which the importer fills.
    first, last
        Its first and its last ring, each as node and ring.
    nodes
        The nodes that it touches.
    """

    name: str
    first: tuple[str, str]
    last: tuple[str, str]
    nodes: tuple[str, ...]


ROUTES = {
    route.name: route
    for route in (
        Route("line", ("daq", "line"), ("storage", "passed.in"), ("daq", "filter", "storage")),
        Route("pulses", ("daq", "pulses"), ("storage", "kept.in"), ("daq", "filter", "storage")),
        Route("waves", ("daq", "waves"), ("storage", "digests"), ("daq", "filter", "storage")),
        Route("view", ("daq", "waves"), ("storage", "waves.view"), ("daq", "storage")),
    )
}


class Probes:
    """The rings of a run, found by node and name.

    Parameters
    ----------
    directories
        Runtime directory of each node.
    """

    def __init__(self, directories: dict[str, Path]) -> None:
        self._directories = directories
        self._open: dict[tuple[str, str], tuple[int, RingProbe]] = {}

    def __getitem__(self, place: tuple[str, str]) -> RingProbe:
        path = self._directories[place[0]] / f"{place[1]}.ring"
        inode = path.stat().st_ino
        known = self._open.get(place)
        if known is None or known[0] != inode:
            known = self._open[place] = inode, RingProbe(path)
        return known[1]

    def at_work(self, pid: int, *, observes: bool) -> bool:
        """Tell whether a process has begun to read or write a ring, or at least has mapped one to observe."""
        try:
            lines = Path("/proc", str(pid), "maps").read_text().splitlines()
        except OSError:  # it has just ended
            return False
        mapped = [Path(line.split(maxsplit=5)[5]) for line in lines if line.endswith(".ring")]
        nodes = {directory: node for node, directory in self._directories.items()}
        rings = [self[nodes[path.parent], path.stem] for path in mapped if path.parent in nodes]
        return bool(rings) and (observes or any(ring.has_member(pid) for ring in rings))

    def passing(self, name: str) -> Passing:
        """Begin to wait until events go through on a route."""
        return Passing(self, ROUTES[name])


class Passing:
    """Tells when an event that came to the first ring after now has been read at the end by everybody.

    Parameters
    ----------
    probes
        The rings.
    route
        The route.
    """

    def __init__(self, probes: Probes, route: Route) -> None:
        self._probes, self._route = probes, route
        self._after = probes[route.first].latest
        self._written: int | None = None

    @property
    def name(self) -> str:
        """The route's name."""
        return self._route.name

    def __call__(self) -> bool:
        """Return whether it has."""
        last = self._probes[self._route.last]
        if self._written is None and last.latest > self._after:
            self._written = last.written
        return self._written is not None and all(read >= self._written for read in last.read())
