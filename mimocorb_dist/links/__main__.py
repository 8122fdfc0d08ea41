"""One end of a link or view, started by its node.

``python -m mimocorb_dist.links --job FILE --status-fd N --control-fd M ... RUN NODE LINK KIND``; the last
four arguments only serve those who look at the list of processes.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from mimocorb_dist.errors import MimocorbError, WireError
from mimocorb_dist.imports import uncollected

with uncollected():
    from mimocorb_dist.links.end import DesertedError
    from mimocorb_dist.links.job import LinkJob
    from mimocorb_dist.ring.lifeline import Lifeline, add_arguments
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

if TYPE_CHECKING:
    from mimocorb_dist.links.end import End

DONE, FAILED = 0, 1
"""Exit statuses: everything has been passed on and acknowledged; it has not."""

_PR_SET_NAME = 15
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 32 << 20
_LONGEST_TRACEBACK = 64 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run one end of a link; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m mimocorb_dist.links", description=__doc__)
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    add_arguments(parser)
    parser.add_argument("names", nargs="*", metavar="RUN NODE LINK KIND")
    options = parser.parse_args(arguments)
    for descriptor in (options.status_fd, options.control_fd):
        os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key press goes to all processes, but the node decides
    lifeline = Lifeline.from_arguments(options)
    status, control = StatusPipe(options.status_fd, lifeline), ControlPipe(options.control_fd)
    try:
        if not lifeline.node_lives():  # its heir may start another end, which knows of this one from here on
            raise DesertedError(f"{options.job}: the node has died before the start of this end")
        job = LinkJob.from_json(options.job.read_text())
        logging.basicConfig(level=job.log_level, format="%(levelname)s %(message)s", stream=sys.stderr)
        _tune_process(job)
        end = _make(job, status, control)
        end.lifeline = lifeline
        status.send(state="ready")
        end.run()
        status.send(state="finished", **end.counts())
    except DesertedError:
        status.send(state="orphaned")
        return FAILED
    except Exception as error:  # noqa: BLE001 (whatever ends the process has to be reported)
        _report(status, error)
        return FAILED
    return DONE


def _make(job: LinkJob, status: StatusPipe, control: ControlPipe) -> End:
    """Make the end that the job tells of; each kind imports only what it needs."""
    match job.kind:
        case "send":
            with uncollected():
                from mimocorb_dist.links.sender import LinkSender

            return LinkSender(job, status, control)
        case "receive":
            with uncollected():
                from mimocorb_dist.links.receiver import LinkReceiver

            return LinkReceiver(job, status, control)
        case "view-send":
            with uncollected():
                from mimocorb_dist.links.view import ViewSender

            return ViewSender(job, status, control)
        case "view-receive":
            with uncollected():
                from mimocorb_dist.links.view import ViewReceiver

            return ViewReceiver(job, status, control)


def _report(status: StatusPipe, error: Exception) -> None:
    text = str(error) if isinstance(error, MimocorbError) else f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
    with contextlib.suppress(WireError):  # the node is gone: the log is all that is left
        status.send(state="failed", error=text, traceback=trace)
    print(text if isinstance(error, MimocorbError) else trace, file=sys.stderr)  # noqa: T201


def _tune_process(job: LinkJob) -> None:
    """Let tools that show short names of processes show the link's, and let memory be used again.

    Messages of a megabyte come and go thousands of times a second.  The allocator would give their pages back
    to the kernel each time and get them anew, which costs the receiver a third of its time.
    """
    name = f"{job.link} {job.kind}".encode()[:15]
    with contextlib.suppress(OSError, AttributeError):  # not every libc has these
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TOP_PAD, _KEPT_BYTES // 4)


if __name__ == "__main__":
    sys.exit(main())
