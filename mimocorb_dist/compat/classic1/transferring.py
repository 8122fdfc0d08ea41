"""The templates of mimoCoRB 1 that compute new events from events: `rbTransfer` and `rbProcess`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers.fit import describe_value
from mimocorb_dist.workers.template import Unusable

from .activity_logger import Gen_logger
from .assignment import check_roles, checked, failure, fitted, the_only
from .mimo_buffer import Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

Parts = list[tuple[int, Any]]
"""What goes to which sink."""


class _Working(ABC):
    """What both have in common.

    Parameters
    ----------
    source_list, sink_list
        Lists with the dicts of the source and of the sinks.
    config_dict
        The configuration.
    ufunc
        The user function of an event's data, shape (values_per_slot,).
    rb_info
        What is done with which buffer.

    Raises
    ------
    Misassigned
        If there is no source, or no function.
    """

    def __init__(
        self,
        source_list: Any = None,
        sink_list: Any = None,
        config_dict: Any = None,
        ufunc: Callable[..., Any] | None = None,
        **rb_info: Any,
    ) -> None:
        self.logger = Gen_logger(type(self).__name__)
        self.config_dict = config_dict
        self.filter = checked(self, ufunc)
        check_roles(self, rb_info, "read", "write")
        self.reader = Reader(the_only(self, "read", source_list))
        self.writers = [Writer(item) for item in sink_list or ()]
        self._dtypes = [np.dtype(writer.dtype) for writer in self.writers]

    def __call__(self) -> None:
        """Work until the source's stream ends.

        Raises
        ------
        UfuncError
            If the function raises, or returns what cannot be used. Then nothing of the event is written to
            any sink.
        """
        reader, writers, ufunc = self.reader, self.writers, self.filter
        while True:
            try:
                data = reader.get()
            except SystemExit:
                return
            try:
                result = ufunc(data)
                if result is None:
                    continue
                ready = [
                    (
                        writers[sink],
                        fitted(item, writers[sink].values_per_slot, self._dtypes[sink], self._name(sink)),
                    )
                    for sink, item in self._parts(result, data)
                ]
            except (Exception, SystemExit) as error:
                raise failure(self, ufunc, error, reader.get_metadata()[0]) from error
            for writer, item in ready:
                writer._copy(reader.metadata, item)

    @abstractmethod
    def _parts(self, result: Any, data: Any) -> Parts:
        """Return what goes to which sink."""

    def _name(self, sink: int) -> str:
        return self.writers[sink].name


class rbTransfer(_Working):
    """Copy events of the source to the sinks, or what a function makes of them, with their metadata.

    The function returns None: the event is left out; anything that is not a list: the event is copied to the
    first sink; or a list: its items go to the sinks in their order, None for nothing. If the list is shorter
    than the number of sinks, the event is copied to the first one, and the items go to the next ones. An item
    is a structured array; fields that it lacks become 0.
    """

    def _parts(self, result: Any, data: Any) -> Parts:
        sinks = len(self.writers)
        if not isinstance(result, (list, tuple)):
            if not sinks:
                raise Unusable(f"the function returned {describe_value(result)}, but there is no sink")
            return [(0, data)]
        raw = len(result) < sinks
        if len(result) > sinks:
            raise Unusable(f"the function returned {describe_value(result)} for {sinks} sinks")
        return [
            *([(0, data)] if raw else ()),
            *((sink, item) for sink, item in enumerate(result, start=int(raw)) if item is not None),
        ]


class rbProcess(_Working):
    """Write what a function makes of the source's events to the sinks, with their metadata.

    The function returns None: nothing is written; or a list with one item for each sink: None for nothing,
    True to copy the event, a structured array, or a list of such, each of which becomes an event.
    """

    def _parts(self, result: Any, data: Any) -> Parts:
        sinks = len(self.writers)
        if not isinstance(result, (list, tuple)) or len(result) != sinks:
            raise Unusable(
                f"the function returned {describe_value(result)}, not None or a list of {sinks}: "
                "one item for each sink, None for nothing"
            )
        parts: Parts = []
        for sink, item in enumerate(result):
            if item is None or isinstance(item, (bool, np.bool_)):
                if item:
                    parts.append((sink, data))
            elif isinstance(item, (list, tuple)):
                parts += [(sink, event) for event in item if event is not None]
            else:
                parts.append((sink, item))
        return parts
