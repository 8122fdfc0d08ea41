"""Without a display, observers and visualizers leave pictures in the run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.lines import Line2D
from mimocorb_dist.functions import exporters, observers, visualizers
from mimocorb_dist.functions._canvas import open_canvas

from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import BufferWriter
from mimocorb_dist.workers.canvas import Window
from tests.support import eventually

from .harness import Bench, make_data, make_metadata

if TYPE_CHECKING:
    from pathlib import Path

WAVES = np.dtype([("ch1", "f4"), ("ch2", "f4")])
PULSES = np.dtype([("tau", "f8"), ("n", "i4")])


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def is_picture(path: Path) -> bool:
    return path.exists() and imread(path).shape[2] == 4


def test_the_oscilloscope_shows_the_latest_event_until_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []
    set_ydata = Line2D.set_ydata

    def note(line: Line2D, values: np.ndarray) -> None:
        if line.get_label() == "ch2":
            shown.append(values)
        set_ydata(line, values)

    monkeypatch.setattr(Line2D, "set_ydata", note)
    bench.buffer("raw", WAVES, 100)
    config = {"channels": ["ch2"], "y_scaling": [2, 1, "V"], "update_interval": 0.01, "trigger_level": 0.5}
    io = bench.io(observes=("raw",), name="scope", **config)
    worker = bench.start(lambda: observers.oscilloscope(io))
    sent = make_data(3, WAVES, 100)
    writer = BufferWriter(bench.rings["raw"])
    writer.write(sent[:2], make_metadata(3)[:2])
    eventually(lambda: is_picture(bench.run_dir / "scope.png"))
    writer.write(sent[2:], make_metadata(3)[2:])
    writer.close()
    worker.join(10)
    np.testing.assert_allclose(shown[-1], sent["ch2"][2] * 2 + 1)
    assert is_picture(bench.run_dir / "scope.png")
    assert [path.name for path in bench.run_dir.iterdir()] == ["scope.png"]
    assert bench.rings["raw"].statistics().filled == 3  # nothing was taken


def test_the_oscilloscope_of_a_buffer_without_events_ends(bench: Bench) -> None:
    bench.buffer("raw", WAVES, 100)
    bench.fill("raw", make_data(0, WAVES, 100))
    observers.oscilloscope(bench.io(observes=("raw",)))


def test_an_oscilloscope_may_have_colours_of_other_channels_and_a_turned_axis(bench: Bench) -> None:
    bench.buffer("raw", WAVES, 100)
    bench.fill("raw", make_data(0, WAVES, 100))
    config = {"colors": {"ch1": "red", "ch9": "blue"}, "ylim": [1, -1], "t_scaling": None}
    observers.oscilloscope(bench.io(observes=("raw",), **config))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": ["ch9"]}, "a list of fields of raw: ch1, ch2"),
        ({"channels": "ch1"}, "a list of fields"),
        ({"ylim": [1]}, r"\[low, high\]"),
        ({"ylim": "auto"}, r"\[low, high\]"),
        ({"t_scaling": [1, 0]}, "scale, offset, label"),
        ({"t_scaling": ["a", 0, "s"]}, "being numbers"),
        ({"colors": ["red"]}, "a map of fields of the observed buffer to colours"),
        ({"update_interval": -1}, "not below 0"),
        ({"trigger_level": "high"}, "a number"),
    ],
)
def test_wrong_oscilloscopes_are_refused(bench: Bench, config: dict[str, Any], message: str) -> None:
    bench.buffer("raw", WAVES, 100)
    with pytest.raises(SetupError, match=message):
        observers.oscilloscope(bench.io(observes=("raw",), **config))


BINS = {"tau": [0, 100, 11], "n": [0, 100, 6]}


@pytest.mark.parametrize("plot_type", ["line", "bar", "step"])
def test_visualizers_show_what_exporters_write(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, plot_type: str
) -> None:
    drawn: dict[str, list[float]] = {}

    def draw(axes: Axes, edges: np.ndarray, counts: np.ndarray) -> None:
        axes.set_ylabel("")
        drawn[f"{len(counts)}"] = counts.tolist()
        original(axes, edges, counts)

    original = visualizers._DRAW[plot_type]
    monkeypatch.setitem(visualizers._DRAW, plot_type, draw)
    sent = make_data(500, PULSES)
    for exporter, visualizer in (
        (exporters.histogram, visualizers.histogram),
        (exporters.csv, visualizers.csv),
    ):
        name = visualizer.__name__
        bench.buffer(name, PULSES)
        export = bench.io((name,), bins=BINS)
        show = bench.io(
            observes=(name,), name=f"{name}_picture", bins=BINS, plot_type=plot_type, update_interval=0.01
        )
        watching = bench.start(lambda show=show, visualizer=visualizer: visualizer(show))
        exporting = bench.start(lambda export=export, exporter=exporter: exporter(export))
        writer = BufferWriter(bench.rings[name])
        writer.write(sent[:100], make_metadata(100))
        picture = bench.run_dir / f"{name}_picture.png"
        eventually(lambda picture=picture: is_picture(picture))
        writer.write(sent[100:], make_metadata(400))
        writer.close()
        exporting.join(10)
        watching.join(10)
        drawn.clear()
        visualizer(show)  # all is written now
        assert drawn["10"] == np.histogram(sent["tau"], np.linspace(*BINS["tau"]))[0].tolist()
        assert drawn["5"] == np.histogram(sent["n"], np.linspace(*BINS["n"]))[0].tolist()


def test_bins_of_other_fields_are_left_out_and_kinds_of_matplotlib_are_drawn(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.buffer("pulses", PULSES)
    (bench.run_dir / "pulses.csv").write_text("counter,timestamp,deadtime,tau,n\n0.0,0.0,0.0,5.0,7.0\n")
    for plot_type in ("stepfilled", "barstacked"):
        io = bench.io(
            observes=("pulses",),
            name=plot_type,
            bins={**BINS, "other": [0, 1, 2]},
            plot_type=plot_type,
            update_interval=0,
        )
        watching = bench.start(lambda io=io: visualizers.csv(io))
        eventually(lambda plot_type=plot_type: is_picture(bench.run_dir / f"{plot_type}.png"))
    BufferWriter(bench.rings["pulses"]).close()
    watching.join(10)
    assert "pulses has no other, of which `bins` tells" in caplog.text
    with pytest.raises(SetupError, match="a map of fields of pulses: tau, n"):
        visualizers.csv(bench.io(observes=("pulses",), bins={"other": [0, 1, 2]}))


def test_a_visualizer_without_its_exporter_ends(bench: Bench) -> None:
    bench.buffer("pulses", PULSES)
    bench.fill("pulses", make_data(0, PULSES))
    visualizers.histogram(bench.io(observes=("pulses",)))
    visualizers.csv(bench.io(observes=("pulses",), bins=BINS))
    assert list(bench.run_dir.iterdir()) == []


def test_a_row_that_is_being_written_is_left_for_later(bench: Bench) -> None:
    path = bench.run_dir / "pulses.csv"
    rows = visualizers._RowCounter(path, {"tau": np.linspace(0, 4, 5)})
    assert rows.read() is None
    for content, counts in (
        ("tau", [0, 0, 0, 0]),
        ("tau\n0.5\n1.", [1, 0, 0, 0]),
        ("tau\n0.5\n1.5\n\n3.5", [1, 1, 0, 0]),
        ("tau\n0.5\n1.5\n\n3.5\n", [1, 1, 0, 1]),
    ):
        path.write_text(content)
        histograms = rows.read()
        assert histograms is not None
        assert histograms["tau"][1].tolist() == counts


def test_a_display_that_does_not_answer_is_as_good_as_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    bench.buffer("raw", WAVES, 100)
    bench.fill("raw", make_data(1, WAVES, 100))
    eventually(lambda: bench.rings["raw"].statistics().written)
    observers.oscilloscope(bench.io(observes=("raw",), name="scope"))
    assert is_picture(bench.run_dir / "scope.png")


def test_with_a_display_a_window_is_drawn_until_it_is_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plt.switch_backend("agg")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "test")
    monkeypatch.setattr(plt, "show", lambda block: None)
    drawn: list[Any] = []
    monkeypatch.setattr(FigureCanvasAgg, "draw_idle", lambda canvas: drawn.append(canvas))
    bench.buffer("raw", WAVES, 100)
    window = open_canvas(bench.io(observes=("raw",)), "a window")
    assert isinstance(window, Window)
    window.show()
    window.idle(0.001)
    assert drawn == [window.figure.canvas]
    window.figure.canvas.callbacks.process("close_event", None)
    window.show()
    window.idle(0.001)
    assert len(drawn) == 1
    plt.close(window.figure)
