"""The buffer of mimoCoRB 1, and its readers, writers and observers."""

from __future__ import annotations

from .new_buffer import NewBuffer
from .observer import Observer
from .reader import Reader
from .writer import Writer

__all__ = ["NewBuffer", "Observer", "Reader", "Writer"]
