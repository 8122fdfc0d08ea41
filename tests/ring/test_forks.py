"""User programs that fork: the child's readers and writers are members of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimocorb_dist.ring import BufferReader
from tests.ring.rings import check_table, fill, make_ring, read_available

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost


def test_forked_reader_does_not_read_what_its_parent_has(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 256)
    fill(ring, 200).close()
    np.zeros(200, np.uint8).tofile(directory / "seen")
    assert host.wait(host.start("read_and_fork", str(ring.path), str(directory / "seen"))) == 0
    assert (np.fromfile(directory / "seen", np.uint8) == 1).all()
    assert ring.drained
    check_table(ring)
    ring.close()


def test_forked_writer_does_not_write_where_its_parent_writes(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 256, writers=2)
    assert host.wait(host.start("write_and_fork", str(ring.path))) == 0
    counters = read_available(BufferReader(ring))
    assert sorted(counters) == [*range(50), *range(100, 150)]
    assert ring.drained
    check_table(ring)
    ring.close()


def test_end_of_a_forked_child_does_not_end_its_parents_stream(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, writers=1)
    assert host.wait(host.start("fork_and_close_in_the_child", str(ring.path))) == 0
    statistics = ring.statistics()
    assert statistics.written == 2
    ring.close()


def test_members_that_join_at_once_are_all_counted(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 64, writers=40)
    assert host.wait(host.start("fork_many_writers", str(ring.path), 40)) == 0
    assert ring.ended
    assert ring.statistics().written == 40
    ring.close()
