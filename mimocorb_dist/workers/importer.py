"""The template of workers that bring events in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic, time
from typing import Any

from mimocorb_dist.errors import UfuncError

from .fit import describe_value
from .stopping import Calls, WorkerStop, calls
from .template import Template

BOOK_EVERY_S = 0.02
"""At high rates books are kept, and a stopping ring is looked for, so often; at low rates at each event."""


class Source(Template):
    """What importers of single events and of batches share: the generator, and the account of dead time."""

    SINKS = (1, 1)

    def __init__(self, io: Any, *more: Any) -> None:
        super().__init__(io, *more)
        self.counter = 0
        self._begun_s = self._booked_s = monotonic()
        self._dead_s = 0.0  # not booked yet
        self._stood_s = 0.0  # in all, what was booked as dead time, and what is neither dead nor live
        self._unread_s = 0.0  # how long the source was not read after the last event, for the sink was held

    @calls(Calls.SOURCE)
    def _generator(self, ufunc: Callable[[], Iterable[Any]] | None) -> Iterator[Any]:
        ufunc = self._checked(ufunc)
        try:
            source = ufunc()
        except Exception as error:
            raise self._failure(error, self.counter) from error
        if not isinstance(source, Iterable):
            raise UfuncError(
                f"worker {self.name}: the function given to {type(self).__name__} returned "
                f"{describe_value(source)}, not a generator; it must `yield` data"
            )
        return iter(source)

    def _begin(self) -> None:
        super()._begin()
        self.write[0].add_dead_time(0.0, 0.0)  # from now on the ring counts waits
        self._begun_s = self._booked_s = monotonic()
        self._stood_s = 0.0

    def live_time_s(self) -> float:
        """Return for how long the source could be read so far, in s: a clock that stops in dead time.

        It stands still while an event waits for a free slot, and while the sink is held. A simulated source
        that follows this clock does what a detector does that waits to be read: it brings nothing meanwhile,
        and what it would have brought does not come later.
        """
        return monotonic() - self._begun_s - self._stood_s - self._dead_s

    def _book(self, counter: int, now_s: float) -> bool:
        """Book events and times since the last booking; return False if the importer is to end."""
        dead_s, self._dead_s = self._dead_s, 0.0
        self.write[0].add_dead_time(dead_s, max(0.0, now_s - self._booked_s - dead_s))
        self._stood_s += dead_s
        self._booked_s = now_s
        self.counter = self.io.events = counter
        stop = self.io.stop
        stop.look_again_s = now_s + BOOK_EVERY_S
        return not (stop.requested or self.write[0].ring.stopping)

    def _held_s(self) -> float:
        """Take account of how long the sink was held since the last call; return what is dead time, in s.

        Other time held is neither dead nor live.
        """
        held = self.write[0].take_held()
        self._booked_s += held.idle_s
        self._stood_s += held.idle_s
        self._dead_s += held.dead_s
        return held.dead_s

    def _finish(self, generator: Iterator[Any]) -> None:
        """Let the generator clean up, and end the stream."""
        close = getattr(generator, "close", None)
        if close is not None:
            close()
        self.io.shutdown_sinks()
        self.logger.debug("%s finished: %d events", type(self).__name__, self.counter)


class Importer(Source):
    """Take events from a generator and write them to the only sink.

    Each event gets its counter (0, 1, ...), the time of its data, and the share of dead time: of the time
    since the last event was published, the part in which this one waited for a free slot.

    Examples
    --------
    >>> def random_numbers(io):
    ...     importer = Importer(io)
    ...     def ufunc():
    ...         for _ in range(io["n_events"]):
    ...             yield np.random.normal(size=importer.data_example.shape)
    ...         yield None
    ...     importer(ufunc)
    """

    @calls(Calls.SOURCE)
    def __call__(self, ufunc: Callable[[], Iterable[Any]] | None = None) -> None:
        """Write what the generator yields until it ends, the run stops or its event limit is reached.

        Parameters
        ----------
        ufunc
            Function without arguments that returns a generator. What it yields must fit into an event's data,
            shape (data_length,): a record array, an array of plain numbers that goes to every field, or a
            sequence or mapping with one array for each field. It ends with None, or just ends.

        Raises
        ------
        UfuncError
            If the generator raises, or yields what does not fit.
        """
        writer = self.write[0]
        put, wait, counter = writer.put, writer.wait, self.counter
        stop, generator = self.io.stop, self._generator(ufunc)
        self._begin()
        last = self._booked_s
        epoch = time() - last  # the wall clock may be set during a run; durations must not see it
        held_s = 0.0
        try:
            for data in generator:
                t_data = monotonic()
                if data is None or not wait():
                    break
                t_slot = monotonic()
                waited = t_slot - t_data
                if held_s:  # the source was not read between the event before and this one
                    dead, held_s = (waited + held_s) / (t_slot - last + held_s), 0.0
                else:
                    dead = waited / (t_slot - last or 1.0)
                try:
                    published = put(data, counter, epoch + t_data, dead)
                except (TypeError, ValueError):
                    published = put(self._fitted(data, writer), counter, epoch + t_data, dead)
                if not published:
                    break
                counter += 1
                self._dead_s += waited
                last = monotonic()
                if last > stop.look_again_s:
                    if writer.was_held:
                        held_s = self._held_s()
                    if not self._book(counter, last):
                        break
                    epoch = time() - last
        except WorkerStop:
            self.logger.info("Importer: its source was interrupted")
        except Exception as error:
            raise self._failure(error, counter) from error
        self._book(counter, monotonic())
        self._finish(generator)
