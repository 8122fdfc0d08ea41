"""A data-acquisition buffer network: ring buffers, workers and links from one YAML file.

User functions take what they need from here: ``from mimocorb_dist import Importer``. Each name is imported
when it is first used, since commands and link processes must start without it.

Attributes
----------
BufferIO
    What a worker's function is given.
Importer, Exporter, Filter, Processor, Observer, IsAlive
    Templates of workers for single events.
BatchImporter, BatchExporter, BatchFilter, BatchProcessor
    The same for many events at once.
SetupError, UfuncError
    Errors of workers; all errors are in `mimocorb_dist.errors`.
connect
    Attaches to a buffer of a running run, to look at its events without disturbing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimocorb_dist.errors import SetupError, UfuncError
    from mimocorb_dist.ring import connect
    from mimocorb_dist.workers import (
        BatchExporter,
        BatchFilter,
        BatchImporter,
        BatchProcessor,
        BufferIO,
        Exporter,
        Filter,
        Importer,
        IsAlive,
        Observer,
        Processor,
    )

__version__ = "0.1.0"
__all__ = [
    "BatchExporter",
    "BatchFilter",
    "BatchImporter",
    "BatchProcessor",
    "BufferIO",
    "Exporter",
    "Filter",
    "Importer",
    "IsAlive",
    "Observer",
    "Processor",
    "SetupError",
    "UfuncError",
    "__version__",
    "connect",
]

_ELSEWHERE = {"connect": "ring", "SetupError": "errors", "UfuncError": "errors"}


def __getattr__(name: str) -> object:
    """Import a name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'workers')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
