"""Observers see whole events, and nobody notices them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter, Ring, connect
from mimocorb_dist.ring.runtime import RuntimeDirectory
from tests.ring.rings import checked_counter, fill, make_ring, put, read_available
from tests.support import eventually, let_pass

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost


def test_observer_sees_the_newest_event_once(directory: Path) -> None:
    ring = make_ring(directory)
    observer = BufferObserver(ring)
    assert observer.latest() is None
    writer = fill(ring, 3)
    with observer as (metadata, data):
        assert checked_counter(metadata, data) == 2
        assert not np.shares_memory(data, ring.all_data)
    fill(ring, 1, first=3)
    with observer as (metadata, data):
        assert checked_counter(metadata, data) == 3
    writer.close()
    with observer as (metadata, data):
        assert metadata is None and data is None
    ring.close()


def test_observer_gets_the_last_event_before_the_end(directory: Path) -> None:
    ring = make_ring(directory)
    fill(ring, 3).close()
    observer = BufferObserver(ring)
    with observer as (metadata, data):
        assert checked_counter(metadata, data) == 2
    with observer as (metadata, data):
        assert metadata is None


def test_observing_changes_neither_events_nor_their_order(directory: Path) -> None:
    ring = make_ring(directory, 2)
    writer, reader, observer = BufferWriter(ring), BufferReader(ring), BufferObserver(Ring.open(ring.path))
    read = []
    for counter in range(50):
        put(writer, counter)
        before = ring.statistics()
        observer.latest()
        after = ring.statistics()
        assert (before.written, before.read, before.filled) == (after.written, after.read, after.filled)
        read += read_available(reader)
    assert read == list(range(50))


def test_event_being_written_is_not_observed(directory: Path) -> None:
    ring = make_ring(directory, 1)
    writer, reader, observer = fill(ring, 1), BufferReader(ring), BufferObserver(ring)
    assert observer.latest() is not None
    assert read_available(reader) == [0]
    run = writer.reserve()
    assert run is not None
    run.data["value"] = -1
    assert observer.latest() is None
    writer.abandon(run)
    assert observer.latest() is None, "the slot was half written, and never published"


def test_event_stays_visible_while_its_slot_only_waits_for_the_next(directory: Path) -> None:
    ring = make_ring(directory, 1)
    writer, reader, observer = fill(ring, 1), BufferReader(ring), BufferObserver(ring)
    assert read_available(reader) == [0]
    run = writer.claim(timeout_s=0)  # as the end of a link does, and an importer that waits for its source
    assert run is not None
    assert observer.latest() is not None
    writer.begin(run)
    assert observer.latest() is None
    writer.publish(run)
    assert observer.latest() is not None


@pytest.mark.parametrize("slot_count", [1, 2, 16])
def test_observers_at_full_rate_see_no_torn_event_and_disturb_nothing(
    host: MemberHost, directory: Path, slot_count: int
) -> None:
    length, events = 1000, 8000
    ring = make_ring(directory, slot_count, length)
    np.zeros(10 * events, np.uint8).tofile(directory / "reader")
    observed = [directory / f"observer{number}" for number in range(2)]
    observers = [host.start("observe_to_the_end", str(ring.path), str(path)) for path in observed]
    ends = [
        host.start("read_to_the_end", str(ring.path), str(directory / "reader"), 1, True),
        host.start("write_some", str(ring.path), 0, events, 1, length),
    ]
    assert [host.wait(pid) for pid in ends] == [0, 0]
    assert [host.wait(pid) for pid in observers] == [0, 0], "an observer saw a torn event, or one twice"
    assert (np.fromfile(directory / "reader", np.uint8)[::10] == 1).all()
    assert ring.statistics().read == {"readers": events}
    for path in observed:
        assert int(path.read_text().split()[-1]) == 10 * (events - 1), "the last event was not observed"
    ring.close()


def test_killed_observer_leaves_no_trace(host: MemberHost, directory: Path) -> None:
    ring = make_ring(directory, 4)
    writer = BufferWriter(ring)
    path = directory / "observer"
    pid = host.start("observe_to_the_end", str(ring.path), str(path))
    put(writer, 0)
    eventually(lambda: path.exists() and path.read_text())
    host.kill(pid)
    recovery = ring.recover(pid)
    assert (recovery.redelivered, recovery.freed) == (0, 0)
    assert read_available(BufferReader(ring)) == [0]
    ring.close()


def test_observer_that_waits_costs_next_to_nothing(directory: Path) -> None:
    ring = make_ring(directory)
    observer, seen = BufferObserver(Ring.open(ring.path)), []

    def observe() -> None:
        with observer as (metadata, data):
            seen.append(checked_counter(metadata, data))

    thread = threading.Thread(target=observe)
    thread.start()
    before_s = time.process_time()
    let_pass(0.3, "the observer waits")
    assert time.process_time() - before_s < 0.1
    fill(ring, 1)
    thread.join()
    assert seen == [0]


def test_buffer_of_a_run_is_found_by_its_name() -> None:
    runtime = RuntimeDirectory.create(f"test-connect-{time.monotonic_ns()}", "daq")
    try:
        ring = make_ring(runtime.path, name="waves")
        fill(ring, 2)
        run = runtime.path.name.removeprefix("mimocorb-")
        for name in ("waves", ring.path, str(ring.path)):
            event = connect(name, run if name == "waves" else None).latest()
            assert event is not None and checked_counter(*event) == 1
        with pytest.raises(RingError, match=r"no buffer 'nothing'.*waves"):
            connect("nothing", run)
        ring.close()
    finally:
        runtime.remove()
