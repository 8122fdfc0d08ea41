"""Numbers that a process leaves for the test, and that outlive its SIGKILL: a small file in shared memory."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


class Ledger:
    """A column of 64-bit numbers in a file; it is made if it is not there."""

    def __init__(self, path: Path | str, length: int = 0) -> None:
        with open(path, "a+b") as file:
            if length:
                file.truncate(8 * length)
            self._memory = mmap.mmap(file.fileno(), 0)
        self.values = np.frombuffer(self._memory, np.int64)
        self._words = memoryview(self._memory).cast("q")

    def __getitem__(self, index: int) -> int:
        return self._words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._words[index] = value
