"""The states of a run, what they mean, and how they follow on each other.

State          What it means
-------------  ---------------------------------------------------------------------------------------------
waiting        some node is missing, or makes its rings and starts its processes
ready          all processes of all nodes are ready; they are let go, stage by stage, importers last
running        importers take data
paused         the same, but root buffers (or all) discard what they are given, and count it; or (mimoCoRB 1,
               and as long as a disk has no room) who writes them waits
draining       importers end or have ended; what the buffers hold goes its way to the exporters
finished       all has ended well
failed         the same, but something went wrong: `reasons` says what
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """States of a run, see above."""

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
