"""Where the boxes of a data flow go: layers from left to right, one row of frames or more, few crossings.

The method is the classic one for layered drawings (Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11 (1981) 109):
give each box a column by its distance from the importers, break long edges with bends in the columns between,
order each column by the mean position of the neighbours, then move everything as near to its neighbours as
the order allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMN_GAP = 72.0
BOX_GAP = 18.0
BEND_GAP = 12.0
ROW_GAP = 26.0
FRAME_PADDING = 16.0
FRAME_TITLE = 26.0
_SWEEPS = 12
_PLACING_SWEEPS = 60
_PORT_GAP = 9.0
_MAX_PERMUTED_ROWS = 6


@dataclass
class Box:
    """A box of a drawing, or a bend of a long edge (without size); lengths in points.

    Parameters
    ----------
    key
        Tells it from all others.
    frame
        The frame that it belongs to.
    width, height
        Its size.
    leaf
        Whether it may stand further right than its inputs need.
    """

    key: str
    frame: str
    width: float
    height: float
    leaf: bool = False
    column: int = 0
    row: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def bend(self) -> bool:
        """Whether it is a bend of an edge."""
        return self.height == 0


@dataclass
class Edge:
    """An arrow from one box to another; `points` are where it passes, after the layout."""

    source: str
    target: str
    observed: bool = False
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """A frame around the boxes of one node."""

    key: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """The frames of a drawing, and its right and lower end; boxes and edges carry their own places."""

    right: float
    bottom: float
    frames: tuple[Frame, ...]


def arrange(
    boxes: Sequence[Box],
    edges: Sequence[Edge],
    frames: Mapping[str, float],
    framed: bool,
    origin: tuple[float, float] = (0.0, 0.0),
) -> Layout:
    """Give boxes and edges their places.

    Parameters
    ----------
    boxes
        All boxes; get their centres.
    edges
        Arrows between them, without circles; get their points.
    frames
        Names of the frames, with the width that each needs at least for its title.
    framed
        Whether room for frames is to be left.
    origin
        Left and upper end of the drawing.

    Returns
    -------
    Layout
        Frames, and right and lower end.
    """
    by_key = {box.key: box for box in boxes}
    _choose_columns(by_key, edges)
    rows = _choose_rows(by_key, edges, frames)
    for box in boxes:
        box.row = rows[box.frame]
    chains = _add_bends(by_key, edges)
    columns = _order(by_key, chains)
    _place_columns(columns, origin[0] + (FRAME_PADDING if framed else 0.0), frames if framed else {})
    tops = _place_rows(columns, chains, by_key, origin[1], framed)
    _route(edges, chains, by_key)
    return _frames(boxes, rows, frames, tops, framed)


def _choose_columns(boxes: Mapping[str, Box], edges: Sequence[Edge]) -> None:
    before: dict[str, list[str]] = {key: [] for key in boxes}
    after: dict[str, list[str]] = {key: [] for key in boxes}
    for edge in edges:
        before[edge.target].append(edge.source)
        after[edge.source].append(edge.target)
    order = _topological(boxes, before, after)
    for key in order:
        boxes[key].column = max((boxes[source].column + 1 for source in before[key]), default=0)
    for key in reversed(order):
        if not before[key] and after[key]:
            boxes[key].column = min(boxes[target].column for target in after[key]) - 1
    for key in order:  # leaves move right until they stand with the other boxes of their frame
        box = boxes[key]
        if box.leaf:
            others = [other.column for other in boxes.values() if other.frame == box.frame and not other.leaf]
            ends = [other.column for other in boxes.values() if other.frame == box.frame]
            box.column = max(box.column, min(others or [max(ends)]))


def _topological(
    boxes: Iterable[str], before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> list[str]:
    missing = {key: len(before[key]) for key in boxes}
    order = [key for key, number in missing.items() if not number]
    for key in order:
        for target in after[key]:
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    return order


def _choose_rows(boxes: Mapping[str, Box], edges: Sequence[Edge], frames: Iterable[str]) -> dict[str, int]:
    """Put frames side by side where their columns allow it, and rows with many common edges together."""
    spans = {}
    for frame in frames:
        columns = [box.column for box in boxes.values() if box.frame == frame]
        if columns:
            spans[frame] = (min(columns), max(columns))
    rows: dict[str, int] = {}
    taken: list[list[tuple[int, int]]] = []
    for frame, (first, last) in sorted(spans.items(), key=lambda item: item[1][0]):
        free = (
            number
            for number, row in enumerate(taken)
            if all(last < start or first > end for start, end in row)
        )
        rows[frame] = next(free, len(taken))
        if rows[frame] == len(taken):
            taken.append([])
        taken[rows[frame]].append((first, last))
    if len(taken) > _MAX_PERMUTED_ROWS:
        return rows
    ends = [(rows[boxes[edge.source].frame], rows[boxes[edge.target].frame]) for edge in edges]
    order = min(
        permutations(range(len(taken))), key=lambda order: sum(abs(order[a] - order[b]) for a, b in ends)
    )
    return {frame: order[row] for frame, row in rows.items()}


def _add_bends(boxes: dict[str, Box], edges: Sequence[Edge]) -> list[list[str]]:
    """Break edges over several columns; return for each edge the keys that it passes."""
    crowd: dict[tuple[int, int], int] = {}
    for box in boxes.values():
        crowd[box.column, box.row] = crowd.get((box.column, box.row), 0) + 1
    chains = []
    for edge in edges:
        source, target = boxes[edge.source], boxes[edge.target]
        between = range(source.column + 1, target.column)
        row = min((source.row, target.row), key=lambda row: sum(crowd.get((c, row), 0) for c in between))
        chain = [edge.source]
        for column in between:
            key = f"{edge.source}|{edge.target}|{column}"
            boxes[key] = Box(key, "", 0.0, 0.0, column=column, row=row)
            chain.append(key)
        chains.append([*chain, edge.target])
    return chains


def _order(boxes: Mapping[str, Box], chains: Sequence[list[str]]) -> list[list[Box]]:
    """Return the boxes of each column from top to bottom, with few crossings between columns."""
    columns: list[list[Box]] = [[] for _ in range(max(box.column for box in boxes.values()) + 1)]
    for box in boxes.values():
        columns[box.column].append(box)
    for column in columns:
        column.sort(key=lambda box: box.row)
    steps = [(a, b) for chain in chains for a, b in pairwise(chain)]
    left: dict[str, list[str]] = {key: [] for key in boxes}
    right: dict[str, list[str]] = {key: [] for key in boxes}
    for a, b in steps:
        left[b].append(a)
        right[a].append(b)
    best, fewest = [list(column) for column in columns], _crossings(columns, steps)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = left if forward else right
        for column in columns if forward else reversed(columns):
            place = {box.key: (i + 0.5) / len(c) for c in columns for i, box in enumerate(c)}
            wanted = {
                box.key: sum(place[n] for n in neighbours[box.key]) / len(neighbours[box.key])
                if neighbours[box.key]
                else place[box.key]
                for box in column
            }
            column.sort(key=lambda box, wanted=wanted: (box.row, wanted[box.key]))  # type: ignore[misc]
        crossings = _crossings(columns, steps)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return best


def _crossings(columns: Sequence[Sequence[Box]], steps: Sequence[tuple[str, str]]) -> int:
    place = {box.key: (number, i) for number, column in enumerate(columns) for i, box in enumerate(column)}
    gaps: dict[int, list[tuple[int, int]]] = {}
    for a, b in steps:
        gaps.setdefault(place[a][0], []).append((place[a][1], place[b][1]))
    return sum(
        (a1 - b1) * (a2 - b2) < 0
        for gap in gaps.values()
        for i, (a1, a2) in enumerate(gap)
        for b1, b2 in gap[:i]
    )


def _place_columns(columns: Sequence[Sequence[Box]], x: float, frames: Mapping[str, float]) -> None:
    spread = {
        frame: len({box.column for c in columns for box in c if box.frame == frame}) for frame in frames
    }
    for column in columns:
        narrow = [frames[box.frame] - 2 * FRAME_PADDING for box in column if spread.get(box.frame) == 1]
        width = max([box.width for box in column] + narrow)
        for box in column:
            box.x = x + width / 2
            if box.bend:
                box.width = width  # an edge passes a column level, so that it meets no box
        x += width + COLUMN_GAP


def _place_rows(
    columns: Sequence[Sequence[Box]],
    chains: Sequence[list[str]],
    boxes: Mapping[str, Box],
    top: float,
    framed: bool,
) -> list[tuple[float, float]]:
    """Give each box its height in the drawing; return top and bottom of each row."""
    rows = range(max(box.row for box in boxes.values()) + 1)
    groups = [[[box for box in column if box.row == row] for column in columns] for row in rows]
    tops: list[tuple[float, float]] = []
    for row in groups:
        top += FRAME_TITLE + FRAME_PADDING / 2 if framed else 0.0
        needed = max(sum(box.height for box in group) + sum(_gaps(group)) for group in row)
        for group in row:
            y = top + (needed - sum(box.height for box in group) - sum(_gaps(group))) / 2
            for box, gap in zip(group, [*_gaps(group), 0.0], strict=False):
                box.y = y + box.height / 2
                y += box.height + gap
        tops.append((top, top + needed))
        top += needed + (FRAME_PADDING if framed else 0.0) + ROW_GAP
    neighbours = _neighbours(chains, boxes)
    for _ in range(_PLACING_SWEEPS):
        for row, (low, high) in zip(groups, tops, strict=True):
            for group in row:
                _draw_near(group, neighbours, boxes, low, high)
    return tops


def _neighbours(chains: Sequence[list[str]], boxes: Mapping[str, Box]) -> dict[str, list[str]]:
    """Return what each box is joined to: in its own row, else in others, which would pull it to the edge."""
    joined: dict[str, list[str]] = {key: [] for key in boxes}
    for chain in chains:
        for a, b in pairwise(chain):
            joined[a].append(b)
            joined[b].append(a)
    return {
        key: [other for other in others if boxes[other].row == boxes[key].row] or others
        for key, others in joined.items()
    }


def _gaps(group: Sequence[Box]) -> list[float]:
    return [BEND_GAP if a.bend or b.bend else BOX_GAP for a, b in pairwise(group)]


def _draw_near(
    group: Sequence[Box],
    neighbours: Mapping[str, list[str]],
    boxes: Mapping[str, Box],
    low: float,
    high: float,
) -> None:
    """Move the boxes of a column as near to their neighbours as order and gaps allow (least squares)."""
    offsets, offset = [], 0.0
    for box, gap in zip(group, [0.0, *_gaps(group)], strict=False):
        offset += gap + box.height / 2
        offsets.append(offset)
        offset += box.height / 2
    near = [[boxes[key].y for key in neighbours[box.key]] or [box.y] for box in group]
    wanted = [sum(ys) / len(ys) - shift for ys, shift in zip(near, offsets, strict=True)]
    # Pool adjacent violators: the nearest sequence that does not fall.
    pools: list[list[float]] = []
    for value in wanted:
        pools.append([value, 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    placed = [value for value, count in pools for _ in range(int(count))]
    for box, value, shift in zip(group, placed, offsets, strict=True):
        box.y = min(max(value, low), high - offset) + shift


def _route(edges: Sequence[Edge], chains: Sequence[list[str]], boxes: Mapping[str, Box]) -> None:
    """Lead each edge from the right side of its source over its bends to the left side of its target."""
    leaving: dict[str, list[tuple[float, int]]] = {}
    coming: dict[str, list[tuple[float, int]]] = {}
    for number, chain in enumerate(chains):
        leaving.setdefault(chain[0], []).append((boxes[chain[1]].y, number))
        coming.setdefault(chain[-1], []).append((boxes[chain[-2]].y, number))
    starts, ends = _ports(leaving, boxes), _ports(coming, boxes)
    for number, (edge, chain) in enumerate(zip(edges, chains, strict=True)):
        source, target = boxes[chain[0]], boxes[chain[-1]]
        edge.points = [(source.x + source.width / 2, starts[number])]
        for bend in (boxes[key] for key in chain[1:-1]):
            edge.points += [(bend.x - bend.width / 2, bend.y), (bend.x + bend.width / 2, bend.y)]
        edge.points.append((target.x - target.width / 2, ends[number]))


def _ports(sides: Mapping[str, list[tuple[float, int]]], boxes: Mapping[str, Box]) -> dict[int, float]:
    """Spread the edges at one side of a box over its height, in the order of their other ends."""
    places = {}
    for key, wanted in sides.items():
        gap = min(_PORT_GAP, 0.7 * boxes[key].height / len(wanted))
        first = boxes[key].y - gap * (len(wanted) - 1) / 2
        for i, (_, number) in enumerate(sorted(wanted)):
            places[number] = first + i * gap
    return places


def _frames(
    boxes: Sequence[Box],
    rows: Mapping[str, int],
    frames: Mapping[str, float],
    tops: Sequence[tuple[float, float]],
    framed: bool,
) -> Layout:
    padding = FRAME_PADDING if framed else 0.0
    made = []
    for key in frames if framed else ():
        inside = [box for box in boxes if box.frame == key]
        if inside:
            left = min(box.x - box.width / 2 for box in inside) - FRAME_PADDING
            right = max(box.x + box.width / 2 for box in inside) + FRAME_PADDING
            more = max(0.0, frames[key] - (right - left)) / 2
            left, right = left - more, right + more
            top, low = tops[rows[key]]
            top -= FRAME_TITLE + FRAME_PADDING / 2
            made.append(Frame(key, left, top, right - left, low + FRAME_PADDING - top))
    end = max(box.x + box.width / 2 for box in boxes)
    return Layout(max([end, *(frame.x + frame.width for frame in made)]), tops[-1][1] + padding, tuple(made))
