"""Workers that show what exporters have written, while they go on writing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.workers import IsAlive

from ._canvas import open_canvas
from ._keys import Bins, Choice, Number, OutputName
from ._settings import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mimocorb_dist.workers import BufferIO
    from mimocorb_dist.workers.canvas import Canvas

    from ._settings import Settings

    # Field -> edges of its bins and counts in them.
    Histograms = dict[str, tuple[NDArray[Any], NDArray[Any]]]

_LONGEST_IDLE_S = 0.2


_SHORTEST_UPDATE_S = 0.05
_UPDATE = Number("Time between updates, in s.", 1, minimum=0)
_PLOT_TYPE = Choice("How bins are drawn.", "line", options=("line", "bar", "step"))

HISTOGRAM = Config({"update_interval": _UPDATE, "plot_type": _PLOT_TYPE})


@HISTOGRAM
def histogram(io: BufferIO) -> None:
    """Show the histograms that ``exporters.histogram`` makes of the same buffer, on the same host.

    With a display it opens a window. Without one it writes ``<worker>.png`` into the run directory, and
    replaces it at each update.

    =========  ================================================
    observes   1: the source of the ``exporters.histogram``
    =========  ================================================
    """
    directory = io.run_dir / f"Histograms_{io.buffer_names_observe[0]}"
    _show(io, HISTOGRAM.read(io), lambda: _read_histograms(directory))


CSV = Config(
    {
        "bins": Bins(
            "Field -> [lowest, highest, number of edges]; fields that the buffer has not are left out.",
            end="observes",
            strict=False,
        ),
        "filename": OutputName.of("As in the config of the ``exporters.csv``.", ".csv", end="observes"),
        "update_interval": _UPDATE,
        "plot_type": replace(
            _PLOT_TYPE, default="bar", options=("line", "bar", "step", "stepfilled", "barstacked")
        ),
    }
)


@CSV
def csv(io: BufferIO) -> None:
    """Show histograms of the rows that ``exporters.csv`` writes of the same buffer, on the same host.

    With a display it opens a window. Without one it writes ``<worker>.png`` into the run directory, and
    replaces it at each update.

    =========  ================================================
    observes   1: the source of the ``exporters.csv``
    =========  ================================================
    """
    settings = CSV.read(io)
    edges = {name: np.linspace(*limits) for name, limits in settings["bins"].items()}
    if others := [str(name) for name in io["bins"] if name not in edges]:
        io.logger.warning(
            "%s has no %s, of which `bins` tells", io.buffer_names_observe[0], ", ".join(others)
        )
    rows = _RowCounter(io.run_dir / f"{settings['filename']}.csv", edges)
    _show(io, settings, rows.read)


def _show(io: BufferIO, settings: Settings, read: Callable[[], Histograms | None]) -> None:
    """Draw what `read` gives (None: nothing yet) until the buffer ends, and once more then."""
    is_alive = IsAlive(io)
    interval_s = max(settings["update_interval"], _SHORTEST_UPDATE_S)
    canvas = open_canvas(io, f"Histograms: {io.name}")
    alive = True
    while alive:
        alive = is_alive()
        histograms = read()
        if histograms:
            _draw(canvas, histograms, settings["plot_type"])
        left_s = interval_s
        while left_s > 0 and is_alive():
            canvas.idle(min(left_s, _LONGEST_IDLE_S))
            left_s -= _LONGEST_IDLE_S


def _draw(canvas: Canvas, histograms: Histograms, plot_type: str) -> None:
    canvas.figure.clear()
    columns = math.ceil(math.sqrt(len(histograms)))
    rows = math.ceil(len(histograms) / columns)
    for index, (name, (edges, counts)) in enumerate(histograms.items()):
        axes = canvas.figure.add_subplot(rows, columns, index + 1)
        _DRAW[plot_type](axes, edges, counts)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_title(name)
        axes.set_xlabel("Value")
        axes.set_ylabel("Count")
    canvas.show()


def _draw_line(axes: Axes, edges: NDArray[Any], counts: NDArray[Any]) -> None:
    axes.plot((edges[:-1] + edges[1:]) / 2, counts)


def _draw_bars(axes: Axes, edges: NDArray[Any], counts: NDArray[Any]) -> None:
    axes.stairs(counts, edges, fill=True)


def _draw_steps(axes: Axes, edges: NDArray[Any], counts: NDArray[Any]) -> None:
    axes.stairs(counts, edges)


_DRAW: dict[str, Callable[[Axes, NDArray[Any], NDArray[Any]], None]] = {
    "line": _draw_line,
    "bar": _draw_bars,
    "step": _draw_steps,
    "stepfilled": _draw_bars,
    "barstacked": _draw_bars,
}


def _read_histograms(directory: Path) -> Histograms | None:
    import csv as csv_format

    info = directory / "info.csv"
    if not info.exists():  # the exporter writes it when all else is there
        return None
    with info.open(newline="") as file:
        rows = list(csv_format.DictReader(file))
    return {
        row["Channel"]: (
            np.linspace(float(row["Min"]), float(row["Max"]), int(row["NBins"])),
            np.load(directory / f"{row['Channel']}.npy", allow_pickle=False),
        )
        for row in rows
    }


class _RowCounter:
    """Histograms of a growing csv file, of which each row is read once."""

    def __init__(self, path: Path, edges: dict[str, NDArray[Any]]) -> None:
        import pandas as pd  # takes long: not when rows are waiting

        self._read_csv = pd.read_csv
        self._path = path
        self._edges = edges
        self._counts = {name: np.zeros(len(values) - 1, np.int64) for name, values in edges.items()}
        self._header = b""
        self._position = 0

    def read(self) -> Histograms | None:
        """Count the rows that have been added."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            file.seek(self._position)
            added = file.read()
        whole = added.rfind(b"\n") + 1  # the exporter may be in the middle of a row
        lines = added[:whole]
        self._position += whole
        if not self._header and lines:
            end = lines.find(b"\n") + 1
            self._header, lines = lines[:end], lines[end:]
        if lines:
            self._count(self._header + lines)
        return {name: (edges, self._counts[name]) for name, edges in self._edges.items()}

    def _count(self, lines: bytes) -> None:
        import io

        table = self._read_csv(io.BytesIO(lines), usecols=list(self._edges))
        for name, edges in self._edges.items():
            self._counts[name] += np.histogram(table[name].dropna(), edges)[0]
