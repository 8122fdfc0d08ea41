"""Collecting all mistakes and warnings of a setup, and saying them well."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Place

_MANY = 12
_LONG_TEXT = 60


class Findings:
    """The mistakes and warnings found in a setup so far.

    Parameters
    ----------
    main_file
        Name of the setup file: what is found there is listed first.
    """

    def __init__(self, main_file: str) -> None:
        self._main_file = main_file
        self._mistakes: dict[str, Place] = {}
        self._warnings: dict[str, Place] = {}

    def mistake(self, place: Place, what: str, remedy: str = "") -> None:
        """Note that something is wrong at a place, and how to put it right."""
        self._mistakes[_text(place, what, remedy)] = place

    def warn(self, place: Place, what: str, remedy: str = "") -> None:
        """Note that something at a place is odd."""
        self._warnings[_text(place, what, remedy)] = place

    def __len__(self) -> int:
        """Return the number of mistakes so far."""
        return len(self._mistakes)

    @property
    def mistakes(self) -> list[str]:
        """Texts of all mistakes, in the order of the file."""
        return self._sorted(self._mistakes)

    @property
    def warnings(self) -> list[str]:
        """Texts of the warnings, in the order of the file, without those at places of mistakes."""
        wrong = set(self._mistakes.values())
        return self._sorted({text: place for text, place in self._warnings.items() if place not in wrong})

    def _sorted(self, texts: dict[str, Place]) -> list[str]:
        return sorted(texts, key=lambda text: (texts[text].file != self._main_file, texts[text]))


def _text(place: Place, what: str, remedy: str) -> str:
    return f"{place}: {what}; {remedy}" if remedy else f"{place}: {what}"


def nearest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like `name`, whatever its case; None if none is like it."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def suggest(name: object, known: Iterable[str], label: str = "known") -> str:
    """Return what to write instead of an unknown name: the nearest known one, and all if they are few."""
    names = list(known)
    listed = f"{label}: {', '.join(names)}" if names and len(names) <= _MANY else ""
    if (near := nearest(name, names)) is not None:
        return f"did you mean '{near}'?" + (f" ({listed})" if listed and len(names) > 1 else "")
    return listed or f"{label}: {'none' if not names else ', '.join(names[:_MANY]) + ', ...'}"


def shown(value: Any) -> str:
    """Return how a message shows a value of a YAML file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    return f"'{text if len(text) <= _LONG_TEXT else text[: _LONG_TEXT - 3] + '...'}'"
