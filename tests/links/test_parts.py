"""The parts of a link without I/O: ranges, leases, window, pace, messages, jobs."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import SetupError, WireError
from mimocorb_dist.links import messages
from mimocorb_dist.links.job import LinkJob
from mimocorb_dist.links.leases import LeaseTable, from_ranges, to_ranges
from mimocorb_dist.links.messages import (
    Bye,
    Done,
    End,
    Frame,
    Hello,
    LinkMessage,
    Look,
    Refuse,
    Released,
    Terms,
    Welcome,
)
from mimocorb_dist.links.pace import LONGEST_PAUSE_S, Pace
from mimocorb_dist.links.window import FAIR_TIME_S, Window
from mimocorb_dist.wire import messages as wire

TERMS = Terms("run", "raw@a->b", "<f4", 10, 40, "little")

# Ranges and leases.


@given(st.sets(st.integers(0, 200)), st.randoms())
def test_sequence_numbers_survive_as_ranges(numbers: set[int], random: object) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ranges = to_ranges(np.array(shuffled, dtype=np.int64))
    assert from_ranges(ranges).tolist() == sorted(numbers)
    ends = ranges[:, 0] + ranges[:, 1]
    assert (ranges[1:, 0] > ends[:-1]).all(), "as few as possible"


@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 60)), st.integers(0, 9)), max_size=40),
)
def test_leases_are_a_map_from_sequence_numbers_to_slots(
    capacity: int, steps: list[tuple[bool, set[int], int]]
) -> None:
    table = LeaseTable(capacity)
    model: dict[int, int] = {}
    taken = 0
    for is_add, numbers, count in steps:
        if is_add:
            fresh = range(taken, taken + min(count, capacity - len(model)))
            slots = [100 + number for number in fresh]
            table.add(taken, np.array(slots, dtype=np.int64))
            model.update(zip(fresh, slots, strict=True))
            taken = fresh.stop
        else:
            removed = table.remove(np.array(sorted(numbers), dtype=np.int64))
            assert removed.tolist() == [model.pop(number) for number in sorted(numbers & model.keys())]
        assert table.sequences.tolist() == sorted(model)
        assert len(table) == len(model)
        if model:
            assert table.slots(max(model), 1).tolist() == [model[max(model)]]


def test_a_lease_table_refuses_what_would_lose_events() -> None:
    table = LeaseTable(2)
    table.add(0, np.array([5, 7]))
    with pytest.raises(ValueError, match="2 slots"):
        table.add(2, np.array([1]))
    table.remove(np.array([0]))
    with pytest.raises(ValueError, match="not all leased"):
        table.slots(0, 2)
    with pytest.raises(ValueError, match="not all leased"):
        table.slots(1, 2)


# The window.


def drive(window: Window, service_s: float, seconds: float, path_s: float = 0.001) -> int:
    """Let a receiver with one reader work through what it is sent; return the largest number of leases."""
    now_s, sent, released, largest = 0.0, 0, 0, 0
    arrivals: list[float] = []
    free_s = 0.0
    while now_s < seconds:
        now_s += min(path_s, service_s, 0.01)
        while sent - released < window.events:
            sent += 1
            free_s = max(free_s, now_s + path_s) + service_s
            arrivals.append(free_s)
            window.sent(sent - 1, sent - released, now_s)
        largest = max(largest, sent - released)
        back = sum(1 for time_s in arrivals[: window.events] if time_s <= now_s)
        if back:
            del arrivals[:back]
            released += back
            window.released(back, released if released < sent else None, now_s)
    return largest


def test_a_link_without_competition_may_use_all_slots() -> None:
    window = Window(1000)
    window.receiver(500, 1)
    assert window.events == 500


def test_in_competition_a_slow_receiver_holds_little() -> None:
    window = Window(1000)
    window.competing = True
    window.receiver(1000, 3)
    drive(window, service_s=0.5, seconds=10)
    assert window.events == 6, "two for each reader"


def test_in_competition_a_fast_receiver_gets_as_much_as_it_can_do_and_half_of_the_ring_at_most() -> None:
    window = Window(1000)
    window.competing = True
    window.receiver(1000, 1)
    drive(window, service_s=1e-4, seconds=2)
    assert window.events == 500


def test_in_competition_a_receiver_holds_about_what_it_does_in_the_fair_time() -> None:
    window = Window(10_000)
    window.competing = True
    window.receiver(10_000, 1)
    drive(window, service_s=0.002, seconds=5)
    assert 0.2 * FAIR_TIME_S / 0.002 < window.events < 3 * FAIR_TIME_S / 0.002


def test_the_window_never_closes() -> None:
    window = Window(1)
    window.competing = True
    window.receiver(0, 0)
    assert window.events == 1
    drive(window, service_s=1.0, seconds=5)
    assert window.events == 1


def test_an_event_that_never_comes_back_does_not_stop_the_window_from_growing_again() -> None:
    window = Window(1000)
    window.competing = True
    window.receiver(1000, 2)
    window.sent(0, 1, 0.0)
    for step in range(100):
        now_s = 0.01 * step
        window.sent(10 * step + 10, window.events, now_s)
        window.released(window.events - 1, 0, now_s + 0.005)
    assert window.events > 300


# The pace.


@pytest.mark.parametrize("rate", [100.0, 1000.0])
def test_at_low_rates_nothing_waits(rate: float) -> None:
    pace = Pace(1000, 1000)
    assert [pace.pause_s(1, 100, step / rate) for step in range(1, 10)] == [0.0] * 9


def test_full_frames_do_not_wait() -> None:
    pace = Pace(15, 1000)
    assert [pace.pause_s(15, 100, step * 1e-4) for step in range(10)] == [0.0] * 10


def test_small_frames_in_quick_succession_wait_to_become_larger_ones() -> None:
    pace = Pace(1000, 100_000)
    pace.pause_s(3, 1000, 1.0)
    assert pace.pause_s(3, 1000, 1.0001) == LONGEST_PAUSE_S


def test_a_pause_is_no_longer_than_the_ring_has_room() -> None:
    pace = Pace(1000, 40)
    pace.pause_s(3, 1000, 1.0)
    assert pace.pause_s(5, 1000, 1.0002) == pytest.approx(4e-4)


def test_what_fills_the_window_does_not_wait() -> None:
    pace = Pace(1000, 100_000)
    pace.pause_s(3, 3, 1.0)
    assert pace.pause_s(3, 3, 1.0001) == 0.0


# Messages.

numbers = st.integers(0, (1 << 62) - 1)
ranges = st.sets(st.integers(0, 1000), max_size=20).map(
    lambda found: to_ranges(np.array(sorted(found), dtype=np.int64))
)
any_message = st.one_of(
    st.builds(Hello, st.just(TERMS), numbers, numbers),
    st.builds(Welcome, numbers, numbers, ranges, numbers, numbers),
    st.builds(Refuse, st.text()),
    st.builds(Frame, numbers, numbers, st.binary(max_size=50)),
    st.builds(Released, numbers, ranges, numbers),
    st.builds(End, numbers),
    st.sampled_from([Done(), Bye(), Look()]),
)


@given(any_message)
def test_messages_come_back_as_they_were(message: LinkMessage) -> None:
    decoded = messages.decode(messages.encode(message))
    assert type(decoded) is type(message)
    for field in dataclasses.fields(message):
        assert np.array_equal(getattr(decoded, field.name), getattr(message, field.name))


@given(any_message, st.data())
def test_damaged_messages_are_refused_or_other_messages(message: LinkMessage, data: st.DataObject) -> None:
    encoded = bytearray(messages.encode(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        messages.decode(bytes(encoded))


def as_bytes(*values: int) -> bytes:
    return np.array(values, dtype="<i8").tobytes()


@pytest.mark.parametrize(
    "encoded",
    [
        wire.encode("end", total=-1),
        wire.encode("end", total=1 << 63),
        wire.encode("end", total=1.5),
        wire.encode("end"),
        wire.encode("nonsense"),
        wire.encode("frame", first=0, count=1, metadata="text"),
        wire.encode("hello", terms={"run_id": 1}, incarnation=1, attempt=1),
        wire.encode("released", stored=1, readers=1, ranges=b"123"),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes(1, 0)),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes(-1, 1)),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes(5, 2, 6, 2)),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes(5, 2, 1, 2)),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes(1, 1 << 62)),
        wire.encode("released", stored=1, readers=1, ranges=as_bytes((1 << 63) - 1, 1)),
    ],
)
def test_impossible_messages_are_refused(encoded: bytes) -> None:
    with pytest.raises(WireError):
        messages.decode(encoded)


# Written by the first version; must be readable for ever, or the protocol version must change.
FIRST_VERSION = {
    "83a776657273696f6e01a46b696e64a3656e64a66669656c647381a5746f74616c03": End(3),
    "83a776657273696f6e01a46b696e64a4646f6e65a66669656c647380": Done(),
    "83a776657273696f6e01a46b696e64a56672616d65a66669656c647383"
    "a5666972737407a5636f756e7402a86d65746164617461c4026162": Frame(7, 2, b"ab"),
}


@pytest.mark.parametrize(("encoded", "message"), FIRST_VERSION.items())
def test_the_first_version_of_the_protocol_is_kept(encoded: str, message: LinkMessage) -> None:
    assert messages.decode(bytes.fromhex(encoded)) == message
    assert messages.encode(message) == bytes.fromhex(encoded)


# Jobs.


def test_a_job_comes_back_from_json_as_it_was() -> None:
    job = LinkJob(
        "run", "a", "raw@a->b", "receive", Path("/dev/shm/x.ring"), ports=(5551, 5599), security="none"
    )
    assert LinkJob.from_json(job.to_json()) == job


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ring": 3}', '{"ring": "x", "unknown": 1}'])
def test_what_is_no_job_is_an_error(text: str) -> None:
    with pytest.raises(SetupError, match="job of a link"):
        LinkJob.from_json(text)
