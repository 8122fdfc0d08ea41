"""A ring against a model of it: any sequence of steps, and deaths in the middle of them.

A member dies by an exception raised at a line of the ring's code, as SIGKILL would end it there; what a real
SIGKILL does to real processes is tested beside this.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

import mimocorb_dist.ring
from tests.ring.model import Member, RingModel, events_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_RING_FILES = str(Path(mimocorb_dist.ring.__file__).parent)


class Killed(BaseException):
    """Stands for a death: it is raised where the process dies, and nobody may catch it."""


def die_at(step: int, action: Callable[[], object]) -> bool:
    """Do something, and die at the given line of the ring's code; False if it was done before that."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(_RING_FILES):
            return None
        if event == "line":
            count += 1
            if count == step:
                raise Killed
        return trace

    previous = sys.gettrace()
    gc.disable()  # what is collected must not be killed
    sys.settrace(trace)
    try:
        action()
    except Killed:
        return True
    finally:
        sys.settrace(previous)
        gc.enable()
    return False


class MortalRing(RingModel):
    """Steps on a ring whose writers and readers die at any line."""

    @rule(data=st.data(), step=st.integers(1, 90), late=st.booleans())
    def writer_dies(self, data: st.DataObject, step: int, late: bool) -> None:
        writer = data.draw(st.sampled_from(self.writers))
        action = data.draw(st.sampled_from(["reserve", "close", "publish" if writer.runs else "put"]))
        events: list[int] = []
        deed: Callable[[], object] = writer.end.close
        if action == "reserve":
            deed = lambda: writer.end.reserve(3, timeout_s=0)  # noqa: E731
        elif action == "publish":
            run = writer.runs[0]
            events = self.write_into(writer, run)
            deed = lambda: writer.end.publish(run)  # noqa: E731
        elif action == "put":
            run = self.reserve_by(writer, 1)
            if run is None and not self.refuses:  # it would wait
                return
            event = self.new_event(writer)
            if run is not None:
                self.act(writer, lambda: writer.end.abandon(run))
                events = [event]
            deed = lambda: self.write_in_some_way(writer, event, "put")  # noqa: E731
        before = self.ring.statistics()
        self.act(writer, lambda: die_at(step, deed))
        after = self.ring.statistics()
        assert after.written - before.written in (0, len(events))
        written = after.written - before.written
        self.published.update(events[:written])
        self.all_but_published.update(events[written:])
        self.discarded += after.discarded_while_paused - before.discarded_while_paused
        assert after.refused - before.refused in (0, 1)
        self.refused += after.refused - before.refused
        self.note_given_up()
        self.die(writer, late)

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), step=st.integers(1, 60), late=st.booleans())
    def reader_dies(self, data: st.DataObject, step: int, late: bool) -> None:
        reader = data.draw(st.sampled_from(self.readers))
        action = data.draw(
            st.sampled_from(["take", "close", *(["release", "requeue"] if reader.runs else [])])
        )
        run = reader.runs[0] if reader.runs else None
        deed: Callable[[], object] = {
            "take": lambda: reader.end.take(3, timeout_s=0),
            "close": reader.end.close,
            "release": lambda: reader.end.release(run),
            "requeue": lambda: reader.end.requeue(run),
        }[action]
        self.disturb_taken(reader)
        if late or action in ("close", "requeue"):  # what waits may be in its hands when it dies
            self.disturbed[reader.group] |= self.published - self.released[reader.group]
        if action in ("close", "requeue"):  # others may have it from now on
            reader.runs.clear()
        events = events_of(run) if run is not None else []
        before = self.ring.statistics().read[reader.group]
        self.act(reader, lambda: die_at(step, deed))
        released = self.ring.statistics().read[reader.group] - before
        assert released in (0, len(events) if action == "release" else 0)
        if released:
            self.released[reader.group].update(events)
            reader.runs.pop(0)
        self.die(reader, late)

    def die(self, member: Member, late: bool) -> None:
        member.ring.close()  # as the kernel does
        self.succeed(member)
        self.dead.append(member)
        if not late:
            self.recover_from(member)

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        self.recover_from(data.draw(st.sampled_from(self.dead)))


TestRingModel = MortalRing.TestCase
TestRingModel.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
