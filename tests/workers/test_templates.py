"""What all templates for single events have in common: their buffers, attributes and forms of call."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mimocorb_dist import (
    Exporter,
    Filter,
    Importer,
    IsAlive,
    Observer,
    Processor,
    SetupError,
)
from mimocorb_dist.workers.places import describe_error
from tests.workers.harness import (
    PAIR,
    SUM,
    WAVE,
    contents,
    counters,
    feed,
    worker_io,
)


@pytest.mark.parametrize(
    ("template", "ends", "told"),
    [
        (Importer, (1, 1, 0), "Importer needs 0 sources, but the worker has 1 (s0); change its sources"),
        (Importer, (0, 0, 0), "Importer needs 1 sink, but the worker has none; change its sinks"),
        (Importer, (0, 2, 0), "Importer needs 1 sink, but the worker has 2 (t0, t1)"),
        (
            Importer,
            (0, 1, 1),
            "Importer needs 0 observed buffers, but the worker has 1 (o0); change its observes",
        ),
        (Exporter, (0, 0, 0), "Exporter needs 1 source, but the worker has none"),
        (Exporter, (1, 0, 1), "Exporter needs 0 observed buffers"),
        (Filter, (1, 0, 0), "Filter needs 1 or more sinks, but the worker has none"),
        (Processor, (2, 1, 0), "Processor needs 1 source, but the worker has 2 (s0, s1)"),
        (Observer, (0, 0, 2), "Observer needs 1 observed buffer, but the worker has 2 (o0, o1)"),
        (IsAlive, (1, 0, 1), "IsAlive needs 0 sources"),
    ],
)
def test_wrong_numbers_of_buffers_are_told(bench, template, ends, told):
    rings = [
        [bench.ring(f"{kind}{n}") for n in range(count)] for kind, count in zip("sto", ends, strict=True)
    ]
    with pytest.raises(SetupError) as caught:
        template(worker_io(*rings))
    assert str(caught.value).startswith(f"worker find: {told}")
    assert not any(ring.ended for ring in itertools.chain(*rings))


@pytest.mark.parametrize("template", [Filter, Exporter])
@pytest.mark.parametrize(("length", "dtype"), [(5, PAIR), (4, WAVE)])
def test_sinks_must_be_of_the_sources_type(bench, template, length, dtype):
    raw, other = bench.ring(), bench.ring("other", length, dtype)
    with pytest.raises(
        SetupError, match=r"source raw \(4 x {a: float64, b: float64}\) and its sink other \("
    ):
        template(worker_io([raw], [other]))


def test_a_processor_may_change_the_type(bench):
    Processor(worker_io([bench.ring()], [bench.ring("other", 5, WAVE)]))


def test_attributes_of_templates(bench):
    raw, sums = bench.ring(), bench.ring("sums", 1, SUM)
    io = worker_io([raw], [sums], bins=5)
    processor = Processor(io)
    assert processor.io is io
    assert processor.read is processor.sources is io.read
    assert processor.write is processor.sinks is processor.writers is io.write
    assert processor.observe is processor.observes is io.observe
    assert processor.reader is io.read[0]
    assert processor.writer is io.write[0]
    assert processor.config["bins"] == 5
    assert processor.name == "find"
    assert processor.logger is io.logger
    assert processor.run_dir == io.run_dir
    assert processor.setup_dir == io.setup_dir
    assert processor.data_example.shape == processor.data_in_example.shape == (4,)
    assert processor.data_out_example.dtype == SUM
    assert processor.metadata_example.shape == (1,)
    assert processor.reader.buffer.name == "raw"
    assert processor.shutdown_sinks == io.shutdown_sinks
    with pytest.raises(AttributeError):
        _ = processor.no_such_thing
    importer = Importer(worker_io(sinks=[sums]))
    assert importer.data_example.dtype == SUM
    observer = Observer(worker_io(observes=[raw]))
    assert observer.observer.name == "raw"
    assert observer.data_example.dtype == PAIR


@pytest.mark.parametrize("form", ["io", "tuple of io", "list of io", "four"])
def test_forms_in_which_a_template_takes_its_buffers(bench, form):
    raw = bench.ring()
    io = worker_io(sinks=[raw], name="find")
    arguments = {
        "io": io,
        "tuple of io": (io,),
        "list of io": [io],
        "four": (io.read, io.write, io.observe, {"name": "find", "run_directory": "/there", "debug": True}),
    }[form]
    importer = Importer(arguments)
    assert importer.name == "find"
    importer(lambda: iter([1, 2]))
    assert counters(raw) == [0, 1]


@pytest.mark.parametrize("arguments", [None, "io", (), [1, 2, 3], ([], [], [])])
def test_anything_else_is_told(arguments):
    with pytest.raises(SetupError, match="give it the BufferIO"):
        Importer(arguments)


def test_draining_the_sources(bench):
    raw, chosen = bench.ring(), bench.ring("chosen")
    feed(raw, 5)
    Filter(worker_io([raw], [chosen])).drain_sources()
    assert raw.drained


def test_events_of_plain_functions_go_through_untouched(bench):
    """The context managers that mimoCoRB2 users know, without any template."""
    raw, copy = bench.ring(), bench.ring("copy")
    io = worker_io([raw], [copy])
    feed(raw, 3)
    while True:
        with io.read[0] as (metadata, data):
            if data is None:
                break
            with io.write[0] as (metadata_out, data_out):
                data_out[:] = data
                metadata_out[:] = metadata
    io.shutdown_sinks()
    assert [data["a"][0] for _, data in contents(copy)] == [0, 1, 2]
    assert math.isclose(raw.statistics().fill, 0.0)


def test_an_exception_while_writing_publishes_nothing(bench):
    raw = bench.ring()
    io = worker_io(sinks=[raw])
    with pytest.raises(ValueError, match="broadcast"), io.write[0] as (_, data):
        data["a"] = np.zeros(3)
    io.shutdown_sinks()
    assert counters(raw) == []


def test_writing_to_data_that_others_get_is_told_with_its_remedy():
    data = np.zeros(3)
    data.flags.writeable = False
    with pytest.raises(ValueError, match="read-only") as caught:
        data[0] = 1
    assert describe_error(caught.value).endswith("; other workers get these data, too: change a copy of them")
