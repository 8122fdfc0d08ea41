"""Work beside the main thread of a process: one piece at a time."""

from __future__ import annotations

import queue
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """Does pieces of work that wait for the disk in a thread; the main thread asks for their results.

    Attributes
    ----------
    busy
        Whether there is a piece whose result has not been taken.
    seconds
        How long the last one took.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._started, self._done = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._result: Any = None
        self._failure: BaseException | None = None
        self.busy = False
        self.seconds = 0.0

    def start(self, work: Callable[[], Any]) -> None:
        """Begin with a piece of work; its result must be taken before the next one."""
        self.busy = True
        self._started.clear()
        self._done.clear()
        self._failure = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="save", daemon=True)
            self._thread.start()
        self._work.put(work)
        # Who computes lets others run every few ms only: so long the work would not be begun.
        self._started.wait()

    @property
    def ready(self) -> bool:
        """Whether the result can be taken at once."""
        return self._done.is_set()

    def result(self) -> Any:
        """Wait for the work, and return what came of it, or raise what went wrong."""
        self._done.wait()
        self.busy = False
        if self._failure is not None:
            raise self._failure
        return self._result

    def _run(self) -> None:
        while True:
            work = self._work.get()
            self._started.set()
            begin_s = monotonic()
            try:
                self._result = work()
            except BaseException as error:  # noqa: BLE001 (raised where the result is asked for)
                self._failure = error
            self.seconds = monotonic() - begin_s
            self._done.set()
