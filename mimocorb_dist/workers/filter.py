"""The template of workers that choose events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .fit import describe_value
from .stopping import WorkerStop
from .template import MANY, Template, Unusable, counter_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Filter(Template):
    """Copy the events of the only source to the sinks, or not, as a function decides.

    Examples
    --------
    >>> def high_pulses(io):
    ...     min_height = io["min_height"]
    ...     def ufunc(data):
    ...         return np.max(data["ch1"]) > min_height
    ...     Filter(io)(ufunc)
    """

    SOURCES = 1
    HANDS_ON = True
    SINKS = (1, MANY)
    SAME_TYPE = True

    def __call__(self, ufunc: Callable[[Any], Any] | None = None) -> None:
        """Filter until the source's stream ends.

        Parameters
        ----------
        ufunc
            Function of an event's data, shape (data_length,), that returns True (copy to every sink), False
            (to none) or a list of these, one for each sink.

        Raises
        ------
        UfuncError
            If the function raises, or returns something else.
        """
        ufunc = self._checked(ufunc)
        io, reader, writers = self.io, self.read[0], self.write
        copies = [writer.copy for writer in writers]
        stop = io.stop
        self._begin()
        metadata = None
        try:
            while not stop.requested:
                with reader as (metadata, data):
                    if data is None or metadata is None:
                        break
                    result = ufunc(data)
                    if result is True:
                        for copy in copies:
                            copy(metadata, data)
                    elif result is not False:
                        for index in chosen_sinks(result, len(copies)):
                            copies[index](metadata, data)
                io.events += 1
        except WorkerStop:
            self.logger.info("Filter: ended while waiting for an event")
        except (Exception, SystemExit) as error:
            raise self._failure(error, counter_of(metadata)) from error
        io.shutdown_sinks()
        self.logger.debug("Filter finished: %d events", io.events)


def chosen_sinks(result: Any, sinks: int) -> list[int]:
    """Return the numbers of the sinks that a filter function's result chooses.

    Parameters
    ----------
    result
        What the function returned.
    sinks
        How many sinks there are.

    Raises
    ------
    Unusable
        If it is neither a truth value nor one for each sink.
    """
    if isinstance(result, (list, tuple)) or (isinstance(result, np.ndarray) and result.ndim == 1):
        if len(result) == sinks and all(map(_is_truth_value, result)):
            return [index for index, item in enumerate(result) if item]
        if len(result) == 0:
            return []
    elif _is_truth_value(result):
        return list(range(sinks)) if result else []
    expected = "True or False" if sinks == 1 else f"True, False, or a list of {sinks} of these"
    raise Unusable(
        f"the filter function returned {describe_value(result)}, not {expected}; "
        "np.any and np.all make one truth value of an array"
    )


def _is_truth_value(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype == np.bool_
    return (
        value is None or isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1))
    )
