"""Workers for the plumbing between buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.workers import BatchFilter

from ._settings import Config

if TYPE_CHECKING:
    from mimocorb_dist.workers import BufferIO


COPY = Config()


@COPY
def copy(io: BufferIO) -> None:
    """Copy all events of a buffer to one or several others.

    =========  ================================
    sources    1
    sinks      1 or more, of the source's type
    =========  ================================

    Example
    -------
    ::

        split: {function: misc.copy, sources: [raw], sinks: [to_disk, to_analysis]}
    """
    BatchFilter(io)(lambda data: True)  # noqa: ARG005
