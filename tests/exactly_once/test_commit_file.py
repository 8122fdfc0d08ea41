"""Commit files: what has been noted last is what is read, also by others and while it is written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import BufferReader, BufferWriter, Holding, Ring, last_commit
from mimocorb_dist.ring.commit_file import NOTE_BYTES, CommitFile
from tests.ring.rings import make_ring, put, read_available

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = st.lists(
    st.tuples(st.binary(max_size=200), st.lists(st.integers(0, 2**64 - 1), max_size=16)), max_size=8
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commits=COMMITS)
def test_the_last_commit_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, commits: list[tuple[bytes, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("commits") / "raw.readers.save.0.commits"
    assert last_commit(path)[0] == b""
    file = CommitFile(path, 16)
    for count, (note, tokens) in enumerate(commits):
        assert file.count == count
        file.commit(note, np.array(tokens, np.uint64))
        for found_note, found_tokens in (file.last(), CommitFile(path, 16).last(), last_commit(path)):
            assert found_note == note
            assert found_tokens.tolist() == tokens


def test_a_commit_is_read_whole_while_others_come(tmp_path: Path) -> None:
    path = tmp_path / "raw.readers.save.0.commits"
    file = CommitFile(path, 64)
    over = threading.Event()

    def commit() -> None:
        number = 0
        while not over.is_set():
            number += 1
            file.commit(b"%d" % number * (number % 7), np.full(number % 64, number, np.uint64))

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        for _ in range(2000):
            note, tokens = last_commit(path)
            if len(tokens):
                number = int(tokens[0])
                assert tokens.tolist() == [number] * (number % 64)
                assert note == b"%d" % number * (number % 7)
    finally:
        over.set()
        thread.join()


def test_a_commit_file_that_was_not_made_to_the_end_has_no_commit(tmp_path: Path) -> None:
    path = tmp_path / "raw.readers.save.0.commits"
    path.touch()
    assert last_commit(path)[0] == b""


def test_too_long_a_note_is_refused(tmp_path: Path) -> None:
    file = CommitFile(tmp_path / "a.commits", 4)
    with pytest.raises(RingError, match="too long"):
        file.commit(bytes(NOTE_BYTES + 1), np.empty(0, np.uint64))
    assert file.count == 0


class TestHolding:
    @pytest.fixture
    def ring(self, tmp_path: Path):
        ring = make_ring(tmp_path, 16)
        yield ring
        ring.unlink()
        ring.close()

    def test_events_are_released_by_a_commit_only(self, ring: Ring) -> None:
        writer = BufferWriter(ring)
        for counter in range(6):
            put(writer, counter)
        holding = Holding(BufferReader(ring), "save.0")
        for _ in range(4):
            assert holding.take_one(0) is not None
        assert ring.statistics().read["readers"] == 0
        holding.seal()
        assert holding.commit(b"three") == 3  # the fourth is in hand
        assert ring.statistics().read["readers"] == 3
        holding.give_back()
        assert Holding(BufferReader(ring), "save.0").noted == b"three"
        assert read_available(BufferReader(ring)) == [3, 4, 5]
        writer.close()

    def test_a_quarter_of_the_slots_is_left_to_writers(self, ring: Ring) -> None:
        writer = BufferWriter(ring)
        for counter in range(16):
            put(writer, counter)
        holding = Holding(BufferReader(ring), "save.0")
        taken = 0
        while not holding.full:
            batch = holding.take_many(100, 0)
            assert batch is not None
            taken += len(batch[0])
            holding.done()
        assert taken == 12
        holding.give_back()
        assert read_available(BufferReader(ring)) == list(range(16))
        writer.close()

    def test_what_a_reader_has_committed_is_not_delivered_again_when_it_closes(self, ring: Ring) -> None:
        writer = BufferWriter(ring)
        for counter in range(6):
            put(writer, counter)
        reader = BufferReader(ring)
        holding = Holding(reader, "save.0")
        holding.take_many(4, 0)
        holding.done()
        holding.seal()
        reader.release_slots = lambda slots: None  # type: ignore[method-assign]  # it does not come to this
        holding.commit(b"")
        reader.close()
        assert read_available(BufferReader(ring)) == [4, 5]
        assert ring.statistics().filled == 0
        writer.close()
