"""Starting one process of a node, and its pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RunError
from mimocorb_dist.wire.pipes import LineReader, LineWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Many processes share the cores: none should start a thread for each core, unless the user wants it."""


class Child:
    """A process of this package that has been started: its status and control pipes, and its output.

    Parameters
    ----------
    module
        Module to run: ``mimocorb_dist.workers`` or the like.
    job
        Path of its job file.
    names
        Last arguments: they tell in the list of processes which is which.
    cwd
        Its working directory; None is this process's own.

    Attributes
    ----------
    status
        What it says.
    output
        Descriptor from which its standard output and error stream are read; to be closed by its reader.

    Raises
    ------
    RunError
        If it cannot be started.
    """

    def __init__(self, module: str, job: Path, names: Sequence[str], cwd: Path | None = None) -> None:
        with contextlib.ExitStack() as on_failure:
            status_in, status_out = _pipe(on_failure)
            control_in, control_out = _pipe(on_failure)
            output_in, output_out = _pipe(on_failure)
            # -P: a file of the user's that is named like a library must not take its place.
            command = [
                sys.executable, "-P", "-m", module, "--job", str(job),
                "--status-fd", str(status_out), "--control-fd", str(control_in), *names,
            ]  # fmt: skip
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output_out,
                    stderr=output_out,
                    pass_fds=(status_out, control_in),
                    # Keys pressed in the terminal are for the node; it decides what they mean.
                    start_new_session=True,
                    cwd=cwd,
                    env=_ONE_THREAD | os.environ,
                )
            except OSError as error:
                raise RunError(
                    f"cannot start {module} ({error.strerror}); are there too many processes?"
                ) from error
            on_failure.pop_all()
        for descriptor in (status_out, control_in, output_out):
            os.close(descriptor)
        self.status = LineReader(status_in)
        self._control = LineWriter(control_out)
        self.output = output_in

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` tells it; None as long as it lives."""
        return self._process.poll()

    def order(self, **fields: object) -> None:
        """Tell it what to do.

        Raises
        ------
        WireError
            If it has ended.
        """
        self._control.send(**fields)

    def terminate(self) -> None:
        """Ask it to end at the next safe point."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            if number == signal.SIGKILL:
                # It leads a session of its own: what it has started is in its group.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has come."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def dismiss(self) -> None:
        """Close its control pipe: a broker takes this for the end of its node.  Idempotent."""
        self._control.close()

    def close(self) -> None:
        """Close the pipes of an ended process, except its output.  Idempotent."""
        self.status.close()
        self._control.close()


def _pipe(on_failure: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe2(os.O_CLOEXEC)
    for end in ends:
        on_failure.callback(os.close, end)
    return ends
