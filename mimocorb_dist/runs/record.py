"""The record of a run, `run.json`: what it was, what it ran on, and its books."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from .books import Reports, buffer_books, events, imbalances, link_books, link_restarts, worker_books
from .directory import RESERVE
from .files import cannot_write, write_atomically
from .neighbours import caught_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mimocorb_dist.topology import Plan

State = Literal["running", "finished", "failed"]
Quality = Literal["GOOD", "DEGRADED", "INCOMPLETE", "ABORTED"]

_LIBRARIES = ("numpy", "pyzmq", "msgpack")
_BUFFER_COLUMNS = (
    "node",
    "written",
    "read",
    "discarded_while_paused",
    "redelivered",
    "rescued",
    "lost",
    "dropped",
    "given_up",
    "dead_time_s",
    "live_time_s",
    "max_fill",
)
_WORKER_COLUMNS = ("node", "processes", "restarts", "errors", "events")
_RESERVE_BYTES = 1 << 16


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run at one moment.

    Parameters
    ----------
    plan
        The setup, spread over its nodes.
    setup
        The resolved setup, as plain values.
    run_id
        Id of the run.
    started, finished
        Local times with their offset; `finished` is None as long as the run goes on.
    state
        ``running``, ``finished`` or ``failed``.
    reasons
        Why the run failed or is not GOOD, or lacks events that its setup did not want, one text each.
    flaws
        What makes the data less than GOOD though the run has not failed, one text each.
    aborted
        Whether it was ended at once, without draining.
    lost_nodes
        Nodes that died or vanished: their last report is older than their end.
    returned_nodes
        Nodes whose host had died, and that came back with nothing that they held.
    settled_nodes
        Those of the lost ones whose rings were counted when all their processes had ended.
    closed_nodes
        Nodes whose report is final.
    nodes
        What each node said of itself when it registered, as plain values.
    reports
        The last report of each node.
    incidents
        What happened without harm, see `Incidents.to_plain`.
    """

    plan: Plan
    setup: Mapping[str, Any]
    run_id: str
    started: datetime
    finished: datetime | None = None
    state: State = "running"
    reasons: tuple[str, ...] = ()
    flaws: tuple[str, ...] = ()
    aborted: bool = False
    lost_nodes: frozenset[str] = frozenset()
    returned_nodes: frozenset[str] = frozenset()
    settled_nodes: frozenset[str] = frozenset()
    closed_nodes: frozenset[str] = frozenset()
    nodes: Mapping[str, Any] | None = None
    reports: Reports | None = None
    incidents: Mapping[str, Any] | None = None

    def ended(self, failed: bool, finished: datetime) -> RunRecord:
        """Return the record of the run after its end."""
        return replace(self, state="failed" if failed else "finished", finished=finished)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `run.json`."""
        reports = self._reports_caught_up
        over = self.finished is not None
        as_of = self.finished or datetime.now().astimezone()
        buffers = {name: _buffer(book, over) for name, book in buffer_books(self.plan, reports).items()}
        workers = worker_books(self.plan, reports)
        quality, reasons = self._judge(buffers, workers)
        content = {
            "run": {
                "id": self.run_id,
                "started": self.started.isoformat(timespec="milliseconds"),
                "finished": self.finished.isoformat(timespec="milliseconds") if self.finished else None,
                "state": self.state,
                "quality": quality,
                "reasons": reasons,
                "as_of": as_of.isoformat(timespec="milliseconds"),
                "process": process_mark(),
            },
            "software": software(),
            "nodes": dict(self.nodes or {}),
            "setup": dict(self.setup),
            "buffers": buffers,
            "links": link_books(self.plan, reports),
            "workers": {
                name: {column: book[column] for column in _WORKER_COLUMNS} for name, book in workers.items()
            },
            **(self.incidents or {"incidents": []}),
        }
        if not self.closed_nodes >= set(self.plan.nodes):
            content["parts"] = self._parts()
        return content

    @property
    def _reports_caught_up(self) -> Reports:
        gone = self.lost_nodes - self.settled_nodes - self.closed_nodes
        return caught_up(self.plan, self.reports or {}, gone)

    def _parts(self) -> dict[str, Any]:
        """Return what a node needs that brings its word into this record later."""
        return {
            "closed": sorted(self.closed_nodes),
            "settled": sorted(self.settled_nodes),
            "aborted": self.aborted,
            "reasons": list(self.reasons),
            "reports": dict(self.reports or {}),
        }

    def write(self, path: Path) -> dict[str, Any]:
        """Write the record to a file, atomically and synced to the disk; return its content.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        content = self.to_dict()
        write_record(path, content)
        return content

    def _judge(
        self, buffers: Mapping[str, Mapping[str, Any]], workers: Mapping[str, Mapping[str, Any]]
    ) -> tuple[Quality, list[str]]:
        """Return how good the data are, and all reasons why they are not better."""
        reasons = list(self.reasons)
        if self.finished is None:
            return "INCOMPLETE", reasons
        unsure = self.lost_nodes | self.returned_nodes
        wrong = imbalances(self.plan, self._reports_caught_up, unsure, self.settled_nodes)
        reasons += wrong
        flaws = list(self.flaws)
        flaws += [
            f"buffer {name}: {events(book['rescued'])} rescued to rescue/{name}.mimo"
            for name, book in buffers.items()
            if book["rescued"]
        ]
        flaws += [_restarts(name, book) for name, book in workers.items() if book["restarts"]]
        for name, (count, ends) in link_restarts(self.plan, self._reports_caught_up).items():
            flaws.append(f"link {name}: restarted {_times(count)}{': ' if ends else ''}{'; '.join(ends)}")
        reasons += flaws
        when_full = {name: buffer.when_full for name, buffer in self.plan.topology.buffers.items()}
        reasons += [_drops(name, book, when_full[name]) for name, book in buffers.items() if book["dropped"]]
        if self.aborted:
            return "ABORTED", reasons
        if self.state == "failed" or wrong:
            return "INCOMPLETE", reasons
        return ("DEGRADED" if flaws or any(book["errors"] for book in workers.values()) else "GOOD"), reasons


def _drops(buffer: str, book: Mapping[str, Any], when_full: str) -> str:
    """Say how many events a buffer has dropped that was to do so."""
    dropped = {worker: part["dropped"] for worker, part in book.get("by_worker", {}).items()}
    who = f"; {', '.join(f'{worker} misses {count}' for worker, count in dropped.items())}"
    return (
        f"buffer {buffer}: {events(book['dropped'])} dropped while it was full, as the setup wants "
        f"(when_full: {when_full}{who if len(set(dropped.values())) > 1 else ''})"
    )


def _restarts(worker: str, book: Mapping[str, Any]) -> str:
    """Say how often processes of a worker were started again, and why."""
    count = book["restarts"]
    text = f"worker {worker}: restarted {_times(count)}"
    if not book["events"]:
        text += " without handling any event"
    return f"{text}: {'; '.join(book['ends'])}" if book["ends"] else text


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def own_part(record: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Any]:
    """Return what concerns some nodes in a complete record: buffers, workers, and links that end there."""
    mine = set(nodes)
    return {
        **record,
        "run": {**record["run"], "process": process_mark()},
        "buffers": {name: book for name, book in record["buffers"].items() if book["node"] in mine},
        "links": {name: book for name, book in record["links"].items() if mine & set(_ends(name))},
        "workers": {
            name: book for name, book in record["workers"].items() if mine & set(book["node"].split(", "))
        },
    }


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write the content of a record to a file, atomically and synced to the disk.

    As long as the run goes on some room is kept for its last record, beside it, so that a disk that has
    run full does not leave the run without one.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    text = json.dumps(content, indent=2, default=str) + "\n"
    reserve = path.with_name(RESERVE)
    if content["run"]["finished"] is None:
        write_atomically(path, text)
        if not reserve.exists():
            write_atomically(reserve, " " * max(_RESERVE_BYTES, 4 * len(text)))
        return
    try:
        reserve.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_atomically(path, text)


@cache
def software() -> dict[str, str]:
    """Return the versions of what a run depends on."""
    versions = {"mimocorb_dist": _package_version(), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # bundled in another way; the run does not depend on knowing
            versions[name] = "unknown"
    versions["platform"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    versions["byteorder"] = sys.byteorder
    return versions


@cache
def process_mark() -> dict[str, Any]:
    """Return what tells later whether this very process is still alive."""
    import psutil

    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "since": round(psutil.Process().create_time(), 2),
    }


def _package_version() -> str:
    from mimocorb_dist import __version__

    return __version__


def _buffer(book: Mapping[str, Any], over: bool) -> dict[str, Any]:
    columns = {**book, "lost": book["waiting"] if over else 0}
    row = {column: columns[column] for column in _BUFFER_COLUMNS}
    if "by_worker" in book:
        row["by_worker"] = {
            name: {
                "read": part["read"],
                "rescued": part["rescued"],
                "lost": part["waiting"] if over else 0,
                **{column: part[column] for column in ("written", "dropped", "given_up") if column in part},
            }
            for name, part in book["by_worker"].items()
        }
    if "behind" in book:
        row["behind"] = book["behind"]
    return row


def _ends(link: str) -> tuple[str, str]:
    """Return the nodes of a link by its name, ``buffer@from->to`` or ``buffer@from->to#worker``."""
    begin, _, end = link.partition("->")
    return begin.rpartition("@")[2], end.partition("#")[0]
