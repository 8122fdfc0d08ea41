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
    if run["state"] != "running" and not all(link.get("final", True) for link in record["links"].values()):
        lines.append("  (links that were ended at once: counts up to a second older than their end)")
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
    """Say for buffers whose importers had to wait what they waited for."""
    setup = record.get("setup") or {}
    workers, buffers = setup.get("Workers", {}), setup.get("Buffers", {})
    lines = []
    for name, book in record["buffers"].items():
        share = dead_time_share(book)
        if share is None or share < _DEAD_TIME_TOLD or book["max_fill"] < _FULL:
            continue
        full, readers = _last_full(name, record["buffers"], workers)
        home = buffers.get(full, {}).get("node")
        takers = [_taker(reader, workers[reader], full, home, record["links"]) for reader in readers]
        importers = [worker for worker in workers.values() if name in worker.get("sinks", [])]
        meaning = "dead time"
        if importers and all(map(_is_fast_replay, importers)):
            meaning = "a replay as fast as possible always waits so; that is no dead time of a detector"
        lines.append(
            f"  {name}: importers waited {100 * share:.1f} % of the time for free slots ({meaning}); "
            f"{full} was full: {' and '.join(takers) or 'its readers'} could not keep up"
        )
    return lines


def _taker(
    name: str, worker: Mapping[str, Any], buffer: str, home: str | None, links: Mapping[str, Any]
) -> str:
    """Return what takes the events of a buffer to a worker: itself, or links, with their breaks."""
    nodes = worker.get("node")
    ends = [f"{buffer}@{home}->{node}" for node in (nodes if isinstance(nodes, list) else [nodes])]
    ways = [way for way in links if way in ends or way in [f"{end}#{name}" for end in ends]]
    if not ways:
        return name
    told = [f"{way}{_breaks(links[way])}" for way in ways]
    return f"{name}, or the link to it, {', '.join(told)},"


def _breaks(link: Mapping[str, Any]) -> str:
    count = link["reconnects"]
    return f" (broken {'once' if count == 1 else f'{count} times'})" if count else ""


def _is_fast_replay(worker: Mapping[str, Any]) -> bool:
    config = worker.get("config") or {}
    return worker.get("function") == "data.replay" and not (
        config.get("rate") or config.get("by_recorded_time")
    )


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
