"""What a worker prints: it goes to its node, as long as there is one."""

from __future__ import annotations

import io
import os
from typing import Any


class _Output(io.FileIO):
    """A pipe to the node; when the node has died, what is printed is dropped: events are more than words."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return len(data)


def text_output(descriptor: int) -> io.TextIOWrapper:
    """Return a text stream, written line by line, to a descriptor that leads to the node."""
    binary = io.BufferedWriter(_Output(descriptor, "w", closefd=False))
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)
