"""Programs that start runs, or use buffers, on their own: `mimocorb-node python script.py`."""

from __future__ import annotations

import json

from tests.classic import version_1
from tests.classic.running import copy_of, result
from tests.classic.test_version_1 import totals
from tests.support import mimocorb_node


def run_script(folder, text, *arguments):
    script = folder / "script.py"
    script.write_text(text)
    environment = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
    done = mimocorb_node("python", script.name, *arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


RUN_MIMO_DAQ = """
import sys
from mimocorb.buffer_control import run_mimoDAQ

if __name__ == "__main__":
    daq = run_mimoDAQ(sys.argv[1], verbose=1)
    daq.setup()
    daq.run()
    daq.end(twait=1)
"""


def test_run_mimo_daq(tmp_path):
    lab = copy_of("version_1", tmp_path)
    run_script(lab, RUN_MIMO_DAQ, "direct_setup.yaml")
    run = result(lab / "direct_setup.yaml", target="results/of_today")
    run.assert_good()
    table = version_1.read_text(run.directory, "totals")
    assert list(table.itertuples(index=False, name=None)) == totals()


NEW_BUFFER = """
import json
import sys
import time
from multiprocessing import Process, Queue, set_start_method

import numpy as np
from mimocorb import mimo_buffer as bm

EVENTS = 300


def write(sink):
    writer = bm.Writer(sink)
    for number in range(EVENTS):
        slot = writer.get_new_buffer()
        slot["number"] = number
        slot["square"] = [number**2, 0]
        if number % 2:
            writer.set_metadata(1000 + number, 5.0, 0.25)
        time.sleep(0.001)
    writer.process_buffer()


def read(source, results):
    reader = bm.Reader(source)
    while True:
        data = reader.get()
        results.put([*map(float, reader.get_metadata()), int(data["number"][1]), float(data["square"][0])])


def look(observed, results):
    observer = bm.Observer(observed)
    while (event := observer.get()) is not None:
        results.put(int(event[0]["number"][0]))
    results.put(None)


if __name__ == "__main__":
    set_start_method(sys.argv[1])
    buffer = bm.NewBuffer(10, 2, [("number", np.int32), ("square", np.float64)])
    results = [Queue(), Queue(), Queue()]
    first, second = buffer.new_reader_group(), buffer.new_reader_group()
    observed, sink = buffer.new_observer(), buffer.new_writer()
    processes = [
        Process(target=look, args=(observed, results[2])),
        Process(target=read, args=(first, results[0])),
        Process(target=read, args=(first, results[0])),
        Process(target=read, args=(second, results[1])),
        Process(target=write, args=(sink,)),
    ]
    for process in processes:
        process.start()
    groups = [[queue.get() for _ in range(EVENTS)] for queue in results[:2]]
    processes[-1].join()
    count, filled, rate, deadtime = buffer.buffer_status()
    buffer.set_ending()
    buffer.shutdown()
    seen = list(iter(results[2].get, None))
    for process in processes:
        process.join()
    buffer.close()
    print(json.dumps({"groups": groups, "seen": seen, "count": count, "filled": filled}))
"""


def check_new_buffer(content):
    """Each group has all events; of two processes each takes some; own and default metadata stay apart."""
    first, second = content["groups"]
    assert second == sorted(second, key=lambda row: row[3])
    for rows in (sorted(first, key=lambda row: row[3]), second):
        assert [row[3] for row in rows] == list(range(300))
        assert [row[4] for row in rows] == [number**2 for number in range(300)]
        for counter, timestamp, deadtime, number, _ in rows:
            if number % 2:
                assert (counter, timestamp, deadtime) == (1000 + number, 5.0, 0.25)
            else:
                assert (counter, deadtime) == (number, -1.0)
                assert timestamp > 1e9
    assert content["count"] == 300
    assert content["seen"] == sorted(set(content["seen"]))
    assert 2 < len(content["seen"]) < 300


def test_buffers_of_version_1_in_a_program_of_its_own(tmp_path):
    check_new_buffer(json.loads(run_script(tmp_path, NEW_BUFFER, "fork")))


def test_buffers_of_version_1_in_processes_that_are_not_forked(tmp_path):
    check_new_buffer(json.loads(run_script(tmp_path, NEW_BUFFER, "spawn")))


CONTROL = """
from pathlib import Path

import yaml
from mimocorb2.control import Control

if __name__ == "__main__":
    Control.from_setup_file("by_hand.yaml", mode="kbd")()
    setup = yaml.safe_load(Path("by_hand.yaml").read_text())
    Control(setup, ".", mode="kbd+stats")()
"""


def test_control_from_a_file_and_from_a_dict(tmp_path):
    lab = copy_of("version_2", tmp_path)
    run_script(lab, CONTROL)
    runs = sorted(lab.glob("target/run_*/read.json"))
    assert len(runs) == 2
    for path in runs:
        events = json.loads(path.read_text())["events"]
        assert [event[0] for event in events] == [2 * n for n in range(100) for _ in range(2)]
