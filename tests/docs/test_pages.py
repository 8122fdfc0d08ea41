"""What the documentation shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mimocorb_dist.cli import cli
from mimocorb_dist.topology import load, plan
from tests.docs.pages import follow, matches, steps
from tests.support import REPOSITORY

PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    path
    for folder in ("docs", "deploy", "examples", "benchmarks")
    for path in (REPOSITORY / folder).rglob("*.md")
)
FOLLOWED = [page for page in PAGES if any(True for _ in steps(page))]


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", FOLLOWED, ids=_name)
def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    assert follow(page, tmp_path) > 0


def test_a_running_run_can_be_looked_into_as_the_page_says(tmp_path: Path) -> None:
    follow(REPOSITORY / "docs" / "howto" / "notebook.md", tmp_path)
    command = [sys.executable, "-m", "mimocorb_dist.cli", "start", "-c", "none"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        while run.stdout.readline() not in ("running\n", ""):
            continue
        look = subprocess.run(
            [sys.executable, "look.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
        run.terminate()
        said = run.stdout.read()
    assert look.returncode == 0, look.stderr
    assert matches(
        "... (1000,)\n... (1000,)\n... (1000,)\n... events, ... % of the slots in use", look.stdout
    )
    assert run.returncode == 0, said


def test_there_are_pages_to_follow() -> None:
    assert "docs/tutorial/ten-minutes.md" in map(_name, FOLLOWED)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def _setups(page: Path) -> list[str]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "Buffers:" in block and "Workers:" in block]


def test_the_setup_on_the_front_page_is_one(tmp_path: Path) -> None:
    (setup,) = _setups(REPOSITORY / "README.md")
    topology = load(tmp_path / "setup.yaml", text=setup)
    assert topology.warnings == ()
    assert len(plan(topology).links) == 1


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [REPOSITORY / "docs" / "index.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text(encoding="utf-8"))
        waiting += [page.parent / link for link in links]
    assert {path.resolve() for path in (REPOSITORY / "docs").rglob("*.md")} <= reached


def test_the_reference_names_every_command_and_option() -> None:
    page = (REPOSITORY / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        assert re.search(rf"^#.*\b{name}\b", page, re.MULTILINE), name
        for option in command.params:
            for text in option.opts if isinstance(option, click.Option) else ():
                assert text in page, f"{name} {text}"


@pytest.mark.parametrize(
    ("shown", "said", "expected"),
    [
        ("3 events\n", "3 events\n\n", True),
        ("... events in ... s", "12 events in 0.3 s", True),
        ("3 events", "4 events", False),
        ("first\n...\nlast", "first\nx\ny\nlast", True),
        ("a.c", "abc", False),
    ],
)
def test_dots_stand_for_anything(shown: str, said: str, expected: bool) -> None:
    assert matches(shown, said) is expected
