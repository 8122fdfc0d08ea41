"""What a user asks of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_WAIT_S = 600.0


@dataclass(frozen=True)
class StartOptions:
    """Options of `start`.

    Parameters
    ----------
    setup
        The setup file.
    node
        Name of the node to run; None finds it by host name and addresses.
    all_nodes
        Run every node, on this machine.
    controls
        How the run is shown and controlled: any of ``kbd``, ``stats`` and ``gui``; None: as the setup says,
        else by keys on a terminal.
    max_events
        End of the run after this many events of the first root buffer (mimoCoRB 1: of RB_1); None is the
        limit of the setup, if that has one.
    max_time_s
        End of the run after this time in s; None is the limit of the setup, if that has one.
    wait_s
        How long to wait for the broker and the other nodes, in s.
    setup_text
        Content of the setup; None: what the file holds. With a text there need be no file: names in it are
        relative to the folder of `setup`.
    silence_s
        How long a node may be silent in a run before the broker takes it for gone, in s; a node waits half
        as long again for a silent broker. Breaks of the network that are shorter do no harm.
    grace_s
        How long the processes of a node that has died work on and wait for it to be started again, in s.
    """

    setup: Path
    node: str | None = None
    all_nodes: bool = False
    controls: frozenset[str] | None = frozenset()
    max_events: int | None = None
    max_time_s: float | None = None
    wait_s: float = DEFAULT_WAIT_S
    silence_s: float = 600.0
    grace_s: float = 60.0
    setup_text: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of this host's part of a run.

    Parameters
    ----------
    status
        Exit status: 0 if the run has ended well, 1 if it failed, 2 if it could not begin.
    signal
        The signal that asked for the end; None if none did.
    directory
        The run directory; None if there is none.
    """

    status: int
    signal: int | None = None
    directory: Path | None = None
