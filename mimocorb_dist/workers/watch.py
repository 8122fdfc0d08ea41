"""A thread beside a worker's function: it reports counts, and lets the worker end when it has to."""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING

from mimocorb_dist.errors import WireError
from mimocorb_dist.ring.lifeline import LOOK_EVERY_S, Fate

from .stopping import main_thread_waits

if TYPE_CHECKING:
    from mimocorb_dist.ring.lifeline import Lifeline
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

    from .io import BufferIO

COUNTS_EVERY_S = 1.0
IDLE_S = 1.0
"""A worker without node that waits so long for another process ends: nothing will come any more."""
STUCK_S = 10.0
"""How long a worker without node may work on one event; after twice the time it is ended at once."""


class Watch:
    """Watches over a worker.

    It sends the number of events, at most once a second, and repeats a request to stop that came just before
    a wait. If the node has died it lets the worker go on until an heir of the node comes; if none does, it
    lets importers end, and the others as well as soon as they wait in vain.

    Parameters
    ----------
    io
        The worker's `BufferIO`.
    status
        Where to report to.
    control
        Where an heir of the node speaks up.
    lifeline
        What is known of the node.
    """

    def __init__(self, io: BufferIO, status: StatusPipe, control: ControlPipe, lifeline: Lifeline) -> None:
        self._io = io
        self._status = status
        self._control = control
        self._lifeline = lifeline
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._sent_events = 0
        self._sent_s = self._progress_s = monotonic()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End; after this nothing is sent any more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            if self._io.stop.pending:
                self._io.stop.nudge()
            self._listen()
            fate = self._lifeline.look()
            if fate is Fate.GONE:
                self._live_on_without_node()
                return
            if fate is Fate.AWAITED:
                self._lifeline.keep_output()
            else:
                self._send_counts()

    def _listen(self) -> None:
        for order in self._control.read_ready():
            if order.get("do") == "heir":
                self._lifeline.adopted_by(int(order["pid"]))
                self._status.repeat()
                self._sent_events = -1

    def _send_counts(self) -> None:
        events, now_s = self._io.events, monotonic()
        if events == self._sent_events or now_s - self._sent_s < COUNTS_EVERY_S:
            return
        try:
            self._status.send(state="counts", events=events)
        except WireError as error:
            self._io.logger.warning("%s", error)
        self._sent_events, self._sent_s = events, now_s

    def _live_on_without_node(self) -> None:
        """Let the events that are there come through, then end: nobody else will end this process."""
        io, stop = self._io, self._io.stop
        io.logger.error("the node has died; this worker ends when it has no more events")
        if not io.read and not stop.requested:
            stop.request()
        events, progress_s = io.events, monotonic()
        while not self._over.wait(LOOK_EVERY_S):
            if io.events != events:
                events, progress_s = io.events, monotonic()
            self._lifeline.keep_output()
            idle_s = monotonic() - progress_s
            if idle_s > 2 * STUCK_S:
                os._exit(1)
            if idle_s > (IDLE_S if main_thread_waits() else STUCK_S):
                stop.in_vain = True
                if not stop.requested:
                    stop.request()
                elif stop.pending:
                    stop.nudge()
