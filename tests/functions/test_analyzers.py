"""Pulse height analysis gives what scipy finds, and plumbing changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mimocorb_dist.functions import analyzers
from scipy.signal import find_peaks

from mimocorb_dist.errors import SetupError

from .harness import Bench

WAVES = np.dtype([("ch1", "f4"), ("ch2", "f4")])
ALL_FIELDS = {
    "position": "i4",
    "peak_heights": "f8",
    "left_thresholds": "f8",
    "right_thresholds": "f8",
    "prominences": "f8",
    "left_bases": "i4",
    "right_bases": "i4",
    "widths": "f8",
    "width_heights": "f8",
    "left_ips": "f8",
    "right_ips": "f8",
    "plateau_sizes": "i4",
    "left_edges": "i4",
    "right_edges": "i4",
}
ALL_ARGUMENTS: dict[str, Any] = {
    "height": [0.3, None],
    "threshold": 0.0,
    "prominence": 0.2,
    "width": 1,
    "plateau_size": 1,
    "distance": 5,
    "rel_height": 0.4,
    "wlen": 51,
}


def waves(count: int) -> np.ndarray:
    random = np.random.default_rng(2)
    data = np.zeros((count, 200), WAVES)
    centre = random.uniform(20, 180, (count, 1))
    data["ch2"] = random.uniform(0, 1, (count, 1)) * np.exp(-(((np.arange(200) - centre) / 4) ** 2))
    return data


def analyse(bench: Bench, sink: dict[str, str], **config: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bench.buffer("raw", WAVES, 200)
    bench.buffer("peaks", list(sink.items()))
    sent = waves(300)
    bench.fill("raw", sent)
    result = bench.collect("peaks")
    analyzers.pha(bench.io(("raw",), ("peaks",), **config))
    return sent, *result()


def test_the_first_peak_is_written_with_all_its_properties(bench: Bench) -> None:
    sent, _, data = analyse(bench, ALL_FIELDS, channel="ch2", **ALL_ARGUMENTS)
    expected = []
    for event in sent["ch2"]:
        peaks, properties = find_peaks(event, **ALL_ARGUMENTS)
        if len(peaks):
            expected.append((peaks[0], *(properties[name][0] for name in list(ALL_FIELDS)[1:])))
    assert 100 < len(expected) < 300
    assert [tuple(row) for row in data[:, 0].tolist()] == [tuple(np.array(row).tolist()) for row in expected]


def test_events_keep_their_counters(bench: Bench) -> None:
    sent, metadata, _ = analyse(bench, {"position": "i4"}, channel="ch2", height=0.5)
    assert metadata["counter"].tolist() == np.flatnonzero(sent["ch2"].max(axis=1) >= 0.5).tolist()


@pytest.mark.parametrize(
    ("sink", "length", "config", "message"),
    [
        ({"position": "i4"}, 1, {}, "`channel` is missing"),
        ({"position": "i4"}, 1, {"channel": "ch3"}, "a field of raw: ch1, ch2"),
        ({"position": "i4"}, 2, {"channel": "ch1"}, "data_length 1 in its sink peaks"),
        ({"height": "i4"}, 1, {"channel": "ch1"}, "it can be position, peak_heights"),
        ({"widths": "i4"}, 1, {"channel": "ch1"}, "'widths' of its sink peaks needs `width`"),
    ],
)
def test_wrong_setups_are_refused(
    bench: Bench, sink: dict[str, str], length: int, config: dict[str, Any], message: str
) -> None:
    bench.buffer("raw", WAVES, 200)
    bench.buffer("peaks", list(sink.items()), length)
    with pytest.raises(SetupError, match=message):
        analyzers.pha(bench.io(("raw",), ("peaks",), **config))
