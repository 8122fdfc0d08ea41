"""The picture of the data flow."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from mimocorb_dist.errors import SetupError
from mimocorb_dist.topology import Topology, plan
from mimocorb_dist.topology.graph import draw, picture_of
from mimocorb_dist.topology.graph.shapes import Arrow, Rectangle, Text, text_width

from .setups import SETUP
from .test_plan import CHAIN, setups, three

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", [*FORMATS, "SVG"])
def test_the_suffix_tells_the_format(setup: Callable[[str], Topology], folder: Path, suffix: str) -> None:
    draw(setup(SETUP), folder / f"flow.{suffix}")
    assert (folder / f"flow.{suffix}").read_bytes().startswith(FORMATS[suffix.lower()])


@pytest.mark.parametrize("name", ["flow.gif", "flow", "svg"])
def test_other_formats_are_refused(setup: Callable[[str], Topology], folder: Path, name: str) -> None:
    with pytest.raises(SetupError, match="svg, png or pdf"):
        draw(setup(SETUP), folder / name)
    assert not (folder / name).exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_cannot_be_written_is_a_clear_error(
    setup: Callable[[str], Topology], folder: Path, suffix: str
) -> None:
    with pytest.raises(
        SetupError, match=r"nowhere/flow\.\w+: cannot be written \(No such file or directory\)"
    ):
        draw(setup(SETUP), folder / "nowhere" / f"flow.{suffix}")


def test_the_svg_is_xml_with_text_as_text(setup: Callable[[str], Topology], folder: Path) -> None:
    draw(plan(setup(three(CHAIN))), folder / "flow.svg")
    root = ET.parse(folder / "flow.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in (
        "Data flow of setup.yaml",
        "daq",
        "raw",
        "find \u00d7 2",
        "8 \u00d7 16 B",
        "link between nodes",
    ):
        assert name in texts


def test_observed_buffers_have_dashed_arrows(setup: Callable[[str], Topology]) -> None:
    picture = picture_of(setup(three(CHAIN)))
    assert [shape.dashed for shape in picture.shapes if isinstance(shape, Arrow)].count(
        True
    ) == 2  # and the legend


def test_one_host_has_no_frame_and_no_links(setup: Callable[[str], Topology]) -> None:
    picture = picture_of(setup(SETUP))
    texts = [shape.text for shape in picture.shapes if isinstance(shape, Text)]
    assert "local" not in texts
    assert "link between nodes" not in texts


def boxes_and_frames(topology: Topology) -> tuple[list[Rectangle], list[Rectangle]]:
    """Return the rectangles of buffers and workers, and those of nodes; without the legend."""
    rectangles = [shape for shape in picture_of(topology).shapes if isinstance(shape, Rectangle)]
    frames = [shape for shape in rectangles if shape.radius == 10]
    return [shape for shape in rectangles if shape.radius != 10 and shape.height > 20], frames


def overlap(a: Rectangle, b: Rectangle) -> bool:
    apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
    return not apart


def inside(a: Rectangle, b: Rectangle) -> bool:
    return b.x <= a.x and b.y <= a.y and a.x + a.width <= b.x + b.width and a.y + a.height <= b.y + b.height


@given(setups())
@settings(deadline=None, max_examples=40)
def test_nothing_overlaps_in_any_picture(topology: Topology) -> None:
    boxes, frames = boxes_and_frames(topology)
    assert len(boxes) == len(topology.buffers) + sum(
        len(worker.nodes) for worker in topology.workers.values()
    )
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
    assert not any(overlap(a, b) for a, b in combinations(frames, 2))
    assert all(sum(inside(box, frame) for frame in frames) == 1 for box in boxes)
    picture = picture_of(topology)
    for shape in picture.shapes:
        if isinstance(shape, Rectangle):
            assert shape.x >= 0
            assert shape.y >= 0
            assert shape.x + shape.width <= picture.width
            assert shape.y + shape.height <= picture.height


@given(setups())
@settings(deadline=None, max_examples=40)
def test_no_arrow_crosses_a_box(topology: Topology) -> None:
    boxes, _ = boxes_and_frames(topology)
    for shape in picture_of(topology).shapes:
        if not isinstance(shape, Arrow) or len(shape.points) < 3:
            continue
        for (x0, y0), (x1, y1) in zip(shape.points[1:-1:2], shape.points[2:-1:2], strict=True):
            assert y0 == y1  # a bend passes its column level
            assert not any(
                box.x < x1 and x0 < box.x + box.width and box.y < y0 < box.y + box.height for box in boxes
            )


@given(setups())
@settings(deadline=None, max_examples=40)
def test_arrows_run_from_left_to_right(topology: Topology) -> None:
    for shape in picture_of(topology).shapes:
        if isinstance(shape, Arrow):
            xs = [x for x, _ in shape.points]
            assert xs == sorted(xs)


def test_boxes_are_wide_enough_for_their_names(setup: Callable[[str], Topology]) -> None:
    name = "a_very_long_name_of_a_worker_that_saves_WWWWW"
    boxes, _ = boxes_and_frames(setup(SETUP.replace("save:", f"{name}:")))
    assert max(box.width for box in boxes) > text_width(name, 12.5, bold=True)
