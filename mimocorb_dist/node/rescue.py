"""Events that nobody reads any more are kept in files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from mimocorb_dist.errors import RunError
from mimocorb_dist.runs.rescue import RescueFile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from mimocorb_dist.ring import Event, Ring

    from .loop import Loop, Timer
    from .rings import RingSet

RESCUE_EVERY_S = 0.05
_SLICE_S = 0.05
"""How long one call may take, so that the node can see to other things."""


class _Stream:
    """The events that wait in one reader group; `event` is the next one, taken and not yet kept."""

    def __init__(self, ring: Ring, group: str) -> None:
        self._ring, self._group = ring, group
        self._events = _generator(ring, group)
        self.event: Event | None = None
        self.over = False

    def advance(self) -> bool:
        """Look for the next event; where there is none, find out whether there ever will be."""
        ended = self._ring.ended  # asked before: what was written until then is found now
        self.event = next(self._events, None)
        if self.event is None:
            self._events = _generator(self._ring, self._group)
            self.over = ended and not self._ring.statistics().undelivered[self._group]
        return self.event is not None

    def take(self) -> Event:
        """Return the next event; by the next `advance` it is counted as rescued."""
        event, self.event = self.event, None
        assert event is not None
        return event

    def close(self) -> None:
        """Give back what is taken and not kept."""
        self._events.close()


def _generator(ring: Ring, group: str) -> Generator[Event, None, None]:
    return cast("Generator[Event, None, None]", ring.rescue(group))


class Rescuer:
    """Takes events out of reader groups that have lost all their readers.

    Parameters
    ----------
    rings
        The node's rings.
    folder
        Where ``<buffer>.mimo`` is written.
    loop
        What calls it again and again while there is something to do.
    on_turn
        Called after each of these calls.
    on_failure
        Called with a text if the files cannot be written; the events stay where they were.
    again
        Whether this goes on in the place of a node that has died: it may have been killed when it had written
        an event and not yet taken it out of the ring.
    """

    def __init__(
        self,
        rings: RingSet,
        folder: Path,
        loop: Loop,
        on_turn: Callable[[], None],
        on_failure: Callable[[str], None],
        *,
        again: bool = False,
    ) -> None:
        self._rings = rings
        self._folder = folder
        self._loop = loop
        self._on_turn = on_turn
        self._on_failure = on_failure
        self._timer: Timer | None = None
        self._again = again
        self._written_last: dict[str, int | None] = {}
        self._orphans: dict[tuple[str, str], _Stream] = {}
        self._files: dict[str, RescueFile] = {}

    @property
    def busy(self) -> bool:
        """Whether events may still come into a group without readers."""
        return bool(self._orphans)

    def adopt(self, ring: str, group: str) -> None:
        """Take care of a reader group that has lost all its readers, until the stream ends."""
        self._orphans.setdefault((ring, group), _Stream(self._rings[ring], group))

    def put_aside(self, ring: str, group: str, why: str) -> bool:
        """Take out the first event that waits in a group, and note why; return whether there was one.

        Raises
        ------
        RunError
            If the files cannot be written; the event stays where it was.
        """
        aside = False
        for metadata, data in self._rings[ring].rescue(group, limit=1):
            file = self._file(ring)
            self._append(ring, file, metadata, data)
            file.note(f"event {int(metadata['counter'][0])}: {why}")
            aside = True
        return aside

    def start(self) -> None:
        """Begin to take out what comes, if there are groups without readers."""
        if self.busy and self._timer is None:
            self._turn()

    def _turn(self) -> None:
        self._timer = None
        try:
            self._work()
        except RunError as error:
            self.give_up()
            self._on_failure(str(error))
        if self.busy:
            self._timer = self._loop.after(RESCUE_EVERY_S, self._turn)
        self._on_turn()

    def _work(self) -> None:
        """Take out what is there, for a short time."""
        until_s = time.monotonic() + _SLICE_S
        for orphan, stream in list(self._orphans.items()):
            file = None
            while stream.event is not None or stream.advance():
                if time.monotonic() > until_s:
                    return
                file = file or self._file(orphan[0])
                self._append(orphan[0], file, *stream.take())
            if stream.over:
                del self._orphans[orphan]

    def _append(
        self, ring: str, file: RescueFile, metadata: npt.NDArray[np.void], data: npt.NDArray[Any]
    ) -> None:
        name = self._rings[ring].spec.name
        if self._again and self._written_last.setdefault(name, file.last_counter) is not None:
            last, self._written_last[name] = self._written_last[name], None
            if last == int(metadata["counter"][0]):
                return
        file.append(metadata, data)

    def give_up(self) -> None:
        """Leave all events where they are."""
        for stream in self._orphans.values():
            stream.close()
        self._orphans.clear()

    def close(self) -> None:
        """Bring all to the disk.

        Raises
        ------
        RunError
            If the disk refuses.
        """
        files, self._files = self._files, {}
        for file in files.values():
            file.close()

    def _file(self, name: str) -> RescueFile:
        spec = self._rings[name].spec
        if spec.name not in self._files:
            path = self._folder / f"{spec.name}.mimo"
            self._files[spec.name] = RescueFile(path, spec.data_dtype, spec.data_length)
        return self._files[spec.name]
