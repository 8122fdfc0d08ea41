"""The record of a run as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .listing import as_of, duration_s, duration_text, load_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def report(run_directory: Path) -> str:
    """Return the report of a run.

    Parameters
    ----------
    run_directory
        The run directory, or its `run.json`.

    Raises
    ------
    RunError
        If there is no record there, or it cannot be understood.
    """
    record = load_run(run_directory)
    return report_text(record, title=run_directory.resolve().name)


def report_text(record: Mapping[str, Any], title: str = "run") -> str:
    """Return a record as plain text: how the run ended, and the books of its buffers, links and workers."""
    run = record["run"]
    verdict = f"counts {as_of(record)}" if run["state"] == "running" else f"quality {run['quality']}"
    lines = [
        f"{title}: {run['state']}, {verdict}",
        f"  id       {run['id']}",
        f"  started  {run['started']}",
        f"  finished {run['finished'] or '-'}"
        + (f"  ({text})" if (text := duration_text(duration_s(record))) else ""),
    ]
    lines += [f"  reason   {reason}" for reason in run.get("reasons", [])]
    lines += _section("buffers", record["buffers"], _BUFFER_COLUMNS, _buffer_row)
    lines += _bottlenecks(record)
    lines += _section("links", record["links"], _LINK_COLUMNS, _link_row)
    lines += _section("workers", record["workers"], _WORKER_COLUMNS, _worker_row)
    return "\n".join(lines)


_BUFFER_COLUMNS = (
    "node", "written", "read", "rescued", "lost", "redelivered", "discarded", "dead time", "fill max",
)  # fmt: skip
_LINK_COLUMNS = ("sent", "acknowledged", "resent", "reconnects", "MB")
_WORKER_COLUMNS = ("node", "processes", "events", "restarts", "errors")


def dead_time_share(book: Mapping[str, Any]) -> float | None:
    """Return the share of time in which importers could not take data, 0 to 1; None without importers."""
    total = float(book["dead_time_s"]) + float(book["live_time_s"])
    return float(book["dead_time_s"]) / total if total > 0 else None


_DEAD_TIME_TOLD = 0.01
_FULL = 0.99


def _bottlenecks(record: Mapping[str, Any]) -> list[str]:
    """Say for buffers whose importers had to wait which workers they waited for."""
    workers = (record.get("setup") or {}).get("Workers", {})
    lines = []
    for name, book in record["buffers"].items():
        share = dead_time_share(book)
        if share is None or share < _DEAD_TIME_TOLD or book["max_fill"] < _FULL:
            continue
        full, readers = _last_full(name, record["buffers"], workers)
        lines.append(
            f"  {name}: importers waited {100 * share:.1f} % of the time for free slots; "
            f"{full} was full: {', '.join(readers) or 'its readers'} could not keep up"
        )
    if lines:
        lines.append("  (a replay as fast as possible always waits so; that is no dead time of a detector)")
    return lines


def _last_full(buffer: str, books: Mapping[str, Any], workers: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Follow full buffers downstream; return the last, and the workers that read it."""
    readers = [name for name, worker in workers.items() if buffer in worker.get("sources", [])]
    for reader in readers:
        for sink in workers[reader].get("sinks", []):
            if sink in books and books[sink]["max_fill"] >= _FULL:
                return _last_full(sink, books, workers)
    return buffer, readers


def _buffer_row(book: Mapping[str, Any]) -> list[str]:
    share = dead_time_share(book)
    return [
        book["node"],
        *(str(book[column]) for column in ("written", "read", "rescued", "lost", "redelivered")),
        str(book["discarded_while_paused"]),
        "-" if share is None else f"{100 * share:.1f} %",
        f"{100 * book['max_fill']:.0f} %",
    ]


def _link_row(book: Mapping[str, Any]) -> list[str]:
    return [*(str(book[column]) for column in _LINK_COLUMNS[:4]), f"{book['bytes'] / 1e6:.1f}"]


def _worker_row(book: Mapping[str, Any]) -> list[str]:
    return [str(book[column]) for column in _WORKER_COLUMNS]


def _section(title: str, books: Mapping[str, Any], columns: Sequence[str], row_of: Any) -> list[str]:
    if not books:
        return []
    rows = [[title, *columns], *([name, *row_of(book)] for name, book in books.items())]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    texts = {"node"}
    left = [True, *(column in texts for column in columns)]
    return [
        "",
        *(
            "  ".join(
                cell.ljust(width) if flush_left else cell.rjust(width)
                for cell, width, flush_left in zip(row, widths, left, strict=True)
            ).rstrip()
            for row in rows
        ),
    ]
