"""What a host goes on with on which everything has died."""

from __future__ import annotations

import os
import time

import pytest

from mimocorb_dist.errors import SetupError
from mimocorb_dist.node.notes import AWAITED_S, Notes, find_inheritance, identity
from mimocorb_dist.ring import runtime
from mimocorb_dist.ring.runtime import RuntimeDirectory
from mimocorb_dist.topology import load

from .running import THREE_NODES, write_setup


@pytest.fixture
def setup(tmp_path):
    return load(write_setup(tmp_path, THREE_NODES, PORT="5550"))


@pytest.fixture
def left(tmp_path, setup, monkeypatch):
    """What a host has left whose processes have all died."""
    monkeypatch.setattr(runtime, "runtime_root", lambda: tmp_path)
    held = RuntimeDirectory.create("20260101T120000-aaaaaa", "daq")
    content = {"node": "daq", "name": "run_1", "grace_s": 60.0, "identity": identity(setup), "work": {}}
    notes = Notes(held.path, pytest.fail, content)
    notes.write("mail", {})
    _let_go(held)
    return held.path


def _let_go(held):
    os.close(held._lock)  # as the system does for who has died


def found(setup, *, with_others=True):
    return find_inheritance(setup, "daq", with_others=with_others)


def test_it_goes_on_where_it_stood_if_others_wait_for_it(setup, left):
    assert found(setup) == left
    assert find_inheritance(setup, "filter", with_others=True) is None


def test_a_run_that_was_on_this_host_only_has_died_with_it(setup, left):
    assert found(setup, with_others=False) is None


def test_after_some_minutes_nobody_waits_for_it_any_more(setup, left):
    then_s = time.time() - AWAITED_S - 1
    os.utime(left / "notes.json", (then_s, then_s))
    assert found(setup) is None


def test_signs_of_life_keep_it_awaited(setup, left):
    then_s = time.time() - AWAITED_S - 1
    os.utime(left / "notes.json", (then_s, then_s))
    Notes(left, pytest.fail).touch()
    assert found(setup) == left


def test_processes_that_have_given_up_are_not_taken_over(setup, left):
    (left / "given-up").touch()
    assert found(setup) is None


def test_with_another_setup_it_begins_anew(tmp_path, setup, left):
    changed = load(write_setup(tmp_path, THREE_NODES, PORT="5550", SOURCE="rate: 5"))
    assert found(changed) is None


def test_with_another_setup_it_must_not_begin_while_processes_wait(tmp_path, setup, left):
    other = RuntimeDirectory.create("20260101T120000-aaaaaa", "filter")  # of the same run, and alive
    changed = load(write_setup(tmp_path, THREE_NODES, PORT="5550", SOURCE="rate: 5"))
    with pytest.raises(SetupError, match="put back what it was"):
        found(changed)
    other.remove()
