"""Follows a page of the documentation as its reader would.

Two marks in a page, invisible to readers, say what is to be followed::

    <!-- file: NAME -->     the code block below is the content of this file
    <!-- run -->            the code block below is a terminal: what follows `$ ` is typed, the rest is shown;
                            `...` stands for anything. `<!-- run: status 2 -->` if the last command ends so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP = re.compile(
    r"^<!-- (?P<kind>file|run)(?:: (?P<detail>.+?))? -->\n+```\w*\n(?P<block>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    content: str


@dataclass(frozen=True)
class Command:
    """A command that the reader types, and what the page shows of its output."""

    command: str
    shown: str
    status: int


def steps(page: Path) -> Iterator[File | Command]:
    """Read the steps of a page."""
    for step in _STEP.finditer(page.read_text(encoding="utf-8")):
        detail = step["detail"] or ""
        if step["kind"] == "file":
            yield File(detail, step["block"])
            continue
        typed = [part.partition("\n") for part in re.split(r"^\$ ", step["block"], flags=re.MULTILINE)[1:]]
        last_status = int(detail.removeprefix("status ") or 0)
        for number, (command, _, shown) in enumerate(typed, start=1):
            yield Command(command, shown, last_status if number == len(typed) else 0)


def follow(page: Path, directory: Path) -> int:
    """Do what a page says, in a directory; return the number of steps.

    Raises
    ------
    AssertionError
        If a command ends otherwise, or says something else than the page.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
    }
    followed = list(steps(page))
    for step in followed:
        if isinstance(step, File):
            path = directory / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_with_free_port(step.content), encoding="utf-8")
            continue
        result = subprocess.run(
            ["bash", "-c", step.command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == step.status, f"{page.name}: $ {step.command}\n{result.stdout}"
        assert matches(step.shown, result.stdout), (
            f"{page.name}: $ {step.command}\nshown:\n{step.shown}\nsaid:\n{result.stdout}"
        )
    return len(followed)


def _with_free_port(content: str) -> str:
    """Give a broker without a port a free one: on this machine other runs may have the usual one."""
    return re.sub(r"^(Broker: {node: \w+)}$", rf"\1, port: {free_port()}}}", content, flags=re.MULTILINE)


def matches(shown: str, said: str) -> bool:
    """Tell whether a page shows what was said; `...` is anything, spaces at line ends do not count."""
    pattern = ".*".join(re.escape(_trimmed(part)) for part in _trimmed(shown).split("..."))
    return re.fullmatch(pattern, _trimmed(said), flags=re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n")
