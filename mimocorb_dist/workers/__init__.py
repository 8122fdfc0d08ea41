"""What a worker's function sees: buffers, configuration, and templates for the usual kinds of work.

Each name is imported when it is first used: a worker's process starts with what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimocorb_dist.errors import SetupError, UfuncError
    from mimocorb_dist.ring import BufferObserver, BufferReader, BufferWriter

    from .batch import BatchExporter, BatchFilter, BatchImporter, BatchProcessor
    from .exporter import Exporter
    from .filter import Filter
    from .importer import Importer
    from .io import BufferIO, Config
    from .observer import IsAlive, Observer
    from .processor import Processor
    from .template import Template

__all__ = [
    "BatchExporter",
    "BatchFilter",
    "BatchImporter",
    "BatchProcessor",
    "BufferIO",
    "BufferObserver",
    "BufferReader",
    "BufferWriter",
    "Config",
    "Exporter",
    "Filter",
    "Importer",
    "IsAlive",
    "Observer",
    "Processor",
    "SetupError",
    "Template",
    "UfuncError",
]

_HOMES = {
    "mimocorb_dist.errors": ("SetupError", "UfuncError"),
    "mimocorb_dist.ring": ("BufferObserver", "BufferReader", "BufferWriter"),
    "mimocorb_dist.workers.batch": ("BatchExporter", "BatchFilter", "BatchImporter", "BatchProcessor"),
    "mimocorb_dist.workers.exporter": ("Exporter",),
    "mimocorb_dist.workers.filter": ("Filter",),
    "mimocorb_dist.workers.importer": ("Importer",),
    "mimocorb_dist.workers.io": ("BufferIO", "Config"),
    "mimocorb_dist.workers.observer": ("IsAlive", "Observer"),
    "mimocorb_dist.workers.processor": ("Processor",),
    "mimocorb_dist.workers.template": ("Template",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a name at its first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
