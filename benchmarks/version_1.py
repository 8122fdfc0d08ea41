"""Setups of version 1, run here and in the peer: `rbImport` -> `rbTransfer` -> `rbExport`, and text files."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peer import run_in_peer

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.ring import Size

FUNCTIONS = """
import json
from time import monotonic

import numpy as np
from mimocorb.buffer_control import rb_toTxtfile, rbExport, rbImport, rbObserver, rbTransfer


def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    sink = sink_list[0]
    random = np.random.default_rng(1)
    length = sink["values_per_slot"]
    data = [(1000 * random.random(length)).astype(dtype) for name, dtype in sink["dtype"]]

    def events():
        begin_s = monotonic()
        end_s, count = begin_s + config_dict["seconds"], 0
        while monotonic() < end_s:
            for _ in range(50):
                yield data, None
            count += 50
        with open(config_dict["directory_prefix"] + "source.json", "w") as file:
            json.dump(count / (monotonic() - begin_s), file)
        yield None, None

    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=events, **rb_info)()


def keep(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rbTransfer(
        source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=lambda data: 1, **rb_info
    )()


def sink(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    count = 0
    for event in rbExport(source_list=source_list, config_dict=config_dict, **rb_info)():
        if event is None:
            break
        if count == 0:
            start_s = monotonic()
        count += 1
        if count % 50 == 0:
            elapsed_s = monotonic() - start_s
            at = count
    with open(config_dict["directory_prefix"] + "sink.json", "w") as file:
        json.dump(at / elapsed_s, file)


def text(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)()


def look(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    for event in rbObserver(observe_list=observe_list, config_dict=config_dict, **rb_info)():
        if event is None:
            break
"""

Document = dict[str, Any]


def buffer(slot_count: int, length: int, dtype: np.dtype[Any]) -> Document:
    """Return a buffer as version 1 writes it."""
    fields = {n: [name, dtype[name].name] for n, name in enumerate(dtype.names or (), 1)}
    return {"number_of_slots": slot_count, "channel_per_slot": length, "data_type": fields}


def setup(buffers: list[Document], functions: list[tuple[str, Document]], seconds: float) -> Document:
    """Return a setup: buffers in order, functions with what they do with these."""
    return {
        "GUI_control": False,
        "KBD_control": False,
        "RingBuffer": [{f"RB_{n}": content} for n, content in enumerate(buffers, 1)],
        "Functions": [
            {"Fkt_main": {"config_file": "common.yaml"}},
            *(
                {
                    f"Fkt_{n}": {
                        "file_name": "functions",
                        "fkt_name": name,
                        "num_process": 1,
                        "RB_assign": assign,
                    }
                }
                for n, (name, assign) in enumerate(functions, 1)
            ),
        ],
        "FunctionConfigs": {"source": {"seconds": seconds}, "text": {"filename": "rows"}},
    }


def pipeline(size: Size, seconds: float, observers: int = 0) -> Document:
    """Return `rbImport` -> `rbTransfer` -> `rbExport`, with observers of the first buffer."""
    content = buffer(size.slot_count, size.length, size.dtype)
    functions: list[tuple[str, Document]] = [
        ("source", {"RB_1": "write"}),
        ("keep", {"RB_1": "read", "RB_2": "write"}),
        ("sink", {"RB_2": "read"}),
        *[("look", {"RB_1": "observe"})] * observers,
    ]
    return setup([content, content], functions, seconds)


def text_export(dtype: np.dtype[Any], seconds: float) -> Document:
    """Return `rbImport` -> `rb_toTxtfile`."""
    functions: list[tuple[str, Document]] = [("source", {"RB_1": "write"}), ("text", {"RB_1": "read"})]
    return setup([buffer(128, 1, dtype)], functions, seconds)


def run_here(path: Path) -> None:
    """Start a setup from YAML as a user does."""
    subprocess.run(
        [sys.executable, "-m", "mimocorb_dist.cli", "start", path.name, "-c", "none"],
        cwd=path.parent,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure(document: Document, of: str, display_name: str | None = None) -> float:
    """Run a setup; return the events/s that one of its functions has measured.

    Parameters
    ----------
    document
        The setup.
    of
        The function: sink or source.
    display_name
        For a run in the peer, which needs one; without it the setup is run here.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench_setup.yaml")
        path.with_name("functions.py").write_text(FUNCTIONS)
        path.with_name("common.yaml").write_text("general: {}\n")
        path.write_text(json.dumps(document))
        if display_name is None:
            run_here(path)
        else:
            run_in_peer(path, display_name)
        (result,) = Path(folder).glob(f"target/*/{of}.json")
        return float(json.loads(result.read_text()))
