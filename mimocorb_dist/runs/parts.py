"""Nodes that end without their broker: each brings its final word into the record of the run.

As long as the word of a node may still come, the record keeps, under ``parts``, what all its books are
computed from, so that whoever comes later computes them anew, and never makes them poorer.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError

from .record import RunRecord, own_part, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def add_part(path: Path, own: RunRecord, node: str) -> dict[str, Any]:
    """Bring the final word of a node into a record, and close that.

    Parameters
    ----------
    path
        The record; other nodes may share it.
    own
        What the node knows of the run.
    node
        Its name.

    Returns
    -------
    dict
        The new content. Buffers, links and workers of nodes of which nothing is known are left out.

    Raises
    ------
    RunError
        If it cannot be read or written, or belongs to another run.
    """
    with _locked(path) as kept:
        parts: Mapping[str, Any] = kept.get("parts", {})
        closed = frozenset(parts.get("closed", ())) | {node}
        reports = {**parts.get("reports", {}), **(own.reports or {})}
        merged = replace(
            own,
            started=datetime.fromisoformat(kept["run"]["started"]),
            reasons=tuple(dict.fromkeys([*parts.get("reasons", ()), *own.reasons])),
            aborted=own.aborted or bool(parts.get("aborted")),
            closed_nodes=closed,
            lost_nodes=frozenset(own.plan.nodes) - closed,
            settled_nodes=frozenset(parts.get("settled", ())),
            nodes=kept.get("nodes"),
            reports=reports,
            incidents={key: kept[key] for key in ("incidents", "more_incidents") if key in kept},
        )
        content = own_part(merged.ended(True, datetime.now().astimezone()).to_dict(), list(reports))
        senders = {link.name: link.from_node for link in own.plan.links}
        content["links"] = {name: row for name, row in content["links"].items() if senders[name] in reports}
        write_record(path, content)
    return content


@contextmanager
def _locked(path: Path) -> Iterator[dict[str, Any]]:
    """Keep others from changing a record meanwhile; give its content."""
    while True:
        try:
            with path.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
                    continue  # another node has just written it, as a new file
                yield _content(path, file.read())
                return
        except OSError as error:
            raise RunError(
                f"{path}: cannot be brought up to date ({error.strerror}); check its folder"
            ) from error


def _content(path: Path, text: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
        datetime.fromisoformat(content["run"]["started"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is not a record of a run ({error}); was it edited?") from error
    return content
