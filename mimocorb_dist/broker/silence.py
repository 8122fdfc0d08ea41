"""How long nodes have been silent, and how long each may be.  No I/O and no clock here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

QUIET_S = 5.0
"""A node that says nothing for so long is talked about."""
SILENCE_S = 600.0
"""A node that says nothing for so long has vanished; links outlast a shorter break of the network."""
GONE_S = 20.0
"""The same where a break of the network is no reason to wait: see `Silence.hung_up`."""
REBOOT_S = 300.0
"""The same in a run for a host that has hung up: it may be starting again."""
GRACE_MORE_S = 5.0
"""How much longer than its processes a dead node is waited for."""
HUNG_UP_S = 2.0
"""A connection that ends so soon after a node's word was closed by its host; a cut one is given up later."""


class Silence:
    """Who was heard when.

    Parameters
    ----------
    longest_s
        How long a node may be silent in a run before it has vanished, in s.
    grace_s
        How long a node that has died in a run may take to be started again, in s.

    Attributes
    ----------
    quiet
        The nodes that are talked about because they say nothing.
    """

    def __init__(self, longest_s: float, grace_s: float = 0.0) -> None:
        self._longest_s = longest_s
        # Who would have waited for an heir must not be the last to give up: processes do before.
        self._grace_s = grace_s + GRACE_MORE_S if grace_s else 0.0
        self._dead_s: dict[str, float] = {}
        self._heard_s: dict[str, float] = {}
        self._recalled_s: dict[str, float] = {}
        self._hung_up: set[str] = set()
        self.quiet: set[str] = set()

    def heard(self, node: str, now_s: float) -> bool:
        """Note that a node lives; return whether it had been talked about."""
        self._heard_s[node] = now_s
        self._recalled_s.pop(node, None)
        self._dead_s.pop(node, None)
        self._hung_up.discard(node)
        was_quiet = node in self.quiet
        self.quiet.discard(node)
        return was_quiet

    def quiet_since(self) -> dict[str, float]:
        """Return the nodes that are talked about because they say nothing, and when each was last heard."""
        return {node: self.since_s(node) for node in sorted(self.quiet)}

    def recall(self, nodes: Iterable[str], quiet: Mapping[str, float], died_s: float, now_s: float) -> None:
        """Go on in the place of a broker that died: nobody can have been heard meanwhile.

        Parameters
        ----------
        nodes
            Who is there.
        quiet
            What its `quiet_since` was.
        died_s
            When it died.
        now_s
            The time now: what nodes are waited for counts anew.
        """
        for node in {*nodes, *quiet}:  # also who has left meanwhile
            self._heard_s[node] = now_s
            self._recalled_s[node] = quiet.get(node, died_s)
        self.quiet |= set(quiet)

    def hung_up(self, node: str, now_s: float) -> None:
        """Note that there is no connection to a node.

        The system closes the connections of a process that ends, at once; a cut line is noticed by silence
        only. So one that ends soon after the node's word is a sign of death, and not waited for so long.
        """
        if self.for_s(node, now_s) < HUNG_UP_S:
            self._hung_up.add(node)

    def begins(self, node: str, now_s: float) -> bool:
        """Return whether it is time, for the first time, to talk about a node's silence."""
        if node in self.quiet or self.for_s(node, now_s) <= QUIET_S:
            return False
        self.quiet.add(node)
        return True

    def heard_s(self, node: str) -> float:
        """Return when a node was last heard."""
        return self._heard_s[node]

    def since_s(self, node: str) -> float:
        """Return when a node was last heard, be it by a broker that has died."""
        return self._recalled_s.get(node, self._heard_s[node])

    def for_s(self, node: str, now_s: float) -> float:
        """Return how long a node has been silent, in s."""
        return now_s - self._heard_s[node]

    def patience_s(self, node: str, *, can_wait: bool, is_through: bool = False) -> float:
        """Return how long a node may be silent, in s.

        Parameters
        ----------
        node
            Its name.
        can_wait
            Whether its return would save the run.
        is_through
            Whether streams of it have ended: its processes have ended without it, and it cannot come back.
        """
        if can_wait and node in self._hung_up:
            return max(min(GONE_S if is_through else REBOOT_S, self._longest_s), self._grace_s)
        return self._longest_s if can_wait else min(GONE_S, self._longest_s)

    def dies(self, node: str, now_s: float) -> bool:
        """Note that a node is known to be dead; return whether that is news."""
        is_news = node not in self._dead_s
        self._dead_s.setdefault(node, now_s)
        return is_news

    def is_dead(self, node: str) -> bool:
        """Return whether a node is known to be dead, and may be started again."""
        return node in self._dead_s

    def dead_too_long(self, node: str, now_s: float, *, can_wait: bool) -> bool:
        """Return whether a node that is known to be dead is not waited for any more."""
        grace_s = self._grace_s if can_wait else min(GONE_S, self._grace_s)
        return self.is_dead(node) and now_s - self._dead_s[node] >= grace_s
