"""The great runs of both versions, with observers and without; many tests look at them, each is made once."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import Run, change, completed, copy_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[], Run]], Run]:
    """Make a run, or take the one that another process of this session has made: nobody changes its files."""
    own = tmp_path_factory.getbasetemp()
    folder = own if worker_id == "master" else own.parent

    def once(name: str, make: Callable[[], Run]) -> Run:
        with (folder / f"{name}.run").open("a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            if known := note.read():
                directory, output = json.loads(known)
                return Run(Path(directory), output)
            run = make()
            json.dump([str(run.directory), run.output], note)
            return run

    return once


@pytest.fixture(scope="session")
def chain(once: Callable[[str, Callable[[], Run]], Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The chain of version 1, on one host."""
    return once(
        "chain",
        lambda: completed(copy_of("version_1", tmp_path_factory.mktemp("chain")) / "chain_setup.yaml"),
    )


@pytest.fixture(scope="session")
def whole(once: Callable[[str, Callable[[], Run]], Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All workers of version 2, on one host."""
    return once(
        "whole",
        lambda: completed(
            copy_of("version_2", tmp_path_factory.mktemp("whole")) / "setup.yaml", target="results"
        ),
    )


@pytest.fixture(scope="session")
def chain_without_observers(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The chain of version 1, not observed."""
    setup = copy_of("version_1", tmp_path_factory.mktemp("chain")) / "chain_setup.yaml"
    change(setup, version_1.without_observers)
    return completed(setup)


@pytest.fixture(scope="session")
def whole_without_observers(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All workers of version 2 that do not observe."""
    setup = copy_of("version_2", tmp_path_factory.mktemp("whole")) / "setup.yaml"
    change(setup, version_2.without_observers)
    return completed(setup, target="results")
