"""A worker that is killed between publishing and releasing, at any line, has handed on each event once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mimocorb_dist.ring import BufferReader, Ring, hand_path, settle
from tests.ring.ledger import Ledger
from tests.ring.members import MemberHost
from tests.ring.programs import SEEN, TOTAL_STEPS, hand_on, hand_on_batches, hand_on_parts
from tests.ring.rings import check_table, fill, make_ring, read_available

pytestmark = pytest.mark.fault

EVENTS, SLOTS, WRITERS = 10, 16, 4
GRANULARITY = ["line", pytest.param("opcode", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
WAYS: dict[str, Callable[..., None]] = {
    "hand on": hand_on,
    "hand on batches": hand_on_batches,
    "hand on parts": hand_on_parts,
}


def recover(source: Ring, sinks: list[Ring], pid: int) -> None:
    """Put right what a dead process has left, as its node does."""
    settle(hand_path(source.path, "worker", 0), source, "readers", sinks, pid)
    for ring in (source, *sinks):
        ring.recover(pid)
        check_table(ring)


@pytest.mark.parametrize("granularity", GRANULARITY)
@pytest.mark.parametrize(
    ("way", "sinks"), [("hand on", 1), ("hand on", 2), ("hand on batches", 1), ("hand on parts", 2)]
)
def test_each_event_is_handed_on_once(
    host: MemberHost, directory: Path, way: str, sinks: int, granularity: str
) -> None:
    step, steps, settled = 0, 0, 0
    while step <= steps:  # at step 0 it is not killed, but tells how many steps there are
        source = make_ring(directory, SLOTS)
        targets = [make_ring(directory, SLOTS, name=f"sink{k}", writers=WRITERS) for k in range(sinks)]
        ledger = Ledger(directory / "ledger", SEEN)
        ledger.values[:] = 0
        fill(source, EVENTS)
        try:
            pid, status = host.run(
                "scenario", way, str(source.path), str(directory / "ledger"), step, granularity
            )
            if step == 0:
                assert status == 0
                steps = ledger[TOTAL_STEPS]
                assert steps > 10
            elif status != -signal.SIGKILL:  # it took a shorter way this time
                assert status == 0 and step > 0.8 * steps
            path = hand_path(source.path, "worker", 0)
            settled += settle(path, source, "readers", targets, pid) > 0
            recover(source, targets, pid)
            WAYS[way](source, None, EVENTS)
            assert read_available(BufferReader(targets[0])) == list(range(EVENTS))
            if sinks == 2:
                assert read_available(BufferReader(targets[1])) == list(range(0, EVENTS, 2))
            assert source.statistics().read == {"readers": EVENTS}
            assert source.statistics().filled == 0
        except BaseException as error:
            error.add_note(f"killed at {granularity} {step} of {steps} of {way!r}")
            raise
        finally:
            for ring in (source, *targets):
                ring.unlink()
                ring.close()
        step += 1
    assert settled > 0


def test_notes_of_one_that_lives_on_mean_nothing(directory: Path) -> None:
    """Tokens of events that were released long ago are no one's."""
    source, sink = make_ring(directory, SLOTS), make_ring(directory, SLOTS, name="sink0", writers=WRITERS)
    fill(source, EVENTS)
    hand_on(source, None, EVENTS)
    recover(source, [sink], 0)
    assert read_available(BufferReader(sink)) == list(range(EVENTS))
    fill(source, EVENTS, first=EVENTS)
    recover(source, [sink], 0)
    hand_on_batches(source, None, EVENTS)
    assert read_available(BufferReader(sink)) == list(range(EVENTS, 2 * EVENTS))
    for ring in (source, sink):
        ring.unlink()
        ring.close()
