"""Output files of which little is lost, whatever happens."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO, Self


class SyncedFile:
    """A file whose content reaches the kernel at once, and the disk soon after and at the end.

    So others can read at once what is written, a killed process loses nothing of it, and a power cut a few
    seconds. The disk is waited for in a thread, also when nothing is written any more: a run may be paused.

    Parameters
    ----------
    file
        The file, open for writing; it is closed with the ``with`` block, or by `close`.
    interval_s
        How long, in s, what is written may be on its way to the disk; 0: each `write` waits for the disk.
    """

    def __init__(self, file: BinaryIO, interval_s: float) -> None:
        self._file = file
        self._interval_s = interval_s
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._failure: OSError | None = None
        self._thread: threading.Thread | None = None

    def write(self, content: bytes) -> None:
        """Write.

        Raises
        ------
        OSError
            If that cannot be, or what was written before cannot be brought to the disk.
        """
        self._raise_failure()
        self._file.write(content)
        self._file.flush()
        if self._interval_s <= 0:
            os.fsync(self._file.fileno())
            return
        self._unsynced.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._sync, name="sync", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """See all to the disk, and close the file. Closing twice is harmless.

        Raises
        ------
        OSError
            If what was written cannot be brought to the disk.
        """
        if self._file.closed:
            return
        self._closing.set()
        self._unsynced.set()
        if self._thread is not None:
            self._thread.join()
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._raise_failure()

    def _sync(self) -> None:
        while True:
            self._unsynced.wait()
            if self._closing.wait(self._interval_s):
                return
            self._unsynced.clear()
            if self._closing.is_set():  # `close` may have set both since: nobody else would wake us
                return
            try:
                os.fsync(self._file.fileno())
            except OSError as error:  # told by the next write
                self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
