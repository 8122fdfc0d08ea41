"""The runs in a target directory."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError

from .directory import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECTIONS = ("run", "buffers", "links", "workers")


def load_run(directory: Path) -> dict[str, Any]:
    """Read the record of a run.

    Parameters
    ----------
    directory
        The run directory, or its `run.json`.

    Returns
    -------
    dict
        The record. One that says ``running`` though no process of the run lives any more (a power cut, a
        killed process) is returned as ``failed`` and ABORTED.

    Raises
    ------
    RunError
        If there is no record, or it cannot be understood.
    """
    path = directory if directory.name == RECORD else directory / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{path}: there is no such record; name a run directory in the target directory "
            "(`mimocorb-node runs` lists them)"
        ) from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except ValueError as error:
        raise RunError(f"{path}: is not a record of a run ({error}); was it edited?") from error
    if not isinstance(record, dict) or any(not isinstance(record.get(name), dict) for name in _SECTIONS):
        raise RunError(f"{path}: is not a record of a run: it lacks one of {', '.join(_SECTIONS)}")
    if record["run"].get("state") == "running" and not _is_alive(record["run"].get("process")):
        _close_for_the_dead(record)
    return record


def _close_for_the_dead(record: dict[str, Any]) -> None:
    """Make of a record that nobody keeps any more one that says what is known of the end of the run."""
    run = record["run"]
    reasons = [
        *run.get("reasons", []),
        f"the run ended without a word: its processes are gone; "
        f"counts are {as_of(record)}, later ones are not known",
    ]
    for name, book in record["buffers"].items():
        for part in (book, *book.get("by_worker", {}).values()):
            written = int(part.get("written", book["written"]))
            part["lost"] = max(0, written - int(part["read"]) - int(part["rescued"]))
        if book["lost"]:
            reasons.append(
                f"buffer {name}: {book['lost']} events were not read by then, and are counted as lost; "
                "what became of them is not known"
            )
    record["run"] |= {"state": "failed", "quality": "ABORTED", "reasons": reasons}


def as_of(record: Mapping[str, Any]) -> str:
    """Return when the counts of a record were taken, as people read it."""
    from datetime import datetime

    time = record["run"].get("as_of")
    return f"of {datetime.fromisoformat(time):%H:%M:%S}" if time else "from before its end"


def runs_in(target: Path) -> list[Path]:
    """Return the run directories in a target directory, oldest first.

    Raises
    ------
    RunError
        If there is no such directory.
    """
    if not target.is_dir():
        raise RunError(f"{target}: there is no such directory; name the target_directory of a setup")
    found = [path.parent for path in target.glob(f"*/{RECORD}")]
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))


def list_runs(target: Path) -> str:
    """Return a table of the runs in a target directory, oldest first.

    Raises
    ------
    RunError
        If there is no such directory.
    """
    rows = [("run", "state", "quality", "duration", "events", "reasons")]
    for path in runs_in(target):
        try:
            rows.append(_row(path.name, load_run(path)))
        except RunError as error:
            rows.append((path.name, "unreadable", "", "", "", str(error)))
    if len(rows) == 1:
        return f"no runs in {target}"
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        for row in rows
    )


def duration_s(record: Mapping[str, Any]) -> float | None:
    """Return how long a run took, in s; None if it has no end."""
    from datetime import datetime

    run = record["run"]
    if not run.get("finished"):
        return None
    return (datetime.fromisoformat(run["finished"]) - datetime.fromisoformat(run["started"])).total_seconds()


def duration_text(seconds: float | None) -> str:
    """Return a duration as people read it."""
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02.0f} s" if minutes else f"{rest:.1f} s"


def _row(name: str, record: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    run, buffers = record["run"], record["buffers"]
    written = max((int(book["written"]) for book in buffers.values()), default=0)
    reasons = run.get("reasons", [])
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return (
        name,
        run["state"],
        "-" if run["state"] == "running" else run["quality"],
        duration_text(duration_s(record)),
        str(written),
        reasons[0] + more if reasons else "",
    )


def _is_alive(mark: Any) -> bool:
    """Tell whether the process that writes a record lives; one of another host is believed to."""
    import psutil

    if not isinstance(mark, dict) or not mark.get("host"):
        return False
    if mark["host"] != platform.node():
        return True
    try:
        return abs(psutil.Process(int(mark["pid"])).create_time() - float(mark["since"])) < 2.0
    except (psutil.Error, KeyError, ValueError, TypeError):
        return False
