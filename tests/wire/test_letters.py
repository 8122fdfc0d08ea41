"""Letters arrive once and in order although messages are lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.letters import MAX_UNREAD, PATIENCE_S, Letter, Letters
from mimocorb_dist.wire.messages import Message


class Side:
    """A side that keeps what it has acted on, and notes its letters before it sends anything."""

    def __init__(self) -> None:
        self.letters = Letters()
        self.written: list[int] = []
        self.acted: list[int] = []

    def message(self, letter: Letter | None) -> Message:
        fields = {} if letter is None else dict(letter.fields)
        return Message("alive" if letter is None else letter.kind, fields | self.letters.stamps(letter))

    def die(self) -> None:
        """Let somebody else go on with what was noted."""
        self.letters = Letters.from_plain(json.loads(json.dumps(self.letters.to_plain())))

    def take(self, message: Message) -> None:
        if self.letters.read(message) and message.kind == "order":
            self.acted.append(message.field("value", int))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["write", "alive", "wait", "die"]), st.booleans()))
)
def test_what_a_broken_connection_swallows_comes_again(steps: list[tuple[int, str, bool]]) -> None:
    sides, now_s = (Side(), Side()), 0.0

    def send(sender: int, letters: list[Letter | None], arrives: bool) -> None:
        for letter in letters:
            message = sides[sender].message(letter)
            if arrives:
                sides[1 - sender].take(message)

    def remind(arrives: bool) -> None:
        for sender in (0, 1):
            send(sender, [None, *sides[sender].letters.overdue(now_s)], arrives)

    for sender, what, arrives in steps:
        side = sides[sender]
        if what == "write":
            side.written.append(len(side.written))
            send(sender, [side.letters.write("order", {"value": side.written[-1]}, now_s)], arrives)
        elif what == "die":
            side.die()
        elif what == "alive":
            send(sender, [None], arrives)
        else:
            now_s += PATIENCE_S
            remind(arrives)
        for here, there in (sides, sides[::-1]):
            assert there.acted == here.written[: len(there.acted)]
    now_s += PATIENCE_S
    remind(True)
    assert sides[1].acted == sides[0].written
    assert sides[0].acted == sides[1].written
    remind(True)
    now_s += PATIENCE_S
    assert not sides[0].letters.overdue(now_s) and not sides[1].letters.overdue(now_s)


def test_nothing_is_sent_again_before_it_is_overdue() -> None:
    letters = Letters()
    letters.write("stop", {}, 10.0)
    assert not letters.overdue(10.0 + 0.9 * PATIENCE_S)
    assert [letter.kind for letter in letters.overdue(10.0 + PATIENCE_S)] == ["stop"]
    assert not letters.overdue(10.0 + 1.5 * PATIENCE_S)


def test_letters_that_nobody_reads_are_bounded() -> None:
    letters = Letters()
    for number in range(MAX_UNREAD):
        letters.write("pause", {"number": number}, 0.0)
    with pytest.raises(WireError, match="never read"):
        letters.write("pause", {}, 0.0)
