"""The names of the first mimoCoRB 1, in both forms in which they were called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers.template import ends_well

from .exporting import rbObserver
from .files import rb_toParquetfile, rb_toTxtfile
from .importing import rbImport
from .transferring import rbTransfer

if TYPE_CHECKING:
    from collections.abc import Callable


class SourceToBuffer(rbImport):
    """Write to the sink what a function gives: the older form of `rbImport`.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict
        What the worker's function was given.
    data_source, ufunc
        Function of the number of channels that returns or yields data: an array for each channel. None, its
        end, or a call of ``sys.exit()`` in it ends the source.
    rb_info
        What is done with which buffer.
    """

    def __init__(
        self,
        source_list: Any = None,  # noqa: ARG002 (the classic signature)
        sink_list: Any = None,
        observe_list: Any = None,  # noqa: ARG002
        config_dict: Any = None,
        data_source: Callable[..., Any] | None = None,
        ufunc: Callable[..., Any] | None = None,
        **rb_info: Any,
    ) -> None:
        function: Any = data_source if data_source is not None else ufunc
        super().__init__(
            sink_list,
            config_dict,
            (lambda: _events(function, self.number_of_channels)) if callable(function) else function,
            **rb_info,
        )
        self._ufunc = function

    def start_data_capture(self) -> None:
        """Write until the source ends."""
        self()


class BufferToBuffer(rbTransfer):
    """Copy events, or what a function makes of them: the older form of `rbTransfer`.

    The function may also return a single structured array: that goes to the last sink.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict
        What the worker's function was given.
    filter, ufunc
        The function of an event's data.
    rb_info
        What is done with which buffer.
    """

    def __init__(
        self,
        source_list: Any = None,
        sink_list: Any = None,
        observe_list: Any = None,  # noqa: ARG002 (the classic signature)
        config_dict: Any = None,
        filter: Callable[..., Any] | None = None,
        ufunc: Callable[..., Any] | None = None,
        **rb_info: Any,
    ) -> None:
        super().__init__(
            source_list, sink_list, config_dict, filter if filter is not None else ufunc, **rb_info
        )

    def _parts(self, result: Any, data: Any) -> Any:
        if isinstance(result, np.ndarray) and result.dtype.names is not None and result is not data:
            return [(len(self.writers) - 1, result)]
        return super()._parts(result, data)

    def process_data(self) -> None:
        """Work until the source's stream ends."""
        self()


class BufferToTxtfile(rb_toTxtfile):
    """Write events to a text file: the older form of `rb_toTxtfile`.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict, rb_info
        What the worker's function was given.
    """

    def __init__(
        self,
        source_list: Any = None,
        sink_list: Any = None,  # noqa: ARG002 (the classic signature)
        observe_list: Any = None,  # noqa: ARG002
        config_dict: Any = None,
        **rb_info: Any,
    ) -> None:
        super().__init__(source_list, config_dict, **rb_info)

    def start(self) -> None:
        """Write until the source's stream ends."""
        self()


class BufferToParquetfile(rb_toParquetfile):
    """Write events to an archive of parquet files: the older form of `rb_toParquetfile`.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict, rb_info
        What the worker's function was given.
    """

    def __init__(
        self,
        source_list: Any = None,
        sink_list: Any = None,  # noqa: ARG002 (the classic signature)
        observe_list: Any = None,  # noqa: ARG002
        config_dict: Any = None,
        **rb_info: Any,
    ) -> None:
        super().__init__(source_list, config_dict, **rb_info)

    def start(self) -> None:
        """Write until the source's stream ends."""
        self()


class ObserverData(rbObserver):
    """Look at the newest events: the older form of `rbObserver`.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict, rb_info
        What the worker's function was given.
    """

    def __init__(
        self,
        source_list: Any = None,  # noqa: ARG002 (the classic signature)
        sink_list: Any = None,  # noqa: ARG002
        observe_list: Any = None,
        config_dict: Any = None,
        **rb_info: Any,
    ) -> None:
        super().__init__(observe_list, config_dict, **rb_info)

    def start(self) -> Iterator[Any]:
        """Give copies of data, shape (values_per_slot,), and metadata, shape (1,); None at the end."""
        return self()


def _events(function: Callable[[int], Any], channels: int) -> Iterator[tuple[Any, None]]:
    """Give what a data source returns, call for call, or yields."""
    try:
        data = function(channels)
        source = data if isinstance(data, Iterator) else _calls(data, function, channels)
        for item in source:
            if item is None:
                return
            yield item, None
    except SystemExit as ended:
        if not ends_well(ended):
            raise


def _calls(first: Any, function: Callable[[int], Any], channels: int) -> Iterator[Any]:
    yield first
    while True:
        yield function(channels)
