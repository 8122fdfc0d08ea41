"""The processes of a node: starting them, taking them over from a node that has died, and their channels."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError
from mimocorb_dist.ring.seats import last_words_path, seat_of
from mimocorb_dist.wire.pipes import LineReader, LineWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Many processes share the cores: none should start a thread for each core, unless the user wants it."""
_CHANNELS = ("status", "control", "output")
_ENDED_WELL, _FAILED, _KILLED = 0, 1, -signal.SIGKILL


@dataclass(frozen=True)
class Care:
    """What becomes of a process when its node dies.

    Parameters
    ----------
    runtime
        The node's runtime directory.
    grace_s
        How long the process works on and waits for an heir of its node, in s.
    log
        Where its output goes meanwhile; None for nowhere.
    """

    runtime: Path
    grace_s: float = 0.0
    log: Path | None = None


@dataclass(frozen=True)
class Death:
    """The end of a process.

    Parameters
    ----------
    pid
        Its process id.
    exit_code
        How it ended, as `subprocess` tells it.
    last_words
        What it left for an heir of its node.
    with_host
        Whether all processes of its host have died at once.
    """

    pid: int
    exit_code: int
    last_words: Mapping[str, Any] | None = None
    with_host: bool = False


class Process(ABC):
    """A process of this package: its status and control channels, and its output.

    The channels are FIFOs beside its job file; it holds both ends of each, so that it does not notice when
    its node is gone, and an heir finds them there.

    Attributes
    ----------
    pid
        Its process id.
    status
        What it says.
    output
        Descriptor from which its standard output and error stream are read; to be closed by its reader.
    pidfd
        Descriptor that becomes readable when it ends; -1 where the system has none.
    """

    pid: int
    pidfd: int = -1

    def __init__(self, job: Path, *, taken_over: bool = False) -> None:
        self._seat = seat_of(job)
        with contextlib.ExitStack() as on_failure:
            ends = []
            for channel in _CHANNELS:
                mode = os.O_WRONLY if channel == "control" else os.O_RDONLY
                end = os.open(_path(job, channel), mode | os.O_NONBLOCK | os.O_CLOEXEC)
                on_failure.callback(os.close, end)
                ends.append(end)
            on_failure.pop_all()
        self.status = LineReader(ends[0], taken_over=taken_over)
        self._control = LineWriter(ends[1])
        self.output = ends[2]

    @property
    @abstractmethod
    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` tells it; None as long as it lives."""

    @abstractmethod
    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has come."""

    @abstractmethod
    def _signal(self, number: int) -> None:
        """Send it a signal."""

    def order(self, **fields: object) -> None:
        """Tell it what to do.

        Raises
        ------
        WireError
            If it has ended.
        """
        self._control.send(**fields)

    def terminate(self) -> None:
        """Ask it to end at the next safe point."""
        if self.exit_code is None:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        if self.exit_code is None:
            # It leads a session of its own: what it has started is in its group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._signal(signal.SIGKILL)

    def forget(self) -> None:
        """Remove what it said last: the node has noted what it means."""
        last_words_path(self._seat, self.pid).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the channels of an ended process, except its output.  Idempotent."""
        self.status.close()
        self._control.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class Child(Process):
    """A process that this one has started.

    Parameters
    ----------
    module
        Module to run: ``mimocorb_dist.workers`` or the like.
    job
        Path of its job file.
    names
        Last arguments: they tell in the list of processes which is which.
    care
        What becomes of it if this process dies.

    Raises
    ------
    RunError
        If it cannot be started.
    """

    def __init__(self, module: str, job: Path, names: Sequence[str], care: Care) -> None:
        with _channels(job) as (status, control, output):
            # -P: a file of the user's that is named like a library must not take its place.
            command = [
                sys.executable, "-P", "-m", module, "--job", str(job),
                "--status-fd", str(status), "--control-fd", str(control),
                "--node-pid", str(os.getpid()), "--grace-s", f"{care.grace_s:g}",
                "--runtime", str(care.runtime), *(() if care.log is None else ("--log", str(care.log))),
                *names,
            ]  # fmt: skip
            super().__init__(job)
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(status, control),
                    # Keys pressed in the terminal are for the node; it decides what they mean.
                    start_new_session=True,
                    env=_ONE_THREAD | os.environ,
                )
            except OSError as error:
                self.close()
                os.close(self.output)
                raise RunError(
                    f"cannot start {module} ({error.strerror}); are there too many processes?"
                ) from error
        self.pid = self._process.pid
        with contextlib.suppress(
            AttributeError, OSError
        ):  # not every system, and not every container, has it
            self.pidfd = os.pidfd_open(self.pid)

    @property
    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` tells it; None as long as it lives."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has come."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: int) -> None:
        self._process.send_signal(number)


class Adopted(Process):
    """A process that a node has started which is dead; this process takes the place of that node.

    The system tells only its parent how a process has ended. So that is known from its last words; if there
    are none it was killed.

    Parameters
    ----------
    job
        Path of its job file.
    pid
        Its process id.

    Raises
    ------
    OSError
        If it has just ended.
    """

    def __init__(self, job: Path, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        try:
            super().__init__(job, taken_over=True)
        except OSError:
            os.close(self.pidfd)
            raise
        self._exit_code: int | None = None

    def speak_up(self) -> None:
        """Tell it who its node is now; it then says again what it has said so far.

        Raises
        ------
        WireError
            If it has ended.
        """
        self.order(do="heir", pid=os.getpid())

    @property
    def exit_code(self) -> int | None:
        """How it ended, as far as that can be known; None as long as it lives."""
        if self._exit_code is None and self.wait(0.0):
            self._exit_code = how_it_ended(self.last_words)
        return self._exit_code

    @property
    def last_words(self) -> dict[str, Any] | None:
        """What it said last; None if it was killed."""
        return last_words_of(self._seat, self.pid)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has come."""
        if self.pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(1000 * timeout_s))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)


def last_words_of(seat: Path, pid: int) -> dict[str, Any] | None:
    """Return what a process said last; None if it was killed before."""
    try:
        words = json.loads(last_words_path(seat, pid).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there are none, or it was killed as it wrote them
        return None
    return words if isinstance(words, dict) else None


def how_it_ended(last_words: dict[str, Any] | None) -> int:
    """Return the exit code that fits to the last words of a process."""
    if last_words is None:
        return _KILLED
    return _ENDED_WELL if last_words.get("state") == "finished" else _FAILED


def _path(job: Path, channel: str) -> Path:
    return job.with_suffix(f".{channel}")


@contextlib.contextmanager
def _channels(job: Path) -> Iterator[list[int]]:
    """Make the channels of a process, and hold both ends of each until it has inherited them."""
    held = []
    try:
        for channel in _CHANNELS:
            path = _path(job, channel)
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
            held.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        yield held
    except OSError as error:
        raise RunError(
            f"{job}: its channels cannot be made ({error.strerror}); free shared memory"
        ) from error
    finally:
        for end in held:
            os.close(end)
