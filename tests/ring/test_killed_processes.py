"""Readers and writers that are killed at random moments while events flow at full rate.

The test is the supervisor: after each death it recovers the ring and starts a successor. Events are
numbered and their content follows from the number; each reader notes an event before it releases it.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.ring import BufferReader, Ring, Role, Run, Traces
from tests.ring.ledger import Ledger
from tests.ring.programs import NEXT, STOP, SURE
from tests.ring.rings import check_table, claimable_slots, fill, make_ring
from tests.support import eventually, let_pass

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost

DATA_LENGTH = 512  # 4 kB
MOST_EVENTS = 1 << 24


@dataclass
class Supervisor:
    """Keeps readers and writers of a ring going, and keeps account of those it kills."""

    host: MemberHost
    directory: Path
    ring: Ring
    draw: random.Random
    writers: int
    readers: int
    pids: dict[str, int] = field(default_factory=dict)
    in_hand: set[int] = field(default_factory=set)  # what killed writers had begun: published, or gone
    redelivered: int = 0

    def start_all(self) -> None:
        for number in range(self.writers):
            Ledger(self.directory / f"writer{number}", 3)
        for number in range(self.readers):
            np.zeros(MOST_EVENTS, np.uint8).tofile(self.directory / f"reader{number}")
        for name in (
            *(f"writer{n}" for n in range(self.writers)),
            *(f"reader{n}" for n in range(self.readers)),
        ):
            self.start(name)

    def start(self, name: str) -> None:
        path, own, batch = str(self.ring.path), str(self.directory / name), self.draw.choice([1, 1, 5, 200])
        if name.startswith("writer"):
            pid = self.host.start("write_for_ever", path, own, int(name[6:]), batch, DATA_LENGTH)
        else:
            pid = self.host.start("read_to_the_end", path, own, batch, self.readers == 1)
        self.pids[name] = pid

    def kill(self, name: str) -> None:
        pid = self.pids.pop(name)
        self.host.kill(pid)
        if name.startswith("writer"):
            ledger, number = Ledger(self.directory / name), int(name[6:])
            self.in_hand.update(10 * k + number for k in range(ledger[SURE], ledger[NEXT]))
            ledger[SURE] = ledger[NEXT]
        self.redelivered += self.ring.recover(pid).redelivered
        self.start(name)

    def end(self) -> np.ndarray:
        """Let all end in order; return how often each event was seen."""
        for number in range(self.writers):
            Ledger(self.directory / f"writer{number}")[STOP] = 1
        for name, pid in self.pids.items():
            assert self.host.wait(pid) == 0, name
        seen = [np.fromfile(self.directory / f"reader{n}", np.uint8) for n in range(self.readers)]
        return np.sum(seen, axis=0, dtype=int)

    def begun(self) -> list[int]:
        """Return the numbers of all events that were begun."""
        return [
            10 * k + number
            for number in range(self.writers)
            for k in range(Ledger(self.directory / f"writer{number}")[NEXT])
        ]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("writers", "readers", "slot_count", "kills"), [(1, 1, 64, 100), (2, 2, 64, 200), (1, 2, 3, 50)]
)
def test_kills_at_random_moments_lose_double_and_tear_nothing(
    host: MemberHost, directory: Path, writers: int, readers: int, slot_count: int, kills: int
) -> None:
    ring = make_ring(directory, slot_count, DATA_LENGTH, writers=writers)
    supervisor = Supervisor(host, directory, ring, random.Random(kills), writers, readers)
    try:
        supervisor.start_all()
        for _ in range(kills):
            written = ring.statistics().written
            eventually(lambda written=written: ring.statistics().written > written, what="events flow")
            let_pass(supervisor.draw.uniform(0, 0.01), "the moment of death is random")
            supervisor.kill(supervisor.draw.choice(list(supervisor.pids)))
            statistics = ring.statistics()
            assert statistics.read["readers"] <= statistics.written
        seen = supervisor.end()

        begun = np.array(supervisor.begun())
        missing = {int(counter) for counter in begun[seen[begun] == 0]}
        assert missing <= supervisor.in_hand, "events are lost"
        assert np.count_nonzero(seen) == len(begun) - len(missing), "events that nobody wrote"
        assert (seen[begun] - 1).clip(0).sum() <= supervisor.redelivered, "events are doubled"

        statistics = ring.statistics()
        assert statistics.written == statistics.read["readers"] == np.count_nonzero(seen)
        assert statistics.redelivered == supervisor.redelivered
        assert statistics.filled == 0
        assert ring.drained
        check_table(ring)
        assert claimable_slots(ring) == slot_count
    finally:
        ring.unlink()
        ring.close()


def test_the_ring_tells_what_a_dead_process_has_done_and_not_what_one_before_it_has(tmp_path: Path) -> None:
    ring = make_ring(tmp_path, 8)
    writer = fill(ring, 6)
    assert ring.traces_of(os.getpid(), Role.WRITER) == Traces(done=6)
    for released in (2, 0):
        reader = BufferReader(ring)  # in the same row as the one before it
        for _ in range(released):
            run = reader.take(1, 0)
            assert isinstance(run, Run)
            reader.release(run)
        reader.take(3, 0)
        traces = ring.traces_of(os.getpid(), Role.READER)
        assert (traces.done, traces.in_hand > 0) == (released, True)
        ring.table.give_back_taken(ring.table.groups[0], reader._member)
        ring.line_up(0)
        ring.leave(reader._member)
    writer.close()
    ring.unlink()
    ring.close()


def test_queues_that_nobody_held_have_room_for_all_slots_again(tmp_path):
    """The kernel forgets how long a FIFO was, with all that was in it, when its last holder has died."""
    ring = make_ring(tmp_path, slot_count=20_000)
    path = ring.path
    writer = fill(ring, 100)
    writer.close()
    ring.close()
    found = Ring.open(path)
    found.recover(-1)
    assert len(found.table.free_tokens()) == 20_000 - 100
    found.unlink()
    found.close()
