"""What all benchmarks share: interleaved repeats, ratios with their spread, tables, and JSON files.

Machines are noisy, and other programs run on them. So the cases to be compared are measured in turn, A B A B,
and each ratio is that of two measurements made one after the other: what slows the machine for a while slows
both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mimocorb_dist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise measurements."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} - {self.high:.3g})"


def interleaved(cases: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measure all cases in turn, `repeats` times over.

    Parameters
    ----------
    cases
        What to measure, by name; each returns one figure.
    repeats
        How often.

    Returns
    -------
    dict of list
        The figures of each case, in order.
    """
    values: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, measure in cases.items():
            values[name].append(measure())
    return values


def ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Return the spread of the ratios of measurements made one after the other."""
    return Spread.of([value / other for value, other in zip(values, base, strict=True)])


def rate(events_per_s: float) -> str:
    """Write a rate in events/s shortly."""
    if events_per_s >= 1e6:
        return f"{events_per_s / 1e6:.2f} M/s"
    if events_per_s >= 1e3:
        return f"{events_per_s / 1e3:.0f} k/s"
    return f"{events_per_s:.0f} /s"


class Report:
    """Tables on the terminal, and all figures in a JSON file if one is wanted.

    Parameters
    ----------
    title
        What is measured.
    arguments
        Those of the command line, with ``json``.
    """

    def __init__(self, title: str, arguments: argparse.Namespace) -> None:
        self._json: Path | None = arguments.json
        self._content: dict[str, Any] = {"title": title, "machine": machine(), "tables": {}}
        print(f"{title}\n{'; '.join(f'{key} {value}' for key, value in machine().items())}")

    def table(self, name: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table, and keep it; spreads are printed shortly and kept whole."""
        texts = [[str(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
        print(f"\n{name}")
        for row in (list(headings), ["-" * width for width in widths], *texts):
            print(
                "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
        kept = [[asdict(cell) if isinstance(cell, Spread) else cell for cell in row] for row in rows]
        self._content["tables"][name] = [dict(zip(headings, row, strict=True)) for row in kept]
        self.save()

    def save(self) -> None:
        """Write the JSON file."""
        if self._json is not None:
            self._json.write_text(json.dumps(self._content, indent=1) + "\n")


def machine() -> dict[str, str]:
    """Return what the figures depend on besides the code."""
    return {
        "mimocorb_dist": mimocorb_dist.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cores": str(len(os.sched_getaffinity(0))),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def parser(description: str, repeats: int = 5) -> argparse.ArgumentParser:
    """Return the command line that all benchmarks have."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    result.add_argument("--repeats", type=int, default=repeats, help="how often each case is measured")
    result.add_argument("--seconds", type=float, default=0.5, help="about how long one measurement takes")
    return result
