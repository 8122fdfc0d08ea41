"""Pairs of rings with a link, made and removed for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.links.harness import Pair, ring_directory


@pytest.fixture
def make_pair() -> Iterator[Callable[..., Pair]]:
    pairs: list[Pair] = []
    with ring_directory() as directory:

        def make(**options: Any) -> Pair:
            folder = directory / str(len(pairs))
            folder.mkdir()
            pairs.append(Pair(folder, **options))
            return pairs[-1]

        try:
            yield make
        finally:
            for pair in pairs:
                pair.close()
