"""The shared-memory ring buffer."""

from .attach import connect
from .interface import EndOfStream, Interface, Run
from .layout import METADATA_DTYPE, BufferSpec
from .observer import BufferObserver
from .reader import BufferReader
from .ring import Event, Ring
from .statistics import BufferStatistics, ClassicFigures, Recovery
from .writer import BufferWriter

__all__ = [
    "METADATA_DTYPE",
    "BufferObserver",
    "BufferReader",
    "BufferSpec",
    "BufferStatistics",
    "BufferWriter",
    "ClassicFigures",
    "EndOfStream",
    "Event",
    "Interface",
    "Recovery",
    "Ring",
    "Run",
    "connect",
]
