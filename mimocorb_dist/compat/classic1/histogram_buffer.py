"""Histograms of values in a buffer, while they grow: `histogram_buffer` of mimoCoRB 1."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .bins import Bins
from .histogram_window import Histograms, HistogramWindow
from .pictures import do_without_display, picture_path
from .templates import rbExport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_logger = logging.getLogger(__name__)

do_without_display()


class histogram_buffer:
    """Take all events of a buffer, and show how their values are distributed.

    With a display a window is opened; who closes it does not end the run. Without one a picture is written
    into the output directory, and replaced at each update. A process of its own draws: nobody waits for it.

    Parameters
    ----------
    source_list, sink_list, observe_list, config_dict, **rb_info
        What the function gets. Config: ``histograms``, a mapping of fields to ``[lowest, highest, number of
        bins, highest share to be shown * number of bins, label, 0 or 1 for a logarithmic axis]``; and with
        their defaults ``title`` ("Histograms") and ``interval`` (2; s between two updates).

    Raises
    ------
    SetupError
        If a histogram is not described as above. One of a field that the source does not have is left out.
    """

    def __init__(
        self,
        source_list: Sequence[Mapping[str, Any]] | None = None,
        sink_list: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002 (a reader has none)
        observe_list: Sequence[Mapping[str, Any]] | None = None,  # noqa: ARG002
        config_dict: Mapping[str, Any] | None = None,
        **rb_info: str,
    ) -> None:
        config = config_dict or {}
        self.readData = rbExport(source_list=source_list, config_dict=config, **rb_info)
        self.source = self.readData.source
        described = config.get("histograms") or {}
        fields = np.dtype(self.source.dtype).names or ()
        if unknown := [str(name) for name in described if name not in fields]:
            _logger.error(
                "histogram_buffer: no histograms of %s: %s has the fields %s",
                ", ".join(unknown), ", ".join(rb_info), ", ".join(fields),
            )  # fmt: skip
        self.bins = {name: Bins.of(name, values) for name, values in described.items() if name in fields}
        self.count = 0
        self.deadtime_f = 0.0
        self.last_event_number = 0
        self._window = None
        if self.bins:
            read = [name for name, use in rb_info.items() if use == "read"]
            self._window = HistogramWindow(
                list(self.bins.values()),
                str(config.get("title", "Histograms")),
                float(config.get("interval", 2.0)),
                picture_path(config, "histogram_buffer", read[0]),
            )

    def __call__(self) -> None:
        """Count until the source's stream ends; then tell what was counted."""
        try:
            for metadata, data in self.source.batches():
                if self._window is not None:
                    for counts, (name, bins) in zip(self._window.counts, self.bins.items(), strict=True):
                        np.add(counts, bins.count(data[name][:, 0]), out=counts)
                self.count += len(metadata)
                self.last_event_number = int(metadata["counter"][-1])
                self.deadtime_f += float(metadata["deadtime"].sum())
        finally:
            if self._window is not None:
                self._window.close()
        print(  # noqa: T201 (users of mimoCoRB 1 know it)
            f"histogram_buffer: {self.count} events, the last one {self.last_event_number}, "
            f"average deadtime {100 * self.deadtime_f / max(1, self.count):.1f} %"
        )


def plot_Histograms(
    Q: Any, Hdescripts: Sequence[Sequence[Any]], interval: float, name: str = "Histograms"
) -> None:
    """Show histograms of values that come through a queue, until None comes or this process is ended.

    Parameters
    ----------
    Q
        A `multiprocessing.Queue` of lists, one for each histogram, of values.
    Hdescripts
        For each histogram what `histogram_buffer` has in its config.
    interval
        Time between two updates, in s.
    name
        Title of the window; without a display ``<name>.png`` is written into the working directory.

    Raises
    ------
    SystemExit
        At the end, as always.
    """
    bins = [Bins.of(str(entry[4]), entry) for entry in Hdescripts]
    counts = [np.zeros(one.number, np.int64) for one in bins]
    histograms = Histograms(bins, name, picture_path({"title": name}, "", ""))
    while True:
        end_s = time.monotonic() + interval
        while (left_s := end_s - time.monotonic()) > 0:
            while not Q.empty():
                values = Q.get()
                if values is None:
                    histograms.show(counts)
                    raise SystemExit
                for one, total, some in zip(bins, counts, values, strict=True):
                    np.add(total, one.count(np.asarray(some, dtype=float)), out=total)
            histograms.canvas.idle(min(left_s, 0.1))
        histograms.show(counts)
