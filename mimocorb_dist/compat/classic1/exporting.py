"""The templates of mimoCoRB 1 that take events out, or look at them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .activity_logger import Gen_logger
from .assignment import check_roles, the_only
from .mimo_buffer import Observer, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Event = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class rbExport:
    """Iterate over the events of the source: ``for event in rbExport(...)()``.

    Parameters
    ----------
    source_list
        List with the dict of the source.
    config_dict
        The configuration.
    rb_info
        What is done with which buffer.

    Attributes
    ----------
    source
        The `Reader`.

    Raises
    ------
    Misassigned
        If there is no source.
    """

    def __init__(self, source_list: Any = None, config_dict: Any = None, **rb_info: Any) -> None:
        self.logger = Gen_logger(type(self).__name__)
        self.config_dict = config_dict
        check_roles(self, rb_info, "read")
        self.source = Reader(the_only(self, "read", source_list))

    def __call__(self) -> Iterator[Event | None]:
        """Give data, shape (values_per_slot,), and metadata [counter, timestamp, deadtime]; None at the end.

        An event counts as read when the next one is asked for, of this iteration or of another one.
        """
        while True:
            try:
                data = self.source.get()
            except SystemExit:
                break
            yield data, np.array(self.source.get_metadata())
        yield None


class rbDrain:
    """Read the events of the source, and do nothing with them; ``message.txt`` tells so.

    Parameters
    ----------
    source_list, config_dict, rb_info
        As those of `rbExport`.
    """

    def __init__(self, source_list: Any = None, config_dict: Any = None, **rb_info: Any) -> None:
        self.logger = Gen_logger(type(self).__name__)
        check_roles(self, rb_info, "read")
        self.source = Reader(the_only(self, "read", source_list))
        prefix = (config_dict or {}).get("directory_prefix")
        if prefix is not None:
            self.filename = f"{prefix}/message.txt"
            Path(self.filename).write_text("rbDrain reads events and writes none of them.\n")

    def __call__(self) -> None:
        """Read until the end of the stream."""
        for _ in self.source.batches():
            continue


class rbObserver:
    """Look at the newest events: ``for event in rbObserver(...)()``.

    Parameters
    ----------
    observe_list
        List with the dict of the observed buffer.
    config_dict
        The configuration; `min_sleeptime` (s) is 1.0 by default.
    rb_info
        What is done with which buffer.

    Attributes
    ----------
    source
        The `Observer`.
    min_sleeptime
        As configured.

    Raises
    ------
    Misassigned
        If there is no observed buffer.
    """

    def __init__(self, observe_list: Any = None, config_dict: Any = None, **rb_info: Any) -> None:
        self.logger = Gen_logger(type(self).__name__)
        check_roles(self, rb_info, "observe")
        self.source = Observer(the_only(self, "observe", observe_list))
        self.min_sleeptime = float((config_dict or {}).get("min_sleeptime", 1.0))

    def __call__(self) -> Iterator[Event | None]:
        """Give copies of data, shape (values_per_slot,), and metadata, shape (1,); None at the end."""
        while (event := self.source.get()) is not None:
            yield event
        yield None


class rbWSObserver(rbObserver):
    """Look at the newest events as `rbObserver` does, one in `min_sleeptime` at most."""

    def __call__(self) -> Iterator[Event | None]:
        """Give copies of data, shape (values_per_slot,), and metadata, shape (1,); None at the end."""
        next_s = 0.0
        for event in super().__call__():
            if event is not None and time.monotonic() < next_s:
                continue
            next_s = time.monotonic() + self.min_sleeptime
            yield event

    def close(self) -> None:
        """Nothing is held."""
