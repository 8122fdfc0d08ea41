"""The classic `mimoBuffer`: a buffer that a script makes for itself, outside of a run."""

from __future__ import annotations

import os
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferSpec, ClassicFigures, Ring
from mimocorb_dist.ring.runtime import RuntimeDirectory

from .classic1.bury import lives

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt


class mimoBuffer(Ring):
    """A buffer of its own, in shared memory until the object goes.

    ``BufferWriter(buffer)``, ``BufferReader(buffer)`` and ``BufferObserver(buffer)`` are its ends, in this
    process and in those that it starts with `multiprocessing` in any way: the buffer, and its ends, may be
    arguments of theirs. The process that made it keeps it until they have ended.

    Parameters
    ----------
    name
        Name of the buffer.
    slot_count
        Number of events that it can hold.
    data_length
        Number of records in an event.
    data_dtype
        Type of a record.

    Raises
    ------
    RingError
        If there is no room, or the numbers make no sense.
    """

    metadata_dtype = METADATA_DTYPE
    metadata_length = 1
    metadata_example = np.zeros(1, dtype=METADATA_DTYPE)

    def __init__(self, name: str, slot_count: int, data_length: int, data_dtype: npt.DTypeLike) -> None:
        spec = BufferSpec(name, slot_count, data_length, np.dtype(data_dtype))
        directory = RuntimeDirectory.create(f"buffer-{uuid.uuid4().hex[:12]}", "local")
        self._remove: Callable[[], object] = weakref.finalize(self, _remove, directory, os.getpid())
        made = Ring.create(directory.path, spec)
        self._attach(made.path, os.getpid())
        made.close()

    def _attach(self, path: Path, owner: int) -> None:
        super().__init__(path)
        self._owner = owner
        # What ends hold outlives this object for a while, which must not keep the buffer.
        self.for_ends = Ring.open(path)
        self._figures = ClassicFigures(self.statistics())

    @classmethod
    def from_setup(cls, name: str, setup: Mapping[str, Any]) -> Self:
        """Make a buffer from its entry in a setup."""
        fields = [(field, np.dtype(kind)) for field, kind in setup["data_dtype"].items()]
        return cls(name, setup["slot_count"], setup["data_length"], np.dtype(fields))

    def get_stats(self) -> dict[str, Any]:
        """Return the classic figures of the buffer."""
        return self._figures.of(self.statistics())

    @property
    def deserted(self) -> bool:
        """Whether the process that made it has gone."""
        return not lives(self._owner)

    def __reduce__(self) -> Any:
        return _attached, (type(self), str(self.path), self._owner)

    def send_flush_event(self) -> None:
        """End the stream, whoever writes it: readers get what is there, then None."""
        self.expect_writers(0)

    def unlink(self) -> None:
        """Remove the buffer from shared memory."""
        self._remove()


def _attached(kind: type[mimoBuffer], path: str, owner: int) -> mimoBuffer:
    """Return the buffer in another process, which does not remove it."""
    buffer = kind.__new__(kind)
    buffer._remove = _nothing
    buffer._attach(Path(path), owner)
    return buffer


def _nothing() -> None:
    """Do nothing: who did not make a buffer does not remove it."""


def _remove(directory: RuntimeDirectory, owner: int) -> None:
    if os.getpid() == owner:  # in a forked process the object goes, but not the buffer
        directory.remove()
