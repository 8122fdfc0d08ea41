"""What the lab of version 1 must give, computed here on its own."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SAMPLES = 32
ABOVE = 12.5
OFFSET = 7
EVENTS = range(1, 201)

PULSE_COLUMNS = ["counter", "timestamp", "deadtime", "1st_number", "2nd_place", "3rd_value"]
PARAMETER_COLUMNS = ["event", "timestamp", "deadtime", "number", "U_max", "width", "flag"]


def channel_1(number: int) -> list[float]:
    return [(7 * number + 3 * i) % 101 / 4 for i in range(SAMPLES)]


def channel_2(number: int) -> list[int]:
    return [number * i % 30_000 - 15_000 for i in range(SAMPLES)]


def own_metadata(number: int) -> tuple[float, float]:
    """Timestamp and dead time of the events that bring their own: those with even numbers."""
    return 1000 + number / 8, number % 16 / 16


def accepted(numbers: Iterable[int]) -> dict[int, tuple[list[float], list[int]]]:
    """Both channels of the events that rbTransfer passes to its first sink, by counter."""
    result = {}
    for number in numbers:
        if number % 5 in (1, 2, 3):
            factor = 2 if number % 5 == 3 else 1
            result[number] = ([factor * value for value in channel_1(number)], channel_2(number))
    return result


def parameters(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    """Counter and fields of the rows that rbTransfer makes."""
    rows = []
    for number in numbers:
        if number % 5 in (2, 3, 4):
            values = channel_1(number)
            width = sum(value > ABOVE for value in values)
            rows.append((number, number, max(values), width, number * 37 % 256))
    return rows


def halves(numbers: Iterable[int]) -> list[list[int]]:
    """The second channel of the events that rbProcess copies, with the offset that the saver adds."""
    return [[value + OFFSET for value in channel_2(number)] for number in numbers if number % 2 == 1]


def pulses(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    """Counter and fields of the rows that rbProcess makes, in order."""
    rows = []
    for number in numbers:
        places = {2: (5,), 3: (3, 9, 27)}.get(number % 4, ())
        rows += [(number, number, place, channel_1(number)[place]) for place in places]
    return rows


def sums(numbers: Iterable[int]) -> list[tuple[float, ...]]:
    return [(number, sum(channel_1(number)), sum(channel_2(number))) for number in numbers]


def read_text(directory: Path, name: str) -> pd.DataFrame:
    """Read a text file of version 1, and those of further processes, one below the other."""
    tables = [pd.read_csv(path, sep="\t") for path in sorted(directory.glob(f"{name}*.txt"))]
    assert len({tuple(table.columns) for table in tables}) == 1
    return pd.concat(tables, ignore_index=True)


def read_members(directory: Path, name: str) -> dict[int, pd.DataFrame]:
    """Read the members of a tar file of version 1, and those of further processes, by counter."""
    found: dict[int, pd.DataFrame] = {}
    for path in sorted(directory.glob(f"{name}*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                stem, _, counter = member.name.removesuffix(".parquet").rpartition("_")
                assert stem == name and int(counter) not in found, member.name
                file = tar.extractfile(member)
                assert file is not None
                found[int(counter)] = pd.read_parquet(io.BytesIO(file.read()))
    return found


def read_sums(directory: Path) -> tuple[list[list[float]], int]:
    """Return the lines of the saver of sums, of all its processes, and how many of these saw the end."""
    lines = [line for path in sorted(directory.glob("sums*.csv")) for line in path.read_text().splitlines()]
    return [list(map(float, line.split(","))) for line in lines if line != "end"], lines.count("end")


def assert_metadata(table: pd.DataFrame) -> None:
    """Events that bring their own metadata keep them on all ways; the others have the time and a share."""
    for counter, timestamp, deadtime in table.iloc[:, :3].itertuples(index=False):
        if counter % 2 == 0:
            assert (timestamp, deadtime) == own_metadata(int(counter))
        else:
            assert timestamp > 1.6e9
            assert 0 <= deadtime <= 1


def rows_of(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Counter and fields, without the metadata that differ from run to run."""
    return list(table.drop(columns=["timestamp", "deadtime"]).itertuples(index=False, name=None))


def assert_outputs(directory: Path, numbers: Iterable[int] = EVENTS, processes: int = 1) -> None:
    """All files of the lab hold the events with these numbers, all of them and nothing else.

    With one process for each function the rows are in order, too.
    """
    numbers = list(numbers)

    def same(found: list[Any], expected: list[Any], what: str) -> None:
        if processes > 1:
            found = sorted(found)
        assert found == (sorted(expected) if processes > 1 else expected), what

    text = read_text(directory, "parameters")
    assert list(text.columns) == PARAMETER_COLUMNS
    same(rows_of(text), parameters(numbers), "parameters.txt")
    assert_metadata(text)

    text = read_text(directory, "pulses")
    assert list(text.columns) == PULSE_COLUMNS
    same(rows_of(text), pulses(numbers), "pulses.txt")
    assert_metadata(text)

    members = read_members(directory, "accepted")
    expected = accepted(numbers)
    same(list(members), list(expected), "accepted.tar")
    for counter, (first, second) in expected.items():
        assert list(members[counter].columns) == ["ch1", "ch2"]
        assert [str(kind) for kind in members[counter].dtypes] == ["float32", "int16"]
        assert members[counter]["ch1"].tolist() == first
        assert members[counter]["ch2"].tolist() == second

    lines, ends = read_sums(directory)
    assert ends == len(list(directory.glob("sums*.csv")))
    same([(line[0], line[3], line[4]) for line in lines], sums(numbers), "sums.csv")
    assert_metadata(pd.DataFrame(lines))

    arrays = [np.load(path) for path in sorted(directory.glob("halves*.npy"))]
    assert {str(array.dtype) for array in arrays if array.size} <= {"int32"}
    same([list(row) for array in arrays for row in array.tolist()], halves(numbers), "halves.npy")


def assert_watched(path: Path, numbers: Iterable[int]) -> None:
    """An observer has seen some of the events, in order, whole, and the end."""
    *lines, end = path.read_text().splitlines()
    assert end == "end"
    seen = [tuple(map(int, line.split())) for line in lines]
    assert seen, path
    assert all(counter == number for counter, number in seen)
    assert [counter for counter, _ in seen] == sorted({counter for counter, _ in seen})
    assert {counter for counter, _ in seen} <= set(numbers)


WITHOUT_OBSERVERS = 10
"""Functions from this one on, by number, observe, or have no buffers."""


def without_observers(document: dict[str, Any]) -> None:
    """Take the observers out of the lab's setup."""
    del document["Functions"][WITHOUT_OBSERVERS:]


def write_accepted(path: Path, numbers: Iterable[int]) -> None:
    """Write a tar file of accepted events, as version 1 does."""
    with tarfile.open(path, "w") as tar:
        for counter, (first, second) in accepted(numbers).items():
            table = pd.DataFrame({"ch1": np.array(first, np.float32), "ch2": np.array(second, np.int16)})
            content = table.to_parquet(engine="pyarrow")
            member = tarfile.TarInfo(f"accepted_{counter}.parquet")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
