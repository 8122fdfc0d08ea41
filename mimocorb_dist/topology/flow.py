"""The data flow as a graph of buffers and workers: its circles, and how deep each worker lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Ends:
    """The buffers of one worker."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def find_cycles(workers: Mapping[str, Ends]) -> list[list[str]]:
    """Find circles in the data flow.

    Parameters
    ----------
    workers
        By name.

    Returns
    -------
    list of list of str
        For each knot of circles one shortest circle: buffer, worker, buffer, ..., and the first buffer again.
    """
    followers: dict[str, list[tuple[str, str]]] = {}
    for name, ends in workers.items():
        for buffer in ends.inputs:
            followers.setdefault(buffer, []).extend((name, output) for output in ends.outputs)
    cycles: list[list[str]] = []
    in_cycles: set[str] = set()
    for start in followers:
        if start in in_cycles:
            continue
        cycle = _shortest_circle(start, followers)
        if cycle:
            cycles.append(cycle)
            in_cycles.update(cycle)
    return cycles


def depths(workers: Mapping[str, Ends]) -> dict[str, int]:
    """Return how far each worker is from the importers, along the longest way.

    Parameters
    ----------
    workers
        By name; without circles.

    Returns
    -------
    dict
        0 for workers without inputs; else one more than the deepest writer of the inputs.
    """
    writers: dict[str, list[str]] = {}
    for name, ends in workers.items():
        for buffer in ends.outputs:
            writers.setdefault(buffer, []).append(name)
    known: dict[str, int] = {}
    waiting = list(workers)[::-1]
    while waiting:
        name = waiting[-1]
        before = [writer for buffer in workers[name].inputs for writer in writers.get(buffer, ())]
        unknown = [writer for writer in before if writer not in known]
        if unknown:
            waiting += unknown
        else:
            known[waiting.pop()] = max((known[writer] + 1 for writer in before), default=0)
    return {name: known[name] for name in workers}


def _shortest_circle(start: str, followers: Mapping[str, Iterable[tuple[str, str]]]) -> list[str]:
    """Return the shortest way from a buffer back to it; empty if there is none."""
    ways = {start: [start]}
    front = [start]
    while front:
        reached: list[str] = []
        for buffer in front:
            for worker, output in followers.get(buffer, ()):
                way = [*ways[buffer], worker, output]
                if output == start:
                    return way
                if output not in ways:
                    ways[output] = way
                    reached.append(output)
        front = reached
    return []
