"""`stats.csv`: the state of buffers and workers over time, with the columns of mimoCoRB2."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

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
        The file; it is made.

    Raises
    ------
    RunError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._last_age_s = float("-inf")
        self._file: IO[str] | None = None
        self._written: Mapping[str, Any] | None = None

    def offer(self, overview: Mapping[str, Any], age_s: float) -> None:
        """Write a row if one is due.

        Parameters
        ----------
        overview
            State of the run: ``buffers`` and ``workers`` by name.
        age_s
            Time since the start of the run, in s.
        """
        if age_s - self._last_age_s >= row_interval_s(age_s) - 0.25:
            self._last_age_s = age_s
            self._write(overview, age_s)

    def close(self, overview: Mapping[str, Any], age_s: float) -> None:
        """Write the last row, and close the file."""
        if overview is not self._written:
            self._write(overview, age_s)
        if self._file is not None:
            self._file.close()

    def _write(self, overview: Mapping[str, Any], age_s: float) -> None:
        self._written = overview
        cells = _flat(classic_statistics(overview, age_s))
        try:
            if self._file is None:
                self._file = self._path.open("w", newline="", encoding="utf-8")
                self._columns = list(cells)
                csv.writer(self._file).writerow(self._columns)
            csv.writer(self._file).writerow([cells.get(column, "") for column in self._columns])
            self._file.flush()
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written ({error.strerror}); check free space") from error


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


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat
