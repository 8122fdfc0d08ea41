"""Ends of a link that are killed at any step and go on from their ledgers, on a network that breaks."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from mimocorb_dist.links.ledger import Entry, Ledger
from mimocorb_dist.links.messages import Welcome
from mimocorb_dist.links.protocol import Connecting, Incoming, ReleaseMode
from mimocorb_dist.links.sender_state import Counts, SenderState
from mimocorb_dist.ring.runtime import runtime_root
from tests.links.mortal import End, Killed, MortalSimulation, Table, store_by_store
from tests.links.simulation import NO_RANGES, STRIDE, TERMS
from tests.links.test_protocol import LinkMachine


class MortalLinkMachine(LinkMachine):
    """Everything that can happen to a link, and deaths of its ends."""

    simulation: MortalSimulation

    @initialize(
        source_slots=st.integers(1, 12),
        target_slots=st.integers(1, 12),
        mode=st.sampled_from(["read", "published"]),
        competing=st.booleans(),
        rounds=st.integers(0, 6),
    )
    def begin(
        self, source_slots: int, target_slots: int, mode: ReleaseMode, competing: bool, rounds: int
    ) -> None:
        """Begin with slots that were used already: ledgers tell their events from the new ones."""
        self.folder = Path(tempfile.mkdtemp(prefix="linktest-", dir=runtime_root()))
        self.simulation = MortalSimulation(self.folder, source_slots, target_slots, mode, competing)
        for _ in range(rounds):
            self.simulation.flow(4, 3, 3, 12)

    @rule(
        step=st.integers(0, 30),
        deed=st.sampled_from(["take", "to_sender", "connect", "breaks"]),
        late=st.integers(0, 5),
    )
    def sender_is_killed(self, step: int, deed: str, late: int) -> None:
        simulation = self.simulation
        deeds = {
            "take": lambda: simulation.take(12),
            "to_sender": simulation.to_sender,
            "connect": simulation.connect,
            "breaks": simulation.sender_breaks,
        }
        simulation.kill("send", step, deeds[deed], late)

    @rule(
        step=st.integers(0, 30),
        deed=st.sampled_from(["to_receiver", "to_receiver", "reserve", "flush", "old"]),
        answers=st.integers(0, 3),
        backwards=st.booleans(),
    )
    def receiver_is_killed(self, step: int, deed: str, answers: int, backwards: bool) -> None:
        simulation = self.simulation
        simulation.backwards = backwards
        deeds = {
            "to_receiver": simulation.to_receiver,
            "reserve": lambda: simulation.reserve(12),
            "flush": simulation.flush,
            "old": lambda: simulation.old_to_receiver(0),
        }
        simulation.kill("receive", step, deeds[deed], answers)

    @rule(
        kind=st.sampled_from(["send", "receive"]),
        step=st.integers(0, 60),
        produced=st.integers(1, 12),
        left=st.integers(0, 5),
        backwards=st.booleans(),
        slowly=st.booleans(),
    )
    def killed_as_events_flow(
        self, kind: End, step: int, produced: int, left: int, backwards: bool, slowly: bool
    ) -> None:
        """Most slots have been used before, and most deaths are in the middle of a frame."""
        simulation = self.simulation
        simulation.backwards = backwards
        simulation.kill(kind, step, lambda: simulation.flow(produced, 3, 3, 12, slowly=slowly), left)
        simulation.flow(produced, 3, 3, 0)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            if hasattr(self, "folder"):
                shutil.rmtree(self.folder)


TestMortalLink = MortalLinkMachine.TestCase
TestMortalLink.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("mode", ["read", "published"])
@pytest.mark.parametrize("kind", ["send", "receive"])
def test_an_end_may_be_killed_at_any_step_of_a_steady_flow(
    tmp_path: Path, kind: End, mode: ReleaseMode
) -> None:
    for step in range(60):
        folder = tmp_path / str(step)
        folder.mkdir()
        simulation = MortalSimulation(folder, 6, 4, mode, competing=False)
        for _ in range(6):
            simulation.flow(4, 3, 3, 12)
        simulation.kill(kind, step, lambda flow=simulation.flow: flow(4, 3, 3, 12), 0)
        simulation.run_to_the_end()
        assert simulation.delivered == list(range(simulation.produced)), f"killed at step {step}"


def claim(table: Table, *slots: int) -> None:
    for slot in slots:
        table.all_claimed[slot] = table.all_written[slot] + np.uint64(1)


def test_what_an_earlier_death_cut_off_is_not_published_by_a_later_one(tmp_path: Path) -> None:
    table = Table(4)
    claim(table, 0, 1, 2, 3)
    Ledger(tmp_path / "receive", table).note_storing(np.array([0]), 5)
    assert Ledger(tmp_path / "receive", table).settle() == 0  # killed while it copied event 5
    table.all_claimed[:] = table.all_written
    claim(table, 0, 1, 2, 3)
    Ledger(tmp_path / "receive", table).note_storing(np.array([1, 2]), 5)  # it comes again, to another slot
    table.publish(1)
    table.publish(2)
    assert Ledger(tmp_path / "receive", table).settle() == 0, "event 5 must not come twice"
    assert table.all_written.tolist() == [0, 1, 1, 0]


def test_what_was_given_back_is_not_taken_for_leased_after_a_later_death(tmp_path: Path) -> None:
    table = Table(2)
    columns = table.groups[0]
    columns.all_taken[0] = 1
    ledger = Ledger(tmp_path / "send", table)
    ledger.note_taken(np.array([0]), 0, columns)
    ledger[Entry.TAKEN] = 0  # killed before this was noted: the event is given back
    assert Ledger(tmp_path / "send", table).leased(columns)[0].tolist() == []
    columns.all_taken[:] = 0, 1
    Ledger(tmp_path / "send", table).note_taken(np.array([1]), 0, columns)
    columns.all_taken[0] = 1  # taken again, and killed before it is noted
    assert Ledger(tmp_path / "send", table).leased(columns)[0].tolist() == [1]


def test_what_a_killed_sender_had_sent_and_not_counted_is_counted_when_it_has_arrived() -> None:
    sender = SenderState(TERMS, 1, 8)
    slots = np.arange(4)
    sender.restore(6, slots, np.arange(2, 6), Counts(sent=3, bytes=3 * STRIDE))
    sender.handle(Connecting(), 0.0)
    sender.handle(Incoming(Welcome(5, 5, NO_RANGES, 8, 1)), 0.0)
    assert (sender.sent, sender.resent, sender.bytes) == (6, 0, 6 * STRIDE)


def test_an_event_whose_note_was_begun_is_not_taken_for_the_last_one_in_its_slot(tmp_path: Path) -> None:
    """A slot that was used before bears the count of that time until the new one is noted."""
    for step in range(20):
        path = tmp_path / f"receive{step}"
        table = Table(2)
        claim(table, 0, 1)
        ledger = Ledger(path, table)
        ledger.note_storing(np.array([0, 1]), 0)
        table.publish(0)
        table.publish(1)
        claim(table, 0, 1)
        steps = iter(range(step))

        def die_in_time(steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise Killed

        with contextlib.suppress(Killed), store_by_store(ledger, die_in_time):
            ledger.note_storing(np.array([0, 1]), 2)
        ledger = Ledger(path, table)
        assert (ledger.settle(), ledger[Entry.STORED]) == (0, 2), f"killed after {step} stores"


def test_slots_that_come_back_after_a_death_are_waited_for(tmp_path: Path) -> None:
    """Their reader has let them go, and so they are not held; but they are not free yet."""
    simulation = MortalSimulation(tmp_path, 8, 4, "read", competing=False)
    for _ in range(4):
        simulation.flow(4, 3, 3, 0)
    assert len(simulation.target) == 4
    for _ in range(2):
        simulation.read(0, slowly=True)
    simulation.receiver_dies(0)
    simulation.sender_breaks()
    for _ in range(4):
        simulation.flow(4, 3, 3, 0)
    assert simulation.receiver.received - simulation.receiver.stored == 2
    assert simulation.failures == []
    simulation.come_back()
    simulation.reserve(4)
    assert simulation.receiver.received == simulation.receiver.stored == 6
    simulation.run_to_the_end()
    assert simulation.delivered == list(range(simulation.produced))
