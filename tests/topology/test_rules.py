"""Rules about a setup as a whole: buffers of prebuilt functions, circles, missing readers and writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import load, prebuilt
from mimocorb_dist.topology.prebuilt import PORTS, ports_of

from .setups import BUFFERS, SAVE, SETUP, TAKE, with_worker

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "file: modules/user.py, function: find"


def buffers(*names: str) -> str:
    return "Buffers:\n" + "".join(
        f"  {name}: {{slot_count: 8, data_length: 4, data_dtype: {{ch1: float32}}}}\n" for name in names
    )


def test_a_worker_without_any_buffer_is_a_mistake(mistakes: Callable[..., None]) -> None:
    mistakes(
        with_worker("\u00a7idle: {function: exporters.parquet}"),
        ("worker 'idle' has no sources, no sinks and observes nothing", "'sources: [...]'"),
    )


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("\u00a7w: {function: exporters.parquet, observes: []}", None),
        (
            "\u00a7w: {function: misc.copy, sources: [raw]}",
            (
                "worker 'w' names 0 buffers in sinks, but misc.copy has sinks: at least 1",
                "sinks: [name of a buffer]",
            ),
        ),
        (
            "w: {function: exporters.parquet, sources: [\u00a7raw, other]}",
            ("names 2 buffers in sources, but exporters.parquet has sources: exactly 1",),
        ),
        (
            "w: {function: exporters.parquet, sources: [raw], observes: [\u00a7raw]}",
            ("observes nothing", "remove 'observes'"),
        ),
        ("\u00a7w: {function: data.replay, observes: [raw]}", None),
        ("w: {function: observers.oscilloscope, observes: [raw, other]}", None),
    ],
)
def test_a_prebuilt_function_needs_its_buffers(
    folder: object, worker: str, words: tuple[str, ...] | None, mistakes: Callable[..., None]
) -> None:
    text = (
        buffers("raw", "other")
        + f"Workers:\n  {TAKE.replace('[raw]', '[raw, other]')}\n  {SAVE}\n"
        + f"  save2: {{function: exporters.parquet, sources: [other]}}\n  {worker}\n"
    )
    if words is not None:
        mistakes(text, words)
    else:
        with pytest.raises(TopologyError):
            load("setup.yaml", text=text.replace("\u00a7", ""))


def test_an_importer_with_a_source_and_without_sink_is_told_both(mistakes: Callable[..., None]) -> None:
    mistakes(
        with_worker("\u00a7w: {function: data.replay, sources: [\u00a7raw]}"),
        ("names 0 buffers in sinks, but data.replay has sinks: exactly 1",),
        ("names 1 buffer in sources, but data.replay has no sources", "remove 'sources'"),
    )


def test_the_longest_name_tells_what_a_function_needs() -> None:
    assert ports_of("importers.redpitaya.waveform") is PORTS["importers"]
    assert ports_of("data.export") is PORTS["data.export"]
    assert ports_of("data.unheard_of") is None


def test_every_prebuilt_function_says_which_buffers_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt, "PACKAGE", "mimocorb_dist.functions")
    prebuilt._module_code.cache_clear()
    functions = prebuilt.prebuilt_functions()
    assert "exporters.drain" in functions
    assert [function for function in functions if ports_of(function) is None] == []


def test_user_functions_may_have_any_buffers(setup: Callable[..., object]) -> None:
    setup(with_worker(f"w: {{{USER}, sources: [raw], observes: [raw]}}"))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ("{slot_count: 8, data_length: 5, data_dtype: {ch1: float32}}", "data_length (4 and 5)"),
        (
            "{slot_count: 8, data_length: 4, data_dtype: {ch1: float64}}",
            "data_dtype ({ch1: float32} and {ch1: float64})",
        ),
        (
            "{slot_count: 8, data_length: 4, data_dtype: {ch2: float32}}",
            "data_dtype ({ch1: float32} and {ch2: float32})",
        ),
    ],
)
@pytest.mark.parametrize("function", ["misc.copy", "exporters.parquet", "data.export"])
def test_a_function_that_copies_needs_buffers_of_one_type(
    mistakes: Callable[..., None], function: str, other: str, difference: str
) -> None:
    mistakes(
        f"{BUFFERS}  other: {other}\nWorkers:\n  {TAKE}\n"
        f"  w: {{function: {function}, sources: [raw], sinks: [\u00a7other]}}\n"
        "  save: {function: exporters.parquet, sources: [other]}\n",
        (
            f"worker 'w': {function} copies events from 'raw' to 'other', which differ in {difference}",
            "the same",
        ),
    )


@pytest.mark.parametrize("function", ["exporters.csv", "exporters.histogram"])
def test_a_function_that_writes_single_values_needs_data_length_1(
    mistakes: Callable[..., None], function: str
) -> None:
    mistakes(
        with_worker(f"w: {{function: {function}, sources: [\u00a7raw]}}"),
        f"worker 'w': {function} needs data_length 1 in its sources, but 'raw' has 4",
    )


def test_an_analyzer_needs_a_sink_of_data_length_1(mistakes: Callable[..., None]) -> None:
    mistakes(
        buffers("raw", "peaks")
        + f"Workers:\n  {TAKE}\n  w: {{function: analyzers.pha, sources: [raw], sinks: [\u00a7peaks]}}\n"
        + "  s: {function: exporters.drain, sources: [peaks]}\n",
        "worker 'w': analyzers.pha needs data_length 1 in its sinks, but 'peaks' has 4",
    )


def test_slot_counts_may_differ_where_events_are_copied(setup: Callable[..., object]) -> None:
    setup(
        f"{BUFFERS}  other: {{slot_count: 99, data_length: 4, data_dtype: {{ch1: f4}}}}\nWorkers:\n  {TAKE}\n"
        "  w: {function: misc.copy, sources: [raw], sinks: [other]}\n"
        "  save: {function: exporters.parquet, sources: [other]}\n"
    )


def test_a_circle_is_a_mistake_that_names_the_way_around(mistakes: Callable[..., None]) -> None:
    mistakes(
        buffers("a", "b", "c")
        + f"Workers:\n  t: {{{USER}, sinks: [a]}}\n  f: {{{USER}, sources: [a], sinks: [b]}}\n"
        + f"  g: {{{USER}, sources: [b], sinks: [c, \u00a7a]}}\n  s: {{{USER}, sources: [c]}}\n",
        (
            "the data flow runs in a circle: a -> f -> b -> g -> a",
            "let one of these workers write to another buffer",
        ),
    )


def test_a_worker_that_writes_what_it_reads_is_a_circle(mistakes: Callable[..., None]) -> None:
    mistakes(with_worker(f"w: {{{USER}, sources: [raw], sinks: [\u00a7raw]}}"), "circle: raw -> w -> raw")


def test_a_circle_through_an_observer_that_writes_is_a_mistake(mistakes: Callable[..., None]) -> None:
    mistakes(
        buffers("a", "b")
        + f"Workers:\n  t: {{{USER}, sinks: [a]}}\n  o: {{{USER}, observes: [a], sinks: [b]}}\n"
        + f"  f: {{{USER}, sources: [b], sinks: [\u00a7a]}}\n  s: {{{USER}, sources: [a]}}\n",
        "circle: a -> o -> b -> f -> a",
    )


def test_each_of_two_circles_is_named(mistakes: Callable[..., None]) -> None:
    mistakes(
        buffers("a", "b")
        + f"Workers:\n  t: {{{USER}, sinks: [a, b]}}\n  f: {{{USER}, sources: [a], sinks: [\u00a7a]}}\n"
        + f"  g: {{{USER}, sources: [b], sinks: [\u00a7b]}}\n",
        "circle: a -> f -> a",
        "circle: b -> g -> b",
    )


def test_a_diamond_is_no_circle(setup: Callable[..., object]) -> None:
    setup(
        buffers("a", "b", "c", "d")
        + f"Workers:\n  t: {{{USER}, sinks: [a]}}\n  f: {{{USER}, sources: [a], sinks: [b, c]}}\n"
        + f"  g: {{{USER}, sources: [b], sinks: [d]}}\n  h: {{{USER}, sources: [c], sinks: [d]}}\n"
        + f"  s: {{{USER}, sources: [d]}}\n"
    )


def test_a_buffer_that_nobody_reads_is_a_mistake_with_a_ready_remedy(mistakes: Callable[..., None]) -> None:
    mistakes(
        f"{BUFFERS}Workers:\n  {TAKE}\n".replace("raw:", "\u00a7raw:"),
        ("no worker reads buffer 'raw'", "'drain_raw: {function: exporters.drain, sources: [raw]}'"),
    )


def test_a_buffer_that_nobody_writes_is_a_mistake(mistakes: Callable[..., None]) -> None:
    text = f"{BUFFERS}Workers:\n  {SAVE}\n".replace("raw:", "\u00a7raw:")
    mistakes(text, ("no worker writes buffer 'raw'", "'sinks: [raw]'"))


def test_a_buffer_that_nobody_uses_is_one_mistake(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace(
        "Workers:", "  \u00a7more: {slot_count: 8, data_length: 4, data_dtype: {a: i4}}\nWorkers:"
    )
    mistakes(text, "no worker uses buffer 'more'")


def test_a_buffer_that_is_only_observed_is_a_warning(warnings: Callable[..., None]) -> None:
    scope = "scope: {function: observers.oscilloscope, observes: [raw]}"
    text = f"{BUFFERS}Workers:\n  {TAKE}\n  {scope}\n".replace("raw:", "\u00a7raw:")
    warnings(
        text, ("no worker reads buffer 'raw', it is only observed", "released as soon as they are written")
    )


def test_an_importer_of_several_processes_is_a_warning(warnings: Callable[..., None]) -> None:
    text = SETUP.replace("take: {", "take: {number_of_processes: \u00a72, ")
    warnings(text, ("worker 'take' imports with 2 processes", "event numbers may occur several times"))


def test_an_importer_on_several_nodes_is_a_warning(warnings: Callable[..., None]) -> None:
    text = "Nodes: {a: , b: }\n" + SETUP.replace("take: {", "take: {node: [a, b], ").replace(
        "save: {", "save: {node: a, "
    )
    warnings(text.replace("take:", "\u00a7take:"), "worker 'take' imports with 2 processes")


def test_one_mistyped_name_is_one_mistake(mistakes: Callable[..., None]) -> None:
    mistakes(SETUP.replace("sources: [raw]", "sources: [\u00a7rwa]"), "there is no buffer 'rwa'")
    mistakes(SETUP.replace("sources:", "\u00a7source:"), "unknown key 'source'")
    mistakes(SETUP.replace("sources: [raw]", "sources: \u00a7raw"), "sources is 'raw', not a list")


def test_more_processes_on_a_buffer_than_a_ring_can_hold_are_a_mistake(mistakes: Callable[..., None]) -> None:
    text = with_worker("other: {function: exporters.parquet, sources: [raw], number_of_processes: 249}")
    mistakes(text.replace("raw:", "\u00a7raw:"), ("is used by 251 processes", "250 are possible"))


def test_more_groups_on_a_buffer_than_a_ring_can_hold_are_a_mistake(mistakes: Callable[..., None]) -> None:
    many = "".join(f"  s{i}: {{function: exporters.drain, sources: [raw]}}\n" for i in range(64))
    text = SETUP.replace("raw: {", "\u00a7raw: {delivery: broadcast, ") + many
    mistakes(text, ("is delivered to 65 workers and nodes", "64 are possible"))
