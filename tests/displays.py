"""A display without a screen, for tests of windows."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def virtual_display() -> Iterator[str]:
    """Start Xvfb, give the name of its display, and end it; skip the test where there is none."""
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb here to open windows on")
    reading, writing = os.pipe()
    # Without -noreset it begins anew whenever its last client leaves, and turns away who comes just then.
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


def windows_on(display: str) -> str:
    """Return the list of windows on a display, as text; skip the test where it cannot be told."""
    if shutil.which("xwininfo") is None:
        pytest.skip("there is no xwininfo here to look for windows")
    for _ in range(20):  # it fails when a window goes just then
        command = ["xwininfo", "-display", display, "-root", "-tree"]
        listing = subprocess.run(command, capture_output=True, text=True, check=False)
        if listing.returncode == 0:
            return listing.stdout
    pytest.fail(f"the windows cannot be listed: {listing.stderr}")
