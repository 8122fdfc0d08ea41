"""The template of workers that take events out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .holding import HoldingTemplate
from .stopping import WorkerStop
from .template import MANY

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .io import Data, Metadata


class Exporter(HoldingTemplate):
    r"""Iterate over the events of the only source.

    An event counts as read when the next one is asked for; with an output file (`open`), when it is on the
    disk. If there are sinks, which must be of the source's type, each event is copied to all of them before
    it is given.

    Examples
    --------
    >>> def show(io):
    ...     for data, metadata in Exporter(io):
    ...         print(metadata["counter"][0], data)

    >>> def save(io):
    ...     exporter = Exporter(io)
    ...     with exporter.open("heights.txt") as file:
    ...         for data, metadata in exporter:
    ...             file.write(f"{data['height'][0]}\n")
    """

    SOURCES = 1
    SINKS = (0, MANY)
    SAME_TYPE = True

    def __iter__(self) -> Iterator[tuple[Data, Metadata]]:
        """Give data, shape (data_length,), and metadata, shape (1,), of one event after the other.

        They are views into the buffer, valid until the next step: copy what is kept longer.
        """
        return self.io.iterate(self._events())

    def __call__(self) -> Iterator[tuple[Data, Metadata] | tuple[None, None]]:
        """Iterate, and give (None, None) at the end: the way of the first versions of mimoCoRB2."""
        return self.io.iterate(self._events_and_none())

    def _events(self) -> Generator[tuple[Data, Metadata], None, None]:
        if self._commits is not None:
            yield from self._held(self._commits, None)
            return
        io, reader = self.io, self.read[0]
        stop = io.stop
        copies = [writer.copy for writer in self.write]
        self._begin()
        try:
            while not stop.requested:
                with reader as (metadata, data):
                    if data is None or metadata is None:
                        break
                    for copy in copies:
                        copy(metadata, data)
                    io.in_hand = metadata
                    yield data, metadata
                io.events += 1
        except WorkerStop:
            self.logger.info("Exporter: ended while waiting for an event")
        io.in_hand = None
        if copies:
            io.shutdown_sinks()
        self.logger.debug("Exporter finished: %d events", io.events)

    def _events_and_none(self) -> Generator[tuple[Data, Metadata] | tuple[None, None], None, None]:
        yield from self._events()
        yield None, None
