"""With a display, windows of mimoCoRB 1 appear; whoever closes one does not end the run."""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import subprocess
import tkinter as tk
from typing import TYPE_CHECKING, Any

import pytest

from mimocorb_dist.compat.classic1.bufferinfoGUI import _Window, bufferinfoGUI
from mimocorb_dist.compat.classic1.histogram_buffer import histogram_buffer
from mimocorb_dist.compat.classic1.plot_buffer import plot_buffer
from mimocorb_dist.node.window import ControlWindow
from tests.displays import virtual_display, windows_on
from tests.support import eventually

from .classic1_buffers import buffer_of, fill, random_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Not by fork: other tests have left threads of their libraries in this process, and perhaps a lock of theirs.
spawn = multiprocessing.get_context("spawn")
WAVES = [("chA", "f4"), ("chB", "f4")]
STATE = (
    "Running", 12.3, 4711, 0.05,
    {"RB_1": [4711, 3, 99.0, 16], "RB_2": [12, 0, 0.0, 128]}, True,
)  # fmt: skip


@pytest.fixture(scope="module")
def x_display() -> Iterator[str]:
    with virtual_display() as name:
        yield name


@pytest.fixture
def display(x_display: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", x_display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    return x_display


def close_window(display: str, name: str) -> None:
    """Close a window as its user does, by the button of its frame."""
    if shutil.which("xdotool") is None:
        pytest.skip("there is no xdotool here to close windows")
    environment = {**os.environ, "DISPLAY": display}
    search = ["xdotool", "search", "--name", name, "windowclose"]
    subprocess.run(search, env=environment, check=True, capture_output=True)


def show_waves(observed: dict[str, Any], folder: str) -> None:
    config = {"sample_time_ns": 10, "min_sleeptime": 0.05, "title": "Muons", "directory_prefix": folder}
    plot_buffer(None, None, [observed], config, RB_1="observe")()


def show_histograms(source: dict[str, Any], folder: str) -> None:
    config = {"histograms": {"chA": [0, 100, 10, 3, "A", 0]}, "interval": 0.1, "directory_prefix": folder}
    histogram_buffer([source], None, None, config, RB_1="read")()


def test_waveforms_and_histograms_appear_and_go_with_the_run(display: str, tmp_path: Path) -> None:
    with buffer_of(WAVES, 100) as buffer:
        observed, source, sink = buffer.new_observer(), buffer.new_reader_group(), buffer.new_writer()
        processes = [
            spawn.Process(target=show_waves, args=(observed, str(tmp_path))),
            spawn.Process(target=show_histograms, args=(source, str(tmp_path))),
        ]
        for process in processes:
            process.start()
        fill(sink, random_events(WAVES, 5, 100))
        eventually(lambda: '"Muons"' in windows_on(display) and '"Histograms"' in windows_on(display), 30)
        fill(sink, random_events(WAVES, 5, 100))
        buffer.shutdown()
        for process in processes:
            process.join(20)
        assert [process.exitcode for process in processes] == [0, 0]
    eventually(lambda: '"Histograms"' not in windows_on(display))
    assert list(tmp_path.iterdir()) == []


def test_who_closes_the_histograms_does_not_end_the_reader(display: str, tmp_path: Path) -> None:
    with buffer_of(WAVES, 100) as buffer:
        source, sink = buffer.new_reader_group(), buffer.new_writer()
        process = spawn.Process(target=show_histograms, args=(source, str(tmp_path)))
        process.start()
        fill(sink, random_events(WAVES, 5, 100))
        eventually(lambda: '"Histograms"' in windows_on(display), 30)
        close_window(display, "Histograms")
        eventually(lambda: '"Histograms"' not in windows_on(display), 10)
        fill(sink, random_events(WAVES, 60, 100))
        buffer.shutdown()
        process.join(20)
        assert process.exitcode == 0


# The control window.


def in_a_process(test: Callable[[tk.Tk], None]) -> None:
    """Do something with a window in a process of its own: remains of Tk do no good to others."""
    process = spawn.Process(target=_with_window, args=(test,))
    process.start()
    process.join(30)
    assert process.exitcode == 0


def _with_window(test: Callable[[tk.Tk], None]) -> None:
    test(tk.Tk())


def buttons(widget: Any) -> dict[str, tk.Button]:
    found = {}
    for child in widget.winfo_children():
        if isinstance(child, tk.Button):
            found[child["text"]] = child
        found |= buttons(child)
    return found


def press_all(root: tk.Tk) -> None:
    commands: list[str] = []
    _Window(root, commands.append, ["RB_1"], 4500.0, 1.0)
    made = buttons(root)
    assert list(made) == ["Pause", "Resume", "Stop", "EndRun"]
    for button in made.values():
        button.invoke()
    assert commands == ["P", "R", "S", "E"]


def show_all(root: tk.Tk) -> None:
    window = _Window(root, [].append, ["RB_1", "RB_2"], 50.0, 1.0)
    messages: Any = queue.Queue(5)
    states: Any = queue.Queue(5)
    messages.put("the run has started")
    states.put(STATE)
    window.poll(messages, states)
    root.update()
    assert window._log.get("1.0", "end").strip() == "the run has started"
    shown = window._display
    assert "4711 events" in shown._state.get_text()
    assert [text.get_text() for text in shown._numbers] == ["3 of 16", "0 of 128"]
    assert shown._bars[0].get_width() == pytest.approx(100 * 3 / 16)
    assert shown._lines["RB_1"].get_ydata()[-1] == 99.0
    assert shown._axes.get_ylim()[1] > 99
    states.put((*STATE[:4], {"RB_1": [1, 20, 0.0]}, False))
    window.poll(messages, states)
    assert shown._numbers[0].get_text() == "20"
    assert shown._now.get_text() == "a worker has ended"
    states.put(None)
    window.poll(messages, states)
    with pytest.raises(tk.TclError):
        root.winfo_exists()


def test_the_buttons_send_their_letters(display: str) -> None:
    in_a_process(press_all)


def test_messages_rates_and_fill_levels_are_shown(display: str) -> None:
    in_a_process(show_all)


def test_a_script_starts_the_window_as_before(display: str) -> None:
    commands, messages, states = spawn.Queue(5), spawn.Queue(5), spawn.Queue(1)
    arguments = (commands, messages, states, ["RB_1", "RB_2"], 4500.0, 1000.0)
    process = spawn.Process(target=bufferinfoGUI, args=arguments)
    process.start()
    states.put(STATE)
    eventually(lambda: '"Buffer Information"' in windows_on(display), 30)
    states.put(None)
    process.join(10)
    assert process.exitcode == 0


OVERVIEW = {
    "run": {"state": "running"},
    "buffers": {
        "RB_1": {"written": 5, "filled": 2, "rate_hz": 3.0, "slot_count": 16, "dead_time_share": None},
    },
    "workers": {"Fkt_1": {"alive": 1, "processes": 1}},
}


def test_a_node_starts_the_window_and_gets_its_commands(display: str) -> None:
    commands: list[str] = []
    window = ControlWindow(commands.append)
    window.say("before the run")
    window.note(OVERVIEW)
    eventually(lambda: '"Buffer Information"' in windows_on(display), 30)
    if shutil.which("xdotool") is not None:
        click = ["xdotool", "mousemove", "60", "620", "click", "1"]  # where Pause is
        eventually(lambda: subprocess.run(click, check=True) and commands, 10)
        assert set(commands) == {"pause"}
    window.note(OVERVIEW)
    window.close()
    window.close()
    window.say("after the run")
    assert '"Buffer Information"' not in windows_on(display)


def test_a_node_goes_on_when_the_window_is_closed_or_cannot_be(
    display: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (display, ":4711"):
        monkeypatch.setenv("DISPLAY", name)
        window = ControlWindow([].append)
        window.note(OVERVIEW)
        assert window._process is not None
        if name == display:
            eventually(lambda: '"Buffer Information"' in windows_on(display), 30)
            close_window(display, "Buffer Information")
        window._process.wait(20)
        for _ in range(100):
            window.note(OVERVIEW)
        window.close()


def test_a_node_does_not_wait_for_a_window_that_hangs(display: str) -> None:
    window = ControlWindow([].append)
    window.note(OVERVIEW)
    assert window._process is not None
    eventually(lambda: '"Buffer Information"' in windows_on(display), 30)
    window._process.send_signal(19)  # SIGSTOP
    for _ in range(1000):
        window.note(OVERVIEW)
        window.say("x" * 100)
    assert len(window._unsent) < 2 * 65536
    window._process.send_signal(18)
    window.close()
