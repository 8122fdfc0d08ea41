from __future__ import annotations

import pytest

from mimocorb_dist.broker.pauses import Pauses
from mimocorb_dist.errors import RefusedError


def disk(room: str, free: int = 0) -> dict[str, object]:
    return {"room": room, "free_bytes": free, "text": f"{free} free"}


@pytest.fixture
def pauses() -> Pauses:
    return Pauses(lambda node: f"{node}: ")


def test_little_room_is_said_once_and_again_when_it_has_become_much_less(pauses: Pauses) -> None:
    said = [bool(pauses.look("a", disk("little", free))) for free in (100, 90, 51, 49, 40, 24)]
    assert said == [True, False, False, True, False, True]
    assert not pauses
    assert pauses.little == {"a": "a: 24 free"}


def test_it_is_said_anew_only_after_there_was_clearly_enough(pauses: Pauses) -> None:
    assert pauses.look("a", disk("little", 100))
    assert not pauses.look("a", disk("enough", 110))
    assert not pauses.look("a", disk("little", 100))
    assert not pauses.look("a", disk("enough", 130))
    assert pauses.look("a", disk("little", 100))


def test_a_full_disk_pauses_until_there_is_room_and_says_so_once(pauses: Pauses) -> None:
    assert pauses.look("a", disk("none", 5)) == ["a: 5 free"]
    assert not pauses.look("a", disk("none", 4))
    assert pauses and pauses.text == " (a: 4 free)"
    assert not pauses.look("a", disk("little", 50))
    assert not pauses
    assert pauses.look("a", disk("little", 20))


def test_each_full_disk_counts(pauses: Pauses) -> None:
    pauses.look("a", disk("none"))
    pauses.look("b", disk("none"))
    pauses.look("a", disk("enough"))
    assert list(pauses.full) == ["b"]
    pauses.look("b", {})
    assert not pauses


def test_nobody_resumes_while_a_disk_is_full_and_a_pause_stays(pauses: Pauses) -> None:
    pauses.look("a", disk("none", 5))
    with pytest.raises(RefusedError, match="cannot resume: a: 5 free"):
        pauses.change("resume", "roots", "paused")
    pauses.change("pause", "roots", "paused")
    assert pauses.text == " (root buffers; a: 5 free)"
    pauses.look("a", disk("enough", 500))
    assert pauses and pauses.text == " (root buffers)"
    pauses.change("resume", "roots", "paused")
    assert not pauses and pauses.text == ""


def test_what_would_change_nothing_is_refused(pauses: Pauses) -> None:
    with pytest.raises(RefusedError, match="cannot resume roots: the run is running"):
        pauses.change("resume", "roots", "running")
    pauses.change("pause", "all", "running")
    with pytest.raises(RefusedError, match=r"cannot pause roots: the run is paused \(all buffers\)"):
        pauses.change("pause", "roots", "paused")
    with pytest.raises(RefusedError, match="known are roots, all"):
        pauses.change("pause", "rest", "paused")
