from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimocorb_dist.errors import RefusedError, RunError, UnreachableError
from mimocorb_dist.node import client
from mimocorb_dist.node.keyboard import answer
from mimocorb_dist.node.output import OutputPump
from mimocorb_dist.node.table import overview_line, overview_table, overview_text, percent, scaled
from mimocorb_dist.node.terminal import Terminal
from tests.support import eventually

OVERVIEW = {
    "run": {
        "name": "run_1",
        "setup": "setup.yaml",
        "state": "running",
        "reasons": [],
        "nodes": {"daq": "here", "filter": "vanished"},
    },
    "buffers": {
        "raw": {
            "node": "daq",
            "written": 12345,
            "rate_hz": 98765.0,
            "fill": 0.25,
            "dead_time_share": 0.031,
            "dropped": 4321,
            "paused": True,
            "ended": False,
        }
    },
    "links": {"raw@daq->filter": {"sent": 10, "acknowledged": 8, "rate_bytes": 5e6, "reconnects": 1}},
    "workers": {
        "find": {
            "node": "filter",
            "alive": 2,
            "processes": 2,
            "events": 10,
            "rate_hz": 0.5,
            "cpu_percent": 33.3,
            "restarts": 1,
            "stalled_s": 35.2,
        }
    },
}


def test_values_have_three_digits_and_a_prefix():
    assert [scaled(value, "Hz") for value in (0, 0.5, 9.996, 12.34, 999.6, 98765, 2.5e9)] == [
        "0 Hz",
        "0.50 Hz",
        "10.0 Hz",
        "12.3 Hz",
        "1.00 kHz",
        "98.8 kHz",
        "2.50 GHz",
    ]
    assert [percent(share) for share in (None, 0.0, 0.031, 0.5)] == ["-", "0.0 %", "3.1 %", "50 %"]


def test_the_state_is_shown_as_text_line_and_table():
    text = overview_text(OVERVIEW)
    for words in (
        "run_1: running (filter vanished)",
        "12 345",
        "98.8 kHz",
        "3.1 %",
        "paused, 4 321 dropped",
        "35 s, 1 restart",
    ):
        assert words in text
    assert overview_line(OVERVIEW) == "running: raw 12345 (98.8 kHz, fill 25 %, dead 3.1 %, dropped 4321)"
    from rich.console import Console

    shown = Console(width=120, file=io.StringIO(), record=True)
    shown.print(overview_table(OVERVIEW))
    assert "raw@daq->filter" in shown.export_text()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("pause roots", ("pause", "roots")),
        ("  PAUSE   all ", ("pause", "all")),
        ("resume all", ("resume", "all")),
        ("shutdown roots", ("stop", "roots")),
        ("shutdown all", ("stop", "roots")),
        ("shutdown workers", ("abort", "roots")),
        ("exit", ("stop", "roots")),
    ],
)
def test_classic_commands(line, command):
    given = []
    answer(line, lambda *words: given.append(words) or "done", lambda: None)
    assert given == [command]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("P", ("pause", "roots")),
        (" R ", ("resume", "roots")),
        ("S", ("stop", "roots")),
        ("E", ("stop", "roots")),
    ],
)
def test_letters_of_mimocorb_1_are_commands_in_its_runs_and_harmless_in_others(line, command):
    given = []

    def carry_out(*words):
        given.append(words)
        return "done"

    assert "is not known" in answer(line, carry_out, lambda: None)
    assert "is not known" in answer(line.lower(), carry_out, lambda: None, letters=True)
    assert "is not known" in answer(line * 2, carry_out, lambda: None, letters=True)
    assert given == []
    assert answer(line, carry_out, lambda: None, letters=True) == "done"
    assert given == [command]
    assert "the sources wait" in answer("help", carry_out, lambda: None, letters=True)


def test_a_refused_command_shows_the_reason():
    def refuse(name, scope):
        raise RefusedError("cannot pause: the run is draining")

    assert answer("pause roots", refuse, lambda: None) == "cannot pause: the run is draining"


def test_stats_help_and_nonsense_are_answered():
    assert "the run has not begun" in answer("stats", str, lambda: None)
    assert "12 345" in answer("stats", str, lambda: OVERVIEW)
    assert "pause roots" in answer("help", str, lambda: None)
    assert "not known" in answer("make coffee", str, lambda: None)
    assert answer("", str, lambda: None) == ""


def test_clients_say_when_there_is_no_run(monkeypatch):
    monkeypatch.setattr(client, "_cards", list)
    monkeypatch.setattr(client, "DEFAULT_BROKER", "tcp://127.0.0.1:9")
    monkeypatch.setattr(client, "_LOCAL_TIMEOUT_S", 0.2)
    with pytest.raises(UnreachableError, match="no run on this machine"):
        client.status()


def test_clients_ask_which_of_several_runs_is_meant(monkeypatch):
    cards = [{"broker": f"tcp://127.0.0.1:{port}", "setup": f"/{port}.yaml"} for port in (1, 2)]
    monkeypatch.setattr(client, "_cards", lambda: cards)
    with pytest.raises(RunError, match=r"tcp://127.0.0.1:2 +/2.yaml"):
        client.command("stop")


def pumped(code, log=None):
    """Run a program whose output goes through the pump; return what was shown and complained."""
    shown, complaints = [], []
    pump = OutputPump(lambda name, text: shown.append((name, text)), complaints.append)
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=writing, stderr=writing)
    os.close(writing)
    pump.add(reading, "find.0", log)
    process.wait()
    pump.close()
    return "".join(text for _, text in shown), complaints


def test_output_arrives_whole_and_in_order_however_much_it_is(tmp_path):
    code = "for number in range(200000): print(number)"
    shown, _ = pumped(code, tmp_path / "find.log")
    assert shown.split() == [str(number) for number in range(200000)]
    assert (tmp_path / "find.log").read_text() == shown


def test_a_last_line_without_end_and_a_line_without_any_are_shown():
    shown, _ = pumped("import sys; sys.stdout.write('a' * 300000 + '\\n' + 'end')")
    assert shown.count("a") == 300000
    assert shown.endswith("end\n")


def test_bytes_that_are_no_text_are_shown_escaped():
    shown, _ = pumped("import sys; sys.stdout.buffer.write(b'\\xff\\n')")
    assert shown == "\\xff\n"


def test_a_log_that_cannot_be_written_is_complained_of_once(tmp_path):
    shown, complaints = pumped("print('here')", tmp_path / "absent" / "find.log")
    assert shown == "here\n"
    assert len(complaints) == 1


def test_a_pipe_that_somebody_holds_open_does_not_hang_the_end():
    shown = []
    pump = OutputPump(lambda name, text: shown.append(text), shown.append)
    reading, writing = os.pipe()
    pump.add(reading, "find.0", None)
    os.write(writing, b"half")
    pump.close()
    os.close(writing)
    eventually(lambda: shown == ["half\n"])


def test_a_log_on_a_full_disk_is_complained_of_once_and_the_output_still_shown():
    shown, complaints = pumped("print('here')", Path("/dev/full"))
    assert shown == "here\n"
    (complaint,) = complaints
    assert "No space left on device" in complaint


def test_a_terminal_that_has_gone_is_survived_and_its_stream_leads_nowhere_from_then_on():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        Terminal()._write(stream, "nobody reads this")
        stream.write("nor this")
        stream.flush()
