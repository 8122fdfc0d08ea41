"""The broker as a child process of the node that the setup names for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError
from mimocorb_dist.wire.security import security_to_plain

from .process import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology
    from mimocorb_dist.wire.security import Security

    from .loop import Loop
    from .output import OutputPump

_FAREWELL_S = 5.0


class BrokerProcess:
    """Starts a broker and watches it.

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
        Where its job file is written.
    on_bound
        Called with its port when it listens.
    on_end
        Called with a text when it has ended: why it failed, or None.
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
        on_bound: Callable[[int], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        self._loop = loop
        self._on_bound = on_bound
        self._on_end = on_end
        self._failure: str | None = None
        self._ended = False
        job = directory / "broker.json"
        job.write_text(
            json.dumps(
                {
                    "setup": str(topology.path),
                    "setup_text": setup_text,
                    "run_id": run_id,
                    "host": host,
                    "port": port,
                    "or_any_port": or_any_port,
                    "security": security_to_plain(security),
                    "silence_s": silence_s,
                }
            ),
            encoding="utf-8",
        )
        self._child = Child("mimocorb_dist.broker", job, [run_id])
        pump.add(self._child.output, "broker", None)
        loop.watch(self._child.status.fileno(), self._hear)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def _hear(self) -> None:
        for message in self._child.status.read_ready():
            if message.get("state") == "bound":
                self._on_bound(int(message["port"]))
            elif message.get("state") == "failed":
                self._failure = str(message.get("error"))
        if self._child.status.closed:
            self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._loop.unwatch(self._child.status.fileno())
        if not self._child.wait(_FAREWELL_S):
            self._child.kill()
            self._child.wait(_FAREWELL_S)
        code = self._child.exit_code
        self._child.close()
        failure = self._failure
        if failure is None and code not in (0, 1, 2):
            failure = f"the broker ended with status {code}"
        self._on_end(failure)

    def close(self) -> None:
        """Wait for its end, which comes by itself after a run; end it if it does not come."""
        if self._ended:
            return
        self._ended = True
        self._loop.unwatch(self._child.status.fileno())
        self._child.dismiss()
        if not self._child.wait(_FAREWELL_S):
            self._child.kill()
            if not self._child.wait(_FAREWELL_S):
                raise RunError(
                    f"the broker (process {self._child.pid}) cannot be ended; look what it hangs on"
                )
        self._child.close()
