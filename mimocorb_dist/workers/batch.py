"""Templates that work on many events at once, as arrays: numpy's speed for small events at high rates.

They are used as those for single events are. A batch is what there is, up to `limit` events: at low rates one
event, at high rates many, so nothing waits for a batch to fill.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE

from .fit import describe_value
from .holding import HoldingTemplate
from .importer import Source
from .many import as_bytes, chosen_events, events_for
from .processor import one_for_each
from .stopping import Calls, WorkerStop, calls
from .template import MANY, Template, Unusable, counter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from mimocorb_dist.ring import BufferWriter

    from .io import Data, Metadata
    from .many import Index

LIMIT = 1024
"""Most events in a batch, unless the template is made with another `limit`."""

_Part = tuple["BufferWriter", "Data", "Metadata", "Index | None", "Index | None"]


class BatchImporter(Source):
    """Take arrays of events from a generator and write them to the only sink.

    Counters go on from event to event. All events of an array have the time at which it was yielded, and the
    same share of dead time as long as they fit into the free slots. A source that has counters and times of
    its own yields them together with the data.

    Examples
    --------
    >>> def noise(io):
    ...     importer = BatchImporter(io)
    ...     def ufunc():
    ...         for _ in range(io["n_batches"]):
    ...             yield np.random.normal(size=(100, importer.data_example.size))
    ...     importer(ufunc)
    """

    @calls(Calls.SOURCE)
    def __call__(self, ufunc: Callable[[], Iterable[Any]] | None = None) -> None:
        """Write what the generator yields until it ends, the run stops or its event limit is reached.

        Parameters
        ----------
        ufunc
            Function without arguments that returns a generator. It yields arrays of shape (k, data_length),
            or (k,) if data_length is 1, of the buffer's dtype or of plain numbers that go to every field; or
            a mapping of fields to such arrays; or a tuple of these data and their metadata, shape (k,), with
            which the events are written as they are. It ends with None, or just ends.

        Raises
        ------
        UfuncError
            If the generator raises, or yields what does not fit.
        """
        generator = self._generator(ufunc)
        self._begin()
        counter = self.counter
        last = self._booked_s
        try:
            for item in generator:
                t_data = monotonic()
                if item is None:
                    break
                data, metadata = _with_metadata(item)
                events = events_for(data, self.write[0])
                if metadata is not None and metadata.shape != (len(events),):
                    raise Unusable(f"metadata of shape {metadata.shape} were given for {len(events)} events")
                done, last = self._write(events, metadata, counter, t_data, last)
                counter += done
                if done < len(events) or not self._book(counter, last):
                    break
        except WorkerStop:
            self.logger.info("BatchImporter: its source was interrupted")
        except Exception as error:
            raise self._failure(error, counter) from error
        self._book(counter, monotonic())
        self._finish(generator)

    def _write(
        self, events: Data, given: Metadata | None, counter: int, t_data: float, last: float
    ) -> tuple[int, float]:
        """Publish events, with metadata if they have any, in as many pieces as there are runs of free slots.

        Returns
        -------
        tuple
            How many were published, and the time of the last publishing.
        """
        timestamp = time() - monotonic() + t_data
        done, ready, held_s = 0, t_data, self._unread_s
        while done < len(events):
            with self.write[0].batch(len(events) - done) as (metadata, data):
                if len(data) == 0:
                    break
                t_slot = monotonic()
                if given is None:
                    metadata["counter"] = np.arange(counter + done, counter + done + len(data))
                    metadata["timestamp"] = timestamp
                    metadata["deadtime"] = (t_slot - ready + held_s) / (t_slot - last + held_s or 1.0)
                else:
                    metadata[:] = given[done : done + len(data)]
                as_bytes(data)[...] = as_bytes(events[done : done + len(data)])
                done += len(data)
                self._dead_s += t_slot - ready
            ready = last = monotonic()
            held_s = self._unread_s = self._held_s() if self.write[0].was_held else 0.0
        return done, last


def _with_metadata(item: Any) -> tuple[Any, Metadata | None]:
    """Take apart what a source of batches has yielded: data, or data and metadata."""
    if isinstance(item, tuple) and len(item) == 2 and getattr(item[1], "dtype", None) == METADATA_DTYPE:
        return item
    return item, None


class _Reading(Template):
    """What the templates that read batches share.

    Parameters
    ----------
    io
        The worker's `BufferIO`.
    limit
        Most events in a batch.
    """

    SOURCES = 1

    def __init__(self, io: Any, limit: int = LIMIT) -> None:
        super().__init__(io)
        self.limit = limit


class BatchExporter(_Reading, HoldingTemplate):
    """Iterate over the events of the only source, many at a time.

    The events count as read when the next ones are asked for; with an output file (`open`), when they are on
    the disk. If there are sinks, which must be of the source's type, the events are copied to all of them
    before they are given.

    Examples
    --------
    >>> def show(io):
    ...     for data, metadata in BatchExporter(io):
    ...         print(len(data), data["ch1"].max(axis=1))
    """

    SINKS = (0, MANY)
    SAME_TYPE = True

    def __iter__(self) -> Iterator[tuple[Data, Metadata]]:
        """Give data, shape (k, data_length), and metadata, shape (k,), of 1 <= k <= `limit` events.

        They are valid until the next step: copy what is kept longer.
        """
        return self.io.iterate(self._batches())

    def _batches(self) -> Generator[tuple[Data, Metadata], None, None]:
        if self._commits is not None:
            yield from self._held(self._commits, self.limit)
            return
        io, reader, stop = self.io, self.read[0], self.io.stop
        self._begin()
        try:
            while not stop.requested:
                with reader.batch(self.limit) as (metadata, data):
                    if data is None or metadata is None:
                        break
                    count = len(data)
                    for writer in self.write:
                        writer.write(data, metadata)
                    io.in_hand = metadata
                    yield data, metadata
                io.events += count
        except WorkerStop:
            self.logger.info("BatchExporter: ended while waiting for an event")
        io.in_hand = None
        if self.write:
            io.shutdown_sinks()
        self.logger.debug("BatchExporter finished: %d events", io.events)


class _Working(_Reading, ABC):
    """What the templates share that call a function with batches."""

    SINKS = (1, MANY)
    HANDS_ON = True

    def __call__(self, ufunc: Callable[[Any], Any] | None = None) -> None:
        """Work until the source's stream ends.

        Parameters
        ----------
        ufunc
            Function of the data of 1 <= k <= `limit` events, shape (k, data_length): see the class.

        Raises
        ------
        UfuncError
            If the function raises, or returns what cannot be used. Then nothing of the batch is written to
            any sink.
        """
        ufunc = self._checked(ufunc)
        io, reader, stop = self.io, self.read[0], self.io.stop
        kind = type(self).__name__
        self._begin()
        metadata = None
        try:
            while not stop.requested:
                with reader.batch(self.limit) as (metadata, data):
                    if data is None or metadata is None:
                        break
                    count = len(data)
                    for writer, events, heads, index, places in self._results(ufunc(data), data, metadata):
                        writer.write(events, heads, index, places)
                io.events += count
        except WorkerStop:
            self.logger.info("%s: ended while waiting for an event", kind)
        except (Exception, SystemExit) as error:
            raise self._failure(error, counter_of(metadata)) from error
        io.shutdown_sinks()
        self.logger.debug("%s finished: %d events", kind, io.events)

    @abstractmethod
    def _results(self, result: Any, data: Data, metadata: Metadata) -> list[_Part]:
        """Return what goes to which sink: it, and arguments of its `write`."""


class BatchFilter(_Working):
    """Copy events of the only source to the sinks, or not, as a function decides for many at a time.

    The function returns an array of k truth values, or a list with such an array (or None) for each sink; one
    truth value in place of an array is meant for all events.

    Examples
    --------
    >>> def high_pulses(io):
    ...     BatchFilter(io)(lambda data: data["ch1"].max(axis=1) > io["min_height"])
    """

    SAME_TYPE = True

    def _results(self, result: Any, data: Data, metadata: Metadata) -> list[_Part]:
        if not isinstance(result, (list, tuple)):
            masks: Iterable[Any] = [result] * len(self.write)
        elif len(result) == len(self.write):
            masks = result
        else:
            raise Unusable(
                f"the filter function returned {describe_value(result)}; return an array of {len(data)} "
                f"truth values, or a list with one for each of {len(self.write)} sinks"
            )
        chosen = [
            (writer, chosen_events(mask, len(data))) for writer, mask in zip(self.write, masks, strict=True)
        ]
        return [
            (writer, data, metadata, index, None) for writer, index in chosen if index is None or len(index)
        ]


class BatchProcessor(_Working):
    """Write what a function makes of many of the source's events at a time to the sinks, with their metadata.

    The function returns None, or a list with one item for each sink: None; data for all k events, in the
    forms that a `BatchImporter` takes; or, for some events only, a tuple of an array that chooses them (truth
    values or numbers) and the data for those.

    Examples
    --------
    >>> def heights(io):
    ...     def ufunc(data):
    ...         height = data["ch1"].max(axis=1)
    ...         high = height > io["min_height"]
    ...         return [(high, {"height": height[high]})]
    ...     BatchProcessor(io)(ufunc)
    """

    def _results(self, result: Any, data: Data, metadata: Metadata) -> list[_Part]:
        if result is None:
            return []
        parts: list[_Part] = []
        for writer, item in zip(self.write, one_for_each(result, len(self.write)), strict=True):
            if item is None:
                continue
            index, values = item if isinstance(item, tuple) and len(item) == 2 else (True, item)
            chosen = chosen_events(index, len(data), or_numbers=True)
            count = len(data) if chosen is None else len(chosen)
            if count == 0:
                continue
            events = events_for(values, writer)
            if len(events) != count:
                raise Unusable(f"the function returned {len(events)} events for {count} of the source")
            heads = metadata if chosen is None else metadata[chosen]
            parts.append((writer, events, heads, None, chosen))
        return parts
