"""Messages that must arrive although connections break: each once, and in order.

What a broken connection swallowed is sent again: a letter has a number, every message tells which letters its
sender has read, and one that the other side has not read after a while goes out anew.  No I/O here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.wire.messages import Message

PATIENCE_S = 2.0
"""How long a letter may be unread before it is sent again; the other side speaks more often than that."""
MAX_UNREAD = 1000
_NUMBER, _READ = "letter", "read"


@dataclass(frozen=True)
class Letter:
    """A message that has to arrive."""

    number: int
    kind: str
    fields: Mapping[str, Any]


class Letters:
    """One side's letters to, and from, one other side.

    Both sides begin with a new object each. A side that dies can be followed by one that goes on with its
    letters (`to_plain`, `from_plain`), if it noted them before it sent any message: the other side does not
    notice then.
    """

    def __init__(self) -> None:
        self._unread: deque[Letter] = deque()  # by the other side, in order
        self._written = 0
        self._read = 0
        self._sent_s = 0.0

    def write(self, kind: str, fields: Mapping[str, Any], now_s: float) -> Letter:
        """Make a letter, to be sent now and by `overdue` until it has been read.

        Raises
        ------
        WireError
            When more than `MAX_UNREAD` letters are unread.
        """
        if len(self._unread) >= MAX_UNREAD:
            raise WireError(
                f"{len(self._unread)} messages, from {self._unread[0].kind!r} to {kind!r}, were never read; "
                "the other side hangs, look at its host"
            )
        if not self._unread:
            self._sent_s = now_s
        self._written += 1
        letter = Letter(self._written, kind, fields)
        self._unread.append(letter)
        return letter

    def stamps(self, letter: Letter | None = None) -> dict[str, int]:
        """Return the fields to be added to a message that is sent: a letter, or any other."""
        stamps = {_READ: self._read}
        return stamps if letter is None else stamps | {_NUMBER: letter.number}

    def read(self, message: Message) -> bool:
        """Take in any message of the other side; return whether to act on it.

        Not to be acted on are letters that have come before, or before an earlier one: they come again.
        """
        seen = message.fields.get(_READ)
        while self._unread and isinstance(seen, int) and self._unread[0].number <= seen:
            self._unread.popleft()
        number = message.fields.get(_NUMBER)
        if number is None:
            return True
        if number != self._read + 1:
            return False
        self._read = number
        return True

    def to_plain(self) -> dict[str, Any]:
        """Return what somebody who goes on in this side's place has to know, as plain values."""
        unread = [[letter.number, letter.kind, dict(letter.fields)] for letter in self._unread]
        return {"unread": unread, "written": self._written, "read": self._read}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Letters:
        """Go on where `to_plain` was written; what may not have been sent is overdue."""
        letters = cls()
        letters._unread.extend(Letter(number, kind, fields) for number, kind, fields in plain["unread"])
        letters._written, letters._read = plain["written"], plain["read"]
        letters._sent_s = -PATIENCE_S
        return letters

    def overdue(self, now_s: float) -> list[Letter]:
        """Return the letters that have to be sent again."""
        if not self._unread or now_s - self._sent_s < PATIENCE_S:
            return []
        self._sent_s = now_s
        return list(self._unread)
