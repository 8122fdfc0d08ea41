"""A bench for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .harness import Bench, bench_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as made:
        yield made
