"""From a setup to a picture of its data flow: boxes, arrows, frames, colours and legend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mimocorb_dist.errors import SetupError
from mimocorb_dist.topology.plan import Plan
from mimocorb_dist.topology.sizes import size_text

from .layout import Box, Edge, Layout, arrange
from .shapes import Arrow, Picture, Rectangle, Shape, Text, text_width, to_svg

if TYPE_CHECKING:
    from mimocorb_dist.topology.model import Buffer, Node, Topology, Worker

SUFFIXES = (".svg", ".png", ".pdf")

_INK = "#1f2933"
_SOFT_INK = "#52606d"
_LINE = "#616e7c"
_LINK = "#b44d12"
_OBSERVE = "#8a63b8"
_BUFFER = ("#ffffff", "#52606d")
_ROLES = {  # fill and border
    "importer": ("#d7f0dd", "#2f8f4e"),
    "filter": ("#d9e8fb", "#2f6fb7"),
    "processor": ("#d3efef", "#1f8a8a"),
    "exporter": ("#fde6c8", "#c77700"),
    "observer": ("#ece2f7", "#8a63b8"),
    "lone": ("#eceff1", "#78909c"),
}
_FRAME = ("#f4f6f8", "#c3ccd5")
_TITLE, _NAME, _DETAIL = 15.0, 12.5, 10.0
_MARGIN = 24.0
_HEAD = 34.0
_LEGEND = 46.0
_BOX_HEIGHT = 44.0
_BOX_WIDTH = 86.0
_TITLE_INSET = 12.0
_BUFFER_INSET, _WORKER_INSET = 20.0, 14.0


def draw(setup: Topology | Plan, path: Path) -> None:
    """Draw the data flow of a setup.

    Parameters
    ----------
    setup
        The setup, or its plan.
    path
        The file to write; its suffix (svg, png or pdf) tells the format. SVG is written directly, the other
        two with matplotlib.

    Raises
    ------
    SetupError
        If the suffix is another one, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SetupError(
            f"{path}: a drawing is a file of the type svg, png or pdf; end its name with one of them"
        )
    picture = picture_of(setup.topology if isinstance(setup, Plan) else setup)
    try:
        if suffix == ".svg":
            path.write_text(to_svg(picture), encoding="utf-8")
        else:
            from .raster import save

            save(picture, path)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written ({error.strerror}); name another file") from error


def picture_of(topology: Topology) -> Picture:
    """Return the data flow of a setup as shapes."""
    buffers = {f"buffer {buffer.name}": buffer for buffer in topology.buffers.values()}
    workers = {
        f"worker {worker.name} {node}": (worker, node)
        for worker in topology.workers.values()
        for node in worker.nodes
    }
    boxes = [_box(key, buffer.node, _buffer_texts(buffer), _BUFFER_INSET) for key, buffer in buffers.items()]
    edges: list[Edge] = []
    for key, (worker, node) in workers.items():
        boxes.append(_box(key, node, _worker_texts(worker), _WORKER_INSET, leaf=not worker.sinks))
        edges += [Edge(f"buffer {name}", key) for name in worker.sources]
        edges += [Edge(f"buffer {name}", key, observed=True) for name in worker.observes]
        edges += [Edge(key, f"buffer {name}") for name in worker.sinks]
    titles = {node.name: _title_width(node) for node in topology.nodes.values()}
    layout = arrange(boxes, edges, titles, topology.distributed, (_MARGIN, _MARGIN + _HEAD))

    frames = {box.key: box.frame for box in boxes}
    shapes = _frame_shapes(topology, layout)
    shapes += [_arrow(edge, link=frames[edge.source] != frames[edge.target]) for edge in edges]
    for box in boxes:
        if box.key in buffers:
            shapes += _box_shapes(box, box.height / 2, _BUFFER, _buffer_texts(buffers[box.key]))
        else:
            worker, _ = workers[box.key]
            shapes += _box_shapes(box, 4.0, _ROLES[topology.role_of(worker)], _worker_texts(worker))
    title = f"Data flow of {topology.path.name}"
    shapes.append(Text(_MARGIN, _MARGIN + _TITLE, title, _TITLE, _INK, bold=True, anchor="start"))
    roles = {topology.role_of(worker) for worker, _ in workers.values()}
    legend, legend_right = _legend(
        layout.bottom + _LEGEND,
        [role for role in _ROLES if role in roles],
        any(edge.observed for edge in edges),
        any(frames[edge.source] != frames[edge.target] for edge in edges),
    )
    title_right = _MARGIN + text_width(title, _TITLE, bold=True)
    width = max(layout.right, legend_right, title_right) + _MARGIN
    return Picture(width, layout.bottom + _LEGEND + _MARGIN, title, tuple(shapes + legend))


def _buffer_texts(buffer: Buffer) -> tuple[str, str]:
    return buffer.name, f"{buffer.slot_count} \u00d7 {size_text(buffer.event_bytes)}"


def _worker_texts(worker: Worker) -> tuple[str, str]:
    name = worker.name if worker.processes == 1 else f"{worker.name} \u00d7 {worker.processes}"
    return name, worker.function


def _box(key: str, frame: str, texts: tuple[str, str], inset: float, *, leaf: bool = False) -> Box:
    width = max(text_width(texts[0], _NAME, bold=True), text_width(texts[1], _DETAIL)) + 2 * inset
    return Box(key, frame, max(width, _BOX_WIDTH), _BOX_HEIGHT, leaf)


def _box_shapes(box: Box, radius: float, colours: tuple[str, str], texts: tuple[str, str]) -> list[Shape]:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return [
        Rectangle(left, top, box.width, box.height, radius, *colours),
        Text(box.x, box.y - 2.5, texts[0], _NAME, _INK, bold=True),
        Text(box.x, box.y + 12.5, texts[1], _DETAIL, _SOFT_INK),
    ]


def _arrow(edge: Edge, *, link: bool) -> Arrow:
    if edge.observed:
        return Arrow(tuple(edge.points), _OBSERVE, 1.4, dashed=True)
    return Arrow(tuple(edge.points), _LINK if link else _LINE, 2.2 if link else 1.4)


def _frame_shapes(topology: Topology, layout: Layout) -> list[Shape]:
    shapes: list[Shape] = []
    for frame in layout.frames:
        shapes.append(Rectangle(frame.x, frame.y, frame.width, frame.height, 10.0, *_FRAME))
        base = frame.y + 18.0
        left, right = frame.x + _TITLE_INSET, frame.x + frame.width - _TITLE_INSET
        shapes.append(Text(left, base, frame.key, _NAME, _INK, bold=True, anchor="start"))
        host = topology.nodes[frame.key].host
        if host:
            shapes.append(Text(right, base, host, _DETAIL, _SOFT_INK, anchor="end"))
    return shapes


def _title_width(node: Node) -> float:
    host = 14.0 + text_width(node.host, _DETAIL) if node.host else 0.0
    return text_width(node.name, _NAME, bold=True) + host + 2 * _TITLE_INSET


def _legend(base: float, roles: list[str], observed: bool, links: bool) -> tuple[list[Shape], float]:
    """Return the shapes that explain the drawing, and where they end on the right."""
    shapes: list[Shape] = []
    x = _MARGIN
    signs = [("buffer", _BUFFER, 7.0), *((role, _ROLES[role], 2.5) for role in roles)]
    for label, colours, radius in signs:
        shapes.append(Rectangle(x, base - 11, 22, 14, radius, *colours))
        shapes.append(Text(x + 29, base, label, _DETAIL, _SOFT_INK, anchor="start"))
        x += 29 + text_width(label, _DETAIL) + 20
    lines = [("data", _LINE, 1.4, False)]
    lines += [("link between nodes", _LINK, 2.2, False)] if links else []
    lines += [("observed", _OBSERVE, 1.4, True)] if observed else []
    for label, colour, width, dashed in lines:
        shapes.append(Arrow(((x, base - 4), (x + 30, base - 4)), colour, width, dashed))
        shapes.append(Text(x + 37, base, label, _DETAIL, _SOFT_INK, anchor="start"))
        x += 37 + text_width(label, _DETAIL) + 20
    return shapes, x - 20
