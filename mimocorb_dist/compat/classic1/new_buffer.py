"""The buffer of mimoCoRB 1 that a script makes for itself: `NewBuffer`."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import threading
import time
import uuid
from dataclasses import replace
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import BufferSpec, ClassicFigures, Ring
from mimocorb_dist.ring.layout import Layout, Role
from mimocorb_dist.ring.runtime import RuntimeDirectory, runtime_root

from .bury import bury_the_dead, members, waiting
from .hands import finish_reading, tidy
from .place import make_dict, place_of_ring
from .seal import LATER, RING_FILE, Plan, is_made, locked, read_plan, seal, write_plan

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.ring.tokens import TokenQueue

    from .place import Place

_log = logging.getLogger(__name__)
_number = itertools.count(1)

WRITERS_S = 0.5
"""How long the end of a stream waits for writers to leave, and..."""
IN_HAND_S = 2.0
"""...for those that have an event or a slot in hand, after readers have read their last event."""
READERS_GONE_S = 1.0
"""How long it waits for a group whose readers have all gone, and..."""
READERS_COME_S = 10.0
"""...for one that never had any: they may still be starting."""
TELL_EVERY_S = 5.0
_LOOK_S = 0.005


class NewBuffer:
    """A buffer of its own, in shared memory until `close`, or the end of the script.

    Its dicts go to processes that are started with `multiprocessing` in any way, and each is used there to
    make a `Writer`, `Reader` or `Observer`. Reader groups that are made before the first event is written get
    every event.

    Parameters
    ----------
    number_of_slots
        Number of events that it can hold.
    values_per_slot
        Number of records in an event.
    dtype
        Type of a record: a list of tuples (name, dtype), or a plain dtype.
    debug
        Put into the dicts.
    name
        Name of the buffer in messages.

    Raises
    ------
    RingError
        If there is no room, or the numbers make no sense.
    """

    def __init__(
        self,
        number_of_slots: int,
        values_per_slot: int,
        dtype: Any,
        debug: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        tidy()
        self.number_of_slots = number_of_slots
        self.values_per_slot = values_per_slot
        self.dtype = dtype
        self.name = name or f"buffer_{next(_number)}"
        self._debug = debug
        self._groups = 0
        spec = BufferSpec(self.name, number_of_slots, values_per_slot, np.dtype(dtype), groups=())
        _check_room(spec)
        runtime = RuntimeDirectory.create(f"buffer-{uuid.uuid4().hex[:12]}", "local")
        self._directory = runtime.path
        self._place = place_of_ring(runtime.path, os.getpid())
        self._queues = _hold(runtime.path, spec, LATER)
        write_plan(runtime.path, Plan(spec))
        self._figures: ClassicFigures | None = None
        self._looked_ns = 0
        self._begin_s = time.monotonic()
        # At the end of the script: the stream ends before processes are waited for, the memory goes after.
        self._end_at_exit = Finalize(self, _end, (self._place,), exitpriority=10)
        self._remove = Finalize(self, _remove, (runtime, self._place, self._queues), exitpriority=-10)
        _open.add(self)

    def new_reader_group(self) -> dict[str, Any]:
        """Return the dict of a new group of readers, which share its events; every group gets all events.

        Raises
        ------
        RingError
            If events have been written.
        """
        with locked(self._there()):
            plan = read_plan(self._directory)
            if not is_made(self._directory):
                self._groups += 1
                group = f"group_{self._groups}"
                self._queues += _hold(self._directory, plan.spec, group)
                write_plan(
                    self._directory, replace(plan, spec=replace(plan.spec, groups=(*plan.spec.groups, group)))
                )
            elif self._groups == 0 and LATER in self._ring().spec.groups:
                self._groups, group = 1, LATER  # nobody has missed an event
            else:
                raise RingError(
                    f"{self.name}: a reader group was made after the first event had been written, and would "
                    "miss events; call new_reader_group() before writers begin"
                )
        return self._dict("read", group)

    def new_writer(self) -> dict[str, Any]:
        """Return the dict of a writer; several may be made from one dict, or one from each."""
        self._changed()
        return self._dict("write")

    def new_observer(self) -> dict[str, Any]:
        """Return the dict of an observer; several may be made from one dict, or one from each."""
        self._changed(observers=1)
        return self._dict("observe")

    def buffer_status(self) -> tuple[int, int, float, float]:
        """Return the state of the buffer.

        Returns
        -------
        tuple
            Events so far, slots that some group has still to read, since the last call the rate in 1/s, and
            the mean dead time (share) that the events say which have come since then and are still there.
        """
        tidy()
        if not is_made(self._there()):
            return 0, 0, 0.0, 0.0
        now = self._ring().statistics()
        if self._figures is None:
            self._figures = ClassicFigures(
                replace(now, written=0, dead_time_s=0.0, live_time_s=0.0, time_s=self._begin_s)
            )
        figures = self._figures.of(now)
        return now.written, now.filled, figures["rate"], self._mean_dead_time(figures["average_deadtime"])

    def _mean_dead_time(self, booked: float) -> float:
        ring = self._ring()
        if ring.slot_count == 1:  # of all events that have come only the last one is there
            return min(max(booked, 0.0), 1.0)
        published_ns = ring.table.all_published
        shares = ring.all_metadata["deadtime"][published_ns > self._looked_ns]
        self._looked_ns = int(published_ns.max())
        shares = shares[shares >= 0]  # -1: nobody has said it
        return float(shares.mean()) if len(shares) else 0.0

    def pause(self) -> None:
        """Let writers wait; sources that `rbImport` reads are not read."""
        self._set_paused(True)

    def resume(self) -> None:
        """Let writers go on."""
        self._set_paused(False)

    def set_ending(self) -> None:
        """End sources at their next event; what is in the buffer will be read."""
        if self._directory.exists():
            seal(self._directory)
            self._ring().request_stop()

    def shutdown(self) -> None:
        """End the stream, and wait until every group has read all events; then its readers end.

        Call it in the order of the data flow. A group whose readers have all gone is not waited for: a
        warning tells how many events it has not read.
        """
        tidy()
        if not self._directory.exists():
            return
        self.set_ending()
        ring = self._ring()
        if threading.active_count() == 1:  # else another thread may be at work on one
            finish_reading(self._place.path)
        _wait_for_writers(ring)
        ring.expect_writers(0)
        self._wait_for_readers(ring)
        _open.discard(self)

    def close(self) -> None:
        """Remove the buffer from shared memory. Who is attached may read what is left."""
        tidy()
        if self._end_at_exit.still_active():
            self._end_at_exit()
        if self._remove.still_active():
            self._remove()
        _open.discard(self)

    # Parts.

    def _there(self) -> Path:
        if not self._directory.exists():
            raise RingError(f"{self.name} has been closed; make a new NewBuffer")
        return self._directory

    def _ring(self) -> Ring:
        ring = self._place.ring()
        if ring is None:
            raise RingError(f"{self.name} has been closed; make a new NewBuffer")
        return ring

    def _dict(self, role: str, group: str = "") -> dict[str, Any]:
        return make_dict(
            self._place, self.name, role, self.number_of_slots, self.values_per_slot, self.dtype,
            group=group, debug=self._debug,
        )  # fmt: skip

    def _changed(self, *, observers: int = 0, paused: bool | None = None) -> None:
        with locked(self._there()):
            plan = read_plan(self._directory)
            write_plan(
                self._directory,
                replace(
                    plan,
                    observers=plan.observers + observers,
                    paused=plan.paused if paused is None else paused,
                ),
            )

    def _set_paused(self, paused: bool) -> None:
        self._changed(paused=paused)
        if is_made(self._directory):
            if paused:
                self._ring().pause(hold=True)
            else:
                self._ring().resume()

    def _wait_for_readers(self, ring: Ring) -> None:
        """Wait until every group has read all, or its readers have gone."""
        begin_s = tell_s = time.monotonic()
        alone_since_s: dict[str, float] = {}
        while not ring.drained:
            tidy()
            bury_the_dead(ring)
            now_s = time.monotonic()
            left = {group: count for group, count in ring.statistics().undelivered.items() if count}
            waited_for = [group for group in left if not self._is_deserted(ring, group, alone_since_s, now_s)]
            if not waited_for:
                self._warn(ring)
                return
            if now_s - tell_s > TELL_EVERY_S:
                tell_s = now_s
                what = ", ".join(f"{group} {left[group]} events" for group in waited_for)
                _log.warning(
                    "%s: after %.0f s readers have still to read: %s", self.name, now_s - begin_s, what
                )
            time.sleep(_LOOK_S)

    def _is_deserted(self, ring: Ring, group: str, alone_since_s: dict[str, float], now_s: float) -> bool:
        """Tell whether nobody will read the events of a group."""
        index = ring.group_index(group)
        readers = members(ring, Role.READER, index)
        if set(readers) - {os.getpid()} or (readers and threading.active_count() > 1):
            alone_since_s.pop(group, None)
            return False
        if readers or (group == LATER and self._groups == 0):
            return True  # it is this thread that would have to read
        had_some = bool(np.any(ring.table.groups[index].all_taken))
        since_s = alone_since_s.setdefault(group, now_s)
        return now_s - since_s > (READERS_GONE_S if had_some else READERS_COME_S)

    def _warn(self, ring: Ring) -> None:
        """Tell of events that nobody has read."""
        for group, count in ring.statistics().undelivered.items():
            if count and not (group == LATER and self._groups == 0):
                _log.warning(
                    "%s: %d events have not been read by %s, for its readers have all gone; "
                    "keep a process that calls Reader.get() until shutdown() has returned",
                    self.name, count, group,
                )  # fmt: skip


_open: set[NewBuffer] = set()
"""Those that have not been shut down: a script may forget them, and use only their dicts."""


def _check_room(spec: BufferSpec) -> None:
    needed, free = Layout(spec).total_bytes, shutil.disk_usage(runtime_root()).free
    if needed > free:
        raise RingError(
            f"{spec.name} needs {needed / 1e6:.1f} MB in {runtime_root()}, and {free / 1e6:.1f} MB are free; "
            "use fewer or smaller slots, free shared memory (mimocorb-node clean), or enlarge it"
        )


def _hold(directory: Path, spec: BufferSpec, group: str) -> list[TokenQueue]:
    """Hold the queues of a ring that is to be made: others come and go."""
    return Ring.make_queues(directory / RING_FILE, replace(spec, groups=(group,)))


def _wait_for_writers(ring: Ring) -> None:
    """Give writers the time to leave, and to publish what they have in hand."""
    begin_s, seen = time.monotonic(), -1
    while True:
        writers = members(ring, Role.WRITER)
        if not set(writers) - {os.getpid()} and (not writers or threading.active_count() == 1):
            return
        in_hand = bool(np.any(ring.table.all_claimed > ring.table.all_written)) or waiting(ring)
        if in_hand and seen != (seen := sum(int(group.all_released.sum()) for group in ring.table.groups)):
            begin_s = time.monotonic()  # there will be room for it
        if time.monotonic() - begin_s > (IN_HAND_S if in_hand else WRITERS_S):
            return
        bury_the_dead(ring)
        time.sleep(_LOOK_S)


def _end(place: Place) -> None:
    """End the stream without waiting: readers end when they have read what is there."""
    if place.directory.exists():
        seal(place.directory)
        ring = place.ring()
        if ring is not None and not ring.ended:
            ring.request_stop()
            ring.expect_writers(0)


def _remove(directory: RuntimeDirectory, place: Place, queues: list[TokenQueue]) -> None:
    for queue in queues:
        queue.close()
    place.forget()
    directory.remove()
