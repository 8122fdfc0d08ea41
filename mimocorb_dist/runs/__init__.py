"""What remains of a run: its directory, its record with balanced books, and the list of all runs."""

from __future__ import annotations

from .directory import RunDirectory, allot_run_directory, join_run_directory
from .listing import list_runs, load_run, runs_in
from .record import RunRecord
from .report import report, report_text

__all__ = [
    "RunDirectory",
    "RunRecord",
    "allot_run_directory",
    "join_run_directory",
    "list_runs",
    "load_run",
    "report",
    "report_text",
    "runs_in",
]
