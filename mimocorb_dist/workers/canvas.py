"""Where pictures of running data appear: in a window, or without a display as files."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    from matplotlib.backend_bases import Event
    from matplotlib.figure import Figure


# Often enough for a window to feel alive.
_WINDOW_PERIOD_S = 0.05
SIZE_INCHES = (8.0, 5.0)


class Canvas(Protocol):
    """A figure that can be shown again and again."""

    figure: Figure

    def show(self) -> None:
        """Let the figure be seen as it is now."""

    def idle(self, time_s: float) -> None:
        """Wait; a window reacts to its user meanwhile."""


class PictureFile:
    """A figure that is written to a file; whoever reads the file sees a whole picture.

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    size_inches
        Width and height; 100 pixels an inch.
    """

    def __init__(self, path: Path, size_inches: tuple[float, float] = SIZE_INCHES) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=size_inches, layout="constrained")
        FigureCanvasAgg(self.figure)
        self._path = path

    def show(self) -> None:
        """Replace the file."""
        save_figure(self.figure, self._path)

    def idle(self, time_s: float) -> None:
        """Wait."""
        time.sleep(time_s)


class Window:
    """A figure in a window.

    Parameters
    ----------
    title
        Title of the window.
    size_inches
        Width and height of the figure; 100 pixels an inch.

    Raises
    ------
    RuntimeError
        If no window can be opened.
    """

    def __init__(self, title: str, size_inches: tuple[float, float] = SIZE_INCHES) -> None:
        import matplotlib.pyplot as plt

        try:
            self.figure = plt.figure(figsize=size_inches, layout="constrained")
        # Each toolkit has its own error for a display that does not answer.
        except Exception as error:
            raise RuntimeError(f"no window can be opened ({error})") from error
        if self.figure.canvas.required_interactive_framework is None:
            plt.close(self.figure)
            raise RuntimeError("no window can be opened (no display, or no toolkit for windows)")
        if self.figure.canvas.manager is not None:
            self.figure.canvas.manager.set_window_title(title)
        self._open = True
        self.figure.canvas.mpl_connect("close_event", self._on_close)
        plt.ion()
        plt.show(block=False)

    def show(self) -> None:
        """Draw the figure, unless its window has been closed."""
        if self._open:
            self.figure.canvas.draw_idle()
            self.figure.canvas.flush_events()

    def idle(self, time_s: float) -> None:
        """Wait, and let the window react."""
        end_s = time.monotonic() + time_s
        while True:
            if self._open:
                self.figure.canvas.flush_events()
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, _WINDOW_PERIOD_S))

    def _on_close(self, _event: Event) -> None:
        # Its user has seen enough; the run goes on.
        self._open = False


def display_named() -> bool:
    """Tell whether the environment names a display; whether it answers, only opening a window tells."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin")


def open_canvas(
    path: Path, title: str, logger: logging.Logger, *, size_inches: tuple[float, float] = SIZE_INCHES
) -> Canvas:
    """Open a window if there is a display, else a picture file.

    Parameters
    ----------
    path
        The picture file; its suffix tells the format.
    title
        Title of the window.
    logger
        Where it is told that a display does not answer.
    size_inches
        Width and height of the figure; 100 pixels an inch.
    """
    if display_named():
        try:
            return Window(title, size_inches)
        except RuntimeError as error:
            # A display that is named but cannot be used is as good as none.
            logger.warning("%s: pictures go to %s", error, path)
    return PictureFile(path, size_inches)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure so that the file is always whole: under another name first."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        figure.savefig(draft, format=path.suffix[1:], dpi=100)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
