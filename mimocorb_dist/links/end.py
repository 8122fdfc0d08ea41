"""What all ends of links have in common: the pipes to the node, the loop, the counts, the end."""

from __future__ import annotations

import logging
import signal
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import zmq

from mimocorb_dist.errors import LinkError
from mimocorb_dist.ring.lifeline import LOOK_EVERY_S, Fate

if TYPE_CHECKING:
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.ring.lifeline import Lifeline
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

log = logging.getLogger(__name__)

COUNTS_PERIOD_S = 1.0
LONGEST_WAIT_S = 0.1
"""Time-outs are looked at this often."""
FAREWELL_MS = 1000
"""How long the last messages may take to be sent."""


class StoppedError(LinkError):
    """The node has asked this end to stop before its work was done, or has died."""


class DesertedError(LinkError):
    """The node has died before it let this end go; its heir starts another one."""


class End(ABC):
    """One end of a link or view, as a process: subclasses say what happens in one turn of its loop.

    Parameters
    ----------
    job
        What to do.
    status, control
        Pipes to the node.

    Attributes
    ----------
    lifeline
        What is known of the node; None if only its end of the control pipe tells.
    """

    def __init__(self, job: LinkJob, status: StatusPipe, control: ControlPipe) -> None:
        self.job = job
        self.lifeline: Lifeline | None = None
        self.poller = zmq.Poller()
        self.poller.register(control.fileno(), zmq.POLLIN)
        self.finished = False
        self._status = status
        self._control = control
        self._stop_signal: int | None = None
        self._counted_s = self._looked_s = 0.0
        self._went = False

    @abstractmethod
    def counts(self) -> dict[str, Any]:
        """Return what is reported once a second."""

    @abstractmethod
    def order(self, order: dict[str, Any]) -> None:
        """Obey the node."""

    @abstractmethod
    def turn(self, ready: dict[Any, int], now_s: float) -> None:
        """Do what can be done, given the ready sockets and descriptors."""

    @abstractmethod
    def close(self) -> None:
        """Let go of sockets and rings."""

    @property
    def wait_s(self) -> float:
        """How long the next turn may wait for something to be ready."""
        return LONGEST_WAIT_S

    def say(self, state: str, **fields: Any) -> None:
        """Report to the node."""
        self._status.send(state=state, **fields)

    def run(self) -> None:
        """Work until the end.

        Raises
        ------
        LinkError
            When the two ends do not fit together, or the end is asked to stop before its work is done.
        """
        previous = signal.signal(signal.SIGTERM, self._note_signal)
        try:
            while not self.finished:
                ready = dict(self.poller.poll(int(self.wait_s * 1000)))
                if self._control.fileno() in ready:
                    self._obey()
                now_s = time.monotonic()
                if self.lifeline is not None and now_s - self._looked_s >= LOOK_EVERY_S:
                    self._looked_s = now_s
                    self._look_after_node(self.lifeline)
                self.turn(ready, now_s)
                if now_s - self._counted_s >= COUNTS_PERIOD_S:
                    self._counted_s = now_s
                    self.say("counts", **self.counts())
                if self._stop_signal is not None and not self.finished:
                    raise StoppedError(f"link {self.job.link}: asked to stop before the end of the stream")
            self.say("counts", **self.counts())
        finally:
            self.close()
            signal.signal(signal.SIGTERM, previous)

    def _obey(self) -> None:
        for order in self._control.read_ready():
            log.debug("link %s: %s", self.job.link, order)
            if order.get("do") == "heir" and self.lifeline is not None:
                self.lifeline.adopted_by(int(order["pid"]))
                self._status.repeat()
                self._counted_s = 0.0
            else:
                self._went = True
                self.order(order)
        if self._control.closed:
            raise StoppedError(_node_died(self.job.link))

    def _look_after_node(self, lifeline: Lifeline) -> None:
        """Go on without a node as long as an heir may come."""
        fate = lifeline.look()
        if fate is not Fate.HERE and not self._went:
            raise DesertedError(_node_died(self.job.link))
        if fate is Fate.GONE:
            raise StoppedError(_node_died(self.job.link))
        if fate is Fate.AWAITED:
            lifeline.keep_output()

    def _note_signal(self, number: int, _: object) -> None:
        self._stop_signal = number


def _node_died(link: str) -> str:
    return f"link {link}: its node has died; start the run anew"
