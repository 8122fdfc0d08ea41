from __future__ import annotations

import logging

import pytest

from mimocorb_dist.wire.complaints import Complaints


def test_the_first_are_told_and_then_ever_fewer(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(logging.getLogger("test"))
    told = []
    for number in range(1, 2001):
        complaints.add(f"rubbish {number}")
        if caplog.records:
            told.append((number, caplog.records[-1].message))
            caplog.clear()
    assert [number for number, _ in told] == [1, 2, 3, 10, 100, 1000]
    assert told[1] == (2, "rubbish 2")
    assert told[4] == (100, "rubbish 100 (100 such so far, told ever more seldom)")
    assert complaints.count == 2000
