"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re

from tests.support import REPOSITORY

MODULES = [path for root in ("mimocorb_dist", "functions") for path in (REPOSITORY / root).rglob("*.py")]

TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
HELPERS = "tests/support.py"
"""The one place where tests wait: for a condition in `eventually`, for time itself in `let_pass`."""
PROGRAMS = "tests/classic/labs/"
"""What users of the classic versions write: their functions may be slow, and no test waits in them."""


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


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    """Texts of programs that tests start do not count: there, who sleeps stands for who works."""
    sleeping = {str(path.relative_to(REPOSITORY)) for path in TESTS if _sleeps(path.read_text("utf-8"))}
    assert {name for name in sleeping if not name.startswith(PROGRAMS)} == {HELPERS}


def _sleeps(code: str) -> bool:
    if "sleep" not in code:
        return False
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Attribute(value=ast.Name("time" | "asyncio"), attr="sleep"):
                return True
            case ast.ImportFrom(module="time" | "asyncio", names=names):
                if any(name.name == "sleep" for name in names):
                    return True
    return False
