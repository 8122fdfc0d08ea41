"""Drawing the data flow of a setup, without any program outside Python.

`picture` turns a setup into shapes, whose places come from `layout`; `shapes` writes them as SVG, `raster` as
PNG or PDF.
"""

from __future__ import annotations

from .picture import draw, picture_of

__all__ = ["draw", "picture_of"]
