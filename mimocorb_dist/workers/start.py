"""The start of a worker: it says when it is ready, and begins when all others are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.errors import WireError
from mimocorb_dist.ring.lifeline import LOOK_EVERY_S

from .stopping import Calls, WorkerStop, calls

if TYPE_CHECKING:
    from mimocorb_dist.ring.lifeline import Lifeline
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

    from .io import BufferIO
    from .watch import Watch


class Deserted(BaseException):
    """The node has died before it let this worker begin; its heir starts another one."""


class Start:
    """Lets a worker begin, once; calling it again does nothing.

    A prebuilt function comes here from its template: when it has imported what it needs, opened its files and
    checked its configuration. What a user's function does before, and whether it has a template at all,
    nobody knows: it comes here before it is called.

    Parameters
    ----------
    io
        The worker's `BufferIO`.
    status
        Where to report that it is ready, and that it runs.
    control
        From where ``{"do": "go"}`` comes.
    lifeline
        What is known of the node.
    watch
        What watches over it from then on.

    Attributes
    ----------
    ready
        Whether it has said that it is ready.
    """

    def __init__(
        self, io: BufferIO, status: StatusPipe, control: ControlPipe, lifeline: Lifeline, watch: Watch
    ) -> None:
        self._io = io
        self._status = status
        self._control = control
        self._lifeline = lifeline
        self._watch = watch
        self._begun = False
        self.ready = False

    def __call__(self) -> None:
        """Say that the worker is ready, and wait until it may begin.

        Raises
        ------
        Deserted
            If the node has died.
        WireError
            If its orders are none.
        WorkerStop
            If the worker has been asked to end before.
        """
        if self._begun:
            return
        self.ready = True
        self._status.send(state="ready")
        self._wait_for_go()
        self._begun = True
        self._status.send(state="running")
        self._watch.start()

    @calls(Calls.FUNCTION)
    def _wait_for_go(self) -> None:
        if self._io.stop.requested:  # from here on a request interrupts
            raise WorkerStop
        while (order := self._control.read(LOOK_EVERY_S)) is None and not self._control.closed:
            if not self._lifeline.node_lives():
                raise Deserted
        if order is not None and order.get("do") == "heir":
            raise Deserted
        if order is None or order.get("do") != "go":
            raise WireError("the node has ended before the start, and so does this worker")
