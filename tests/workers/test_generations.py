"""Functions of each generation of mimoCoRB2, called as they were."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mimocorb_dist.ring import BufferReader
from mimocorb_dist.workers import BufferIO, Exporter, Filter
from mimocorb_dist.workers.generations import arguments_for
from mimocorb_dist.workers.process import call

from .harness import PAIR, feed, worker_io

names = itertools.count()


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], ModuleType]:
    def load(text: str) -> ModuleType:
        path = tmp_path / f"written_{next(names)}.py"
        path.write_text("from mimocorb_dist.workers import *\n" + text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return load


def filter_io(bench) -> tuple[BufferIO, BufferReader]:
    source, sink = bench.ring("raw"), bench.ring("good")
    feed(source, 10)
    return worker_io([source], [sink], least=5), BufferReader(sink)


def counters(reader: BufferReader) -> list[int]:
    found = []
    while True:
        with reader as (metadata, _):
            if metadata is None:
                return found
            found.append(int(metadata["counter"][0]))


RUN = "(lambda data: data['a'][0] >= template.config['least'])"


@pytest.mark.parametrize(
    "text",
    [
        f"def work(io):\n    template = Filter(io)\n    template{RUN}",
        f"def work(buffer_io, more=None):\n    template = Filter((buffer_io,))\n    template{RUN}",
        f"def work(*mimo_args):\n    template = Filter(mimo_args)\n    template{RUN}",
        f"def work(*mimo_args):\n    template = Filter(*mimo_args)\n    template{RUN}",
        f"def work(*mimo_args):\n    template = Filter(mimo_args[0])\n    template{RUN}",
        f"def work(*mimo_args):\n    template = Filter(list(mimo_args))\n    template{RUN}",
        f"def work(*mimo_args):\n    (io,) = mimo_args\n    template = Filter(io)\n    template{RUN}",
        f"def work(*mimo_args):\n    template = Filter(mimo_args)\n    template.set_ufunc{RUN}\n"
        f"    template()",
        "def work(*mimo_args):\n    sources, sinks, observes, config = mimo_args\n"
        "    template = Filter(mimo_args)\n"
        f"    assert observes == [] and config['least'] == 5\n    template{RUN}",
        "def work(*mimo_args):\n    sources, sinks, observes, config = mimo_args\n"
        f"    template = Filter((sources, sinks, observes, config))\n    template{RUN}",
        "def work(*mimo_args):\n    [sources, sinks, observes, config] = mimo_args\n"
        f"    template = Filter(sources, sinks, observes, config)\n    template{RUN}",
        f"def work(sources, sinks, observes, config):\n"
        f"    template = Filter([sources, sinks, observes, config])\n    template{RUN}",
        f"def work(*mimo_args):\n    assert mimo_args[3]['least'] == 5\n    template = Filter(mimo_args)\n"
        f"    template{RUN}",
        "def work(*mimo_args):\n    go(mimo_args)\ndef go(args):\n"
        "    sources, sinks, observes, config = args\n"
        f"    template = Filter(args)\n    template{RUN}",
        "def work(*mimo_args):\n    go(*mimo_args)\ndef go(sources, sinks, observes, config):\n"
        f"    template = Filter((sources, sinks, observes, config))\n    template{RUN}",
        "def work(*mimo_args):\n    again = list(mimo_args)\n    config = again[-1]\n"
        "    assert config['least'] == 5\n"
        f"    template = Filter(again)\n    template{RUN}",
        "def work(*mimo_args):\n    go(*mimo_args)\ndef go(io):\n"
        f"    template = Filter(io)\n    template{RUN}",
        "def wrapped(function):\n    def wrapper(*args, **keys):\n        return function(*args, **keys)\n"
        f"    return wrapper\n@wrapped\ndef work(io):\n    template = Filter(io)\n    template{RUN}",
    ],
)
def test_each_way_to_come_to_a_template_works_and_has_the_books_of_the_worker(bench, module, text):
    io, reader = filter_io(bench)
    begun = []
    io.begin = lambda: begun.append(True)
    call(module(text).work, io)
    assert counters(reader) == [5, 6, 7, 8, 9]
    assert io.events == 10
    assert begun == [True]


@pytest.mark.parametrize(
    "text",
    [
        # The four lists: data first, as was usual.
        "def work(*mimo_args):\n    sources, sinks, observes, config = mimo_args\n"
        "    with sources[0] as (data, metadata), sinks[0] as (d, m):\n        d[:] = data\n"
        "        m[:] = metadata\n",
        "def work(sources, sinks, observes, config):\n"
        "    with sources[0] as event, sinks[0] as new:\n        new[0][:] = event[0]\n"
        "        new[1][:] = event[1]\n",
        "DATA, METADATA = 0, 1\nDATA = 0\nMETADATA = 1\ndef work(sources, sinks, observes, config):\n"
        "    with sources[0] as event, sinks[0] as new:\n"
        "        new[DATA][:] = event[DATA]\n        new[METADATA][:] = event[METADATA]\n",
        # Ends of templates of that time.
        "def work(*mimo_args):\n    template = Filter(mimo_args)\n"
        "    with template.reader as (data, metadata), template.writers[0] as (d, m):\n"
        "        d[:] = data\n        m[:] = metadata\n",
        # A time between: four lists, metadata first.
        "def work(*mimo_args):\n    sources, sinks, observes, config = mimo_args\n"
        "    with sources[0] as (metadata, data), sinks[0] as (m, d):\n        d[:] = data\n"
        "        m[:] = metadata\n",
        "METADATA = 0\nDATA = 1\ndef work(sources, sinks, observes, config):\n"
        "    with sources[0] as event, sinks[0] as new:\n"
        "        new[DATA][:] = event[DATA]\n        new[METADATA][:] = event[METADATA]\n",
        # The newer names: metadata first in every file.
        "def work(*mimo_args):\n    io = mimo_args[0]\n"
        "    with io.read[0] as (metadata, data), io.write[0] as (m, d):\n        d[:] = data\n"
        "        m[:] = metadata\n",
        "def work(*mimo_args):\n    template = Filter(mimo_args)\n"
        "    with template.read[0] as event, template.io.write[0] as new:\n"
        "        new[1][:] = event[1]\n        new[0][:] = event[0]\n",
        "def work(io):\n    with io.read[0] as (metadata, data), io.write[0] as (m, d):\n"
        "        d[:] = data\n        m[:] = metadata\n",
        "def work(io):\n    template = Filter(io)\n"
        "    with template.reader as (metadata, data), template.writer as (m, d):\n"
        "        d[:] = data\n        m[:] = metadata\n",
    ],
)
def test_data_and_metadata_come_in_the_order_of_the_generation(bench, module, text):
    io, reader = filter_io(bench)
    call(module(text).work, io)
    io.finish()
    with reader as (metadata, data):
        assert metadata["counter"].tolist() == [0]
        assert data["a"].tolist() == [0.0] * 4


def test_ends_in_older_order_have_all_that_the_ends_have(bench, module):
    io, _ = filter_io(bench)
    sources, sinks, _, config = arguments_for(module("def work(a, b, c, d): ...").work, io)
    assert (sources[0].name, sources[0].slot_count, sinks[0].buffer.name) == ("raw", 64, "good")
    assert sources[0].data_example.shape == (4,)
    assert not sinks[0].is_shutdown.value
    assert sources[0].get_stats()["event_count"] == 10
    sinks[0].send_flush_event()
    assert sinks[0].is_shutdown.value
    assert config is io.config


def test_a_template_may_be_given_some_of_the_buffers(bench):
    raw, other, sink = bench.ring("raw"), bench.ring("other"), bench.ring("good")
    feed(raw, 3)
    io = worker_io([raw, other], [sink])
    begun = []
    io.begin = lambda: begun.append(True)
    template = Filter((io.read[:1], io.write, [], io.config))
    assert template.reader.name == "raw"
    assert template.io.stop is io.stop
    template(lambda data: True)
    assert begun == [True]
    assert counters(BufferReader(sink)) == [0, 1, 2]


def test_lists_that_no_worker_has_make_one(bench):
    ring = bench.ring("raw", dtype=PAIR)
    feed(ring, 3)
    exporter = Exporter(
        ([BufferReader(ring)], [], [], {"name": "mine", "run_directory": "/tmp/x", "debug": False})
    )
    assert (exporter.name, str(exporter.io.run_dir)) == ("mine", "/tmp/x")
    assert [int(metadata["counter"][0]) for _, metadata in exporter] == [0, 1, 2]
    assert np.all(exporter.data_example["a"] == 0)
