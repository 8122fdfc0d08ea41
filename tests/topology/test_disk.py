"""`Disk:` and `watchdog:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.topology.disk import DiskRules

from .setups import SETUP, with_buffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology


def test_a_setup_without_a_word_has_the_usual_bounds(setup: Callable[[str], Topology]) -> None:
    assert setup(SETUP).disk == DiskRules()
    assert "Disk" not in setup(SETUP).resolved


def test_bounds_are_sizes_or_shares(setup: Callable[[str], Topology]) -> None:
    topology = setup(SETUP + "\nDisk: {warn: 10 %, pause: 1.5 GB}\n")
    assert topology.disk.bounds(100 * 10**9)[:2] == (10 * 10**9, 1_500_000_000)
    assert topology.resolved["Disk"] == {"warn": "10 %", "pause": "1.5 GB"}
    assert setup(SETUP + "\nDisk: {pause: 20MB}\n").disk.bounds(10**12).pause == 20_000_000


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ("\u00a75 GB", ("Disk is '5 GB', not a mapping", "'Disk: {warn: 5 GB, pause: 1 GB}'")),
        ("{\u00a7stop: 1 GB}", ("Disk: unknown key 'stop'", "allowed: warn, pause")),
        (
            "{warn: \u00a75}",
            ("Disk: warn is 5;", "write a number and a unit", "warn: 5 GB", "0 GB for never"),
        ),
        ("{pause: \u00a71 gb}", ("Disk: pause is '1 gb';", "pause: 1 GB")),
        ("{pause: \u00a7-1 GB}", ("Disk: pause is '-1 GB'",)),
        ("{pause: \u00a7100 %}", ("Disk: pause is '100 %'",)),
        ("{pause: \u00a7true}", ("Disk: pause is true",)),
        ("{pause: 2 GB, warn: \u00a7500 MB}", ("warn is 500 MB, less than pause, 2 GB",)),
        ("{pause: 3 %, warn: \u00a72 %}", ("warn is 2 %, less than pause, 3 %",)),
    ],
)
def test_wrong_bounds(mistakes: Callable[..., None], disk: str, words: tuple[str, ...]) -> None:
    mistakes(SETUP + f"\nDisk: {disk}\n", words)


def test_a_buffer_says_how_long_it_may_be_silent(setup: Callable[[str], Topology]) -> None:
    text = "raw: {slot_count: 4, data_length: 3, data_dtype: {a: i4}, watchdog: 30}"
    topology = setup(with_buffer(text))
    assert topology.buffers["raw"].watchdog_s == 30.0
    assert topology.resolved["Buffers"]["raw"]["watchdog"] == 30.0
    assert setup(SETUP).buffers["raw"].watchdog_s is None


@pytest.mark.parametrize("value", ["-1", "yes", "30 s", ".inf", "[1]"])
def test_a_watchdog_is_a_number_of_seconds(mistakes: Callable[..., None], value: str) -> None:
    text = f"raw: {{slot_count: 4, data_length: 3, data_dtype: {{a: i4}}, watchdog: \u00a7{value}}}"
    mistakes(with_buffer(text), ("buffer 'raw': watchdog is", "write a number of seconds: 'watchdog: 60'"))
