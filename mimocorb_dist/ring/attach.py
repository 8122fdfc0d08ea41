"""Looking at a running buffer from outside: a notebook, a monitor, another program."""

from __future__ import annotations

from pathlib import Path

from mimocorb_dist.errors import RingError

from .observer import BufferObserver
from .ring import Ring
from .runtime import dead_runtime_directories, runtime_directories


def connect(buffer: str | Path, run: str | None = None) -> BufferObserver:
    """Observe a buffer of a run on this machine, without the run noticing.

    Parameters
    ----------
    buffer
        Name of the buffer in the setup, or path of a ring's file.
    run
        Id of the run; needed only if several runs on this machine have such a buffer.

    Returns
    -------
    BufferObserver
        ``with observer as (metadata, data)`` waits for the next event and gives copies; ``observer.latest()``
        does not wait; ``observer.ring.statistics()`` tells the state of the buffer.

    Raises
    ------
    RingError
        If there is no such buffer, or more than one.
    """
    if isinstance(buffer, Path) or buffer.endswith(".ring"):
        return BufferObserver(Ring.open(Path(buffer)))
    dead = set(dead_runtime_directories())
    alive = [path for path in runtime_directories() if path not in dead]
    rings = [
        ring for path in alive if run is None or run in path.name for ring in sorted(path.glob("*.ring"))
    ]
    # The home ring before its mirrors: its file has the buffer's name alone.
    found = [ring for ring in rings if ring.stem == buffer] or [
        ring for ring in rings if ring.stem.split(".")[0] == buffer
    ]
    if not found:
        known = ", ".join(sorted({ring.stem.split(".")[0] for ring in rings})) or "none"
        raise RingError(f"no buffer {buffer!r} in a run on this machine; running buffers: {known}")
    if len({ring.parent for ring in found}) > 1:
        places = ", ".join(str(ring) for ring in found)
        raise RingError(
            f"buffer {buffer!r} is in more than one run; name the run, or give one of these paths: {places}"
        )
    return BufferObserver(Ring.open(found[0]))
