"""The templates of mimoCoRB 1 that bring events in: `rbImport` and `rbPut`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers.fit import describe_value
from mimocorb_dist.workers.stopping import Calls, WorkerStop, calls
from mimocorb_dist.workers.template import Unusable, ends_well

from .activity_logger import Gen_logger
from .assignment import check_roles, checked, failure, fill_channels, the_only
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.ring.layout import Held

BOOK_EVERY_S = 0.02
"""At high rates the books are kept so often; at low rates at each event."""


class _Source:
    """What both have in common: the sink, and the account of dead time.

    Attributes
    ----------
    sink
        The `Writer`.
    number_of_channels, chnams
        Number and names of the channels; a plain dtype is one channel without a name.
    event_count
        Events so far.
    """

    def __init__(self, sink_list: Any = None, config_dict: Any = None, **rb_info: Any) -> None:
        self.logger = Gen_logger(type(self).__name__)
        self.config_dict = config_dict
        check_roles(self, rb_info, "write")
        self.sink = Writer(the_only(self, "write", sink_list))
        self.chnams: list[str] = list(np.dtype(self.sink.dtype).names or ())
        self.number_of_channels = max(1, len(self.chnams))
        self.event_count = 0
        self.T_last = self._booked_s = monotonic()
        self._dead_s = 0.0
        self._unread_s = (
            0.0  # how long the source was not read since the last event, as no room was to keep it
        )

    def _write(self, data: Any, metadata: Any) -> None:
        """Wait for a slot, and publish an event.

        Raises
        ------
        SystemExit
            If the source is to end.
        """
        sink = self.sink
        t_data, timestamp = monotonic(), time()
        sink._ready(for_last=True)
        t_buffer = monotonic()
        dead_s = t_buffer - t_data
        if metadata is None:
            share = (dead_s + self._unread_s) / (t_buffer - self.T_last or 1.0)
            metadata = (self.event_count + 1, timestamp, share)
        else:
            metadata = _given_metadata(metadata)
        sink._write(lambda slot: fill_channels(slot, data, self.chnams, sink.name), metadata)
        self.event_count += 1
        self.T_last = t_buffer
        self._dead_s += dead_s
        self._unread_s = 0.0
        self._note(sink._take_held())
        if t_buffer - self._booked_s > BOOK_EVERY_S:
            self._book(t_buffer)

    def _book(self, now_s: float) -> None:
        self.sink._book(self._dead_s, max(0.0, now_s - self._booked_s - self._dead_s))
        self._booked_s, self._dead_s = now_s, 0.0

    def _wait_while_held(self) -> None:
        """Wait until the pause is over."""
        self._note(self.sink._wait_out_the_pause())

    def _note(self, held: Held) -> None:
        """Take a pause into account: one that somebody wanted is neither dead nor live time."""
        self.T_last += held.idle_s
        self._booked_s += held.idle_s
        self._dead_s += held.dead_s
        self._unread_s += held.dead_s


class rbImport(_Source):
    """Take events from a generator and write them to the sink, until it ends.

    Parameters
    ----------
    sink_list
        List with the dict of the sink.
    config_dict
        The configuration.
    ufunc
        Function without arguments that returns a generator. That yields tuples (data, metadata): data with an
        array of values_per_slot numbers for each channel; metadata (counter, timestamp in s since 1970, dead
        time), or None: then the counter is 1, 2, ..., the time is that of the data, and of the time since
        the last event the share is given in which this one waited for a free slot. Data None ends the
        source, and so does the end of the generator.
    rb_info
        What is done with which buffer.

    Raises
    ------
    Misassigned
        If there is no sink, or no function.
    """

    def __init__(
        self,
        sink_list: Any = None,
        config_dict: Any = None,
        ufunc: Callable[[], Iterable[Any]] | None = None,
        **rb_info: Any,
    ) -> None:
        super().__init__(sink_list, config_dict, **rb_info)
        self._ufunc = checked(self, ufunc)
        try:
            source = self._ufunc()
            if not isinstance(source, Iterable):
                raise Unusable(
                    f"the function given to {type(self).__name__} returned {describe_value(source)}, "
                    "not a generator; it must `yield` (data, metadata)"
                )
        except Exception as error:
            raise failure(self, self._ufunc, error, 1) from error
        self.userdata_generator: Iterator[Any] = iter(source)

    @calls(Calls.SOURCE)
    def __call__(self) -> None:
        """Write what the generator yields.

        Raises
        ------
        UfuncError
            If the generator raises, or yields what does not fit.
        """
        sink, generator = self.sink, self.userdata_generator
        sink._begin()
        self.T_last = self._booked_s = monotonic()
        self._book(self._booked_s)  # from now on waits are seen
        try:
            while not sink._is_over():
                self._wait_while_held()
                if sink._is_over():  # in the pause
                    break
                data, metadata = _taken_apart(next(generator, None))
                if data is None:
                    break
                self._write(data, metadata)
        except WorkerStop:
            self.logger.info("the source was interrupted")
        except SystemExit as ended:
            if not ends_well(ended):
                raise
        except Exception as error:
            raise failure(self, self._ufunc, error, self.event_count + 1) from error
        self._book(monotonic())
        close = getattr(generator, "close", None)
        if close is not None:
            close()


class rbPut(_Source):
    """Write events to the sink that come by calls: ``put(data, metadata)``.

    Parameters
    ----------
    sink_list, config_dict, ufunc, rb_info
        As those of `rbImport`; `ufunc` is not used.
    """

    def __init__(
        self, sink_list: Any = None, config_dict: Any = None, ufunc: Any = None, **rb_info: Any
    ) -> None:
        super().__init__(sink_list, config_dict, **rb_info)
        self._ufunc = ufunc

    def __call__(self, data: Any, metadata: Any = None) -> bool:
        """Write an event, waiting for a slot, and while the buffer is paused.

        Parameters
        ----------
        data, metadata
            As a generator of `rbImport` yields them. With data None nothing is written.

        Returns
        -------
        bool
            False if the source is to end: then the event has not been written.

        Raises
        ------
        UfuncError
            If the data do not fit.
        """
        sink = self.sink
        if data is None:
            sink.process_buffer()
            return not sink._is_over()
        if self.event_count == 0:
            sink._begin()
            self._book(monotonic())
        try:
            self._wait_while_held()
            if sink._is_over():
                return False
            self._write(data, metadata)
        except SystemExit:
            return False
        except Exception as error:
            raise failure(self, None, error, self.event_count + 1) from error
        return not sink._is_over()


def _taken_apart(item: Any) -> tuple[Any, Any]:
    """Return data and metadata of what a generator has yielded."""
    if item is None:
        return None, None
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    raise Unusable(f"the generator yielded {describe_value(item)}, not (data, metadata)")


def _given_metadata(metadata: Any) -> tuple[Any, Any, Any]:
    try:
        counter, timestamp, deadtime = metadata
    except (TypeError, ValueError) as error:
        raise Unusable(
            f"the metadata are {describe_value(metadata)}, not (counter, timestamp, deadtime) or None"
        ) from error
    return counter, timestamp, deadtime
