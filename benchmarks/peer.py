"""`mimocorb` from PyPI in an environment of its own, and a display for it: to compare with, and nothing else.

The peer takes numpy below 2, imports windows even where none are wanted, and so needs a display: Xvfb where
there is none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1.0.2"
# What works with numpy below 2, which the peer's own filter modules need.
REQUIREMENTS = (f"mimocorb=={VERSION}", "numpy<2", "pandas<3", "pyarrow<22", "scipy<1.17")
VARIABLE = "MIMOCORB_PEER"

# The peer's own loop is not used: without a window any command ends it with an error, and `stop()` with a
# backlog loses events. So this waits for the end of the first function, then until all buffers are quiet, and
# only then stops. Threads of buffers may wait for ever, and processes, too.
DRIVER = """
import os
import sys
import threading
import time

from mimocorb.buffer_control import run_mimoDAQ

QUIET_S = 1.0

if __name__ == "__main__":
    daq = run_mimoDAQ(sys.argv[1], verbose=0)
    daq.setup()
    control = daq.bc
    processes = control.start_workers()
    processes[-1].join()
    counts, since_s = None, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        now = [buffer.cumulative_event_count for buffer in daq.ringbuffers.values()]
        if now != counts:
            counts, since_s = now, time.monotonic()
        time.sleep(0.02)
    control.stop()
    end = threading.Thread(target=control.shutdown, daemon=True)
    end.start()
    end.join(20.0)
    statuses = {process.name: process.exitcode for process in processes}
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    print(statuses)
    sys.stdout.flush()
    os._exit(end.is_alive() or any(statuses.values()))
"""


def peer_python() -> Path:
    """Return the Python interpreter that has the peer.

    It is the one that the environment variable MIMOCORB_PEER names, or that of an environment that is made
    with venv and pip in the user's cache directory, once.

    Raises
    ------
    FileNotFoundError
        If the variable names no file.
    subprocess.CalledProcessError
        If the environment cannot be made, for instance without a network.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise FileNotFoundError(
                f"{VARIABLE} is {named}, which is no file; let it name a Python with mimocorb"
            )
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mimocorb_dist" / f"peer-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        python = folder / "bin" / "python"
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        complete.touch()
    return folder / "bin" / "python"


def run_in_peer(setup: Path, display_name: str, timeout_s: float = 120.0) -> None:
    """Run a setup in the peer until its first function ends, without losing an event.

    Parameters
    ----------
    setup
        A setup of version 1, in the folder that is to be the working directory.
    display_name
        As `display` gives it.
    timeout_s
        How long it may take, in s.

    Raises
    ------
    RuntimeError
        If a process of the peer has failed; with what it printed.
    subprocess.TimeoutExpired
        If it takes too long.
    """
    process = subprocess.Popen(
        [str(peer_python()), "-c", DRIVER, setup.name],
        cwd=setup.parent,
        env={**os.environ, "DISPLAY": display_name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
        process.communicate()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{setup.name} has failed in the peer: {output}")


@contextlib.contextmanager
def display() -> Iterator[str]:
    """Give the name of a display: that of this session, or of an Xvfb that lives as long as the context.

    Raises
    ------
    FileNotFoundError
        If there is neither a display nor Xvfb.
    """
    if present := os.environ.get("DISPLAY"):
        yield present
        return
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()  # empty if the server has ended
        if not number:
            raise FileNotFoundError("Xvfb cannot start here; set DISPLAY to a display that is there")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()
