"""The life of a worker process: attach, import, report, wait for the start, work, report."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RingError, SetupError
from mimocorb_dist.ring import MOST_SINKS, BufferObserver, BufferReader, BufferWriter, Ring, hand_path

from .failure import report_failure
from .generations import arguments_for
from .io import BufferIO
from .job import WorkerJob
from .loading import load_function
from .output import text_output
from .start import Deserted, Start
from .stopping import Calls, WorkerStop, calls
from .template import ends_well
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mimocorb_dist.ring.lifeline import Lifeline
    from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe

_PR_SET_NAME = 15

_REMEDIES: dict[type, str] = {
    GeneratorType: "a worker's function works when it is called; that with `yield` goes to an Importer",
    CoroutineType: "a worker's function works when it is called: write `def`, not `async def`",
}

DONE, FAILED, UNUSABLE = 0, 1, 2
"""Exit statuses: the function has ended; it failed, or the node is gone; it could not be started."""


def run(job_path: Path, status: StatusPipe, control: ControlPipe, lifeline: Lifeline) -> int:
    """Do the job of a worker process, and report on it.

    Parameters
    ----------
    job_path
        The job file.
    status
        Where to report: ready, running, counts, finished or failed.
    control
        From where ``{"do": "go"}`` comes.
    lifeline
        What is known of the node.

    Returns
    -------
    int
        Exit status: 0 if the function has ended, 1 if it failed or the node is gone, 2 if it could not be
        started.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key press goes to all processes, but the node decides
    job = None
    try:
        job = WorkerJob.from_json(job_path.read_text())
        prepare_process(job)
        io = attach(job)
        io.stop.install()
        function = load_function(job.function, job.file, job.call)
    except Exception as error:  # noqa: BLE001 (a user's file may raise anything)
        report_failure(status, error, job)
        return UNUSABLE
    watch = Watch(io, status, control, lifeline)
    io.begin = start = Start(io, status, control, lifeline, watch)
    io.tell, io.again = lambda text: status.send(state="told", text=text), job.again
    try:
        if job.file is not None:
            start()
        work(function, io)
    except Deserted:
        status.send(state="orphaned")
        return FAILED
    except BaseException as error:  # noqa: BLE001 (whatever ends the worker has to be reported)
        watch.end()
        report_failure(status, error, job, io.in_hand, io.events)
        io.fail(error)
        lifeline.keep_output()
        return FAILED if start.ready else UNUSABLE
    watch.end()
    flush_output()
    lifeline.keep_output()
    status.send(state="finished", events=io.events)
    return DONE


def work(function: Callable[[BufferIO], Any], io: BufferIO) -> None:
    """Call the user's function, and finish when it has ended in one of the good ways."""
    try:
        call(function, io)
        io.begin()  # some functions come to no event
    except WorkerStop:
        io.logger.info("ended as asked")
    except RingError:
        if not any(writer.ring.limit_reached for writer in io.write):
            raise
        io.logger.info("ended at the event limit of the run")
    io.finish()


@calls(Calls.FUNCTION)
def call(function: Callable[[BufferIO], Any], io: BufferIO) -> None:
    """Call the user's function; leaving it by ``sys.exit()`` is a good end, too."""
    try:
        result = function(*arguments_for(function, io))
    except SystemExit as ended:
        if not ends_well(ended):
            raise
        return
    if isinstance(result, (GeneratorType, CoroutineType)):
        result.close()  # else Python complains, too
        raise SetupError(
            f"worker {io.name}: its function {function.__name__} has done nothing but return a "
            f"{type(result).__name__}; {_REMEDIES[type(result)]}"
        )


def prepare_process(job: WorkerJob, environment: Mapping[str, str] | None = None) -> None:
    """Set up names, streams, logging and environment of this process.

    Parameters
    ----------
    job
        The job.
    environment
        Environment variables; by default those of this process.
    """
    environment = os.environ if environment is None else environment
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout, sys.stderr = text_output(1), text_output(2)
    set_process_name(job.process_name)
    logging.basicConfig(
        level=job.log_level,
        format=f"%(levelname)s {job.process_name}: %(message)s",
        stream=sys.stderr,
    )
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") or sys.platform == "darwin"):
        os.environ["MPLBACKEND"] = environment.get("MPLBACKEND") or "Agg"


def set_process_name(name: str) -> None:
    """Name this process in the lists of the system, where that is possible: 15 bytes are shown."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def attach(job: WorkerJob) -> BufferIO:
    """Attach to the rings of a job."""
    read = [BufferReader(Ring.open(source["ring"]), source["group"]) for source in job.sources]
    write = [BufferWriter(Ring.open(sink["ring"])) for sink in job.sinks]
    observe = [BufferObserver(Ring.open(observed["ring"])) for observed in job.observes]
    io = BufferIO(
        job.worker, read, write, observe, job.config, job.setup_dir, job.run_dir,
        run_id=job.run_id, node=job.node, number=job.number, processes=job.processes,
        assigned=dict(job.assigned),
    )  # fmt: skip
    if len(read) == 1 and len(write) <= MOST_SINKS:
        io.hand_path = hand_path(read[0].ring.path, job.worker, job.number)
    return io


def flush_output() -> None:
    """Write out what has been printed and logged."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
