"""The templates of workers that look at events without taking them."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from .stopping import WorkerStop
from .template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .io import Data, Metadata


SHORTEST_INTERVAL_S = 0.01


class Observer(Template):
    """Look at the latest event of the only observed buffer, at most 100 times a second.

    Without that limit an observer would take a core for itself, and so slow down those that it only looks
    at. Who needs more uses ``io.observe[0]``.

    Examples
    --------
    >>> def show(io):
    ...     observer = Observer(io)
    ...     for data, metadata in observer():
    ...         if data is None:
    ...             break
    ...         print(metadata["counter"][0])
    ...         time.sleep(1)
    """

    OBSERVES = 1

    def __call__(self) -> Iterator[tuple[Data, Metadata] | tuple[None, None]]:
        """Give copies of an event newer than the last one given, waiting for one if need be.

        Data have the shape (data_length,), metadata (1,). At the end both are None.
        """
        io = self.io
        observer: Any = self.observe[0]
        self._begin()
        next_s = 0.0
        try:
            while not io.stop.requested:
                if (wait_s := next_s - monotonic()) > 0:
                    sleep(wait_s)
                next_s = monotonic() + SHORTEST_INTERVAL_S
                with observer as (metadata, data):
                    if data is None:
                        break
                    yield data, metadata
                io.events += 1
        except WorkerStop:
            self.logger.info("Observer: ended while waiting for an event")
        self.logger.debug("Observer finished")
        yield None, None


class IsAlive(Template):
    """Tell whether further events can come in the only observed buffer.

    Examples
    --------
    >>> def watch_file(io):
    ...     is_alive = IsAlive(io)
    ...     while is_alive():
    ...         time.sleep(1)
    """

    OBSERVES = 1

    def __call__(self) -> bool:
        """Return False once the stream of the buffer has ended, or the worker is to end."""
        self._begin()
        return not (self.observe[0].ring.ended or self.io.stop.requested)
