"""Buffers that have not moved for long while their source runs.  No I/O here: it is seen in overviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.topology import Plan

WATCHDOG_S = 600.0
"""A buffer that importers write is talked about after so long, unless the setup says otherwise."""
_RATHER_FULL = 0.5

Key = tuple[str, str]


class Still(NamedTuple):
    """Something that does not move.

    Parameters
    ----------
    what, why
        First and second half of a text about it.
    for_s
        Since when, as a time in s until now.
    """

    what: str
    why: str
    for_s: float

    @property
    def text(self) -> str:
        """What people read now."""
        return f"{self.what} for {self.for_s:.0f} s, {self.why}"


class Watchdog:
    """Sees which buffers do not move, and why: nobody writes, or nobody reads.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    """

    def __init__(self, plan: Plan) -> None:
        topology = plan.topology
        default = dict.fromkeys(topology.roots, WATCHDOG_S)
        limits = {
            name: default.get(name, 0.0) if buffer.watchdog_s is None else buffer.watchdog_s
            for name, buffer in topology.buffers.items()
        }
        self._limits_s = {name: limit_s for name, limit_s in limits.items() if limit_s}
        self._giving_up = {
            name for name, buffer in topology.buffers.items() if buffer.when_full == "drop_old"
        }
        workers = topology.workers.values()
        self._writers = {name: [w.name for w in workers if name in w.sinks] for name in self._limits_s}
        self._readers = {name: [w.name for w in workers if name in w.sources] for name in self._limits_s}
        self._moves: dict[str, Any] = {}
        self._since_s: dict[str, float] = {}

    def look(self, overview: Mapping[str, Any], now_s: float) -> dict[Key, Still]:
        """Return what does not move: kind (``silent``, ``stuck``) and name of a buffer or worker -> text.

        Parameters
        ----------
        overview
            The state of the run; while it is not running, nothing has to move.
        now_s
            Monotonic time, in s.
        """
        workers = overview["workers"]
        found: dict[Key, Still] = {}
        for name, limit_s in self._limits_s.items():
            book = overview["buffers"][name]
            by_worker = [part["read"] for part in book.get("by_worker", {}).values()]
            moves: tuple[Any, ...] = (book["read"], book["rescued"], by_worker)
            if name not in self._giving_up or book["fill"] <= _RATHER_FULL:  # else events always come in
                moves = (book["entered"], *moves)
            alive = [writer for writer in self._writers[name] if workers[writer]["alive"]]
            if moves != self._moves.get(name) or not alive or overview["run"]["state"] != "running":
                self._since_s[name] = now_s
            self._moves[name] = moves
            still_s = now_s - self._since_s[name]
            if still_s < limit_s:
                continue
            if book["fill"] > _RATHER_FULL:
                readers = ", ".join(self._readers[name]) or "nobody"
                what = f"nothing has been read from buffer {name}"
                found["stuck", name] = Still(what, f"which fills up; it is read by {readers}", still_s)
            else:
                runs = f"{', '.join(alive)} {'runs' if len(alive) == 1 else 'run'}"
                what = f"no event has come into buffer {name}"
                found["silent", name] = Still(what, f"though {runs}", still_s)
        for name, worker in workers.items():
            if stalled_s := worker["stalled_s"]:
                found["stuck", name] = Still(
                    f"worker {name} has done no event", "though some wait", stalled_s
                )
        return found
