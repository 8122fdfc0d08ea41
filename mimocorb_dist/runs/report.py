"""The record of a run as text for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .books import events
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
    lines += _incidents(record)
    lines += _section("buffers", record["buffers"], _BUFFER_COLUMNS, _buffer_row)
    lines += _bottlenecks(record)
    lines += _section("links", record["links"], _LINK_COLUMNS, _link_row)
    if run["state"] != "running" and not all(link.get("final", True) for link in record["links"].values()):
        lines.append("  (links that were ended at once: counts up to a second older than their end)")
    lines += _section("workers", record["workers"], _WORKER_COLUMNS, _worker_row)
    return "\n".join(lines)


def _incidents(record: Mapping[str, Any]) -> list[str]:
    """Say what happened that did no harm, and for how long."""
    lines = []
    for row in record.get("incidents", []):
        since = datetime.fromisoformat(row["from"])
        where = "" if row["where"] in row["why"].split() else f"{row['where']}: "
        text = f"{duration_text(row['duration_s'])} from {since:%H:%M:%S} on: {where}{row['why']}"
        lines.append(f"  {row['kind']:<8} {text}")
    for kind, sums in record.get("more_incidents", {}).items():
        lines.append(f"  {kind:<8} {sums['count']} times more, {duration_text(sums['duration_s'])} in all")
    return lines


_BUFFER_COLUMNS = (
    "node", "written", "read", "rescued", "lost", "dropped", "redelivered", "discarded", "dead time",
    "fill max",
)  # fmt: skip
_LINK_COLUMNS = ("sent", "acknowledged", "resent", "reconnects", "MB")
_WORKER_COLUMNS = ("node", "processes", "events", "restarts", "errors")


def dead_time_share(book: Mapping[str, Any]) -> float | None:
    """Return the share of time in which importers could not take data, 0 to 1; None without importers."""
    total = float(book["dead_time_s"]) + float(book["live_time_s"])
    return float(book["dead_time_s"]) / total if total > 0 else None


_DEAD_TIME_TOLD = 0.01
_FULL = 0.99
_MUCH_BEHIND = 0.5


def _bottlenecks(record: Mapping[str, Any]) -> list[str]:
    """Say for buffers whose importers had to wait what they waited for."""
    setup = record.get("setup") or {}
    workers, buffers = setup.get("Workers", {}), setup.get("Buffers", {})
    lines = []
    held_s = _held_s(record)
    for name, book in record["buffers"].items():
        if buffers.get(name, {}).get("when_full", "block") != "block":
            continue  # nobody waits for it; to see that it is full takes its time
        sources = [worker for worker in workers.values() if _imports(worker) and name in worker["sinks"]]
        waited_s = max(0.0, float(book["dead_time_s"]) - held_s * sum(map(_processes, sources)))
        share = dead_time_share({**book, "dead_time_s": waited_s})
        if share is None or share < _DEAD_TIME_TOLD or book["max_fill"] < _FULL:
            continue
        *passed, (full, readers) = _full_ones(name, record["buffers"], workers)
        importers = [worker for worker in workers.values() if name in worker.get("sinks", [])]
        meaning = "dead time"
        if importers and all(map(_is_fast_replay, importers)):
            meaning = "a replay as fast as possible always waits so; that is no dead time of a detector"
        lines.append(
            f"  {name}: importers waited {100 * share:.1f} % of the time for free slots ({meaning}); "
            f"{full} was full: {_why_full(full, readers, record)}" + _broken_before(passed, record)
        )
    return lines


def _imports(worker: Mapping[str, Any]) -> bool:
    return bool(worker.get("sinks")) and not worker.get("sources") and not worker.get("observes")


def _processes(worker: Mapping[str, Any]) -> int:
    nodes = worker.get("node")
    return int(worker.get("number_of_processes", 1)) * (len(nodes) if isinstance(nodes, list) else 1)


def _held_s(record: Mapping[str, Any]) -> float:
    """Return how long importers were held, in s: each counts that as dead time that no buffer has caused."""
    held_s, until = float(record.get("more_incidents", {}).get("held", {}).get("duration_s", 0.0)), None
    for row in sorted(record.get("incidents", []), key=lambda row: str(row["from"])):
        if row["kind"] == "held":
            since = datetime.fromisoformat(row["from"])
            end = since + timedelta(seconds=row["duration_s"])
            begin = since if until is None else max(since, until)
            held_s += max(0.0, (end - begin).total_seconds())
            until = end if until is None else max(until, end)
    return held_s


def _why_full(buffer: str, readers: Sequence[str], record: Mapping[str, Any]) -> str:
    """Say who could not keep up; one that has done little but fail is not called slow."""
    books = {reader: record["workers"].get(reader, {"errors": 0, "events": 0}) for reader in readers}
    failing = [reader for reader, book in books.items() if book["errors"] > book["events"]]
    told = [f"{reader} failed {_times(books[reader]['errors'])}" for reader in failing]
    takers = [_taker(reader, buffer, record) for reader in readers if reader not in failing]
    if takers or not told:
        told.append(f"{' and '.join(takers) or 'its readers'} could not keep up")
    return " and ".join(told)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _taker(worker: str, buffer: str, record: Mapping[str, Any]) -> str:
    """Return what takes the events of a buffer to a worker: itself, or links, with their breaks."""
    ways = _ways(worker, buffer, record)
    if not ways:
        return worker
    told = [f"{way}{_breaks(way, record)}" for way in ways]
    return f"{worker}, or the link to it, {', '.join(told)},"


def _broken_before(passed: Sequence[tuple[str, Sequence[str]]], record: Mapping[str, Any]) -> str:
    """Say which links on the way to the last full buffer broke: it may have filled after that only."""
    ways = [way for buffer, readers in passed for reader in readers for way in _ways(reader, buffer, record)]
    told = [f"{way}{breaks}" for way in dict.fromkeys(ways) if (breaks := _breaks(way, record))]
    return f"; so could not, before it, {' and '.join(told)}" if told else ""


def _ways(worker: str, buffer: str, record: Mapping[str, Any]) -> list[str]:
    """Return the links that take the events of a buffer to a worker."""
    setup = record["setup"]
    home = setup.get("Buffers", {}).get(buffer, {}).get("node")
    nodes = setup["Workers"][worker].get("node")
    ends = [f"{buffer}@{home}->{node}" for node in (nodes if isinstance(nodes, list) else [nodes])]
    return [way for way in record["links"] if way in ends or way in [f"{end}#{worker}" for end in ends]]


def _breaks(way: str, record: Mapping[str, Any]) -> str:
    """Return how often a link broke, and what of it never got through, in brackets; or nothing."""
    link = record["links"][way]
    count, unanswered = link["reconnects"], link["sent"] - link["acknowledged"]
    told = [f"broken {_times(count)}"] if count else []
    if unanswered > 0 and record["run"]["state"] != "running":
        told.append(f"{events(unanswered)} never acknowledged")
    return f" ({', '.join(told)})" if told else ""


def _is_fast_replay(worker: Mapping[str, Any]) -> bool:
    config = worker.get("config") or {}
    return worker.get("function") == "data.replay" and not (
        config.get("rate") or config.get("by_recorded_time")
    )


def _full_ones(
    buffer: str, books: Mapping[str, Any], workers: Mapping[str, Any]
) -> list[tuple[str, list[str]]]:
    """Follow full buffers downstream; return them, each with the workers that read it."""
    readers = [name for name, worker in workers.items() if buffer in worker.get("sources", [])]
    readers = _slow(readers, books[buffer])
    for reader in readers:
        for sink in workers[reader].get("sinks", []):
            if sink in books and books[sink]["max_fill"] >= _FULL:
                return [(buffer, [reader]), *_full_ones(sink, books, workers)]
    return [(buffer, readers)]


def _slow(readers: list[str], book: Mapping[str, Any]) -> list[str]:
    """Return the readers that kept the slots of a full buffer, where each gets all events; else all."""
    behind = {reader: float(book.get("behind", {}).get(reader, 0.0)) for reader in readers}
    most = max(behind.values(), default=0.0)
    return [reader for reader in readers if behind[reader] >= _MUCH_BEHIND * most]


def _buffer_row(book: Mapping[str, Any]) -> list[str]:
    share = dead_time_share(book)
    return [
        book["node"],
        *(str(book[column]) for column in ("written", "read", "rescued", "lost")),
        str(book.get("dropped", 0)),
        str(book["redelivered"]),
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
