"""What run control wants done: it does nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Push:
    """Send a message to a node."""

    node: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MakeRun:
    """All nodes are here: give the run its directory, then call `run_made`."""


@dataclass(frozen=True)
class Notice:
    """Something that people want to read, at every node but one: what it would read too late, as old news."""

    text: str
    but_at: str = ""


@dataclass(frozen=True)
class Over:
    """The run has ended: write its record, then tell the nodes."""


Effect = Push | MakeRun | Notice | Over
