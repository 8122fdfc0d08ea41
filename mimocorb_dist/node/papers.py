"""The files of a run directory that describe the run as a whole: setup, drawing and statistics."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError, SetupError
from mimocorb_dist.runs.stats import StatsFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.runs import RunDirectory
    from mimocorb_dist.topology import Plan, Topology


class Papers:
    """Writes setup and `data_flow.svg` beside the start of a run, and `stats.csv` as it goes.

    The setup is `setup.yaml`, with all defaults and configs; of mimoCoRB 1 copies of the files that it is.

    Parameters
    ----------
    plan, topology
        The setup.
    run
        Where they are written.
    again
        Whether this goes on in the place of a node that has died: `stats.csv` is continued.
    """

    def __init__(self, plan: Plan, topology: Topology, run: RunDirectory, *, again: bool = False) -> None:
        self._stats = StatsFile(run.path / "stats.csv", again=again)
        self._since_s: float | None = None
        self._last: Mapping[str, Any] | None = None
        self._failure: str | None = None
        # Processes are starting now: they are not to wait for a drawing.
        self._thread = threading.Thread(target=self._describe, args=(plan, topology, run), name="papers")
        self._thread.start()

    def _describe(self, plan: Plan, topology: Topology, run: RunDirectory) -> None:
        import yaml

        from mimocorb_dist.topology.graph import draw

        try:
            for name, file in topology.rules.copied.items():
                shutil.copyfile(file, run.path / name)
            if not topology.rules.copied:
                text = yaml.safe_dump(topology.resolved, sort_keys=False, allow_unicode=True)
                (run.path / "setup.yaml").write_text(text, encoding="utf-8")
            draw(plan, run.path / "data_flow.svg")
        except (OSError, SetupError) as error:
            self._failure = f"{run.path}: setup or drawing cannot be written ({error})"

    def note(self, overview: Mapping[str, Any]) -> None:
        """Take in the state of the run, about once a second.

        Raises
        ------
        RunError
            If a file cannot be written.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise RunError(failure)
        if overview["run"]["state"] in ("waiting", "ready"):
            return
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s - self._age_s(overview)
        self._last = overview
        self._stats.offer(overview, now_s - self._since_s)

    def _age_s(self, overview: Mapping[str, Any]) -> float:
        """Return how old the run is: it has just begun, or this goes on in the place of a dead node."""
        if not self._stats.last_age_s:
            return 0.0
        since_start = datetime.now().astimezone() - datetime.fromisoformat(overview["run"]["started"])
        return max(self._stats.last_age_s, since_start.total_seconds())

    def close(self) -> None:
        """Write the last row.  Idempotent."""
        self._thread.join()
        if self._last is not None and self._since_s is not None:
            self._stats.close(self._last, time.monotonic() - self._since_s)
            self._last = None
