from __future__ import annotations

import pytest

from mimocorb_dist.errors import KeysError
from mimocorb_dist.node.absence import ABSENT_AFTER_S, Absence


@pytest.fixture
def told():
    return []


@pytest.fixture
def look(told):
    absence = Absence(told.append)
    return lambda silent_s: absence.look("tcp://lab:5550", silent_s)


def test_a_broker_that_is_not_heard_is_told_once_and_so_is_its_return(look, told):
    for silent_s in (0.5, 4.6, 5.1, 5.6, 30.0):
        look(silent_s)
    (said,) = told
    assert said.startswith("the broker at tcp://lab:5550 has not been heard for 5 s")
    look(0.2)
    look(0.7)
    assert told[1:] == ["the broker at tcp://lab:5550 is heard again, after 30 s"]
    look(ABSENT_AFTER_S - 0.5)
    assert len(told) == 2
    look(ABSENT_AFTER_S)
    assert len(told) == 3


def test_a_node_that_has_stood_still_itself_says_nothing(look, told):
    look(60.0)
    look(0.1)
    assert told == []


def test_a_refusal_is_told_instead_once_for_each_reason(told):
    absence = Absence(told.append)
    for silent_s in (2.0, 3.0, 4.0, 8.0):
        absence.look("tcp://lab:5550", silent_s, KeysError("it does not know this key"))
    assert told == ["it does not know this key; data flow on, and the broker is called again and again"]
    absence.look("tcp://lab:5550", 0.1)
    assert told[1:] == ["the broker at tcp://lab:5550 is heard again, after 8 s"]
