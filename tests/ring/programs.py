"""What the processes do that tests start and kill; each function here can be named to `MemberHost.start`."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mimocorb_dist.ring
from mimocorb_dist.ring import (
    METADATA_DTYPE,
    BufferObserver,
    BufferReader,
    BufferWriter,
    EndOfStream,
    Hand,
    Ring,
    hand_path,
    runtime,
)
from mimocorb_dist.ring.interface import Pace
from mimocorb_dist.ring.runtime import RuntimeDirectory
from mimocorb_dist.ring.seats import take_seat
from tests.ring.ledger import Ledger
from tests.ring.rings import FIELD, checked_counter, make_ring, payload, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_RING_FILES = str(Path(mimocorb_dist.ring.__file__).parent)
HANDING_ON = frozenset(
    {
        "batch", "copy", "write", "_publish", "_publish_many", "publish_many", "note", "note_many", "commit",
        "_mark_done", "add", "make", "__exit__", "_release_many", "release", "release_many",
    }
)  # fmt: skip
"""Functions between the taking of an event and its release by one who has handed it on."""
TOTAL_STEPS, STARTED, DONE, SEEN = 0, 1, 2, 3
"""Words of a scenario's ledger; from SEEN on, how often each event was seen."""


def claim_always(count: int) -> None:
    """Claim always as many slots for single events, however fast they are used."""

    def share(self: Pace, _: float, limit: int) -> int:
        return min(limit, self.batch_share) if limit > 1 else min(count, self.share)

    Pace.next = share  # type: ignore[method-assign]


def scenario(name: str, path: str, ledger_path: str, step: int, granularity: str) -> None:
    """Run a scenario, and die at the given step (line or opcode) of the ring's code."""
    ledger = Ledger(ledger_path)
    claim_always(4)
    ring = Ring.open(path)
    parts = HANDING_ON if name.startswith("hand on") and granularity == "line" else None
    counter = _StepCounter(step, by_opcode=granularity == "opcode", parts=parts)
    sys.settrace(counter.trace)
    try:
        SCENARIOS[name](ring, ledger)
    finally:
        sys.settrace(None)
        ledger[TOTAL_STEPS] = counter.steps


class _StepCounter:
    """Counts steps of the ring's code, and kills this process at one of them."""

    def __init__(self, fatal_step: int, by_opcode: bool, parts: frozenset[str] | None = None) -> None:
        self.steps = 0
        self._parts = parts
        self._fatal_step = fatal_step
        self._visits: Counter[object] = Counter()
        self._event = "opcode" if by_opcode else "line"

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(_RING_FILES):
            return None
        if self._parts is not None and frame.f_code.co_name not in self._parts:
            return self.trace
        if self._event == "opcode":
            frame.f_trace_opcodes = True
        if event == self._event and self._counts(frame):
            self.steps += 1
            if self.steps == self._fatal_step:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace

    def _counts(self, frame: FrameType) -> bool:
        """Tell whether this step is one to die at: lines that come in a loop are so only twice."""
        if self._event == "opcode":
            return True
        line = (frame.f_code, frame.f_lineno)
        self._visits[line] += 1
        return self._visits[line] <= 2


# Processes that run until they are killed or told to end, and keep account of it.

NEXT, SURE, STOP = 0, 1, 2
"""Words of a writer's ledger: how many events it began, how many are surely published; whether to end."""


def write_for_ever(path: str, ledger_path: str, number: int, batch: int, data_length: int) -> None:
    """Write events number, number + 10, number + 20, ... after those of this writer's predecessors."""
    ledger = Ledger(ledger_path)
    writer = BufferWriter(Ring.open(path))
    while not ledger[STOP]:
        first = ledger[NEXT]
        if batch == 1:
            ledger[NEXT] = first + 1
            put(writer, 10 * first + number, data_length)
            ledger[SURE] = first + 1
            continue
        with writer.batch(batch) as (metadata, data):
            ledger[NEXT] = first + len(data)
            for k in range(len(data)):
                metadata[k : k + 1] = _metadata(10 * (first + k) + number)
                data[k] = payload(10 * (first + k) + number, data_length)
        ledger[SURE] = first + len(data)
    writer.close()


def wait_as_source(path: str) -> None:
    """Wait for a free slot as the importer of a source does."""
    writer = BufferWriter(Ring.open(path))
    writer.add_dead_time(0.0, 0.0)
    writer.wait()


def write_some(path: str, number: int, count: int, batch: int, data_length: int = 4) -> None:
    """Write events number, number + 10, ..., `count` in all, and close."""
    writer = BufferWriter(Ring.open(path))
    counters = 10 * np.arange(count) + number
    for first in range(0, count, batch):
        part = counters[first : first + batch].tolist()
        if batch == 1:
            put(writer, part[0], data_length)
        else:
            data = np.stack([payload(k, data_length) for k in part])
            writer.write(data, np.concatenate([_metadata(k) for k in part]))
    writer.close()


def observe_to_the_end(path: str, seen_path: str) -> None:
    """Observe events, each newer than the one before, and write their counters."""
    observer, last = BufferObserver(Ring.open(path)), -1
    with open(seen_path, "w") as file:
        while True:
            with observer as (metadata, data):
                if metadata is None:
                    return
                counter = checked_counter(metadata, data)
                assert counter > last, f"event {counter} after {last}"
                last = counter
                print(counter, file=file, flush=True)


COUNT = 0


def write_to_the_limit(path: str, ledger_path: str, number: int) -> None:
    """Write events until the limit is reached, and count them."""
    ledger, writer = Ledger(ledger_path), BufferWriter(Ring.open(path))
    while put(writer, 10 * ledger[COUNT] + number):
        ledger[COUNT] += 1
    writer.close()


def read_to_the_end(path: str, seen_path: str, batch: int, strict: bool, group: str = "readers") -> None:
    """Read events, and note before its release how often each was seen by this reader and its predecessors.

    If `strict`, this is the only reader of its group, and gets the events of each writer in order.
    """
    seen = np.memmap(seen_path, np.uint8, "r+")
    reader = BufferReader(Ring.open(path), group)
    last: dict[int, int] = {}
    while True:
        with reader.batch(batch) if batch > 1 else reader as (metadata, data):
            if metadata is None:
                return
            for k in range(len(metadata)):
                counter = checked_counter(metadata[k : k + 1], data[k] if batch > 1 else data)
                if strict:
                    assert counter > last.get(counter % 10, -1), f"event {counter} comes too late"
                    last[counter % 10] = counter
                seen[counter] += 1


# Writers: events 0, 1, 2, ...; STARTED counts those begun, DONE those surely published.


def _put(ring: Ring, ledger: Ledger, count: int = 5, first: int = 0) -> BufferWriter:
    writer = BufferWriter(ring)
    for counter in range(first, first + count):
        ledger[STARTED] = counter + 1
        if put(writer, counter):
            ledger[DONE] = counter + 1
    return writer


FIRST_NEW = 1000
"""The first event that is written to a ring which is full already."""


def _put_new(ring: Ring, ledger: Ledger) -> None:
    writer = BufferWriter(ring)
    for count in range(1, 5):
        ledger[STARTED] = count
        assert put(writer, FIRST_NEW + count - 1)
        ledger[DONE] = count
    ledger[STARTED] = 5
    with writer as (metadata, data):
        metadata[:], data[:] = _metadata(FIRST_NEW + 4), payload(FIRST_NEW + 4)
    ledger[DONE] = 5


def _write_new(ring: Ring, ledger: Ledger) -> None:
    writer, counters = BufferWriter(ring), range(FIRST_NEW, FIRST_NEW + 5)
    ledger[STARTED] = 5
    data = np.stack([payload(counter) for counter in counters])
    assert writer.write(data, np.concatenate([_metadata(counter) for counter in counters])) == 5
    ledger[DONE] = 5
    with writer.batch(3) as (metadata, data):
        ledger[STARTED] = 5 + len(data)
        for k in range(len(data)):
            metadata[k : k + 1], data[k] = _metadata(FIRST_NEW + 5 + k), payload(FIRST_NEW + 5 + k)
    ledger[DONE] = ledger[STARTED]


def _close(ring: Ring, ledger: Ledger) -> None:
    BufferWriter(ring).close()


def _put_and_close(ring: Ring, ledger: Ledger) -> None:
    _put(ring, ledger, 2).close()


def _copy(ring: Ring, ledger: Ledger) -> None:
    writer = BufferWriter(ring)
    for counter in range(3):
        ledger[STARTED] = counter + 1
        writer.copy(_metadata(counter), payload(counter))
        ledger[DONE] = counter + 1


def _write_in_blocks(ring: Ring, ledger: Ledger) -> None:
    writer = BufferWriter(ring)
    for counter in range(3):
        ledger[STARTED] = counter + 1
        with writer as (metadata, data):
            metadata[:], data[:] = _metadata(counter), payload(counter)
        ledger[DONE] = counter + 1
        try:
            with writer as (metadata, data):
                data["value"] = -1
                raise LookupError
        except LookupError:
            pass


def _write_batches(ring: Ring, ledger: Ledger, size: int = 3) -> None:
    writer = BufferWriter(ring)
    done = 0
    for _ in range(2):
        with writer.batch(size) as (metadata, data):
            ledger[STARTED] = done + len(data)
            for k in range(len(data)):
                metadata[k : k + 1], data[k] = _metadata(done + k), payload(done + k)
        done += len(data)
        ledger[DONE] = done


def _write_large_batches(ring: Ring, ledger: Ledger) -> None:
    _write_batches(ring, ledger, 200)


def _write_arrays(ring: Ring, ledger: Ledger) -> None:
    ledger[STARTED] = 5
    data = np.stack([payload(counter) for counter in range(5)])
    BufferWriter(ring).write(data, np.concatenate([_metadata(counter) for counter in range(5)]))
    ledger[DONE] = 5


def _abandon(ring: Ring, ledger: Ledger) -> None:
    writer = BufferWriter(ring)
    run = writer.reserve(3)
    assert run is not None
    run.data["value"] = -1
    writer.abandon(run)
    ledger[STARTED] = 1
    put(writer, 0)
    ledger[DONE] = 1
    writer.close()


# Readers: SEEN + counter counts how often an event was seen, noted before its release.


def _see(ledger: Ledger, metadata: Any, data: Any) -> None:
    for k in range(len(metadata)):
        counter = checked_counter(metadata[k : k + 1], data[k])
        ledger[SEEN + counter] += 1


def _read(ring: Ring, ledger: Ledger) -> None:
    reader = BufferReader(ring, ring.spec.groups[0])
    for _ in range(5):
        with reader as (metadata, data):
            ledger[STARTED] += 1
            _see(ledger, metadata, [data])
        ledger[DONE] += 1


def _read_and_close(ring: Ring, ledger: Ledger) -> None:
    reader = BufferReader(ring, ring.spec.groups[0])
    with reader as (metadata, data):
        ledger[STARTED] += 1
        _see(ledger, metadata, [data])
    ledger[DONE] += 1
    reader.close()


def _read_batches(ring: Ring, ledger: Ledger, size: int = 3) -> None:
    reader = BufferReader(ring, ring.spec.groups[0])
    for _ in range(2):
        with reader.batch(size) as (metadata, data):
            assert metadata is not None
            ledger[STARTED] += len(metadata)
            _see(ledger, metadata, data)
        ledger[DONE] += len(metadata)


def _read_large_batches(ring: Ring, ledger: Ledger) -> None:
    _read_batches(ring, ledger, 200)


def _read_and_fail(ring: Ring, ledger: Ledger) -> None:
    """The user function raises: the event counts as not read."""
    reader = BufferReader(ring, ring.spec.groups[0])
    for _ in range(2):
        try:
            with reader:
                raise LookupError
        except LookupError:
            pass


def _take_and_release(ring: Ring, ledger: Ledger) -> None:
    """Release out of order, and give a part back."""
    reader = BufferReader(ring, ring.spec.groups[0])
    first, second = reader.take(3), reader.take(3)
    assert first is not None and second is not None
    for run in (first, second):
        ledger[STARTED] += run.count
        _see(ledger, run.metadata, run.data)
    reader.release(second)
    ledger[DONE] += second.count
    done, back = first.split(1)
    for k in range(back.count):
        ledger[SEEN + int(back.metadata["counter"][k])] -= 1
    reader.requeue(back)
    reader.release(done)
    ledger[DONE] += 1


def _take_and_close(ring: Ring, ledger: Ledger) -> None:
    """End with events in hand, which nobody has dealt with."""
    reader = BufferReader(ring, ring.spec.groups[0])
    reader.take(3)
    reader.close()


FORMER_PID = 1 << 23
"""A process that has died before; the kernel gives no number as large."""


def _recover(ring: Ring, ledger: Ledger) -> None:
    """Set right what another process left behind."""
    ring.recover(FORMER_PID)


def _read_to_the_end(ring: Ring, ledger: Ledger) -> None:
    reader = BufferReader(ring, ring.spec.groups[0])
    while True:
        try:
            run = reader.take()
        except EndOfStream:
            return
        assert run is not None
        ledger[STARTED] += 1
        _see(ledger, run.metadata, run.data)
        reader.release(run)
        ledger[DONE] += 1


# Readers that write to other rings what they have read: those beside their own.


def _hand(ring: Ring, *, may_die: bool = False) -> tuple[BufferReader, list[BufferWriter]]:
    trace = sys.gettrace()
    sys.settrace(trace if may_die else None)
    reader = BufferReader(ring, ring.spec.groups[0])
    sinks = sorted(path for path in ring.path.parent.glob("sink*.ring"))
    writers = [BufferWriter(Ring.open(path)) for path in sinks]
    Hand(hand_path(ring.path, "worker", 0), reader, writers)
    sys.settrace(trace)
    return reader, writers


def hand_on(ring: Ring, _: Ledger | None = None, count: int = 4) -> None:
    """Hand on all events, one by one; the second sink gets only those with an even number."""
    reader, writers = _hand(ring)
    for _ in range(count):
        if not reader.wait(0):
            break
        with reader as (metadata, data):
            counter = checked_counter(metadata, data)
            for number, writer in enumerate(writers):
                if number == 0 or counter % 2 == 0:
                    writer.copy(metadata, data)


def hand_on_batches(ring: Ring, _: Ledger | None = None, count: int = 2) -> None:
    """Do the same in batches, of which the sinks take some events at a time."""
    reader, writers = _hand(ring)
    for _ in range(count):
        if not reader.wait(0):
            break
        with reader.batch(8) as (metadata, data):
            assert metadata is not None
            for number, writer in enumerate(writers):
                even = np.flatnonzero(metadata["counter"] % 2 == 0)
                writer.write(data, metadata, *(() if number == 0 else (even,)))


def hand_on_parts(ring: Ring, _: Ledger | None = None, count: int = 1) -> None:
    """Do the same with results that are there for some of the events only, and die also before the first."""
    reader, writers = _hand(ring, may_die=True)
    for _ in range(count):
        if not reader.wait(0):
            break
        with reader.batch(8) as (metadata, data):
            assert metadata is not None
            for number, writer in enumerate(writers):
                chosen = np.flatnonzero(metadata["counter"] % (number + 1) == 0)
                writer.write(data[chosen], metadata[chosen], None, chosen)


SCENARIOS: dict[str, Callable[[Ring, Ledger], object]] = {
    "put": _put,
    "put new ones": _put_new,
    "write new ones": _write_new,
    "close": _close,
    "put and close": _put_and_close,
    "copy": _copy,
    "write in blocks": _write_in_blocks,
    "write batches": _write_batches,
    "write large batches": _write_large_batches,
    "write arrays": _write_arrays,
    "abandon": _abandon,
    "read": _read,
    "read and close": _read_and_close,
    "read batches": _read_batches,
    "read large batches": _read_large_batches,
    "read and fail": _read_and_fail,
    "take and release": _take_and_release,
    "take and close": _take_and_close,
    "recover": _recover,
    "read to the end": _read_to_the_end,
    "hand on": hand_on,
    "hand on batches": hand_on_batches,
    "hand on parts": hand_on_parts,
}


def _metadata(counter: int) -> np.ndarray[Any, Any]:
    return np.array([(counter, counter * 0.5, counter * 0.25)], METADATA_DTYPE)


# Files and forks.


def make_and_use_as_nobody(directory: str, slot_count: int) -> None:
    """Make a ring as a user without privileges, and fill it."""
    os.setuid(65534)
    ring = make_ring(Path(directory), slot_count)
    writer, reader = BufferWriter(ring), BufferReader(ring)
    for _ in range(2):
        counters = np.arange(slot_count)
        metadata = np.zeros(slot_count, METADATA_DTYPE)
        metadata["counter"] = counters
        assert writer.write(np.zeros((slot_count, 4), FIELD), metadata) == slot_count
        done = 0
        while done < slot_count:
            run = reader.take(slot_count)
            assert run is not None
            done += run.count
            reader.release(run)
    ring.recover(os.getpid())


def hold_runtime_directory(path: str) -> None:
    """Be a node that does nothing."""
    runtime = RuntimeDirectory(Path(path))
    make_ring(runtime.path)
    signal.pause()


def hold_seat(path: str) -> None:
    """Be a process of a node that does nothing."""
    take_seat(Path(path), 20.0)
    signal.pause()


def clean_for_ever(root: str) -> None:
    """Remove dead runtime directories as fast as possible."""
    runtime.runtime_root = lambda: Path(root)
    while True:
        for path in runtime.dead_runtime_directories():
            runtime.remove_runtime_directory(path)


def _fork(child: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child()
            status = 0
        finally:
            os._exit(status)
    return pid


def _join(*pids: int) -> None:
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0


def read_and_fork(path: str, seen_path: str) -> None:
    """Read some events, and the rest together with a child."""
    claim_always(16)
    seen = np.memmap(seen_path, np.uint8, "r+")
    reader = BufferReader(Ring.open(path))

    def read(count: int) -> None:
        for _ in range(count):
            with reader as (metadata, data):
                if metadata is None:
                    return
                seen[checked_counter(metadata, data)] += 1

    read(10)
    child = _fork(lambda: read(1000))
    read(1000)
    _join(child)


def write_and_fork(path: str) -> None:
    """Write events 0 to 49 here, and 100 to 149 in a child."""
    claim_always(16)
    writer = BufferWriter(Ring.open(path))

    def write(first: int, last: int) -> None:
        for counter in range(first, last):
            put(writer, counter)

    def write_and_close() -> None:
        write(100, 150)
        writer.close()

    write(0, 20)
    child = _fork(write_and_close)
    write(20, 50)
    _join(child)
    writer.close()


def fork_and_close_in_the_child(path: str) -> None:
    """Let a child that never wrote close the writer that it has inherited."""
    ring = Ring.open(path)
    writer = BufferWriter(ring)
    put(writer, 0)
    _join(_fork(writer.close))
    assert not ring.ended
    put(writer, 1)
    writer.close()
    assert ring.ended


def fork_many_writers(path: str, count: int) -> None:
    """Let many children that share one attachment write one event each."""
    writer = BufferWriter(Ring.open(path))

    def write(counter: int) -> None:
        put(writer, counter)
        writer.close()

    _join(*[_fork(lambda counter=counter: write(counter)) for counter in range(count)])
