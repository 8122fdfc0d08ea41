"""The template of workers that compute new data from events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from .fit import describe_value
from .stopping import WorkerStop
from .template import MANY, Template, Unusable, counter_of


class Processor(Template):
    """Write what a function makes of the source's events to the sinks, with the events' metadata.

    Examples
    --------
    >>> def sums_and_means(io):
    ...     def ufunc(data):
    ...         return [np.sum(data["ch1"]), np.mean(data["ch1"])]
    ...     Processor(io)(ufunc)
    """

    SOURCES = 1
    HANDS_ON = True
    SINKS = (1, MANY)

    def __call__(self, ufunc: Callable[[Any], Any] | None = None) -> None:
        """Process until the source's stream ends.

        Parameters
        ----------
        ufunc
            Function of an event's data, shape (data_length,), that returns None (nothing is written) or a
            list with one item for each sink: None (nothing for this sink) or data that fits into the sink, in
            any of the forms that an `Importer` takes.

        Raises
        ------
        UfuncError
            If the function raises, or returns what does not fit. Then nothing of the event is written to any
            sink.
        """
        ufunc = self._checked(ufunc)
        io, reader, writers = self.io, self.read[0], self.write
        only = writers[0].copy if len(writers) == 1 else None
        stop = io.stop
        self._begin()
        metadata = None
        try:
            while not stop.requested:
                with reader as (metadata, data):
                    if data is None or metadata is None:
                        break
                    results = ufunc(data)
                    if results is not None:
                        if type(results) is not list or len(results) != len(writers):
                            results = one_for_each(results, len(writers))
                        if only is None:
                            self._write(metadata, results)
                        elif results[0] is not None:
                            try:
                                only(metadata, results[0])
                            except (TypeError, ValueError):
                                only(metadata, self._fitted(results[0], writers[0]))
                io.events += 1
        except WorkerStop:
            self.logger.info("Processor: ended while waiting for an event")
        except (Exception, SystemExit) as error:
            raise self._failure(error, counter_of(metadata)) from error
        io.shutdown_sinks()
        self.logger.debug("Processor finished: %d events", io.events)

    def _write(self, metadata: Any, results: Sequence[Any]) -> None:
        """Write to several sinks: all results are made to fit before the first is published."""
        ready = []
        for writer, result in zip(self.write, results, strict=True):
            if result is not None:
                example = writer.data_example
                fits = (
                    type(result) is np.ndarray
                    and result.dtype == example.dtype
                    and result.shape == example.shape
                )
                ready.append((writer, result if fits else self._fitted(result, writer)))
        for writer, result in ready:
            writer.copy(metadata, result)


def one_for_each(results: Any, sinks: int) -> Sequence[Any]:
    """Return what a processor function gave if it has one item for each sink.

    Raises
    ------
    Unusable
        If it has not.
    """
    if _is_list(results) and len(results) == sinks:
        return cast("Sequence[Any]", results)
    raise Unusable(
        f"the function returned {describe_value(results)}, "
        f"not None or a list of {sinks}: one item for each sink, None for nothing"
    )


def _is_list(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
