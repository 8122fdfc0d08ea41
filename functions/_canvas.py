"""Where a worker's pictures appear: in a window, or without a display as files in the run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimocorb_dist.workers import canvas

from ._output import own_name

if TYPE_CHECKING:
    from mimocorb_dist.workers import BufferIO
    from mimocorb_dist.workers.canvas import Canvas


def open_canvas(io: BufferIO, title: str) -> Canvas:
    """Open a window if there is a display, else a picture file ``<worker>.png`` in the run directory."""
    return canvas.open_canvas(io.run_dir / f"{own_name(io, io.name)}.png", title, io.logger)
