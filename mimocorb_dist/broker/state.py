"""The states of a run, and how they follow on each other; `control` says what they mean."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """States of a run."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    FINISHED = "finished"
    FAILED = "failed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.READY, State.DRAINING, State.FINISHED, State.FAILED}),
    State.READY: frozenset({State.RUNNING, State.DRAINING}),
    State.RUNNING: frozenset({State.PAUSED, State.DRAINING}),
    State.PAUSED: frozenset({State.RUNNING, State.DRAINING}),
    State.DRAINING: frozenset({State.FINISHED, State.FAILED}),
    State.FINISHED: frozenset(),
    State.FAILED: frozenset(),
}
"""What may follow on each."""
