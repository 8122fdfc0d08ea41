"""How the ring of a script's buffer comes into being: when the first event is to be written.

A ring must know its reader groups when it is made, but a script may make groups, writers and observers in any
order, and start processes between. So `NewBuffer` keeps a plan in a file, and the first writer makes the ring
from it: groups that are made until then get every event.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mimocorb_dist.ring import BufferSpec, Ring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RING_FILE = "buffer.ring"
SETTLED_S = 0.25
"""So long after the last change of the plan a writer in another process takes it as finished."""
LATER = "later"
"""The group of a ring that was made when there was neither group nor observer: the first one to come."""
WRITERS = 64
"""Nobody knows how many there will be, and none closes the ring; each claims so small a share ahead."""
_PLAN, _LOCK, _MADE = "plan.json", "plan.lock", "made"


@dataclass(frozen=True)
class Plan:
    """What a buffer is going to be.

    Parameters
    ----------
    spec
        The buffer, with the groups made so far.
    observers
        How many observers were made.
    paused
        Whether it begins paused.
    changed_s
        When this was changed last: the machine's monotonic time.
    """

    spec: BufferSpec
    observers: int = 0
    paused: bool = False
    changed_s: float = 0.0


def read_plan(directory: Path) -> Plan:
    """Read the plan in a directory."""
    values = json.loads((directory / _PLAN).read_text())
    return Plan(**values | {"spec": BufferSpec.from_json(values["spec"])})


def write_plan(directory: Path, plan: Plan) -> None:
    """Write the plan, whole at any moment."""
    values = {
        "spec": plan.spec.to_json(),
        "observers": plan.observers,
        "paused": plan.paused,
        "changed_s": time.monotonic(),
    }
    (directory / "plan.new").write_text(json.dumps(values))
    (directory / "plan.new").rename(directory / _PLAN)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let nobody else change the plan or make the ring."""
    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def is_made(directory: Path) -> bool:
    """Tell whether the ring is there."""
    return os.path.exists(directory / _MADE)


def seal(directory: Path, *, settled: bool = False) -> None:
    """Make the ring as planned, unless it is there.

    Parameters
    ----------
    directory
        The directory of the buffer. Nothing happens if it has gone.
    settled
        Wait until the plan has not changed for a moment: the script may be at it.
    """
    while True:
        try:
            with locked(directory):
                if is_made(directory):
                    return
                plan = read_plan(directory)
                wait_s = SETTLED_S - (time.monotonic() - plan.changed_s) if settled else 0.0
                if wait_s <= 0:
                    _make(directory, plan)
                    return
        except FileNotFoundError:
            return
        time.sleep(wait_s)


def _make(directory: Path, plan: Plan) -> None:
    groups = plan.spec.groups or (() if plan.observers else (LATER,))
    spec = replace(plan.spec, groups=groups)
    path = directory / RING_FILE
    path.unlink(missing_ok=True)  # of one that died at it
    for queue in Ring.make_queues(path, spec):
        with queue:
            while queue.pop(4096):
                pass
        queue.close()
    ring = Ring.create(directory, spec, path.stem, expected_writers=WRITERS)
    if plan.paused:
        ring.pause(hold=True)
    (directory / _MADE).touch()
    ring.close()
