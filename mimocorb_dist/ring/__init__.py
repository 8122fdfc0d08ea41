"""The shared-memory ring buffer."""

from .attach import connect
from .commit_file import commit_path, commit_paths, last_commit
from .hand import MOST_SINKS, Hand, hand_path, settle
from .holding import Holding
from .interface import EndOfStream, Interface, Run
from .layout import METADATA_DTYPE, BufferSpec, Role
from .observer import BufferObserver
from .reader import BufferReader
from .ring import Event, Ring
from .statistics import BufferStatistics, ClassicFigures, Recovery, Traces
from .writer import BufferWriter

__all__ = [
    "METADATA_DTYPE",
    "MOST_SINKS",
    "BufferObserver",
    "BufferReader",
    "BufferSpec",
    "BufferStatistics",
    "BufferWriter",
    "ClassicFigures",
    "EndOfStream",
    "Event",
    "Hand",
    "Holding",
    "Interface",
    "Recovery",
    "Ring",
    "Role",
    "Run",
    "Traces",
    "commit_path",
    "commit_paths",
    "connect",
    "hand_path",
    "last_commit",
    "settle",
]
