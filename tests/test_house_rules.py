"""Rules of the house that no linter knows."""

from __future__ import annotations

import re

from tests.support import REPOSITORY

MODULES = [path for root in ("mimocorb_dist", "functions") for path in (REPOSITORY / root).rglob("*.py")]


def _uses(pattern: str, *rooms: str) -> list[str]:
    """Return where the pattern is used outside of the rooms."""
    found = []
    for path in MODULES:
        name = str(path.relative_to(REPOSITORY))
        if not name.startswith(rooms):
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if re.search(pattern, line)]
    return found


def test_sockets_are_made_in_one_place() -> None:
    pattern = r"\.socket\(|\bsocketpair\(|\bcreate_(server|connection)\("
    assert _uses(pattern, "mimocorb_dist/wire/") == []
    assert _uses(pattern) != []


def test_modules_stay_readable_at_one_sitting() -> None:
    assert [str(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 600] == []
