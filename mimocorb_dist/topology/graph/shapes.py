"""A drawing as a list of plain shapes, and as SVG.

Lengths are in points; x runs to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

FONT_FAMILY = "'DejaVu Sans', Verdana, Geneva, sans-serif"

_HEAD_LENGTH = 8.0


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with rounded corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    fill: str
    stroke: str
    stroke_width: float = 1.2


@dataclass(frozen=True)
class Arrow:
    """A smooth line through points from left to right, with a head at its end."""

    points: tuple[tuple[float, float], ...]
    stroke: str
    stroke_width: float = 1.4
    dashed: bool = False

    @property
    def curves(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Pieces as Bezier curves (two control points and an end), level at each point.

        The last ends inside the head: a thick line would stick out of its tip.
        """
        *before, (last_x, last_y) = self.points
        points = [*before, (last_x - 0.8 * _HEAD_LENGTH, last_y)]
        return tuple(
            (((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), (x1, y1)) for (x0, y0), (x1, y1) in pairwise(points)
        )

    @property
    def head(self) -> tuple[tuple[float, float], ...]:
        """The three corners of the arrow head, which points to the right."""
        x, y = self.points[-1]
        half = 0.45 * _HEAD_LENGTH
        return (x, y), (x - _HEAD_LENGTH, y - half), (x - _HEAD_LENGTH, y + half)


@dataclass(frozen=True)
class Text:
    """A line of text; y is its base line."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    bold: bool = False
    anchor: Literal["start", "middle", "end"] = "middle"


Shape = Rectangle | Arrow | Text


@dataclass(frozen=True)
class Picture:
    """A drawing."""

    width: float
    height: float
    title: str
    shapes: tuple[Shape, ...]


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return about how wide a line of text is, in points; rather too wide than too narrow."""
    units = 0.0
    for character in text:
        if character in "iljI.,:;|!'()[]/ ":
            units += 0.38
        elif character in "mwMW@%" or ord(character) > 0x2000:
            units += 0.98
        elif character.isupper() or character in "_-+=<>~#":
            units += 0.75
        else:
            units += 0.63
    return units * size * (1.1 if bold else 1.0)


def to_svg(picture: Picture) -> str:
    """Return a drawing as SVG, with text as text."""
    size = f"{_n(picture.width)} {_n(picture.height)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(picture.width)}" height="{_n(picture.height)}" '
        f'viewBox="0 0 {size}" font-family="{FONT_FAMILY}">',
        f"<title>{escape(picture.title, quote=False)}</title>",
        f'<rect width="{_n(picture.width)}" height="{_n(picture.height)}" fill="#ffffff"/>',
    ]
    for shape in picture.shapes:
        match shape:
            case Rectangle():
                lines.append(
                    f'<rect x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" '
                    f'height="{_n(shape.height)}" rx="{_n(shape.radius)}" fill="{shape.fill}" '
                    f'stroke="{shape.stroke}" stroke-width="{_n(shape.stroke_width)}"/>'
                )
            case Arrow():
                lines += _svg_arrow(shape)
            case Text():
                weight = ' font-weight="bold"' if shape.bold else ""
                lines.append(
                    f'<text x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" '
                    f'fill="{shape.colour}" text-anchor="{shape.anchor}"{weight}>'
                    f"{escape(shape.text, quote=False)}</text>"
                )
    return "\n".join([*lines, "</svg>", ""])


def _svg_arrow(arrow: Arrow) -> list[str]:
    x, y = arrow.points[0]
    path = f"M{_n(x)},{_n(y)}" + "".join(
        " C" + " ".join(f"{_n(a)},{_n(b)}" for a, b in curve) for curve in arrow.curves
    )
    dash = ' stroke-dasharray="5,4"' if arrow.dashed else ""
    corners = " ".join(f"{_n(a)},{_n(b)}" for a, b in arrow.head)
    return [
        f'<path d="{path}" fill="none" stroke="{arrow.stroke}" '
        f'stroke-width="{_n(arrow.stroke_width)}"{dash}/>',
        f'<polygon points="{corners}" fill="{arrow.stroke}"/>',
    ]


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
