"""What the node that starts a broker tells it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError

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
        As in the setup: None (loopback only) or ``none``.
    silence_s
        How long a node may be silent before it has vanished, in s.
    setup_text
        Content of the setup; None: what the file holds.
    """

    setup: str
    run_id: str
    host: str
    port: int | None
    security: str | None
    silence_s: float
    or_any_port: bool = False
    setup_text: str | None = None

    def to_json(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, path: Path) -> BrokerJob:
        """Read a job file.

        Raises
        ------
        RunError
            If it is none.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"{path}: is not the job of a broker ({error}); brokers are started by nodes"
            ) from error
