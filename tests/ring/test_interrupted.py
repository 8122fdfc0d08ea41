"""Who is interrupted (Ctrl-C) while getting the lock of a queue can still tidy up."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimocorb_dist.ring import BufferWriter, Ring, tokens

from .rings import make_ring, put


def test_an_interrupt_before_the_lock_is_there_gives_it_back(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(fd: int, how: int) -> None:
        raise KeyboardInterrupt

    ring = make_ring(directory)
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "flock", interrupted)
        with pytest.raises(KeyboardInterrupt), ring.free:
            pytest.fail("the lock was not given")
    writer = BufferWriter(ring)
    assert put(writer, 0)
    writer.close()
    ring.close()


def test_an_interrupt_when_the_lock_has_just_been_given_stops_nobody_from_leaving(directory: Path) -> None:
    ring = make_ring(directory, writers=2)
    writer = BufferWriter(ring)
    assert put(writer, 0)
    ring.free.__enter__()  # and no `__exit__` follows
    writer.detach()
    other = BufferWriter(Ring.open(ring.path))
    assert other.wait(1.0)
    other.close()
    ring.close()
