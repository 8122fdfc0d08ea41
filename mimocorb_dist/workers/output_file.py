"""A file in which every event is once, whatever happens to the process that writes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from .names import create_first, part_names, sync_data

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from .commits import Commits
    from .io import BufferIO


class OutputFile:
    """A file of an exporter: see `Exporter.open`.

    What is written reaches the kernel at once, so others can read it, and the disk with the next commit.

    Parameters
    ----------
    file
        The file, open for writing, at its end, without a buffer.
    path
        Where it is.
    name
        Its name in the run directory.
    commits
        Those of its exporter.
    """

    IN_BACKGROUND: ClassVar[bool] = True

    def __init__(self, file: BinaryIO, path: Path, name: str, commits: Commits, key: str) -> None:
        self._file = file
        self.path = path
        self.name = name
        self._commits = commits
        self._key = key
        self._end = self._marked = self._sealed = file.tell()

    @classmethod
    def open(cls, io: BufferIO, commits: Commits, name: str, start: bytes = b"") -> Self:
        """Open the file that a process before this one has left, or create it; see `Exporter.open`."""
        known = commits.files_of(name)
        for there in known or ():
            path = io.run_dir / there
            if path.exists():
                file: BinaryIO = path.open("r+b", buffering=0)
                file.seek(0, os.SEEK_END)
                output = cls(file, path, there, commits, name)
                break
        else:
            stem, suffix = os.path.splitext(name)
            path, file = create_first(io, part_names(io, stem, suffix), start)
            output = cls(file, path, str(path.relative_to(io.run_dir)), commits, name)
        commits.add(name, output)
        return output

    def write(self, content: bytes | str) -> int:
        """Write bytes, or text in UTF-8; return how many bytes.

        Raises
        ------
        OSError
            If that cannot be.
        """
        data = memoryview(content.encode() if isinstance(content, str) else content).cast("B")
        written = 0
        while written < len(data):
            count = self._file.write(data[written:])
            written += count
            self._end += count
        return written

    def tell(self) -> int:
        """Return how long the file is, in bytes."""
        return self._end

    def close(self) -> None:
        """Commit all events that have been given, and close the file. Closing twice is harmless."""
        self._commits.leave(self._key)

    # For commits.

    def mark(self) -> None:
        """Note how long the file is with all events that are done with."""
        self._marked = self._end

    def back(self) -> bool:
        """Drop what was written after that."""
        if self._end != self._marked:
            self._file.truncate(self._marked)
            self._end = self._file.seek(self._marked)
        return True

    def seal(self) -> None:
        """Choose what is there now."""
        self._sealed = self._marked

    def save(self) -> dict[str, int]:
        """Bring that to the disk."""
        sync_data(self._file.fileno())
        return {self.name: self._sealed}

    def finish(self) -> None:
        """Nothing: all is written."""

    def shut(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it; after an error, without what was written of the events in hand."""
        self._commits.leave(self._key, error)
