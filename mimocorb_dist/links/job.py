"""What a node tells a process that is one end of a link or view."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from mimocorb_dist.errors import SetupError
from mimocorb_dist.wire.security import Security, security_from_plain, security_to_plain

Kind = Literal["send", "receive", "view-send", "view-receive"]


@dataclass(frozen=True)
class LinkJob:
    """The work of one end of a link or view; handed over as a JSON file.

    Parameters
    ----------
    run_id
        Name of the run.
    node
        Name of the node.
    link
        Name of the link or view.
    kind
        Which end it is.
    ring
        Path of the ring that it reads, writes or observes.
    group
        Sender: its reader group.
    release
        Receiver: when an event's lease ends, "read" or "published".
    host
        Receiver: address to listen on.
    ports
        Receiver: first and last TCP port that may be used; None takes any free one.
    address
        Sender: where the receiver listens, if known already; else ``{"do": "go", "address": ...}`` tells.
    previous
        Process ids of ends that were killed, in whose place this one goes on.
    security
        None (only this machine), "none", or keys and whose the other end must have.
    log_level
        What is logged: ``DEBUG``, ``INFO``, ``WARNING``, ...
    """

    run_id: str
    node: str
    link: str
    kind: Kind
    ring: Path
    group: str = "readers"
    release: Literal["read", "published"] = "read"
    host: str = "127.0.0.1"
    ports: tuple[int, int] | None = None
    address: str | None = None
    security: Security = None
    previous: tuple[int, ...] = ()
    log_level: str = "INFO"

    def to_json(self) -> str:
        """Write the job as JSON."""
        security = security_to_plain(self.security)
        return json.dumps({**asdict(self), "ring": str(self.ring), "security": security})

    @classmethod
    def from_json(cls, text: str) -> LinkJob:
        """Read a job written by `to_json`.

        Raises
        ------
        SetupError
            If it is none.
        """
        try:
            values = json.loads(text)
            values["ring"] = Path(values["ring"])
            values["previous"] = tuple(values.get("previous") or ())
            values["security"] = security_from_plain(values.get("security"))
            if values.get("ports") is not None:
                first, last = values["ports"]
                values["ports"] = (int(first), int(last))
            job = cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SetupError(
                f"this is not the job of a link ({error!r}); "
                "link processes are started by `mimocorb-node start`"
            ) from error
        if job.kind not in get_args(Kind) or job.release not in ("read", "published"):
            raise SetupError(f"link {job.link}: there is no kind {job.kind!r} with release {job.release!r}")
        return job
