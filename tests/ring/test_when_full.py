"""Writers of a full ring that do not wait: what they drop, and what they give up in favour of new events."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import METADATA_DTYPE, BufferReader, BufferSpec, BufferWriter, Ring, Run
from mimocorb_dist.ring.interface import Pace
from tests.ring.ledger import Ledger
from tests.ring.programs import NEXT, STOP
from tests.ring.rings import (
    FIELD,
    check_table,
    claimable_slots,
    fill,
    make_ring,
    payload,
    put,
    read_available,
    readable,
)
from tests.support import eventually, let_pass

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.ring.layout import WhenFull
    from tests.ring.members import MemberHost

POLICIES: tuple[WhenFull, ...] = ("drop_new", "drop_old")


def arrays(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    counters = range(first, first + count)
    metadata = np.array([(k, k * 0.5, k * 0.25) for k in counters], METADATA_DTYPE)
    return np.stack([payload(k) for k in counters]), metadata


def hold(reader: BufferReader, count: int) -> list[Run]:
    """Take so many events."""
    runs: list[Run] = []
    while count:
        run = reader.take(count, timeout_s=0)
        assert run is not None
        runs.append(run)
        count -= run.count
    return runs


def write_in_each_way(writer: BufferWriter, first: int) -> int:
    """Write events in all ways that there are; return how many."""
    data, metadata = arrays(first, 10)
    assert put(writer, first)
    assert writer.copy(metadata[1:2], data[1])
    with writer as (head, row):
        head[:], row[:] = metadata[2:3], data[2]
    assert writer.write(data[3:5], metadata[3:5]) == 2
    assert writer.write(data, metadata, np.array([5, 6])) == 2
    with writer.batch(2) as (heads, rows):
        assert len(rows) == 2
        heads[:], rows[:] = metadata[7:9], data[7:9]
    assert writer.wait()
    assert put(writer, first + 9)
    return 10


def test_drop_new_keeps_what_is_there_however_it_is_written(directory: Path) -> None:
    ring = make_ring(directory, 16, when_full="drop_new")
    writer = fill(ring, 16)
    assert write_in_each_way(writer, 100) == 10
    statistics = ring.statistics()
    assert (statistics.written, statistics.refused, statistics.max_fill) == (16, 10, 1.0)
    assert read_available(BufferReader(ring)) == list(range(16))
    assert put(writer, 200), "there is room again"
    assert read_available(BufferReader(ring)) == [200]
    writer.close()
    assert ring.statistics().refused == 10
    ring.close()


@pytest.mark.parametrize("when_full", POLICIES)
def test_a_slot_is_free_as_soon_as_it_is_released(directory: Path, when_full: WhenFull) -> None:
    """A reader that took several events tells writers only when it has done the last."""
    ring = make_ring(directory, 16, when_full=when_full)
    writer, reader = fill(ring, 16), BufferReader(ring)
    with mock.patch.object(Pace, "next", return_value=4), reader:
        pass
    assert not readable(ring.free)
    assert put(writer, 16)
    statistics = ring.statistics()
    assert (statistics.written, statistics.refused, statistics.given_up["readers"]) == (17, 0, 0)
    reader.close()
    assert read_available(BufferReader(ring)) == list(range(1, 17))
    assert claimable_slots(ring) == 16
    ring.close()


def test_drop_old_keeps_the_newest_however_it_is_written(directory: Path) -> None:
    ring = make_ring(directory, 16, when_full="drop_old")
    writer = fill(ring, 16)
    assert write_in_each_way(writer, 100) == 10
    statistics = ring.statistics()
    assert (statistics.written, statistics.refused) == (26, 0)
    assert statistics.given_up == {"readers": 10}
    assert statistics.undelivered == {"readers": 16}
    assert read_available(BufferReader(ring)) == [*range(10, 16), *range(100, 110)]
    statistics = ring.statistics()
    assert statistics.written == statistics.read["readers"] + statistics.given_up["readers"]
    writer.close()
    ring.close()


@pytest.mark.parametrize("when_full", POLICIES)
def test_blocks_that_fail_and_slots_that_are_left_count_nothing(directory: Path, when_full: WhenFull) -> None:
    ring = make_ring(directory, 2, when_full=when_full)
    writer, reader = fill(ring, 2), BufferReader(ring)
    held = hold(reader, 2)  # now there is nothing to be given up either
    with contextlib.suppress(LookupError), writer as (_, data):
        data["value"] = -1
        raise LookupError
    with contextlib.suppress(LookupError), writer.batch() as (_, rows):
        rows["value"] = -1
        raise LookupError
    assert writer.reserve(2) is None
    assert ring.statistics().refused == 0
    assert [int(run.data["value"][0, 0]) for run in held] == [0, 1_000_003]
    ring.close()


def test_drop_old_drops_the_new_event_if_all_others_are_being_read_or_written(directory: Path) -> None:
    ring = make_ring(directory, 3, when_full="drop_old")
    writer, reader, other = fill(ring, 3), BufferReader(ring), BufferWriter(ring)
    held = hold(reader, 2)
    assert other.reserve(1) is not None  # that of event 2, which is given up for it
    assert put(writer, 3)
    statistics = ring.statistics()
    assert (statistics.written, statistics.refused, statistics.given_up["readers"]) == (3, 1, 1)
    for run in held:
        reader.release(run)
    assert put(writer, 4)
    assert read_available(BufferReader(ring)) == [4]
    ring.close()


def test_under_broadcast_an_event_is_given_up_for_those_who_have_it_still_to_come(directory: Path) -> None:
    """`fast` has read two events and reads a third; `slow` has none, and misses the first two and the 4th."""
    ring = make_ring(directory, 4, groups=("fast", "slow"), when_full="drop_old")
    writer, fast, slow = fill(ring, 4), BufferReader(ring, "fast"), BufferReader(ring, "slow")
    for run in hold(fast, 2):
        fast.release(run)
    (held,) = hold(fast, 1)
    for counter in (4, 5, 6):
        assert put(writer, counter)
    assert ring.statistics().given_up == {"fast": 1, "slow": 3}
    fast.release(held)
    assert read_available(slow) == [2, 4, 5, 6]
    assert read_available(fast) == [4, 5, 6]
    statistics = ring.statistics()
    assert statistics.written == 7
    assert statistics.read == {"fast": 6, "slow": 4}
    assert claimable_slots(ring) == 4
    ring.close()


@pytest.mark.parametrize("groups", [("one",), ("one", "two")])
def test_without_readers_any_number_of_events_is_given_up(directory: Path, groups: tuple[str, ...]) -> None:
    """The queue of a group holds far fewer tokens."""
    ring = make_ring(directory, 2, groups=groups, when_full="drop_old")
    writer = BufferWriter(ring)
    for counter in range(10_000):
        assert put(writer, counter)
    assert ring.statistics().given_up == dict.fromkeys(groups, 9_998)
    for group in groups:
        assert read_available(BufferReader(ring, group)) == [9_998, 9_999]
    ring.close()


@pytest.mark.parametrize("when_full", POLICIES)
def test_the_event_limit_of_a_run_counts_what_is_written(directory: Path, when_full: WhenFull) -> None:
    ring = make_ring(directory, 4, when_full=when_full)
    ring.limit_events(6)
    writer = BufferWriter(ring)
    for counter in range(6):
        assert put(writer, counter)
    if when_full == "drop_new":
        assert read_available(BufferReader(ring)) == [0, 1, 2, 3]
        assert put(writer, 6)
        assert put(writer, 7)
    assert not put(writer, 8)
    assert not writer.wait()
    with pytest.raises(RingError, match="event limit"), writer:
        pass
    with writer.batch() as (metadata, _):
        assert len(metadata) == 0
    assert writer.write(*arrays(10, 2)) == 0
    statistics = ring.statistics()
    assert statistics.written == 6
    assert statistics.refused == (2 if when_full == "drop_new" else 0)
    assert statistics.given_up["readers"] == (0 if when_full == "drop_new" else 2)
    ring.close()


def test_in_a_pause_events_that_find_no_slot_count_as_discarded(directory: Path) -> None:
    ring = make_ring(directory, 2, when_full="drop_new")
    writer = fill(ring, 2)
    ring.pause()
    assert put(writer, 2)
    ring.resume()
    assert put(writer, 3)
    statistics = ring.statistics()
    assert (statistics.discarded_while_paused, statistics.refused) == (1, 1)
    ring.close()


def test_in_a_pause_nothing_is_given_up_for_what_is_to_be_discarded(directory: Path) -> None:
    ring = make_ring(directory, 16, when_full="drop_old")
    writer = fill(ring, 16)
    ring.pause()
    assert write_in_each_way(writer, 100) == 10
    ring.resume()
    statistics = ring.statistics()
    assert (statistics.discarded_while_paused, statistics.refused) == (10, 0)
    assert read_available(BufferReader(ring)) == list(range(16))
    ring.close()


@pytest.mark.parametrize("when_full", POLICIES)
def test_writers_that_are_held_wait_though_the_ring_is_full(directory: Path, when_full: WhenFull) -> None:
    ring = make_ring(directory, 2, when_full=when_full)
    writer = fill(ring, 2)
    ring.pause(hold=True)
    thread = threading.Thread(target=lambda: put(writer, 2))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert (ring.statistics().written, ring.statistics().refused) == (2, 0)
    ring.resume()
    thread.join(20)
    newest = when_full == "drop_old"
    assert ring.statistics().refused == (not newest)
    assert read_available(BufferReader(ring)) == ([1, 2] if newest else [0, 1])
    ring.close()


@pytest.mark.parametrize("when_full", POLICIES)
def test_a_source_never_waits_and_has_no_dead_time(directory: Path, when_full: WhenFull) -> None:
    ring = make_ring(directory, 2, when_full=when_full)
    writer, reader = fill(ring, 2), BufferReader(ring)
    writer.add_dead_time(0.0, 0.0)
    assert hold(reader, 2)
    begin_s = time.monotonic()
    for counter in range(100):
        assert writer.wait()
        assert put(writer, counter)
    assert time.monotonic() - begin_s < 5.0
    statistics = ring.statistics()
    assert (statistics.refused, statistics.dead_time_s) == (100, 0.0)
    ring.close()


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(RingError, match="choose one of block, drop_new, drop_old"):
        BufferSpec("raw", 4, 1, FIELD, when_full="drop")  # type: ignore[arg-type]


def test_the_policy_is_known_to_all_who_attach(directory: Path) -> None:
    ring = make_ring(directory, when_full="drop_old")
    assert Ring.open(ring.path).spec.when_full == "drop_old"
    ring.close()


@pytest.mark.fault
@pytest.mark.parametrize(("when_full", "groups"), [("drop_new", ("one",)), ("drop_old", ("one", "two"))])
def test_kills_at_random_moments_of_a_ring_that_is_always_full(
    host: MemberHost, directory: Path, when_full: WhenFull, groups: tuple[str, ...]
) -> None:
    """Two writers at full rate; all that is missing is counted, and what comes is in order."""
    ring = make_ring(directory, 8, 512, groups=groups, writers=2, when_full=when_full)
    try:
        draw = np.random.default_rng(1)
        pids: dict[str, int] = {}

        def start(name: str) -> None:
            kind, _, which = name.partition(" ")
            batch = int(draw.choice([1, 3]))
            if kind == "writer":
                Ledger(directory / name, 3)
                pids[name] = host.start(
                    "write_for_ever", str(ring.path), str(directory / name), int(which), batch, 512
                )
            else:
                pids[name] = host.start(
                    "read_to_the_end", str(ring.path), str(directory / which), batch, False, which
                )

        for group in groups:
            np.zeros(1 << 22, np.uint8).tofile(directory / group)
            start(f"reader {group}")
        for number in range(2):
            start(f"writer {number}")
        redelivered = 0
        for _ in range(20):
            written = ring.statistics().written
            eventually(lambda written=written: ring.statistics().written > written, what="events flow")
            let_pass(draw.uniform(0, 0.01), "deaths come at random moments")
            name = str(draw.choice(sorted(pids)))
            host.kill(pids[name])
            redelivered += ring.recover(pids[name]).redelivered
            start(name)
        for number in range(2):
            Ledger(directory / f"writer {number}")[STOP] = 1
        for name, pid in pids.items():
            assert host.wait(pid) == 0, name
        statistics = ring.statistics()
        begun = sum(Ledger(directory / f"writer {number}")[NEXT] for number in range(2))
        # A killed writer began one batch at most that is neither written nor counted.
        assert 0 <= begun - statistics.written - statistics.refused <= 3 * 20
        assert statistics.refused > 0 or when_full == "drop_old"
        for group in groups:
            seen = np.fromfile(directory / group, np.uint8)
            assert statistics.written == statistics.read[group] + statistics.given_up[group]
            assert np.count_nonzero(seen) == statistics.read[group]
            assert seen.sum() - np.count_nonzero(seen) <= redelivered
            assert (statistics.given_up[group] > 0) == (when_full == "drop_old")
        assert ring.drained
        check_table(ring)
        assert claimable_slots(ring) == 8
    finally:
        ring.unlink()
        ring.close()
