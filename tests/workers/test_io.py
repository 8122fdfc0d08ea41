"""What a worker's function is given."""

from __future__ import annotations

import json
import logging
import pickle

import numpy as np
import pytest

from tests.workers.harness import PAIR, SUM, feed, worker_io


def test_examples_names_and_directories(bench):
    raw, other, sums = bench.ring(), bench.ring("other"), bench.ring("sums", 1, SUM)
    io = worker_io([raw, other], [sums], [raw])
    assert [example.dtype for example in io.data_in_examples] == [PAIR, PAIR]
    assert io.data_in_examples[0].shape == (4,)
    assert io.data_out_example.dtype == SUM
    assert io.data_observe_example.dtype == PAIR
    assert io.metadata_out_example.dtype.names == ("counter", "timestamp", "deadtime")
    assert io.metadata_observe_example.shape == (1,)
    assert [len(examples) for examples in (io.metadata_in_examples, io.metadata_out_examples)] == [2, 1]
    assert io.buffer_names_in == ["raw", "other"]
    assert io.buffer_names_out == ["sums"]
    assert io.buffer_names_observe == ["raw"]
    assert io.setup_dir == io.setup_directory
    assert io.run_dir == io.run_directory
    assert isinstance(io.logger, logging.Logger)
    with pytest.raises(AttributeError, match="worker find has 2 sources; use the list of examples"):
        _ = io.data_in_example
    assert str(io) == "BufferIO(find: sources=['raw', 'other'], sinks=['sums'], observes=['raw'], config={})"


def test_examples_can_be_changed_without_changing_the_buffer(bench):
    raw = bench.ring()
    io = worker_io(sinks=[raw])
    io.data_out_example["a"] = 5
    with io.write[0] as (_, data):
        assert data["a"].tolist() == [0] * 4


def test_the_configuration(bench):
    io = worker_io(min_height=3, name_of_file="x")
    assert io["min_height"] == 3
    assert io.get("min_height") == 3
    assert io.get("other") is None
    assert io.get("other", 7) == 7
    assert "min_height" in io
    assert json.loads(json.dumps(io.config)) == {"min_height": 3, "name_of_file": "x"}
    assert dict(**io.config) == {"min_height": 3, "name_of_file": "x"}


def test_entries_that_older_user_code_expects(bench):
    io = worker_io()
    assert io.config["name"] == "find"
    assert io.config["run_directory"] == str(io.run_dir)
    assert io.config["debug"] is False
    assert worker_io(debug=True).config["debug"] is True
    with pytest.raises(KeyError):
        io.config["other"]


def test_a_missing_entry_names_worker_and_key_and_ends_the_streams(bench):
    raw = bench.ring()
    io = worker_io(sinks=[raw], colour="red")
    with pytest.raises(
        KeyError, match=r"^worker find: its config has no 'min_height' \(it has colour\); add it"
    ):
        io["min_height"]
    assert raw.ended


def test_it_stays_in_its_process(bench):
    with pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(worker_io(sources=[bench.ring()]))


def test_finishing_gives_back_what_was_taken_ahead(bench):
    raw = bench.ring()
    feed(raw, 20)
    io = worker_io([raw])
    for _ in range(8):
        with io.read[0]:
            pass
    io.finish()
    other = worker_io([raw])
    seen = []
    for _ in range(12):
        with other.read[0] as (metadata, _):
            seen.append(int(metadata["counter"][0]))
    other.finish()
    assert seen == list(range(8, 20))
    assert raw.statistics().read == {"readers": 20}


def test_the_limit_of_integers_is_kept(bench):
    raw = bench.ring()
    io = worker_io(sinks=[raw])
    with io.write[0] as (metadata, _):
        metadata["counter"] = np.iinfo(np.int64).max
    io.shutdown_sinks()
    io.shutdown_sinks()
    assert raw.ended
