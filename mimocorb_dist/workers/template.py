"""What all templates share: checks of their buffers, and how errors in user functions are told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mimocorb_dist.errors import MimocorbError, SetupError, UfuncError
from mimocorb_dist.ring import Hand

from .fit import fill, misfit
from .generations import in_older_order
from .io import BufferIO, Data, Metadata, as_buffer_io, describe
from .places import describe_error, place_of_error, place_of_function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mimocorb_dist.ring import BufferReader, BufferWriter
    from mimocorb_dist.ring.interface import Interface


class Template:
    """A way of working on events.

    It is made in the worker's function from the `BufferIO` that the function gets, and has all attributes of
    that, too.

    Parameters
    ----------
    io
        The worker's `BufferIO`, or one of the older forms: see `as_buffer_io`. The four lists may also be
        given as four arguments.

    Attributes
    ----------
    io
        The worker's `BufferIO`.
    data_example, metadata_example
        Arrays of zeros like the data, shape (data_length,), and metadata, shape (1,), of the template's own
        buffer: an importer's sink, the source of the others, or what is observed.
    reader, writer, observer
        The first source, sink and observed buffer. `writers` are all sinks.

    Raises
    ------
    SetupError
        If the worker does not have the sources, sinks and observed buffers that the template needs.
    """

    SOURCES: ClassVar[int] = 0
    SINKS: ClassVar[tuple[int, int]] = (0, 0)
    OBSERVES: ClassVar[int] = 0
    SAME_TYPE: ClassVar[bool] = False
    HANDS_ON: ClassVar[bool] = False

    data_example: Data
    metadata_example: Metadata
    reader: BufferReader
    writer: BufferWriter
    observer: Any

    def __init__(self, io: Any, *more: Any) -> None:
        self.io: BufferIO = as_buffer_io((io, *more))
        self.read, self.write, self.observe = self.io.read, self.io.write, self.io.observe
        self.sources = in_older_order(self.io, self.read)
        self.sinks = self.writers = in_older_order(self.io, self.write)
        self.observes = in_older_order(self.io, self.observe)
        self.config = self.io.config
        self.logger = self.io.logger
        self.name = self.function_name = self.io.name
        self.debug = False
        self._ufunc: Callable[..., Any] | None = None
        self._check_counts()
        if self.SAME_TYPE:
            self._check_types()
        own: list[Interface] = [*self.read, *self.observe, *self.write]
        self.data_example, self.metadata_example = own[0].data_example, own[0].metadata_example
        if self.read:
            self.reader = self.sources[0]
        if self.write:
            self.writer = self.sinks[0]
        if self.observe:
            self.observer = self.observes[0]

    def __getattr__(self, name: str) -> Any:
        if name == "io":
            raise AttributeError(
                f"{type(self).__name__} is not set up; call its __init__ with the worker's BufferIO"
            )
        return getattr(self.io, name)

    def set_ufunc(self, ufunc: Callable[..., Any]) -> None:
        """Set the function that a later call without one uses: the way of the first versions of mimoCoRB2."""
        self._ufunc = self._checked(ufunc)

    def drain_sources(self) -> None:
        """Read all sources to their ends, and drop the events."""
        for reader in self.read:
            while True:
                with reader as (_, data):
                    if data is None:
                        break

    def _begin(self) -> None:
        """Come to the events: from here on nothing is interrupted that would lose one."""
        self.io.begin()
        if self.HANDS_ON and self.io.hand_path is not None:
            Hand(self.io.hand_path, self.read[0], self.write)
        if not self.io.stop.deferred:
            self.io.stop.deferred = True
            self.logger.debug("%s started", type(self).__name__)

    def _check_counts(self) -> None:
        least, most = self.SINKS
        wanted: list[tuple[Sequence[Interface], int, int, str]] = [
            (self.read, self.SOURCES, self.SOURCES, "source"),
            (self.write, least, most, "sink"),
            (self.observe, self.OBSERVES, self.OBSERVES, "observed buffer"),
        ]
        for ends, at_least, at_most, what in wanted:
            if not at_least <= len(ends) <= at_most:
                number = str(at_least) if at_least == at_most else f"{at_least} or more"
                has = f"{len(ends)} ({', '.join(end.name for end in ends)})" if ends else "none"
                raise SetupError(
                    f"worker {self.name}: {type(self).__name__} needs {number} {what}"
                    f"{'' if number == '1' else 's'}, but the worker has {has}; "
                    f"change its {_KEYS[what]} in the setup"
                )

    def _check_types(self) -> None:
        source = self.read[0]
        for sink in self.write:
            if (sink.data_example.dtype, sink.data_example.size) != (
                source.data_example.dtype,
                source.data_example.size,
            ):
                raise SetupError(
                    f"worker {self.name}: {type(self).__name__} copies events, so its source "
                    f"{describe(source)} and its sink {describe(sink)} must have the same data_length and "
                    "data_dtype; change one in the setup"
                )

    def _checked(self, ufunc: Callable[..., Any] | None) -> Callable[..., Any]:
        ufunc = ufunc if ufunc is not None else self._ufunc
        if not callable(ufunc):
            raise UfuncError(
                f"worker {self.name}: {type(self).__name__} was called with {ufunc!r}; "
                "call it with a function"
            )
        self._ufunc = ufunc
        return ufunc

    def _fitted(self, value: Any, sink: BufferWriter, events: int | None = None) -> Data:
        """Return data for one event of a sink, or for many, made from what a user function gave."""
        example = sink.data_example
        target = np.empty(example.shape if events is None else (events, *example.shape), example.dtype)
        try:
            fill(target, value)
        except (TypeError, ValueError) as error:
            raise Unusable(misfit(value, sink.name, target, error)) from error
        return target

    def _failure(self, error: Exception | SystemExit, event: int | None) -> BaseException:
        """Return the error to raise for one that came up while the user's function dealt with an event."""
        if isinstance(error, MimocorbError) or ends_well(error):
            return error
        at = "" if event is None else f", event {event}"
        if isinstance(error, Unusable):
            what = f"{error}; change what the function gives, or the setup"
            place = place_of_function(self._ufunc)
        else:
            what, place = describe_error(error), place_of_error(error)
        return UfuncError(f"worker {self.name}{at}: {what}{place and f' ({place})'}")


def ends_well(error: BaseException) -> bool:
    """Return whether the user's code has called ``sys.exit()`` to end the worker in order."""
    return isinstance(error, SystemExit) and error.code in (None, 0)


class Unusable(ValueError):  # noqa: N818 (never seen by users)
    """What a user function gave cannot be used; users see it as `UfuncError` with worker and event."""


_KEYS = {"source": "sources", "sink": "sinks", "observed buffer": "observes"}
MANY = sys.maxsize


def counter_of(metadata: Metadata | None) -> int | None:
    """Return the number of an event, if there is one."""
    return None if metadata is None else int(metadata["counter"][0])
