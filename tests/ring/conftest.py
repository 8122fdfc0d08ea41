"""Rings for the tests of this folder, in shared memory, removed when the test ends."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.ring.runtime import runtime_root
from tests.ring.members import MemberHost

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in shared memory, not named like those of runs, which every start cleans up."""
    path = Path(tempfile.mkdtemp(prefix="ringtest-", dir=runtime_root()))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def host_of_all() -> Iterator[MemberHost]:
    """The host: it has nothing but what it has imported, so that one is enough."""
    with MemberHost() as members:
        yield members


@pytest.fixture
def host(host_of_all: MemberHost) -> Iterator[MemberHost]:
    """A process that starts readers and writers as processes of their own; none outlives the test."""
    yield host_of_all
    host_of_all.tidy()
