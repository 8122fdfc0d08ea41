"""When a commit begins: early enough that the disk is not waited for, late enough that syncs are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.ring import BufferReader, BufferWriter
from mimocorb_dist.workers.commits import Commits
from tests.ring.rings import make_ring, put

if TYPE_CHECKING:
    from pathlib import Path

SLOTS, SHARE = 128, 96


@pytest.mark.parametrize(
    ("sync_s", "first_at"),
    [
        (0.0, SHARE),  # a disk that takes no time: as few commits as can be
        (0.010, 86),  # 10 events come meanwhile
        (0.060, 48),  # half of the room is synced while the other half fills
        (0.200, SHARE),  # it would have to be waited for anyhow: then for all
    ],
)
def test_a_commit_begins_when_the_rest_of_the_room_lasts_for_a_sync(
    tmp_path: Path, sync_s: float, first_at: int
) -> None:
    ring = make_ring(tmp_path, SLOTS)
    writer = BufferWriter(ring)
    for counter in range(SLOTS):
        put(writer, counter)
    commits = Commits(BufferReader(ring), "save.0", tmp_path)
    commits._sync_s = sync_s
    holding = commits._holding
    while not commits._is_time(held_s=holding.held * 0.001):  # an event each ms
        assert holding.take_one(0) is not None
        holding.done()
    assert holding.held == first_at
    holding.give_back()
    writer.close()
    ring.unlink()
    ring.close()
