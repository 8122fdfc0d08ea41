"""`stats.csv`: the state of buffers and workers over time, with the columns of mimoCoRB2."""

from __future__ import annotations

import csv
import errno
import io
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError

from .files import cannot_write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

_INTERVALS_S = ((10.0, 1.0), (60.0, 10.0), (600.0, 60.0), (3600.0, 600.0))
"""Up to which age of the run how often a row is written."""
_LAST_INTERVAL_S = 3600.0


def row_interval_s(age_s: float) -> float:
    """Return how long after a row the next one is due, in s, when the run is `age_s` old."""
    return next((interval for limit, interval in _INTERVALS_S if age_s < limit), _LAST_INTERVAL_S)


class StatsFile:
    """Writes rows to `stats.csv`, often at first and ever more rarely.

    Parameters
    ----------
    path
        The file; it is made with the first row.
    again
        Whether to go on with a file that is there.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self._path = path
        self._columns: list[str] = []
        self._last_age_s = float("-inf")
        self._written: Mapping[str, Any] | None = None
        if again:
            self._go_on()

    def _go_on(self) -> None:
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            age_s = float(rows[-1][rows[0].index("time_active")])
        except (OSError, ValueError, LookupError):  # there is none yet, or it ends in the middle of a row
            return
        self._columns, self._last_age_s = rows[0], age_s

    @property
    def last_age_s(self) -> float:
        """The age of the run in the last row, in s; 0 if there is none."""
        return max(0.0, self._last_age_s)

    def offer(self, overview: Mapping[str, Any], age_s: float) -> None:
        """Write a row if one is due.

        Parameters
        ----------
        overview
            State of the run: ``buffers`` and ``workers`` by name.
        age_s
            Time since the start of the run, in s.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        if age_s - self._last_age_s >= row_interval_s(age_s) - 0.25:
            self._last_age_s = age_s
            self._write(overview, age_s)

    def close(self, overview: Mapping[str, Any], age_s: float) -> None:
        """Write the last row; if that cannot be, it is only said: the run is over."""
        if overview is not self._written:
            try:
                self._write(overview, age_s)
            except RunError as error:
                log.warning("%s", error)

    def _write(self, overview: Mapping[str, Any], age_s: float) -> None:
        self._written = overview
        cells = _flat(classic_statistics(overview, age_s))
        row = [cells.get(column, "") for column in self._columns or cells]
        text = _lines([row] if self._columns else [cells, row])
        try:
            # Unbuffered: nothing is left over that a later close could fail on.
            with self._path.open("ab" if self._columns else "wb", buffering=0) as file:
                if (file.write(text) or 0) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._columns = self._columns or list(cells)


def classic_statistics(overview: Mapping[str, Any], age_s: float) -> dict[str, Any]:
    """Return the statistics of a run as mimoCoRB2 arranges them: buffers, workers, totals."""
    return {
        "buffers": {
            name: {
                "event_count": book["written"],
                "filled_slots": book["fill"],
                "empty_slots": 1.0 - book["fill"],
                "flush_event_received": book["ended"],
                "rate": book["rate_hz"],
                "average_deadtime": book["dead_time_share"] or 0.0,
                "paused_count": book["discarded_while_paused"],
                "paused": book["paused"],
            }
            for name, book in overview["buffers"].items()
        },
        "workers": {
            name: {"processes": book["alive"], "cpu_percent": book["cpu_percent"]}
            for name, book in overview["workers"].items()
        },
        "time_active": age_s,
        "total_processes_alive": sum(book["alive"] for book in overview["workers"].values()),
        "control": {"cpu_percent": overview["control"]["cpu_percent"]},
    }


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat
