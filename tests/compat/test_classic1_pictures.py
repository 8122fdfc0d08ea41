"""Without a display, what mimoCoRB 1 shows in windows are pictures in the output directory."""

from __future__ import annotations

import multiprocessing
import queue
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from mimocorb_dist.compat.classic1 import bufferinfoGUI, histogram_window
from mimocorb_dist.compat.classic1.bins import Bins
from mimocorb_dist.compat.classic1.histogram_buffer import histogram_buffer, plot_Histograms
from mimocorb_dist.compat.classic1.plot_buffer import animWaveformPlotter, plot_buffer
from mimocorb_dist.errors import SetupError
from tests.support import eventually

from .classic1_buffers import buffer_of, ended, fill, random_events

if TYPE_CHECKING:
    from pathlib import Path

WAVES = [("chA", "f4"), ("chB", "f4")]
SCOPE = {"sample_time_ns": 10, "min_sleeptime": 0.01, "analogue_offset": 0.1, "pre_trigger_samples": 20}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def shape_of(path: Path) -> tuple[int, ...]:
    return imread(path).shape if path.exists() else ()


# Waveforms.


def test_the_last_waveform_is_shown_less_the_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, np.ndarray] = {}

    def note(line: Line2D, values: np.ndarray) -> None:
        shown[str(line.get_label())] = values
        set_ydata(line, values)

    set_ydata = Line2D.set_ydata
    monkeypatch.setattr(Line2D, "set_ydata", note)
    events = random_events(WAVES, 3, 1000)
    more = {"directory_prefix": f"{tmp_path}/", "title": "A / detector", "trigger_level": 150.0}
    with ended(WAVES, events, role="observe") as observed:
        show = plot_buffer(observe_list=[observed], config_dict=SCOPE | more, RB_1="observe")
        with pytest.raises(SystemExit):
            show()
    np.testing.assert_allclose(shown["chB"], events["chB"][2, ::5] - 100.0)
    assert shape_of(tmp_path / "A_detector_plot_buffer_RB_1.png") == (450, 600, 4)
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_come_while_events_do(tmp_path: Path) -> None:
    with buffer_of(WAVES, 100) as buffer:
        observed = buffer.new_observer()
        process = multiprocessing.get_context("fork").Process(
            target=show_waves, args=(observed, str(tmp_path))
        )
        process.start()
        picture = tmp_path / "plot_buffer_RB_1.png"
        eventually(picture.exists, 30)
        first = picture.stat().st_mtime_ns
        fill(buffer.new_writer(), random_events(WAVES, 1, 100))
        eventually(lambda: picture.stat().st_mtime_ns > first, 30)
        buffer.shutdown()
        process.join(20)
        assert process.exitcode == 0


def show_waves(observed: dict[str, Any], folder: str) -> None:
    plot_buffer(None, None, [observed], SCOPE | {"directory_prefix": folder}, RB_1="observe")()


def test_a_buffer_without_events_can_be_ended(tmp_path: Path) -> None:
    with ended(WAVES, random_events(WAVES, 0, 100), role="observe") as observed:
        show = plot_buffer(
            None, None, [observed], SCOPE | {"directory_prefix": str(tmp_path)}, RB_1="observe"
        )
        with pytest.raises(SystemExit):
            show()


def test_a_script_may_bring_its_own_figure_and_a_plain_type() -> None:
    figure = Figure()
    source = {"dtype": np.dtype("f4"), "values_per_slot": 5}
    plotter = animWaveformPlotter({"sample_time_ns": 1, "trigger_level": 3}, source_dict=source, fig=figure)
    plotter(np.arange(5, dtype="f4"))
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0, 1, 2, 3, 4]


# Histograms.


VALUES = [("height", "f4"), ("n", "i4")]
HISTOGRAMS = {
    "height": [0.0, 100.0, 50, 2.5, "pulse height (mV)", 0],
    "n": [0, 100, 10, 3.0, "pulses", 1],
}


def test_a_value_is_counted_in_the_bin_in_which_it_lies() -> None:
    bins = Bins.of("x", [0.0, 10.0, 5, 1, "x", 0])
    values = np.array([-0.5, 0, 1.99, 2, 9.99, 10, np.nan, np.inf])
    assert bins.count(values).tolist() == [2, 1, 0, 0, 1]


@pytest.mark.parametrize(
    "entry", [[0, 1, 5, 1, "x"], 5, [1, 0, 5, 1, "x", 0], [0, 1, 0, 1, "x", 0], ["a", 1, 5, 1, "x", 0]]
)
def test_what_makes_no_bins_is_told(entry: Any) -> None:
    with pytest.raises(SetupError, match=r"histograms: height: .*\[lowest, highest, number of bins"):
        Bins.of("height", entry)


def test_all_events_are_counted_and_told_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    events = random_events(VALUES, 500)
    config = {"histograms": HISTOGRAMS | {"no": [0, 1, 2, 1, "no", 0]}, "directory_prefix": f"{tmp_path}/"}
    with ended(VALUES, events) as source:
        histograms = histogram_buffer([source], None, None, config, RB_2="read")
        histograms()
    assert "no histograms of no: RB_2 has the fields height, n" in caplog.text
    assert histograms._window is not None
    height, n = histograms._window.counts
    np.testing.assert_array_equal(height, np.histogram(events["height"], 50, (0, 100))[0])
    np.testing.assert_array_equal(n, np.histogram(events["n"], 10, (0, 100))[0])
    assert "500 events, the last one 500, average deadtime 25.0 %" in capsys.readouterr().out
    assert shape_of(tmp_path / "histogram_buffer_RB_2.png") == (250, 680, 4)


def test_without_histograms_events_are_only_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ended(VALUES, random_events(VALUES, 5)) as source:
        histogram_buffer([source], config_dict={"directory_prefix": str(tmp_path)}, RB_2="read")()
    assert "5 events" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_drawing_process_ends_when_its_reader_is_gone(tmp_path: Path) -> None:
    bins = [Bins.of(name, entry) for name, entry in HISTOGRAMS.items()]
    window = histogram_window.HistogramWindow(bins, "x", 0.01, tmp_path / "x.png")
    eventually((tmp_path / "x.png").exists, 30)
    first = (tmp_path / "x.png").stat().st_mtime_ns
    window.counts[0][3] += 5
    eventually(lambda: (tmp_path / "x.png").stat().st_mtime_ns > first, 30)
    assert window._process.stdin is not None
    window._process.stdin.close()  # as when the reader is killed
    eventually(lambda: window._process.poll() == 0, 20)


def test_histograms_of_a_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values: queue.Queue[Any] = queue.Queue(5)
    values.put([[1.0, 2.0], [3]])
    values.put([[1.5], []])
    values.put(None)
    with pytest.raises(SystemExit):
        plot_Histograms(values, list(HISTOGRAMS.values()), 0.01, "Hists")
    assert shape_of(tmp_path / "Hists.png") == (250, 680, 4)


# What users' modules do, and the control window.


def test_wishes_for_windows_in_user_modules_do_no_harm() -> None:
    code = (
        "from mimocorb_dist.compat.classic1.plot_buffer import plot_buffer\n"
        "import matplotlib; matplotlib.use('TkAgg')\n"
        "import matplotlib.pyplot as plt; plt.figure()\n"
        "matplotlib.use('TkAgg'); matplotlib.use('svg'); assert matplotlib.get_backend().lower() == 'svg'"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_without_a_display_the_run_goes_on_without_control_window(capsys: pytest.CaptureFixture[str]) -> None:
    nothing: Any = queue.Queue(1)
    bufferinfoGUI.bufferinfoGUI(nothing, nothing, nothing, ["RB_1"], 4500.0, 1000.0)
    assert "no control window" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["plot_buffer", "histogram_buffer", "bufferinfoGUI", "control", "files"])
def test_importing_needs_no_display_and_no_toolkit(module: str) -> None:
    code = (
        f"import sys, mimocorb_dist.compat.classic1.{module}\n"
        "assert not {'tkinter', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
