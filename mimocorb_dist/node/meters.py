"""What the processes of a node take of the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class CpuMeters:
    """Measures what the processes of each worker take of a core."""

    def __init__(self) -> None:
        self._meters: dict[int, Any] = {}

    def percent(self, workers: Mapping[int, str]) -> dict[str, float]:
        """Return what the processes of each worker have taken of a core since the last call, in percent.

        Parameters
        ----------
        workers
            Process id -> name of the worker.
        """
        import psutil

        percent: dict[str, float] = {}
        meters, self._meters = self._meters, {}
        for pid, name in workers.items():
            try:
                meter = self._meters[pid] = meters.get(pid) or psutil.Process(pid)
                percent[name] = percent.get(name, 0.0) + meter.cpu_percent(None)
            except psutil.Error:  # it has just ended
                continue
        return percent
