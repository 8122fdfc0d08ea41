"""The two great runs, which many tests look at: each is made once."""

from __future__ import annotations

import pytest

from tests.classic.running import Run, completed, copy_of


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The chain of version 1, on one host."""
    return completed(copy_of("version_1", tmp_path_factory.mktemp("chain")) / "chain_setup.yaml")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All workers of version 2, on one host."""
    return completed(copy_of("version_2", tmp_path_factory.mktemp("whole")) / "setup.yaml", target="results")
