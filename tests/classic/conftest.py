"""The great runs of both versions, with observers and without; many tests look at them, each is made once."""

from __future__ import annotations

import pytest

from tests.classic import version_1, version_2
from tests.classic.running import Run, change, completed, copy_of


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The chain of version 1, on one host."""
    return completed(copy_of("version_1", tmp_path_factory.mktemp("chain")) / "chain_setup.yaml")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All workers of version 2, on one host."""
    return completed(copy_of("version_2", tmp_path_factory.mktemp("whole")) / "setup.yaml", target="results")


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
