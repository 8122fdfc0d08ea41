"""`mimocorb` from PyPI in an environment of its own, and a display for it: to compare with, and nothing else.

The peer takes numpy below 2, imports windows even where none are wanted, and so needs a display: Xvfb where
there is none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
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
