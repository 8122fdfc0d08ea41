"""The broker process."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mimocorb_dist.errors import MimocorbError, WireError
from mimocorb_dist.imports import uncollected
from mimocorb_dist.ring.lifeline import Fate, Lifeline, add_arguments
from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

from .job import BrokerJob

if TYPE_CHECKING:
    from mimocorb_dist.wire.sockets import ControlServer


def main() -> int:
    """Serve one run; return its exit status."""
    parser = argparse.ArgumentParser(prog="mimocorb_dist.broker", description="Started by nodes.")
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    add_arguments(parser)
    parser.add_argument("run", help="id of the run, for lists of processes")
    arguments = parser.parse_args()
    # The node ends the broker: by the last message of a run, or by its own end, which closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="broker: %(message)s", level=logging.WARNING, stream=sys.stdout)
    lifeline = Lifeline.from_arguments(arguments)
    with StatusPipe(arguments.status_fd, lifeline) as status, ControlPipe(arguments.control_fd) as control:
        try:
            return _serve(BrokerJob.read(arguments.job), status, control, lifeline)
        except MimocorbError as error:
            status.send(state="failed", error=str(error))
            return 2


def _serve(job: BrokerJob, status: StatusPipe, control: ControlPipe, lifeline: Lifeline) -> int:
    # Imported once the pipes are in place, so that whatever is wrong is told.
    with uncollected():
        from mimocorb_dist.topology import load, plan

        from .server import Broker

    dismissed = False

    def orphaned(may_wait: bool) -> bool:
        nonlocal dismissed
        for order in control.read_ready():
            if order.get("do") == "heir":
                lifeline.adopted_by(int(order["pid"]))
                status.repeat()
            else:
                dismissed = True
        fate = lifeline.look()
        if fate is Fate.AWAITED:
            lifeline.keep_output()
        alone = fate is Fate.GONE or (fate is Fate.AWAITED and not may_wait)
        return dismissed or control.closed or alone

    with _listening(job) as server:
        status.send(state="bound", port=server.port)
        topology = load(Path(job.setup), text=job.setup_text, nodes=())  # data files are for the nodes
        exit_status = Broker(topology, plan(topology), job, server, orphaned).run()
        with contextlib.suppress(WireError):  # the node may have ended before
            status.send(state="finished")  # who ends without this word has died
        return exit_status


def _listening(job: BrokerJob) -> ControlServer:
    from mimocorb_dist.wire.sockets import ControlServer

    try:
        return ControlServer(job.host, job.port, security=job.security)
    except WireError:
        if not job.or_any_port:
            raise
        return ControlServer(job.host, None, security=job.security)


if __name__ == "__main__":
    sys.exit(main())
