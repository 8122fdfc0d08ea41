"""Why a run is paused: its user wants it, or there is no room on a disk.  No I/O here.

The two do not touch each other: a user's pause stands when there is room again, and a disk without room holds
the importers whatever the user wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCOPES = ("roots", "all")
_SAID_AGAIN = 0.5
"""Little room is talked about again when it has become this share of what it was then."""
_FORGOTTEN = 1.25
"""When there is enough again, and so many times what was told, the next time is the first time."""


class Pauses:
    """What pauses a run now.

    Parameters
    ----------
    label
        Returns how texts about a node begin, by its name.

    Attributes
    ----------
    full
        Node -> text, for nodes whose disk has no room.
    little
        The same for those with little room.
    """

    def __init__(self, label: Callable[[str], str]) -> None:
        self._label = label
        self._wanted: frozenset[str] = frozenset()
        self.full: dict[str, str] = {}
        self.little: dict[str, str] = {}
        self._told_bytes: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Tell whether anything pauses the run."""
        return bool(self._wanted or self.full)

    @property
    def wanted(self) -> list[str]:
        """What the user wants to be paused: ``roots``, ``rest``."""
        return sorted(self._wanted)

    @property
    def text(self) -> str:
        """What is paused, and for lack of which room, in brackets; empty if nothing is."""
        scopes = {"": "", "roots": "root buffers", "rest": "all but root buffers"}
        wanted = scopes.get("".join(self._wanted), "all buffers")
        told = [*filter(None, [wanted]), *self.full.values()]
        return f" ({'; '.join(told)})" if told else ""

    def to_plain(self) -> dict[str, Any]:
        """Return all that is to be remembered, as plain values."""
        told = {"full": self.full, "little": self.little, "told_bytes": self._told_bytes}
        return {"wanted": self.wanted, **told}

    def recall(self, plain: Mapping[str, Any]) -> None:
        """Go on where `to_plain` was written."""
        self._wanted = frozenset(plain["wanted"])
        self.full, self.little = dict(plain["full"]), dict(plain["little"])
        self._told_bytes = dict(plain["told_bytes"])

    def change(self, name: str, scope: str, state: str) -> None:
        """Take in the wish of a user.

        Parameters
        ----------
        name
            ``pause`` or ``resume``.
        scope
            ``roots`` or ``all``.
        state
            The state of the run, for refusals.

        Raises
        ------
        RefusedError
            If it is none, would change nothing, or there is no room to go on.
        """
        if scope not in SCOPES:
            raise RefusedError(f"cannot {name} {scope!r}; known are {', '.join(SCOPES)}")
        if name == "resume" and self.full:
            raise RefusedError(
                f"cannot resume: {'; '.join(self.full.values())}. Make room, and they go on by themselves"
            )
        scopes = {"roots"} if scope == "roots" else {"roots", "rest"}
        wanted = self._wanted | scopes if name == "pause" else self._wanted - scopes
        if wanted == self._wanted:
            raise RefusedError(f"cannot {name} {scope}: the run is {state}" + self.text)
        self._wanted = wanted

    def look(self, node: str, disk: Mapping[str, Any]) -> list[str]:
        """Take in what a node says of its disk (`RoomJudge`), or nothing; return what people want to read."""
        room, text = disk.get("room", "enough"), f"{self._label(node)}{disk.get('text', '')}"
        free_bytes, told_bytes = disk.get("free_bytes", 0), self._told_bytes.get(node)
        was_full = self.full.pop(node, None) is not None
        self.little.pop(node, None)
        if room == "none":
            self.full[node] = text
            return [] if was_full else [text]
        if room == "little":
            self.little[node] = text
        if was_full or (told_bytes is None and room == "little"):
            self._told_bytes[node] = free_bytes
            return [] if was_full else [text]
        if told_bytes is not None and room == "little" and free_bytes < _SAID_AGAIN * told_bytes:
            self._told_bytes[node] = free_bytes
            return [text]
        if told_bytes is not None and _FORGOTTEN * told_bytes < free_bytes and room == "enough":
            del self._told_bytes[node]
        return []
