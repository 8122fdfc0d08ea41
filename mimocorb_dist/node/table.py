"""The state of a run as text and as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

Overview = Mapping[str, Any]
Column = tuple[str, Callable[[Mapping[str, Any]], str]]

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def scaled(value: float, unit: str) -> str:
    """Return a value with three digits and a prefix: ``12.3 kHz``."""
    for factor, prefix in _PREFIXES:
        if value >= 0.9995 * factor:
            value, unit = value / factor, prefix + unit
            break
    digits = 0 if value >= 99.95 or value == 0 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"


def percent(share: float | None) -> str:
    """Return a share as percent; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _count(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda book: f"{book[name]:,}".replace(",", " ")


def _remarks(worker: Mapping[str, Any]) -> str:
    """Return what is odd about a worker."""
    restarts, stalled_s = worker["restarts"], worker["stalled_s"]
    remarks = [f"no event done for {stalled_s:.0f} s"] if stalled_s else []
    if restarts:
        remarks.append("1 restart" if restarts == 1 else f"{restarts} restarts")
    return ", ".join(remarks)


def _state(buffer: Mapping[str, Any]) -> str:
    """Return what is to be said about a buffer."""
    states = ["paused" if buffer["paused"] else "ended" if buffer["ended"] else ""]
    if buffer["dropped"]:
        states.append(f"{_count('dropped')(buffer)} dropped")
    return ", ".join(filter(None, states))


_BUFFERS: tuple[Column, ...] = (
    ("node", lambda book: book["node"]),
    ("events", _count("written")),
    ("rate", lambda book: scaled(book["rate_hz"], "Hz")),
    ("fill", lambda book: percent(book["fill"])),
    ("dead time", lambda book: percent(book["dead_time_share"])),
    ("", _state),
)
_LINKS: tuple[Column, ...] = (
    ("sent", _count("sent")),
    ("under way", lambda book: str(max(0, book["sent"] - book["acknowledged"]))),
    ("rate", lambda book: scaled(book["rate_bytes"], "B/s")),
    ("reconnects", lambda book: str(book["reconnects"])),
)
_WORKERS: tuple[Column, ...] = (
    ("node", lambda book: book["node"]),
    ("processes", lambda book: f"{book['alive']} of {book['processes']}"),
    ("events", _count("events")),
    ("rate", lambda book: scaled(book["rate_hz"], "Hz")),
    ("cpu", lambda book: f"{book['cpu_percent']:.0f} %"),
    ("", _remarks),
)
_SECTIONS = (("buffer", "buffers", _BUFFERS), ("link", "links", _LINKS), ("worker", "workers", _WORKERS))
_LEFT = ("node", "")


def title(overview: Overview) -> str:
    """Return the first line: which run, and its state."""
    run = overview["run"]
    missing = [f"{node} {state}" for node, state in run["nodes"].items() if state != "here"]
    text = f"{run['name'] or run['setup']}: {run['state']}"
    return f"{text} ({', '.join(missing)})" if missing else text


def overview_text(overview: Overview) -> str:
    """Return the state of a run as plain text of several lines."""
    lines = [title(overview), *(f"  {text}" for text in _texts(overview))]
    for head, section, columns in _SECTIONS:
        rows = _rows(head, overview[section], columns)
        if len(rows) > 1:
            widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
            left = [True, *(name in _LEFT for name, _ in columns)]
            lines.append("")
            for row in rows:
                cells = zip(row, widths, left, strict=True)
                lines.append(
                    "  ".join(
                        cell.ljust(width) if flush_left else cell.rjust(width)
                        for cell, width, flush_left in cells
                    ).rstrip()
                )
    return "\n".join(lines)


def _texts(overview: Overview) -> list[str]:
    """Return why the run fails, and what is worth knowing just now."""
    return [*overview["run"]["reasons"], *overview["run"].get("remarks", ())]


def overview_line(overview: Overview) -> str:
    """Return the state of a run as one line: rates of its buffers."""
    parts = []
    for name, book in overview["buffers"].items():
        part = f"{name} {book['written']} ({scaled(book['rate_hz'], 'Hz')}, fill {percent(book['fill'])}"
        if book["dead_time_share"] is not None:
            part += f", dead {percent(book['dead_time_share'])}"
        if book["dropped"]:
            part += f", dropped {book['dropped']}"
        parts.append(part + ")")
    return f"{overview['run']['state']}: " + "; ".join(parts)


def overview_table(overview: Overview) -> RenderableType:
    """Return the state of a run as tables for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(title(overview), style="bold")]
    parts += [Text(f"  {text}") for text in overview["run"].get("remarks", ())]
    for head, section, columns in _SECTIONS:
        rows = _rows(head, overview[section], columns)
        if len(rows) > 1:
            table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
            for name in rows[0]:
                table.add_column(name, justify="left" if name in (*_LEFT, head) else "right", no_wrap=True)
            for row in rows[1:]:
                table.add_row(*row)
            parts += [Text(""), table]
    return Group(*parts)


def _rows(head: str, books: Mapping[str, Mapping[str, Any]], columns: Sequence[Column]) -> list[list[str]]:
    return [
        [head, *(name for name, _ in columns)],
        *([name, *(show(book) for _, show in columns)] for name, book in books.items()),
    ]
