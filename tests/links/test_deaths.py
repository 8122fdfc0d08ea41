"""Ends of links are killed and started again: every event arrives once, and in order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mimocorb_dist.links.ledger import Entry, Ledger, ledger_path, settle
from mimocorb_dist.ring import BufferReader, BufferSpec, BufferWriter, Ring
from tests.support import eventually, let_pass

from .harness import NAME, EndProcess, Pair, read_all, ring_directory


class Mortal:
    """A link whose ends are killed, and started again as a node does it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.ends = dict(zip(("send", "receive"), pair.connect(), strict=True))
        self.port = next(said["port"] for said in self.ends["receive"].said if said["state"] == "bound")
        self.previous: dict[str, list[int]] = {"send": [], "receive": []}

    def kill(self, kind: str) -> None:
        end = self.ends[kind]
        end.process.kill()
        end.process.wait()
        pid = end.process.pid
        self.previous[kind].append(pid)
        if kind == "receive":
            settle(self.pair.target, NAME)
            self.pair.target.recover(pid)

    def start(self, kind: str) -> EndProcess:
        ports = (self.port, self.port) if kind == "receive" else None
        end = self.pair.start(kind, previous=tuple(self.previous[kind]), ports=ports)
        self.ends[kind] = end
        end.hear("ready")
        end.control.send(do="go", address=f"tcp://127.0.0.1:{self.port}")
        return end

    def end(self) -> None:
        for end in self.ends.values():
            assert end.end() == 0, end.output.decode()


@pytest.fixture
def directory() -> Iterator[Path]:
    with ring_directory() as made:
        yield made


def reading(ring: Ring, counters: list[int], pause_s: float = 0.0) -> threading.Thread:
    def run() -> None:
        reader = BufferReader(ring)
        while True:
            with reader.batch(64) as (metadata, data):
                if metadata is None or data is None:
                    return
                assert (data["byte"][:, -1] == metadata["counter"] % 241).all()
                counters.extend(metadata["counter"].tolist())
            if pause_s:
                let_pass(pause_s, "the reader is slow")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


RINGS = ((64, 4096, 0.0), (512, 16, 0.001), (8, 70000, 0.0))
EACH = [
    pytest.param(release, victims, *ring, 20, marks=[pytest.mark.fault, pytest.mark.soak])
    for release in ("read", "published")
    for victims in (("send",), ("receive",), ("send", "receive"))
    for ring in RINGS
]
SHORT = [
    ("read", ("send", "receive"), *RINGS[0], 6),
    ("published", ("receive", "send"), *RINGS[1], 4),
    ("read", ("send", "receive"), *RINGS[2], 4),
]


@pytest.mark.parametrize(("release", "victims", "slots", "data_bytes", "pause_s", "kills"), [*SHORT, *EACH])
def test_killed_ends_lose_double_and_reorder_nothing(
    directory: Path,
    release: str,
    victims: tuple[str, ...],
    slots: int,
    data_bytes: int,
    pause_s: float,
    kills: int,
) -> None:
    chance = random.Random(f"{release}{victims}{slots}")
    pair = Pair(directory, slots=slots, data_bytes=data_bytes, release=release)
    counters: list[int] = []
    stop = threading.Event()
    try:
        link = Mortal(pair)
        writer = pair.write(10**9, stop=stop)
        reader = reading(pair.target, counters, pause_s)
        for number in range(kills):
            before = len(counters)
            eventually(lambda before=before: len(counters) > before, 20, "events")
            let_pass(chance.uniform(0.0, 0.05), "the moment of death is random")
            kind = victims[number % len(victims)]
            link.kill(kind)
            if chance.random() < 0.3:  # the next one does not live long
                link.start(kind)
                let_pass(chance.uniform(0.0, 0.02), "so is that of the next one")
                link.kill(kind)
            link.start(kind)
        stop.set()
        writer.join()
        reader.join(60)
        assert not reader.is_alive()
        link.end()
        written = pair.source.statistics().written
        assert counters == list(range(written))
        read = pair.source.statistics().read["readers"]
        assert read == written
        sender = link.ends["send"]
        sender.hear("finished")
        counts = next(said for said in reversed(sender.said) if said["state"] == "counts")
        assert counts["acknowledged"] == written
    finally:
        stop.set()
        pair.close()


def test_ends_that_are_killed_when_all_is_said_come_to_their_end(directory: Path) -> None:
    """After the stream has ended, before the last words, and when one of them has finished."""
    pair = Pair(directory)
    try:
        link = Mortal(pair)
        pair.write(50)
        held = BufferReader(pair.target)
        with held.batch(10) as (metadata, _):  # so that the stream cannot end yet
            assert metadata is not None
            eventually(lambda: pair.source.ended and pair.target.statistics().written == 50, 20)
            for kind in ("send", "receive", "send"):
                link.kill(kind)
                link.start(kind)
            first = metadata["counter"].tolist()
        held.close()
        assert first + read_all(pair.target) == list(range(50))
        link.end()
        link.start("send").end()
    finally:
        pair.close()


def test_events_that_were_taken_and_not_noted_are_sent_later(directory: Path) -> None:
    """Others of the group may get them: nobody has sent them."""
    ring = Ring.create(directory, BufferSpec("raw", 8, 1, np.dtype("f8")), "raw")
    writer = BufferWriter(ring)
    for number in range(6):
        writer.put(np.array([float(number)]), number, 0.0, 0.0)
    ledger = Ledger(ledger_path(ring.path, NAME, "send"), ring)
    columns = ring.table.groups[0]
    reader = BufferReader(ring)
    run = reader.take(4, timeout_s=0)
    assert run is not None and run.count == 4
    ledger.note_taken(np.array([0, 1]), 0, columns)
    slots, sequences = ledger.leased(columns)
    assert slots.tolist() == [0, 1]
    assert sequences.tolist() == [0, 1]
    reader.release(run)
    assert ledger.leased(columns)[0].tolist() == []
    writer.close()
    reader.close()
    ring.close()


def test_a_publication_that_was_cut_off_is_completed(directory: Path) -> None:
    ring = Ring.create(directory, BufferSpec("raw", 8, 1, np.dtype("f8")), "raw.in")
    ledger = Ledger(ledger_path(ring.path, NAME, "receive"), ring)
    writer = BufferWriter(ring)
    run = writer.reserve(4)
    assert run is not None and run.count == 4
    run.data[:, 0] = [0, 1, 2, 3]
    run.metadata["counter"] = [0, 1, 2, 3]
    ledger.note_storing(np.arange(4), 0)
    ring.table.publish(0)
    ring.table.publish(2)  # as if killed in between: the machine may store in any order
    settle(ring, NAME)
    assert ledger[Entry.STORED] == 3
    assert ring.statistics().written == 3
    slots, sequences = ledger.held()
    assert sequences[np.argsort(slots)].tolist() == [0, 1, 2]
    settle(ring, NAME)
    assert ring.statistics().written == 3
    ring.close()
