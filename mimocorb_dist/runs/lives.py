"""The books of a node that has come back to its run after its host had died: those of all its lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDED_IN_RINGS = (
    "written",
    "refused",
    "redelivered",
    "discarded_while_paused",
    "dead_time_s",
    "live_time_s",
    "read",
    "rescued",
    "given_up",
    "undelivered",
)
_ADDED_IN_LINKS = ("sent", "acknowledged", "resent", "reconnects", "bytes", "received", "dropped", "restarts")
_ADDED_IN_WORKERS = ("restarts", "errors", "events")


def added_up(past: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report in which all that is counted is the sum over the lives of a node.

    What was in its rings when its host died stays `undelivered`: nobody will read it.

    Parameters
    ----------
    past
        The last report of its life before, itself with those before that.
    report
        The last report of its life now.
    """
    return {
        **report,
        "rings": {
            name: {
                **_sums(_row(past, "rings", name), ring, _ADDED_IN_RINGS),
                "max_fill": max(ring["max_fill"], _row(past, "rings", name).get("max_fill", 0.0)),
            }
            for name, ring in report.get("rings", {}).items()
        },
        "links": {
            name: _with_ends(_row(past, "links", name), link, _ADDED_IN_LINKS)
            for name, link in report.get("links", {}).items()
        },
        "workers": {
            name: _with_ends(_row(past, "workers", name), worker, _ADDED_IN_WORKERS)
            for name, worker in report.get("workers", {}).items()
        },
    }


def _row(report: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] = report.get(section, {}).get(name, {})
    return row


def _with_ends(past: Mapping[str, Any], now: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {**_sums(past, now, columns), "ends": [*past.get("ends", []), *now.get("ends", [])]}


def _sums(past: Mapping[str, Any], now: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {**now, **{name: _sum(past.get(name), now[name]) for name in columns if name in now}}


def _sum(past: Any, now: Any) -> Any:
    if past is None:
        return now
    if isinstance(now, dict):  # reader group -> count
        return {group: past.get(group, 0) + count for group, count in now.items()}
    return past + now
