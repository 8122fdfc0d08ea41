"""The flags in the dicts of mimoCoRB 1: whether a buffer is active, and whether it is paused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .place import Place, worker


@dataclass(frozen=True)
class Active:
    """Whether there is anything to do: ``flag.is_set()``.

    Parameters
    ----------
    place
        Where the buffer is.
    role
        ``read``: until the stream has ended and the group has released all; ``write``: until writers are to
        end; ``observe``: until the stream has ended.
    group
        The reader group.
    """

    place: Place
    role: str
    group: str = ""

    def is_set(self) -> bool:
        """Return the state of this moment."""
        io = worker()
        if io is not None and io.stop.requested and not (self.role == "write" and io.read):
            return False
        ring = self.place.ring()
        if ring is None:
            return not self.place.gone()
        if self.role == "write":
            return not (ring.ended or (ring.stopping and not (io is not None and io.read)))
        if not ring.ended:
            return not (self.place.owner and self.place.gone())
        if self.role == "observe":
            return False
        columns = ring.table.groups[ring.group_index(self.group)]
        # Not those taken: a reader takes events before it is asked for them.
        return bool(np.any(ring.table.all_written > columns.all_released))


@dataclass(frozen=True)
class Paused:
    """Whether a buffer is paused: ``flag.is_set()``.

    Parameters
    ----------
    place
        Where the buffer is.
    """

    place: Place

    def is_set(self) -> bool:
        """Return the state of this moment."""
        ring = self.place.ring()
        return ring is not None and ring.paused
