"""What a node tells of itself: to the broker when it registers, and to other programs on its machine."""

from __future__ import annotations

import json
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.runs.record import software

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.topology import Topology

    from .options import StartOptions


def registration_of(topology: Topology, address: str, options: StartOptions) -> dict[str, Any]:
    """Return what a node tells the broker of itself.

    Parameters
    ----------
    topology
        The setup.
    address
        Host name or address under which the other nodes reach it.
    options
        What the user asked.
    """
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "address": address,
        "setup": topology.path.name,
        "setup_hash": topology.content_hash(),
        "yaml_files": topology.yaml_files,
        "function_files": topology.function_files(),
        "versions": software(),
        "clock_s": time.time(),
        "max_events": options.max_events,
        "max_time_s": options.max_time_s,
    }


def leave_a_card(
    directory: Path, run_id: str, node: str, broker: str, run_directory: Path, topology: Topology
) -> None:
    """Tell other programs on this machine where the broker of a run is.

    Parameters
    ----------
    directory
        The node's runtime directory.
    run_id, node
        The run, and the node's name.
    broker
        Where the broker listens.
    run_directory
        Where the node writes its data.
    topology
        The setup.
    """
    card = {
        "run": run_id,
        "node": node,
        "broker": broker,
        "directory": str(run_directory),
        "setup": str(topology.path),
        "pid": os.getpid(),
    }
    fresh = directory / "node.new"
    fresh.write_text(json.dumps(card), encoding="utf-8")
    fresh.replace(directory / "node.json")
