"""The window, or the picture, of growing histograms; and the process that draws it.

A reader that draws would hold up those who write. So it counts in shared memory, and another process looks at
that at its leisure.
"""

from __future__ import annotations

import json
import logging
import math
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.compat.classic1.bins import Bins, map_counts, size_of_counts
from mimocorb_dist.compat.classic1.pictures import STYLE
from mimocorb_dist.workers.canvas import open_canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LAST_LOOK_S = 10.0
_IDLE_S = 0.1


class HistogramWindow:
    """A process that shows counts, as long as it is not closed.

    Parameters
    ----------
    bins
        The histograms.
    title
        Title of the window.
    interval_s
        Time between two updates, in s.
    path
        Picture file, where there is no display.

    Attributes
    ----------
    counts
        The counts of each histogram: change them.
    """

    def __init__(self, bins: Sequence[Bins], title: str, interval_s: float, path: Path) -> None:
        with tempfile.TemporaryFile(prefix="mimocorb-") as file:
            file.truncate(size_of_counts(bins))
            descriptor = file.fileno()
            self.counts = map_counts(bins, descriptor)
            order = {
                "bins": [asdict(one) for one in bins],
                "title": title,
                "interval_s": interval_s,
                "path": str(path.absolute()),
                "counts": descriptor,
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, json.dumps(order)],
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
            )

    def close(self) -> None:
        """Let the process show the last counts, and end. Closing twice is harmless."""
        assert self._process.stdin is not None  # as ordered
        self._process.stdin.close()
        try:
            self._process.wait(_LAST_LOOK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Histograms:
    """The figure: shares of the events in each bin, and the sum, mean and standard deviation.

    Parameters
    ----------
    bins
        The histograms.
    title
        Title of the window.
    path
        Picture file, where there is no display.
    """

    def __init__(self, bins: Sequence[Bins], title: str, path: Path) -> None:
        import matplotlib.style

        self._bins = bins
        columns = math.ceil(math.sqrt(len(bins)))
        rows = math.ceil(len(bins) / columns)
        width, height = (6.0, 4.0) if len(bins) == 1 else (3.4, 2.5)
        with matplotlib.style.context(STYLE):
            size_inches = (width * columns, height * rows)
            self.canvas = open_canvas(path, title, logging.getLogger(), size_inches=size_inches)
            axes = self.canvas.figure.subplots(rows, columns, squeeze=False).ravel()
            for unused in axes[len(bins) :]:
                unused.set_axis_off()
            self._shown = [_Panel(*pair) for pair in zip(axes, bins, strict=False)]
        self.canvas.show()

    def show(self, counts: Sequence[NDArray[np.int64]]) -> None:
        """Show counts."""
        for panel, some in zip(self._shown, counts, strict=True):
            panel.show(some)
        self.canvas.show()


class _Panel:
    """One histogram."""

    def __init__(self, axes: Any, bins: Bins) -> None:
        self._centers = (bins.edges[:-1] + bins.edges[1:]) / 2
        self._axes = axes
        self._highest = bins.scale / bins.number
        axes.set_xlim(bins.lowest, bins.highest)
        axes.set_xlabel(bins.label)
        axes.set_ylabel(r"$p_i$")
        axes.grid(axis="y", linestyle="--", linewidth=0.5, color="grey")
        axes.set_axisbelow(True)
        self._lowest = 0.0
        if bins.logarithmic:
            axes.set_yscale("log")
            self._lowest = 1e-3 * self._highest
        axes.set_ylim(self._lowest, self._highest)
        self._bars = axes.stairs(
            np.zeros(bins.number), bins.edges, baseline=self._lowest, fill=True, color="goldenrod", alpha=0.8
        )
        self._text = axes.text(
            0.97,
            0.95,
            "",
            transform=axes.transAxes,
            verticalalignment="top",
            horizontalalignment="right",
            fontsize=8,
            color="lightgreen",
            bbox={"boxstyle": "round", "facecolor": "black", "edgecolor": "grey", "alpha": 0.6},
        )

    def show(self, counts: NDArray[np.int64]) -> None:
        total = int(counts.sum())
        if not total:
            return
        shares = counts / total
        self._bars.set_data(np.maximum(shares, self._lowest))
        if shares.max() > self._axes.get_ylim()[1]:  # the guess in the config was too low
            self._axes.set_ylim(self._lowest, 1.2 * shares.max())
        mean = float(shares @ self._centers)
        deviation = math.sqrt(max(0.0, float(shares @ self._centers**2) - mean**2))
        self._text.set_text(f"$\\Sigma$  {total}\n<>  {mean:.3g}\n$\\sigma$  {deviation:.3g}")


def main(order_text: str) -> None:
    """Show the counts until the standard input ends: then the last ones, and end."""
    order = json.loads(order_text)
    bins = [Bins(**one) for one in order["bins"]]
    counts = map_counts(bins, order["counts"])
    histograms = Histograms(bins, order["title"], Path(order["path"]))
    over = False
    shown = -1
    while not over:
        over = _ended()
        total = sum(int(some.sum()) for some in counts)
        if total != shown:
            histograms.show(counts)
            shown = total
        end_s = time.monotonic() + order["interval_s"]
        while not over and (left_s := end_s - time.monotonic()) > 0 and not _ended():
            histograms.canvas.idle(min(left_s, _IDLE_S))


def _ended() -> bool:
    """Tell whether the process that counts has closed this one, or is gone."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    import signal

    # A key press goes to all processes; this one ends when the one that counts does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    main(sys.argv[1])
