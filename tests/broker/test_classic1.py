"""Run control of setups of mimoCoRB 1: limits of the setup, its first function, pauses, lone functions."""

from __future__ import annotations

import dataclasses

import pytest

from mimocorb_dist.broker.control import RunControl
from mimocorb_dist.broker.limits import event_limits
from mimocorb_dist.broker.state import State
from mimocorb_dist.topology import plan as spread

from .plans import ONE_NODE, planned
from .registrations import registration
from .test_control import kinds

TWO_SOURCES = ONE_NODE.replace(
    "Workers:", "  other: {slot_count: 4, data_length: 1, data_dtype: {a: int8}}\nWorkers:"
) + (
    "  second: {file: f.py, function: source, sinks: [other]}\n"
    "  watch: {file: f.py, function: save, sources: [other]}\n"
    "  scope: {file: f.py, function: pick, observes: [raw]}\n"
)


def begun(tmp_path, text=TWO_SOURCES, command_line=None, **rules):
    """Return a run in which importers take data, of a setup with other rules than those of its dialect."""
    topology, _ = planned(tmp_path, text)
    changed = dataclasses.replace(topology, rules=dataclasses.replace(topology.rules, **rules))
    control = RunControl(spread(changed), 60.0)
    control.register(registration("local", **(command_line or {})), 0.0)
    control.take_effects()
    control.run_made("id", "a_name")
    control.node_ready("local", {})
    for stage in range(4):
        control.node_started("local", stage)
    assert control.state is State.RUNNING
    return control


def alive(**counts):
    everybody = dict.fromkeys(("source", "save", "second", "watch", "scope"), 1) | counts
    return {"workers": {name: {"alive": count} for name, count in everybody.items()}}


def test_the_end_of_the_first_function_stops_the_others(tmp_path):
    control = begun(tmp_path, ends_with="source")
    control.report("local", alive(second=0), 1.0)
    assert control.state is State.RUNNING
    control.take_effects()
    control.report("local", alive(source=0), 2.0)
    assert control.state is State.DRAINING
    assert "stop" in kinds(control)


def test_without_a_first_function_all_importers_have_to_end(tmp_path):
    control = begun(tmp_path)
    control.report("local", alive(source=0), 1.0)
    assert control.state is State.RUNNING
    control.report("local", alive(source=0, second=0), 2.0)
    assert control.state is State.DRAINING


def test_who_only_observes_is_hurried_once_when_all_others_have_ended(tmp_path):
    control = begun(tmp_path)
    control.take_effects()
    for number, counts in enumerate(({"source": 0, "second": 0}, {"source": 0, "second": 0, "save": 0}), 1):
        control.report("local", alive(**counts), float(number))
        assert "hurry" not in kinds(control)
    control.report("local", alive(source=0, second=0, save=0, watch=0), 3.0)
    assert kinds(control) == ["hurry"]
    control.report("local", alive(source=0, second=0, save=0, watch=0), 4.0)
    assert not kinds(control)


@pytest.mark.parametrize(("holds", "ended"), [(True, False), (False, True)])
def test_the_time_of_a_pause_counts_unless_sources_wait(tmp_path, holds, ended):
    control = begun(tmp_path, max_time_s=10.0, holds=holds)
    for now_s in (0.0, 4.0):
        control.tick(now_s)
    control.command("pause")
    for now_s in (5.0, 12.0):
        control.tick(now_s)
    assert (control.state is State.DRAINING) is ended
    if not ended:
        control.command("resume")
        control.tick(17.0)
        assert control.state is State.RUNNING
        control.tick(18.5)
        assert control.state is State.DRAINING


@pytest.mark.parametrize(
    ("command_line", "expected"), [({}, 7), ({"max_events": 9}, 9), ({"max_events": 3}, 3)]
)
def test_the_limit_of_the_command_line_takes_the_place_of_that_of_the_setup(tmp_path, command_line, expected):
    topology, _ = planned(tmp_path, TWO_SOURCES)
    rules = dataclasses.replace(topology.rules, max_events=7, counted="other")
    control = RunControl(spread(dataclasses.replace(topology, rules=rules)))
    control.register(registration("local", **command_line), 0.0)
    control.take_effects()
    control.run_made("id", "a_name")
    (prepare,) = [effect for effect in control.take_effects() if getattr(effect, "kind", "") == "prepare"]
    assert prepare.fields["limits"] == {"other": expected}


def test_a_limit_may_count_what_no_importer_writes(tmp_path):
    text = ONE_NODE.replace(
        "Workers:", "  good: {slot_count: 4, data_length: 1, data_dtype: {a: int8}}\nWorkers:"
    )
    text += "  pick: {file: f.py, function: pick, sources: [raw], sinks: [good]}\n"
    text += "  keep: {file: f.py, function: save, sources: [good]}\n"
    _, plan = planned(tmp_path, text)
    assert event_limits(plan, "good", 5) == {"local": {"good": 5}}
    assert event_limits(plan, "nothing", 5) == {"local": {}}
