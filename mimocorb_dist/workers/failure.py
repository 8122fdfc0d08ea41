"""What is told of a worker's failure: once, and with a traceback only where that helps."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING

from mimocorb_dist.errors import MimocorbError, UfuncError, WireError

from .places import describe_error, from_users_code, place_of_error
from .template import Unusable

if TYPE_CHECKING:
    from mimocorb_dist.wire.pipes import StatusPipe

    from .io import Metadata
    from .job import WorkerJob

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_TRACEBACK = 64 * 1024
_PLACE_AT_END = re.compile(r" \(([^()]+:\d+)\)$")


def report_failure(
    status: StatusPipe,
    error: BaseException,
    job: WorkerJob | None = None,
    in_hand: Metadata | None = None,
    events: int = 0,
) -> None:
    """Tell the node and the log file why this worker ends.

    The node shows the message on the terminal, so here it goes to the log file only. A traceback goes to
    both, by way of the error stream; errors that are raised on purpose, and a full disk, say all in their
    message, and have none.

    Parameters
    ----------
    status
        Where to report.
    error
        What has been raised.
    job
        The job of the worker, if that could be read.
    in_hand
        Metadata, shape (k,), of the events that it was working on, if that is known.
    events
        How many events it has handled.
    """
    full = _full_disk(error)
    message, place = _message_and_place(error)
    if full is not None and job is not None:
        message = f"{os.strerror(full.errno or errno.ENOSPC)}: {full.filename or job.run_dir}"
        message += "".join(f"; {note}" for note in getattr(full, "__notes__", ()))
        message += "; free space and start again"
    if in_hand is not None and (full is not None or not isinstance(error, MimocorbError)):
        message = f"{_events(in_hand)}: {message}"
    if job is not None:
        message = re.sub(rf"^worker {re.escape(job.worker)}(: |, )", "", message)
        if job.file is None and (full is not None or isinstance(error, MimocorbError)):
            place = ""  # it is ours, and nothing that the user could look at
        _log(job, f"{message} ({place})" if place else message)
    trace = "" if full is not None else _traceback(error)
    if trace:
        sys.stdout.flush()
        sys.stderr.write(trace)
        sys.stderr.flush()
    try:
        status.send(state="failed", error=message, where=place, traceback=trace, events=events)
    except WireError as gone:
        logging.getLogger(__name__).warning("%s", gone)


def _full_disk(error: BaseException) -> OSError | None:
    """Return the error of the system if what has been raised means that a disk is full."""
    cause = error.__cause__ if isinstance(error, UfuncError) else error
    return cause if isinstance(cause, OSError) and cause.errno in _FULL else None


def _events(metadata: Metadata) -> str:
    first, last = int(metadata["counter"][0]), int(metadata["counter"][-1])
    return f"event {first}" if len(metadata) == 1 else f"events {first} to {last}"


def _message_and_place(error: BaseException) -> tuple[str, str]:
    message = str(error) if isinstance(error, MimocorbError) else describe_error(error)
    told = _PLACE_AT_END.search(message) if isinstance(error, UfuncError) else None
    if told is None:
        return message, place_of_error(error)
    return message[: told.start()], told[1]


def _traceback(error: BaseException) -> str:
    """Return the traceback of what came up in the user's code; empty for errors raised on purpose."""
    cause = error.__cause__ if isinstance(error, UfuncError) else error
    if cause is None or isinstance(cause, (MimocorbError, Unusable)):
        return ""
    lines = traceback.format_exception(type(cause), cause, from_users_code(cause.__traceback__))
    return "".join(lines)[-_LONGEST_TRACEBACK:]


def _log(job: WorkerJob, message: str) -> None:
    """Write to the worker's log file; its node writes there what the worker prints."""
    path = job.run_dir / "logs" / f"{job.worker}.log"
    line = f"ERROR {job.process_name}: {message}\n"
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(line)
    except OSError:  # better twice on the terminal than nowhere
        sys.stderr.write(line)
