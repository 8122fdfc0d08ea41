"""Saving a picture with matplotlib, as PNG or PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shapes import Arrow, Rectangle, Text

if TYPE_CHECKING:
    from pathlib import Path

    from .shapes import Picture

_POINTS_PER_INCH = 72.0
_DPI = 160


def save(picture: Picture, path: Path) -> None:
    """Save a picture; the suffix of the path tells the format."""
    # A figure made directly, not through pyplot, needs no display and leaves no state behind.
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
    from matplotlib.path import Path as Line

    figure = Figure(figsize=(picture.width / _POINTS_PER_INCH, picture.height / _POINTS_PER_INCH))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)
    for shape in picture.shapes:
        match shape:
            case Rectangle():
                axes.add_patch(
                    FancyBboxPatch(
                        (shape.x, shape.y),
                        shape.width,
                        shape.height,
                        boxstyle=f"round,pad=0,rounding_size={shape.radius}",
                        facecolor=shape.fill,
                        edgecolor=shape.stroke,
                        linewidth=shape.stroke_width,
                    )
                )
            case Arrow():
                points = [shape.points[0], *(point for curve in shape.curves for point in curve)]
                codes = [Line.MOVETO, *[Line.CURVE4] * (len(points) - 1)]
                dash = (0, (3.5, 2.8)) if shape.dashed else "solid"
                axes.add_patch(
                    PathPatch(
                        Line(points, codes),
                        fill=False,
                        edgecolor=shape.stroke,
                        linewidth=shape.stroke_width,
                        linestyle=dash,
                        capstyle="butt",
                    )
                )
                axes.add_patch(Polygon(shape.head, closed=True, facecolor=shape.stroke, linewidth=0))
            case Text():
                axes.text(
                    shape.x,
                    shape.y,
                    shape.text.replace("$", r"\$"),
                    fontsize=shape.size,
                    color=shape.colour,
                    fontweight="bold" if shape.bold else "normal",
                    ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
                    va="baseline",
                )
    figure.savefig(path, dpi=_DPI, metadata={"Title": picture.title})
