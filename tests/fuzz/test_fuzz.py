"""A short turn of `python -m tests.fuzz`."""

from __future__ import annotations

from pathlib import Path

from .decoders import decoders
from .sockets import sockets


def test_no_message_breaks_what_reads_it() -> None:
    outcome = decoders(50_000, seed=1)
    assert outcome["refused"] > 10_000
    assert outcome["read"] > 1000


def test_a_run_does_not_notice_rubbish_at_its_ports(tmp_path: Path) -> None:
    verdict = sockets(3000, 1000, 1, tmp_path)
    assert verdict.unharmed, verdict
    assert verdict.crowds["let in"] == 3 * 2 * 1000, "some are closed again"
    assert verdict.told_of_crowds < 3 * 7, "each port tells of it ever more seldom"
    assert verdict.sent["messages"] > 1000
