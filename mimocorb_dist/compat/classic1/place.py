"""Where a buffer of mimoCoRB 1 is, told in its dicts, and how this process gets at it.

The dicts go to processes that are started in any way, so they hold plain values and small objects only. A
process finds the ring by its path. In a worker of a node its own ends of the ring serve, so that its books
are right; elsewhere the dict leads to a buffer that a script has made with `NewBuffer`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import Ring

from .bury import bury_the_dead, lives
from .seal import RING_FILE, is_made, seal

if TYPE_CHECKING:
    import numpy as np

    from mimocorb_dist.workers import BufferIO

LOOK_EVERY_S = 0.25
"""How often who waits in a script looks whether the buffer is still there, and whether others have died."""
_SHORT_S, _LONG_S = 0.001, 0.02


@dataclass(frozen=True)
class Place:
    """Where a buffer is.

    Parameters
    ----------
    path
        Path of the ring's file.
    owner
        The process of the script that made the buffer; 0 for a buffer of a node.
    """

    path: str
    owner: int = 0

    def ring(self) -> Ring | None:
        """Return the ring, attached once for each process; None if it is not there yet, or no more."""
        ring = _rings.get(self.path)
        if ring is None and (is_made(self.directory) if self.owner else os.path.exists(self.path)):
            try:
                ring = _rings[self.path] = Ring.open(self.path)
            except RingError:
                if os.path.exists(self.path):
                    raise  # else it has just been removed
        return ring

    @property
    def directory(self) -> Path:
        """The directory of the ring."""
        return Path(self.path).parent

    def made(self, *, by_writer: bool = False) -> Ring:
        """Return the ring; wait until it is there. The first writer makes that of a script.

        Raises
        ------
        SystemExit
            If the buffer has gone: for a user of mimoCoRB 1 that is the end of the process.
        """
        wait_s = _SHORT_S
        while (ring := self.ring()) is None:
            if self.gone():
                raise SystemExit
            if by_writer:
                seal(self.directory, settled=self.owner != os.getpid())
                continue
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONG_S)
        return ring

    def gone(self) -> bool:
        """Tell whether nobody will end the stream any more, or it was removed before this process came."""
        if self.owner == 0:
            return not os.path.exists(self.path) and self.path not in _rings
        if not lives(self.owner):
            return True
        return self.path not in _rings and not os.path.isdir(self.directory)

    def look(self) -> None:
        """Set right what dead processes left, and leave if the script is gone: while waiting in a script.

        Raises
        ------
        SystemExit
            If the buffer has gone.
        """
        if self.gone():
            raise SystemExit
        ring = self.ring()
        if self.owner and ring is not None:
            bury_the_dead(ring)

    def forget(self) -> None:
        """Attach no more: the buffer is closed."""
        _rings.pop(self.path, None)


_rings: dict[str, Ring] = {}


def place_of_ring(directory: Path, owner: int) -> Place:
    """Return the place of the ring that will be in a script's directory of a buffer."""
    return Place(str(directory / RING_FILE), owner)


# The worker of a node that this process is.

_worker: BufferIO | None = None
_worker_pid = 0


def serve(io: BufferIO | None) -> None:
    """Let dicts lead to the ends of this worker, in this process only."""
    global _worker, _worker_pid
    _worker, _worker_pid = io, os.getpid()
    if io is not None:
        for end in (*io.read, *io.write, *io.observe):
            _rings[str(end.ring.path)] = end.ring


def worker() -> BufferIO | None:
    """Return the worker that this process is; None in scripts, and in processes that a worker started."""
    return _worker if _worker_pid == os.getpid() else None


# Dicts.


def plain_dtype(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as users of mimoCoRB 1 know it: a list of tuples, or the plain dtype without fields."""
    if dtype.names is None:
        return dtype
    return [(name, dtype[name]) for name in dtype.names]


def make_dict(
    place: Place,
    buffer: str,
    role: str,
    slots: int,
    values: int,
    dtype: Any,
    *,
    group: str = "",
    debug: bool = False,
) -> dict[str, Any]:
    """Make the dict from which a `Reader`, `Writer` or `Observer` is made.

    Parameters
    ----------
    place
        Where the buffer is.
    buffer
        Its name.
    role
        ``read``, ``write`` or ``observe``.
    slots, values
        Number of slots, and of records in one.
    dtype
        Type of a record.
    group
        The reader group.
    debug
        Whether the ends tell what they do.
    """
    from .flags import Active, Paused

    name = "/".join(Path(place.path).parts[-2:])
    return {
        "number_of_slots": slots,
        "values_per_slot": values,
        "dtype": dtype,
        "mshare_name": name,
        "metadata_share_name": name,
        "active": Active(place, role, group),
        "paused": Paused(place),
        "debug": debug,
        "buffer": buffer,
        "place": place,
        "role": role,
        "group": group,
    }
