"""Jobs as files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.job import WorkerJob

PLAIN = {
    "run_id": "run",
    "node": "here",
    "worker": "find",
    "number": 2,
    "processes": 3,
    "run_dir": Path("/there/run"),
    "setup_dir": Path("/there"),
    "function": "find",
}
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.dates())
VALUES = st.recursive(
    st.one_of(
        KEYS,
        st.binary(),
        st.datetimes(),
        st.sets(st.integers()),
        st.datetimes(timezones=st.just(dt.UTC)),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@given(config=st.dictionaries(st.text(), VALUES))
def test_a_job_comes_back_as_it_was(config):
    job = WorkerJob(
        **PLAIN,
        file=Path("/there/find.py"),
        config=config,
        sources=({"ring": "/dev/shm/raw.ring", "group": "readers", "buffer": "raw"},),
        sinks=({"ring": "/dev/shm/sums.ring", "buffer": "sums"},),
    )
    assert WorkerJob.from_json(job.to_json()) == job


def test_what_yaml_says_arrives_at_the_worker():
    text = """
    bins: {1: [0, 10, 5], 2: [0, 1, .inf]}
    day: 2026-01-02
    moment: 2026-01-02 03:04:05
    names: !!set {a, b}
    raw: !!binary aGVsbG8=
    """
    config = yaml.safe_load(text)
    assert WorkerJob.from_json(WorkerJob(**PLAIN, config=config).to_json()).config == config


def test_the_name_of_the_process_has_its_number():
    assert WorkerJob(**PLAIN).process_name == "find.2"


@pytest.mark.parametrize(
    "text", ["", "[]", "5", "{}", '{"run_id": "x"}', '{"config": {"!mimocorb": ["what", 1]}}']
)
def test_rubbish_is_no_job(text):
    with pytest.raises(SetupError, match="not the job of a worker"):
        WorkerJob.from_json(text)
