"""What a worker's function sees: buffers, configuration, and templates for the usual kinds of work."""

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
