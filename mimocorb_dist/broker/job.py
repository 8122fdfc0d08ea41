"""What the node that starts a broker tells it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError
from mimocorb_dist.wire.security import Security, security_from_plain, security_to_plain

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class BrokerJob:
    """A broker's task.

    Parameters
    ----------
    setup
        Path of the setup file.
    run_id
        Id of the run.
    host
        Address to listen on.
    port
        TCP port; None takes any free one.
    or_any_port
        Whether any free one will do if that is in use.
    security
        None (only this machine), ``none``, or keys.
    silence_s
        How long a node may be silent before it has vanished, in s.
    setup_text
        Content of the setup; None: what the file holds.
    memory
        Path of a file for what a successor has to know; empty: there is none.
    grace_s
        How long a node that has died is waited for, in s.
    death
        How the broker died in whose place this one goes on, and when; None if it is the first.
    """

    setup: str
    run_id: str
    host: str
    port: int | None
    security: Security
    silence_s: float
    or_any_port: bool = False
    setup_text: str | None = None
    memory: str = ""
    grace_s: float = 0.0
    death: tuple[str, float] | None = None

    def to_json(self) -> str:
        """Return the job as JSON."""
        return json.dumps({**asdict(self), "security": security_to_plain(self.security)})

    @classmethod
    def read(cls, path: Path) -> BrokerJob:
        """Read a job file.

        Raises
        ------
        RunError
            If it is none.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            death = values.get("death")
            values["death"] = None if death is None else (str(death[0]), float(death[1]))
            return cls(**{**values, "security": security_from_plain(values["security"])})
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise RunError(
                f"{path}: is not the job of a broker ({error}); brokers are started by nodes"
            ) from error
