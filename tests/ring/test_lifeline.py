"""What a process knows of its node, and does without one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.ring.lifeline import Fate, Lifeline
from mimocorb_dist.ring.runtime import RuntimeDirectory
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost

DEAD = 0
"""Not the process id of any parent."""


@pytest.fixture
def runtime(host: MemberHost, directory: Path) -> Path:
    """The runtime directory of a node that has died."""
    path = directory / "mimocorb-20260101T120000-aaaaaa-daq"
    node = host.start("hold_runtime_directory", str(path))
    eventually(lambda: (path / "raw.ring").exists())
    host.kill(node)
    return path


def test_a_process_waits_for_an_heir_and_follows_it(host: MemberHost, runtime: Path) -> None:
    lifeline = Lifeline(DEAD, 60.0, runtime / "find.0.json", runtime)
    assert lifeline.look() is Fate.AWAITED
    heir = host.start("hold_seat", str(runtime / "other.seat"))
    lifeline.adopted_by(heir)
    assert lifeline.look() is Fate.HERE
    host.kill(heir)
    assert lifeline.look() is Fate.AWAITED


def test_the_wait_ends_for_all_processes_but_not_in_the_hands_of_an_heir(runtime: Path) -> None:
    patient = Lifeline(DEAD, 60.0, runtime / "find.0.json", runtime)
    hasty = Lifeline(DEAD, 0.0, runtime / "find.1.json", runtime)
    heir = RuntimeDirectory.inherit(runtime)
    assert hasty.look() is Fate.AWAITED, "the heir has come, and will tell"
    os.close(heir._lock)  # it dies at once
    assert hasty.look() is Fate.GONE
    assert (runtime / "given-up").exists()
    assert patient.look() is Fate.GONE


def test_output_goes_to_the_log_while_there_is_no_node(runtime: Path, tmp_path: Path) -> None:
    os.mkfifo(runtime / "find.0.output")
    output = os.open(runtime / "find.0.output", os.O_RDWR)
    lifeline = Lifeline(DEAD, 60.0, runtime / "find.0.json", runtime, tmp_path / "find.log")
    for _ in range(4):  # more than a FIFO holds
        os.write(output, b"x" * 40_000)
        lifeline.keep_output()
    os.close(output)
    assert (tmp_path / "find.log").read_bytes() == b"x" * 160_000
