"""The classic `mimoBuffer`: a buffer that a script makes for itself, outside of a run."""

from __future__ import annotations

import os
import uuid
import weakref
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mimocorb_dist.ring import METADATA_DTYPE, BufferSpec, ClassicFigures, Ring
from mimocorb_dist.ring.runtime import RuntimeDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


class mimoBuffer(Ring):
    """A buffer of its own, in shared memory until the object goes.

    ``BufferWriter(buffer)``, ``BufferReader(buffer)`` and ``BufferObserver(buffer)`` are its ends, in this
    process and in those that it forks.

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
        self._remove = weakref.finalize(self, _remove, directory, os.getpid())
        made = Ring.create(directory.path, spec)
        super().__init__(made.path)
        made.close()
        self._figures = ClassicFigures(self.statistics())
        self.data_length = data_length
        self.data_dtype = spec.data_dtype
        self.data_example: npt.NDArray[Any] = np.zeros(data_length, spec.data_dtype)

    @classmethod
    def from_setup(cls, name: str, setup: Mapping[str, Any]) -> Self:
        """Make a buffer from its entry in a setup."""
        fields = [(field, np.dtype(kind)) for field, kind in setup["data_dtype"].items()]
        return cls(name, setup["slot_count"], setup["data_length"], np.dtype(fields))

    def get_stats(self) -> dict[str, Any]:
        """Return the classic figures of the buffer."""
        return self._figures.of(self.statistics())

    def send_flush_event(self) -> None:
        """End the stream, whoever writes it."""
        self.expect_writers(0)

    def unlink(self) -> None:
        """Remove the buffer from shared memory."""
        self._remove()


def _remove(directory: RuntimeDirectory, owner: int) -> None:
    if os.getpid() == owner:  # in a forked process the object goes, but not the buffer
        directory.remove()
