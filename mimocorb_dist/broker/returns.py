"""Nodes whose host has died with all that it held, and that come back to their run.  No I/O here.

Such a node begins its part anew, with empty rings. The other nodes make their ends of its links anew, too:
first those, and when all are ready the processes of the node are let go, stage by stage as at the start.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mimocorb_dist.runs.lives import added_up

from .registration import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mimocorb_dist.topology import Plan

    from .registration import Registration


@dataclass
class _Return:
    """A node that is coming back: who has to be ready for it, and which stage of it was let go."""

    awaited: set[str] = field(default_factory=set)
    stage: int = -1


class Returns:
    """Brings nodes back into a run, one beside the other.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    push
        Called with a node, a kind of message, and its fields.

    Attributes
    ----------
    lives
        Node -> how often it has come back.
    """

    def __init__(self, plan: Plan, push: Callable[..., None]) -> None:
        self._plan = plan
        self._push = push
        self._coming: dict[str, _Return] = {}
        self._asked_s: dict[str, float] = {}
        self._past: dict[str, Mapping[str, Any]] = {}
        self.lives: Counter[str] = Counter()

    def is_coming(self, node: str) -> bool:
        """Tell whether a node is on its way back."""
        return node in self._coming

    def is_gone(self, node: str, heard_s: float, now_s: float) -> bool | None:
        """Tell whether a node that wants to come back has gone: not heard while the new one asks.

        Parameters
        ----------
        node
            Its name.
        heard_s
            When the one that is known was last heard.
        now_s
            The time now.

        Returns
        -------
        bool or None
            None: that will be known when it asks again.
        """
        asked_s = self._asked_s.pop(node, None)
        if asked_s is None:
            self._asked_s[node] = now_s
            return None
        return heard_s <= asked_s

    def begin(self, node: str, others: Iterable[str], last_report: Mapping[str, Any]) -> None:
        """Let the other nodes make their ends of a node's links anew.

        Parameters
        ----------
        node
            Who comes back; it has been told to make its rings.
        others
            The other nodes that are here.
        last_report
            Its books, as far as they are known.
        """
        self.lives[node] += 1
        self._past[node] = last_report
        awaited = self._plan.neighbours(node).intersection(others)
        self._coming[node] = _Return({node, *awaited})
        for other in sorted(awaited):
            self._push(other, "renew", returned=node, life=self.lives[node])

    def is_ready(
        self,
        who: str,
        node: str,
        registrations: Mapping[str, Registration],
        ready: Mapping[str, Mapping[str, int]],
    ) -> None:
        """Note that a node has made its processes, or another one its ends of the links with it.

        Parameters
        ----------
        who
            Which node is ready.
        node
            For which node; itself, if it is the one that comes back.
        registrations
            All nodes that are here.
        ready
            Where their link receivers listen.
        """
        coming = self._coming.get(node)
        if coming is None or who not in coming.awaited:
            return
        coming.awaited.discard(who)
        if coming.awaited:
            return
        coming.stage = 0
        for each in (node, *sorted(self._plan.neighbours(node))):
            if each in registrations:
                found = addresses(self._plan.nodes[each], registrations, ready)
                self._push(each, "go", stage=0, addresses=found)

    def has_started(self, node: str, stage: int, stages: int) -> bool:
        """Let the next stage of a node go; return whether it was the last one, and the node is back."""
        coming = self._coming.get(node)
        if coming is None or stage != coming.stage:
            return False
        if stage + 1 == stages:
            del self._coming[node]
            return True
        coming.stage += 1
        self._push(node, "go", stage=coming.stage, addresses={})
        return False

    def lost(
        self,
        node: str,
        registrations: Mapping[str, Registration],
        ready: Mapping[str, Mapping[str, int]],
    ) -> None:
        """Note that a node is no more: it does not come back, and nobody waits for it."""
        self._coming.pop(node, None)
        for other in list(self._coming):
            self.is_ready(node, other, registrations, ready)

    def total(self, node: str, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the books of a node with those of its earlier lives."""
        past = self._past.get(node)
        return report if past is None else added_up(past, report)

    # What outlives the process that this runs in.

    def to_plain(self) -> dict[str, Any]:
        """Return all that a successor has to know, as plain values."""
        return {
            "lives": dict(self.lives),
            "past": self._past,
            "coming": {node: [sorted(each.awaited), each.stage] for node, each in self._coming.items()},
        }

    def recall(self, plain: Mapping[str, Any]) -> None:
        """Go on where `to_plain` was called."""
        self.lives, self._past = Counter(plain["lives"]), dict(plain["past"])
        self._coming = {node: _Return(set(who), stage) for node, (who, stage) in plain["coming"].items()}
