"""What a process knows of its node: whether it lives, and if not, whether an heir of it may still come."""

from __future__ import annotations

import contextlib
import os
import select
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from .runtime import give_up, was_given_up
from .seats import last_words_path, seat_of, take_seat

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

LOOK_EVERY_S = 0.2
"""How often a process looks after its node."""
_CHUNK_BYTES = 1 << 16
_CHUNKS_A_LOOK = 16
_PREDECESSOR_S = 5.0
"""How long a process of the same seat, whose node has died before its start, may take to end."""


class Fate(Enum):
    """What has become of a node."""

    HERE = "it, or an heir, is here"
    AWAITED = "it has died, and an heir may come"
    GONE = "it has died, and nobody will come"


class Lifeline:
    """Watches the node of this process, from any thread; one thread at a time calls `look`.

    Parameters
    ----------
    node
        Process id of the node that has started this process; None: that of the parent.
    grace_s
        How long to wait for an heir, in s.
    job
        Path of the job file; None if no heir can come. The seat and the channels lie beside it.
    runtime
        The node's runtime directory.
    log
        Where output goes while there is no node.

    Raises
    ------
    RingError
        If another process does the same job.
    """

    def __init__(
        self,
        node: int | None = None,
        grace_s: float = 0.0,
        job: Path | None = None,
        runtime: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self._pid = os.getppid() if node is None else node
        self._grace_s = grace_s
        self._runtime = runtime
        self._log = log
        self._seat = None if job is None or runtime is None else seat_of(job)
        self._output = -1
        self._deserted_s: float | None = None
        self._given_up = False
        self._parent = True
        self._pidfd = _watch(self._pid)
        if self._seat is not None and self._seat.parent.is_dir():
            take_seat(self._seat, _PREDECESSOR_S)

    @classmethod
    def from_arguments(cls, options: Namespace) -> Lifeline:
        """Make it from what the command line of the process says."""
        return cls(options.node_pid, options.grace_s, options.job, options.runtime, options.log)

    def node_lives(self) -> bool:
        """Tell whether the node, or the heir that has told this process of itself, lives."""
        if self._parent and os.getppid() != self._pid:
            return False
        if self._pidfd is None:
            return self._parent
        poll = select.poll()  # threads must not share one
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def look(self) -> Fate:
        """Look what has become of the node."""
        if self._given_up:
            return Fate.GONE
        if self.node_lives():
            self._deserted_s = None
            return Fate.HERE
        if self._deserted_s is None:
            self._deserted_s = monotonic()
        runtime, is_over = self._runtime, monotonic() - self._deserted_s >= self._grace_s
        self._given_up = runtime is None or was_given_up(runtime) or (is_over and give_up(runtime))
        return Fate.GONE if self._given_up else Fate.AWAITED

    def adopted_by(self, pid: int) -> None:
        """Take a process as the node from now on: it has said that it is its heir."""
        self._parent, self._pid, self._deserted_s = False, pid, None
        previous, self._pidfd = self._pidfd, _watch(pid)
        output, self._output = self._output, -1
        for descriptor in (previous, output):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)

    def keep_last_words(self, text: str) -> None:
        """Leave what this process says last for an heir who comes after its end."""
        if self._seat is not None:
            with contextlib.suppress(OSError):  # no room: it counts as killed, if the node dies just now
                last_words_path(self._seat, os.getpid()).write_text(text, encoding="utf-8")

    def keep_output(self) -> None:
        """Bring to the log file what was printed, for there is nobody who does: else printing would block."""
        if self._seat is None or self.node_lives():
            return
        if self._output < 0:
            path = self._seat.with_suffix(".output")
            try:
                self._output = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:  # the directory has been removed
                return
        for _ in range(_CHUNKS_A_LOOK):
            try:
                text = os.read(self._output, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not text:
                return
            if self._log is not None:
                with contextlib.suppress(OSError), self._log.open("ab", buffering=0) as log:  # a full disk
                    log.write(text)


def add_arguments(parser: ArgumentParser) -> None:
    """Add what a node tells a process on its command line so that it can be taken over by an heir."""
    parser.add_argument("--node-pid", type=int)
    parser.add_argument("--grace-s", type=float, default=0.0)
    parser.add_argument("--runtime", type=Path)
    parser.add_argument("--log", type=Path)


def can_be_inherited() -> bool:
    """Tell whether this system lets a process watch one that it has not started: some containers do not."""
    descriptor = _watch(os.getpid())
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _watch(pid: int) -> int | None:
    """Return a descriptor that becomes readable when a process ends; None where the system gives none."""
    if pid <= 0 or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        # One whose end is known: the reading end of a pipe that nobody writes to.
        ended, other = os.pipe2(os.O_CLOEXEC)
        os.close(other)
        return ended
    except OSError:
        return None
