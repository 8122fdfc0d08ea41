"""The broker as a child process of the node that the setup names for it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError, WireError
from mimocorb_dist.ring.seats import seat_of
from mimocorb_dist.wire.security import security_to_plain

from .crew import signal_name
from .notes import Found
from .process import Adopted, Care, Child, how_it_ended, last_words_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology
    from mimocorb_dist.wire.security import Security

    from .loop import Loop, Timer
    from .output import OutputPump
    from .process import Process

_FAREWELL_S = 5.0
BACK_OFF_S = (0.0, 0.1, 0.5, 2.0)
LIVES_S = 10.0
"""A broker that has lived for so long did not die of its start."""
MAX_DEATHS = 300
"""One that has died so often in a row at its start is not started again."""


class BrokerProcess:
    """Starts a broker and watches it: one that dies is started again, and goes on where it stood.

    Parameters
    ----------
    loop, pump
        Where its pipes are read.
    topology, setup_text
        The setup, and its text if that is in no file.
    security
        How its socket is protected.
    run_id
        Id of the run.
    host, port
        Where it listens; port None takes any free one.
    or_any_port
        Whether any free one will do if that is in use.
    silence_s
        How long a node may be silent before it has vanished, in s.
    directory
        Where its job file and its memory are written.
    say
        Tells people something.
    grace_s
        How long the broker waits for a node that has died to be started again, in s.
    inherited
        Whether this goes on with the broker of a node that has died.
    on_bound
        Called with its port when it listens for the first time.
    on_end
        Called with a text when it has ended for good: why it failed, or None.
    """

    def __init__(
        self,
        loop: Loop,
        pump: OutputPump,
        topology: Topology,
        setup_text: str | None,
        security: Security,
        run_id: str,
        host: str,
        port: int | None,
        or_any_port: bool,
        silence_s: float,
        directory: Path,
        say: Callable[[str], None],
        on_bound: Callable[[int], None],
        on_end: Callable[[str | None], None],
        grace_s: float = 0.0,
        inherited: bool = False,
    ) -> None:
        self._loop = loop
        self._pump = pump
        self._say = say
        self._on_bound = on_bound
        self._on_end = on_end
        self._run_id = run_id
        self._directory = directory
        self._job_path = directory / "broker.json"
        self._grace_s = grace_s
        self._job: dict[str, Any] = {
            "setup": str(topology.path),
            # What the file holds now: a broker that is started again must read the same.
            "setup_text": topology.path.read_text(encoding="utf-8") if setup_text is None else setup_text,
            "run_id": run_id,
            "host": host,
            "port": port,
            "or_any_port": or_any_port,
            "security": security_to_plain(security),
            "silence_s": silence_s,
            "memory": str(directory / "broker.memory"),
            "grace_s": grace_s,
        }
        self._bound = self._ended = False
        self._deaths = 0
        self._told = ""
        self._restart: Timer | None = None
        if inherited:
            self._take_over()
        else:
            self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def _start(self) -> None:
        self._restart = None
        self._write_job()
        care = Care(self._directory, self._grace_s)
        self._attend(Child("mimocorb_dist.broker", self._job_path, [self._run_id], care))

    def _attend(self, child: Process) -> None:
        self._child = child
        self._failure: str | None = None
        self._finished = False
        self._started_s = time.monotonic()
        self._pump.add(child.output, "broker", None)
        self._loop.watch(child.status.fileno(), self._hear)

    def _take_over(self) -> None:
        """Go on with the broker of a node that has died, or, if it has died, too, with one in its place."""
        self._job = json.loads(self._job_path.read_text(encoding="utf-8"))
        found = Found.look(self._job_path)
        if found.holder is not None:
            with contextlib.suppress(OSError, WireError):  # it has just ended
                child = Adopted(self._job_path, found.holder)
                self._attend(child)
                child.speak_up()
                return
        dead = found.dead if found.holder is None else [found.holder]
        last_words = last_words_of(seat_of(self._job_path), dead[-1]) if dead else None
        if last_words is not None and last_words.get("state") == "finished":
            self._ended = True
            self._loop.after(0.0, lambda: self._on_end(None))
            return
        self._job["death"] = (_how(how_it_ended(last_words)), time.time())
        self._start()

    def _write_job(self) -> None:
        fresh = self._job_path.with_suffix(".new")
        fresh.write_text(json.dumps(self._job), encoding="utf-8")
        fresh.replace(self._job_path)

    def _hear(self) -> None:
        for message in self._child.status.read_ready():
            match message.get("state"):
                case "bound" if not self._bound:
                    self._bound = True
                    self._job |= {"port": int(message["port"]), "or_any_port": False}
                    self._write_job()
                    self._on_bound(int(message["port"]))
                case "failed":
                    self._failure = str(message.get("error"))
                case "finished":
                    self._finished = True
        if self._child.status.closed:
            self._died()

    def _died(self) -> None:
        """See how it has ended, and start it again if that was not the end of its work."""
        if self._ended:
            return
        self._loop.unwatch(self._child.status.fileno())
        if not self._child.wait(_FAREWELL_S):
            self._child.kill()
            self._child.wait(_FAREWELL_S)
        code = self._child.exit_code
        self._child.close()
        if self._finished or (isinstance(self._child, Adopted) and code == 0):
            self._end(None)
            return
        killed = code is not None and code < 0
        how = self._failure or _how(code)
        if time.monotonic() - self._started_s > LIVES_S:
            self._deaths, self._told = 0, ""
        self._deaths += 1
        if not (self._bound or killed) or self._deaths >= MAX_DEATHS:
            self._end(self._failure or f"the broker {how}")
            return
        if how != self._told:
            self._told = how
            self._say(f"the broker {how}; it is started again")
        self._job["death"] = (how, time.time())
        delay_s = BACK_OFF_S[min(self._deaths - 1, len(BACK_OFF_S) - 1)]
        self._restart = self._loop.after(delay_s, self._start)

    def _end(self, failure: str | None) -> None:
        self._ended = True
        self._on_end(failure)

    def close(self) -> None:
        """Wait for its end, which comes by itself after a run; end it if it does not come."""
        if self._restart is not None:
            self._restart.cancel()
            self._ended = True
        if self._ended:
            return
        self._ended = True
        self._loop.unwatch(self._child.status.fileno())
        with contextlib.suppress(WireError):  # it has just ended
            self._child.order(do="end")
        if not self._child.wait(_FAREWELL_S):
            self._child.kill()
            if not self._child.wait(_FAREWELL_S):
                raise RunError(
                    f"the broker (process {self._child.pid}) cannot be ended; look what it hangs on"
                )
        self._child.close()


def _how(code: int | None) -> str:
    """Say how a broker has ended that has not done its work."""
    return (
        f"was killed ({signal_name(-code)})" if code is not None and code < 0 else f"failed (status {code})"
    )
