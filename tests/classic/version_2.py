"""What the lab of version 2 must give, computed here on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mimocorb_dist.functions._mimo import read_events, read_header

from tests.classic.version_1 import ABOVE, channel_1, channel_2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EVENTS = range(200)
METADATA = ["counter", "timestamp", "deadtime"]


def kept(numbers: Iterable[int]) -> list[int]:
    """What both filters leave over."""
    return [number for number in numbers if number % 5 not in (0, 4)]


def pulses(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    rows = []
    for number in kept(numbers):
        if number % 5 != 1:
            values = channel_1(number)
            rows.append((number, number, values.index(max(values)), max(values)))
    return rows


def parameters(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    rows = []
    for number in kept(numbers):
        if number % 5 == 3:
            values = channel_1(number)
            rows.append((number, number, max(values), sum(v > ABOVE for v in values), number * 37 % 256))
    return rows


def peaks(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    """The first sample that is higher than both its neighbours, and at least 5, of odd events.

    The waveforms are straight lines that fall once in 34 samples: they have one peak at most.
    """
    rows = []
    for number in numbers:
        values = channel_1(number)
        at = [i for i in range(1, 31) if values[i - 1] < values[i] > values[i + 1] and values[i] >= 5]
        if number % 2 == 1 and at:
            rows.append((number, at[0], values[at[0]]))
    return rows


def rejected(numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if number % 5 == 0]


def sums(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    return [(number, sum(channel_1(number)), sum(channel_2(number))) for number in numbers]


def counts(values: list[float], lowest: float, highest: float, edges: int) -> list[int]:
    """Count values in bins of equal width; a bin has its lower edge, the last one its upper edge, too."""
    bins = edges - 1
    result = [0] * bins
    for value in values:
        if lowest <= value <= highest:
            result[min(int((value - lowest) * bins / (highest - lowest)), bins - 1)] += 1
    return result


def read_lines(directory: Path, pattern: str, separator: str) -> tuple[list[tuple[float, ...]], int]:
    """Return the rows of files that end with the word end, and how many files there are."""
    rows, files = [], sorted(directory.glob(pattern))
    for path in files:
        *lines, end = path.read_text().splitlines()
        assert end == "end", path
        rows += [tuple(map(float, line.split(separator))) for line in lines]
    return rows, len(files)


def read_tables(directory: Path, name: str) -> pd.DataFrame:
    files = sorted(directory.glob(f"{name}*.csv"))
    return pd.concat([pd.read_csv(path) for path in files], ignore_index=True)


def read_mimo(directory: Path, name: str) -> list[tuple[Any, Any]]:
    """Read the events of a .mimo file, and of those of further processes: (metadata, data) each."""
    events = []
    for path in sorted(directory.glob(f"{name}*.mimo")):
        header = read_header(path)
        for metadata, data in read_events(path, header):
            events += list(zip(metadata, data, strict=True))
    return events


def assert_outputs(directory: Path, numbers: Iterable[int] = EVENTS, processes: int = 1) -> None:
    """All files of the lab hold the events with these numbers, all of them and nothing else.

    With one process for each worker the rows are in order, too.
    """
    numbers = list(numbers)

    def same(found: Iterable[Any], expected: Iterable[Any], what: str) -> None:
        if processes > 1:
            assert sorted(found) == sorted(expected), what
        else:
            assert list(found) == list(expected), what

    lines, _ = read_lines(directory, "sums*.csv", ",")
    same(lines, sums(numbers), "sums")
    lines, _ = read_lines(directory, "peaks*.txt", " ")
    same(lines, peaks(numbers), "peaks")

    expected = {
        "parameters": (["number", "height", "width", "flag"], parameters(numbers)),
        "all_pulses": (["number", "place", "value"], pulses(numbers)),
    }
    for name, (fields, rows) in expected.items():
        table = read_tables(directory, name)
        assert list(table.columns) == [*METADATA, *fields]
        same(table[["counter", *fields]].itertuples(index=False, name=None), rows, name)
        assert (table["timestamp"] > 1.6e9).all() and table["deadtime"].between(0, 1).all()

    events = read_mimo(directory, "rejected")
    same((int(metadata["counter"]) for metadata, _ in events), rejected(numbers), "rejected.mimo")
    for metadata, data in events:
        assert data["ch1"].tolist() == channel_1(int(metadata["counter"]))
        assert data["ch2"].tolist() == channel_2(int(metadata["counter"]))

    if processes == 1:
        assert_histograms(directory, numbers)


def assert_histograms(directory: Path, numbers: Iterable[int]) -> None:
    histograms = directory / "Histograms_pulses"
    info = pd.read_csv(histograms / "info.csv")
    assert list(info.columns) == ["Channel", "Min", "Max", "NBins"]
    assert info.to_numpy().tolist() == [["value", 0, 25, 11], ["place", 0, 32, 9]]
    rows = pulses(numbers)
    value, place = (np.load(histograms / f"{name}.npy") for name in ("value", "place"))
    assert value.tolist() == counts([row[3] for row in rows], 0, 25, 11)
    assert place.tolist() == counts([row[2] for row in rows], 0, 32, 9)


OBSERVERS = ("watch", "is_alive", "scope", "show_histogram", "show_table")


def without_observers(document: dict[str, Any]) -> None:
    """Take the observers out of the lab's setup."""
    for name in OBSERVERS:
        del document["Workers"][name]
