"""A short turn of `python -m tests.chaos`, and whether the harness would notice."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from mimocorb_dist.functions._mimo import event_bytes, header_bytes

from mimocorb_dist.ring.layout import METADATA_DTYPE
from tests.netns.network import require_namespaces

from .books import Book, book
from .faults import KINDS, plan, possible
from .functions import check_of
from .harness import run
from .report import report

EVENT = np.dtype([("number", "i8"), ("check", "i8"), ("half", "f8")])


@pytest.mark.netns
@pytest.mark.timeout(300)
def test_faults_of_all_sorts_lose_double_and_reorder_nothing(tmp_path: Path) -> None:
    require_namespaces()
    verdict = run(plan(14, 1, possible(tuple(KINDS))), tmp_path / "lab", sys.stdout)
    assert verdict.clean, report(verdict)


def test_the_same_seed_gives_the_same_faults() -> None:
    assert plan(200, 5, tuple(KINDS)) == plan(200, 5, tuple(KINDS))
    assert plan(200, 5, tuple(KINDS)) != plan(200, 6, tuple(KINDS))
    assert {strike.kind for strike in plan(len(KINDS), 5, tuple(KINDS))} == set(KINDS)


@pytest.mark.parametrize(
    ("counters", "wrong"),
    [
        (range(10), {}),
        ([0, 1, 2, 3, 5, 6, 7, 8, 9], {"lost": 1}),
        ([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9], {"doubled": 1}),
        ([*range(10), 11], {"doubled": 1}),
        ([0, 1, 2, 4, 3, 5, 6, 7, 8, 9], {"reordered": 1}),
        ([0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 8, 9], {"doubled": 2, "reordered": 1}),
    ],
)
def test_books_find_what_is_lost_doubled_and_out_of_order(
    tmp_path: Path, counters: list[int], wrong: dict[str, int]
) -> None:
    assert _book(tmp_path, np.array(counters)) == Book(
        "save", 10, len(counters), **{"lost": 0, "doubled": 0, "torn": 0, "reordered": 0} | wrong
    )


def test_books_find_what_is_torn(tmp_path: Path) -> None:
    assert _book(tmp_path, np.arange(10), torn=3).torn == 1


def _book(folder: Path, counters: np.ndarray, torn: int | None = None) -> Book:
    events, metadata = np.zeros((len(counters), 1), EVENT), np.zeros(len(counters), METADATA_DTYPE)
    metadata["counter"] = events["number"][:, 0] = counters
    events["check"], events["half"] = check_of(events["number"]), 0.5 * events["number"]
    if torn is not None:
        events["half"][torn] = 0.0
    path = folder / "events.mimo"
    path.write_bytes(header_bytes(EVENT, 1) + event_bytes(metadata, events))
    return book("save", [path], np.arange(10), None, True)
