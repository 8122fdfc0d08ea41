"""A reader or writer that is killed at any line of the ring's code leaves a ring that works on.

A process of its own runs a scenario and kills itself with SIGKILL at line 1, 2, 3, ... of what it executes in
`mimocorb_dist/ring/`. Each time the supervisor recovers the ring, and everything must be right again. With
the marker `soak` the same is done at every bytecode instruction.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.ring import BufferReader, BufferWriter, EndOfStream, Ring, Run
from tests.ring.ledger import Ledger
from tests.ring.programs import DONE, FIRST_NEW, FORMER_PID, SEEN, STARTED, TOTAL_STEPS
from tests.ring.rings import (
    attached,
    check_table,
    claimable_slots,
    fill,
    make_ring,
    put,
    read_available,
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.ring.layout import WhenFull
    from tests.ring.members import MemberHost

pytestmark = pytest.mark.fault

GRANULARITY = ["line", pytest.param("opcode", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]


def kill_at_every_step(
    host: MemberHost,
    directory: Path,
    granularity: str,
    name: str,
    check: Callable[[Ring, Ledger, int], None],
    prepare: Callable[[Ring], object] = lambda ring: None,
    slot_count: int = 16,
    groups: tuple[str, ...] = ("readers",),
    when_full: WhenFull = "block",
    dead_before: tuple[int, ...] = (),
) -> None:
    """Run a scenario as often as it has steps, killed one step later each time, and check what is left."""
    step, steps = 0, 0
    while step <= steps:  # at step 0 it is not killed, but tells how many steps there are
        ring = make_ring(directory, slot_count, groups=groups, when_full=when_full)
        ledger = Ledger(directory / "ledger", SEEN + 2 * slot_count)
        ledger.values[:] = 0
        try:
            prepare(ring)
            pid, status = host.run(
                "scenario", name, str(ring.path), str(directory / "ledger"), step, granularity
            )
            if step == 0:
                assert status == 0
                steps = ledger[TOTAL_STEPS]
                assert steps > 10
            elif status != -signal.SIGKILL:  # it took a shorter way this time
                assert status == 0 and step > 0.8 * steps
            for other in dead_before:
                ring.recover(other)
            recovery = ring.recover(pid)
            check_table(ring)
            check_everybody_wakes(ring)
            check(ring, ledger, recovery.redelivered)
        except BaseException as error:
            error.add_note(f"killed at {granularity} {step} of {steps} of {name!r}")
            raise
        finally:
            ring.unlink()
            ring.close()
        step += 1


def check_everybody_wakes(ring: Ring) -> None:
    """Check that whoever could go on would not sleep: a process that waits polls its queue."""
    for group, queue, columns in zip(ring.spec.groups, ring.ready, ring.table.groups, strict=True):
        if ring.ended or (columns.all_taken < ring.table.all_written).any():
            assert readable(queue), f"readers of {group} would sleep"
    if len(ring.table.free_tokens()):
        assert readable(ring.free), "writers would sleep"


def check_written(ring: Ring, ledger: Ledger, redelivered: int) -> None:
    """All events that were surely published are there in order, and at most those in hand besides."""
    assert redelivered == 0
    written = ring.statistics().written
    assert ledger[DONE] <= written <= ledger[STARTED]
    successor = BufferWriter(ring)
    put(successor, written)
    for group in ring.spec.groups:
        assert read_available(BufferReader(ring, group), 5) == list(range(written + 1))
    assert ring.statistics().read == dict.fromkeys(ring.spec.groups, written + 1)
    assert ring.statistics().filled == 0
    successor.close()
    assert_all_slots_claimable(ring)


def check_read(ring: Ring, ledger: Ledger, redelivered: int, count: int = 10) -> None:
    """All events were seen by the dead reader or are delivered again, in order; none was freed unread."""
    remaining = read_available(BufferReader(ring, ring.spec.groups[0]), 3)
    assert remaining == sorted(set(remaining)), "delivered again in another order, or twice"
    seen = ledger.values[SEEN : SEEN + count]
    doubled = [counter for counter in remaining if seen[counter]]
    for counter in range(count):
        assert seen[counter] or counter in remaining, f"event {counter} is lost"
    assert seen.max() <= 1
    assert len(doubled) <= redelivered
    assert len(doubled) <= ledger[STARTED] - ledger[DONE]
    for group in ring.spec.groups[1:]:
        assert read_available(BufferReader(ring, group)) == list(range(count))
    assert ring.statistics().read == dict.fromkeys(ring.spec.groups, count)
    assert ring.statistics().written == count
    assert_all_slots_claimable(ring)


def assert_all_slots_claimable(ring: Ring) -> None:
    assert ring.statistics().filled == 0
    assert claimable_slots(ring) == ring.slot_count


@pytest.mark.parametrize("granularity", GRANULARITY)
@pytest.mark.parametrize(
    "name", ["put", "copy", "write in blocks", "write batches", "write arrays", "abandon"]
)
def test_killed_writer_leaves_only_whole_events(
    host: MemberHost, directory: Path, name: str, granularity: str
) -> None:
    kill_at_every_step(host, directory, granularity, name, check_written)


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_of_many_slots_leaves_only_whole_events(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    kill_at_every_step(host, directory, granularity, "write large batches", check_written, slot_count=500)


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_serves_every_group_of_readers(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    for groups in ((), ("one", "two")):
        kill_at_every_step(host, directory, granularity, "put", check_written, groups=groups)


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_of_a_full_ring_without_readers(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    """Every slot is written anew while the writer lives."""
    kill_at_every_step(host, directory, granularity, "put", check_written, groups=(), slot_count=2)


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_does_not_change_the_limit_of_events(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        written = ring.statistics().written
        assert ledger[DONE] <= written <= ledger[STARTED]
        successor = BufferWriter(ring)
        while put(successor, written):
            written += 1
        assert written == 4
        assert read_available(BufferReader(ring)) == list(range(4))

    kill_at_every_step(host, directory, granularity, "put", check, prepare=lambda ring: ring.limit_events(4))


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_of_a_paused_ring(host: MemberHost, directory: Path, granularity: str) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        statistics = ring.statistics()
        assert statistics.written == 0
        assert ledger[DONE] <= statistics.discarded_while_paused <= ledger[STARTED]
        assert_all_slots_claimable(ring)

    kill_at_every_step(host, directory, granularity, "put", check, prepare=lambda ring: ring.pause())


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_writer_killed_while_it_closes_does_not_hold_up_the_end_of_the_stream(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        if not ring.ended:
            ring.writer_gone()
        check_everybody_wakes(ring)
        reader = BufferReader(ring)
        assert read_available(reader) == list(range(ring.statistics().written))
        with pytest.raises(EndOfStream):
            reader.take(timeout_s=0)
        assert ring.drained

    for name in ("close", "put and close"):
        kill_at_every_step(host, directory, granularity, name, check)


@pytest.mark.parametrize("granularity", GRANULARITY)
@pytest.mark.parametrize(
    "name", ["read", "read and close", "read batches", "read and fail", "take and release", "take and close"]
)
def test_what_a_killed_reader_had_is_delivered_again(
    host: MemberHost, directory: Path, name: str, granularity: str
) -> None:
    kill_at_every_step(host, directory, granularity, name, check_read, prepare=lambda ring: fill(ring, 10))


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_what_a_killed_reader_of_many_slots_had_is_delivered_again(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        check_read(ring, ledger, redelivered, count=450)

    kill_at_every_step(
        host,
        directory,
        granularity,
        "read large batches",
        check,
        prepare=lambda ring: fill(ring, 450),
        slot_count=500,
    )


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_what_a_process_had_that_set_right_another_ones_death_and_was_killed_itself(
    host: MemberHost, directory: Path, granularity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave_things_in_hand(ring: Ring) -> None:
        fill(ring, 10)
        monkeypatch.setattr("os.getpid", lambda: FORMER_PID)
        BufferReader(ring).take(3)
        BufferWriter(ring).reserve(2)
        monkeypatch.undo()

    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        assert read_available(BufferReader(ring)) == list(range(10))
        assert_all_slots_claimable(ring)

    kill_at_every_step(
        host,
        directory,
        granularity,
        "recover",
        check,
        leave_things_in_hand,
        dead_before=(FORMER_PID,),
    )


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_reader_does_not_change_what_other_groups_get(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def fill_and_read_some(ring: Ring) -> None:
        fill(ring, 10)
        with attached(ring) as other:
            reader = BufferReader(other, "two")
            run = reader.take(3)
            assert run is not None
            reader.release(run)
            reader.close()

    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        remaining = read_available(BufferReader(ring, "one"))
        seen = ledger.values[SEEN : SEEN + 10]
        assert all(seen[counter] or counter in remaining for counter in range(10))
        assert read_available(BufferReader(ring, "two")) == list(range(3, 10))
        assert ring.statistics().read == {"one": 10, "two": 10}
        assert_all_slots_claimable(ring)

    kill_at_every_step(
        host, directory, granularity, "read", check, prepare=fill_and_read_some, groups=("one", "two")
    )


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_reader_killed_at_the_end_of_the_stream_leaves_the_end_to_others(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        check_read(ring, ledger, redelivered, count=3)
        assert ring.drained
        check_everybody_wakes(ring)

    kill_at_every_step(
        host,
        directory,
        granularity,
        "read to the end",
        check,
        prepare=lambda ring: fill(ring, 3).close(),
    )


FULL = 16


@pytest.mark.parametrize("granularity", GRANULARITY)
def test_killed_writer_that_drops_new_events_has_counted_them(
    host: MemberHost, directory: Path, granularity: str
) -> None:
    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        statistics = ring.statistics()
        assert ledger[DONE] <= statistics.refused <= ledger[STARTED]
        assert statistics.written == FULL
        assert read_available(BufferReader(ring)) == list(range(FULL))
        assert ring.statistics().given_up == {"readers": 0}
        assert_all_slots_claimable(ring)

    prepare = lambda ring: fill(ring, FULL)  # noqa: E731
    kill_at_every_step(
        host, directory, granularity, "put new ones", check, prepare, FULL, when_full="drop_new"
    )


@pytest.mark.parametrize("granularity", GRANULARITY)
@pytest.mark.parametrize("name", ["put new ones", "write new ones"])
def test_what_a_killed_writer_gave_up_is_counted_once_and_was_the_oldest(
    host: MemberHost, directory: Path, name: str, granularity: str
) -> None:
    """Of 16 events `one` holds two, and `two` has read three: in their order 0 and 1 cannot be given up."""
    reading: list[tuple[BufferReader, Run]] = []

    def fill_and_read_some(ring: Ring) -> None:
        fill(ring, FULL)
        reading.clear()
        for group, count in (("one", 2), ("two", 3)):
            reader = BufferReader(ring, group)
            run = reader.take(count)
            assert run is not None
            reading.append((reader, run))
        reader.release(run)

    def check(ring: Ring, ledger: Ledger, redelivered: int) -> None:
        assert redelivered == 0
        statistics = ring.statistics()
        new = statistics.written - FULL
        assert ledger[DONE] <= new <= ledger[STARTED]
        assert statistics.refused == 0
        assert statistics.filled == FULL - (len(ring.table.free_tokens()))
        reader, run = reading[0]
        reader.release(run)
        written = [*range(FULL), *range(FIRST_NEW, FIRST_NEW + new)]
        for group, done in (("one", 2), ("two", 3)):
            missing = statistics.given_up[group]
            at_once = 1 if name == "put new ones" else 8
            already = max(0, done - 2)  # event 2 is read by `two`, and given up for `one`
            assert 0 <= missing + already - new <= at_once
            assert read_available(BufferReader(ring, group)) == written[done + missing :]
        assert ring.statistics().read == {
            group: len(written) - missing for group, missing in statistics.given_up.items()
        }
        assert ring.statistics().given_up == statistics.given_up
        assert_all_slots_claimable(ring)

    kill_at_every_step(
        host,
        directory,
        granularity,
        name,
        check,
        fill_and_read_some,
        FULL,
        groups=("one", "two"),
        when_full="drop_old",
    )
