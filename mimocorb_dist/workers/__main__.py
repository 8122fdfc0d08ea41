"""A worker process, started by its node.

``python -m mimocorb_dist.workers --job FILE --status-fd N --control-fd M ... RUN NODE WORKER NUMBER``; the
last four arguments only serve those who look at the list of processes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mimocorb_dist.imports import uncollected

with uncollected():
    from mimocorb_dist.ring.lifeline import Lifeline, add_arguments
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

    from .process import FAILED, run


def main(arguments: list[str] | None = None) -> int:
    """Run a worker process; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m mimocorb_dist.workers", description=__doc__)
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    add_arguments(parser)
    parser.add_argument("names", nargs="*", metavar="RUN NODE WORKER NUMBER")
    options = parser.parse_args(arguments)
    for descriptor in (options.status_fd, options.control_fd):
        os.set_inheritable(descriptor, False)
    lifeline = Lifeline.from_arguments(options)
    status, control = StatusPipe(options.status_fd, lifeline), ControlPipe(options.control_fd)
    if not lifeline.node_lives():  # its heir may start another process, which knows of this one from here on
        status.send(state="orphaned")
        return FAILED
    return run(options.job, status, control, lifeline)


if __name__ == "__main__":
    sys.exit(main())
