"""Configs of workers: how they are merged, and what prebuilt functions want of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import load

from .setups import BUFFERS, SAVE, other

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology


def config_of(topology: Topology) -> dict[Any, Any]:
    return topology.workers["other"].config


@pytest.fixture
def config_files(folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "configs" / "one.yaml").write_text("a: one\nb: one\ndeep: {x: 1, y: 2}\n")
    (folder / "configs" / "two.yml").write_text("b: two\n1: number\nday: 2024-05-01\n")
    (folder / "configs" / "empty.yaml").write_text("# nothing\n")
    (folder / "configs" / "list.yaml").write_text("# first\n- a\n")
    (folder / "configs" / "bad.yaml").write_text("a: [1\n")
    (folder / "configs" / "double.yaml").write_text("a: 1\na: 2\n")


@pytest.mark.usefixtures("config_files")
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("config: {a: 1}", {"a": 1}),
        ("config: configs/one.yaml", {"a": "one", "b": "one", "deep": {"x": 1, "y": 2}}),
        ("config: [configs/one.yaml, {deep: {z: 3}}]", {"a": "one", "b": "one", "deep": {"z": 3}}),
        ("config: [{b: 0}, configs/two.yml]", {"b": "two", 1: "number", "day": dt.date(2024, 5, 1)}),
        (
            "base_config: configs/two.yml, config: {b: 3, 1: x}",
            {"b": 3, 1: "x", "day": dt.date(2024, 5, 1)},
        ),
        ("base_config: [{a: 1, b: 1}, {b: 2}], config: [{c: 3}]", {"a": 1, "b": 2, "c": 3}),
        ("config: configs/empty.yaml", {}),
        ("config: []", {}),
        ("config: ", {}),
    ],
)
def test_configs_are_merged_in_their_order(
    setup: Callable[[str], Topology], keys: str, expected: object
) -> None:
    assert config_of(setup(other(f"function: exporters.parquet, {keys}"))) == expected


def test_a_base_config_of_the_whole_setup_comes_first(setup: Callable[[str], Topology]) -> None:
    text = "base_config: {a: 1, b: 1, c: 1}\n" + other(
        "function: exporters.parquet, base_config: {b: 2, c: 2}, config: {c: 3}"
    )
    topology = setup(text)
    assert config_of(topology) == {"a": 1, "b": 2, "c": 3}
    assert topology.workers["save"].config == {"a": 1, "b": 1, "c": 1}


def test_a_config_file_may_be_given_absolutely_or_in_the_home_folder(
    setup: Callable[[str], Topology], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (tmp_path / "a.yaml", "~/a.yaml"):
        assert config_of(setup(other(f"function: exporters.parquet, config: {name}"))) == {"a": 1}


@pytest.mark.usefixtures("config_files")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            "\u00a7configs/oen.yaml",
            ("there is no config file 'configs/oen.yaml'", "did you mean 'configs/one.yaml'?"),
        ),
        ("[{}, \u00a7nothing.yaml]", ("there is no config file 'nothing.yaml'",)),
        (
            "\u00a73",
            ("worker 'other': config is 3", "write a mapping, the name of a YAML file, or a list of those"),
        ),
        ("[\u00a7[a]]", ("config is a list",)),
        ("\u00a7''", ("config is ''",)),
    ],
)
def test_a_wrong_config_is_a_mistake(
    mistakes: Callable[..., None], config: str, words: tuple[str, ...]
) -> None:
    mistakes(other(f"function: exporters.parquet, config: {config}"), words)


@pytest.mark.usefixtures("config_files")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("list", "configs/list.yaml:2:1: the config file of worker 'other' holds a list, not a mapping"),
        ("bad", "configs/bad.yaml:2:1: this is not valid YAML"),
    ],
)
def test_a_mistake_in_a_config_file_has_its_own_place(folder: Path, file: str, text: str) -> None:
    with pytest.raises(TopologyError) as caught:
        load("setup.yaml", text=other(f"function: exporters.parquet, config: configs/{file}.yaml"))
    assert len(caught.value.mistakes) == 1
    assert caught.value.mistakes[0].startswith(text)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{filename: a.npy, rate: 1, channel: ch1}", ()),
        ("{\u00a7repat: true}", ("the key 'repat' means nothing to data.replay; did you mean 'repeat'?",)),
        ("{filename: a.npy, \u00a7no_key: 1}", ("its keys: filename, rate, repeat, channel",)),
        ("[{\u00a7note: 1}, {\u00a77: 1}]", ("'note' means nothing", "the key 7 means nothing")),
        ("{<<: {\u00a7rote: 1}, repeat: 2}", ("did you mean 'rate'?",)),
    ],
)
def test_a_key_that_a_prebuilt_function_does_not_know_is_a_warning(
    warnings: Callable[..., None], config: str, words: tuple[str, ...]
) -> None:
    replay = f"take: {{function: data.replay, sinks: [raw], config: {config}}}"
    warnings(f"{BUFFERS}Workers:\n  {replay}\n  {SAVE}\n", *words)


@pytest.fixture
def recorded(folder: Path) -> None:
    np.save(folder / "a.npy", np.zeros(3))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{rate: \u00a7-5}", ("worker 'take': in its config `rate` is -5; it must be a number above 0",)),
        (
            "{rate: \u00a7-5, repeat: \u00a7often}",
            ("`rate` is -5", "`repeat` is 'often'; it must"),
        ),
        ("{channel: \u00a7ch3}", ("it must be a field of raw: ch1; do you mean 'ch1'?",)),
        ("[{rate: -1}, {rate: \u00a71, repeat: 2}]", ("`rate` is 1; it must be left out for raw",)),
        ("{filename: \u00a7b.npy}", (("b.npy: there is no such file", "relative to the setup file"),)),
        ("{filename: \u00a7modules}", (".npz, .npy, .mimo or .parquet file",)),
        ("{filename: \u00a7text.npz}", (("is no .npz file", "it is a text"),)),
    ],
)
def test_a_value_that_cannot_be_is_a_mistake_at_its_place(
    mistakes: Callable[..., None], folder: Path, config: str, words: tuple[str, ...]
) -> None:
    (folder / "text.npz").write_text("1 2 3")
    replay = f"take: {{function: data.replay, sinks: [raw], config: {config}}}"
    mistakes(f"{BUFFERS}Workers:\n  {replay}\n  {SAVE}\n", *words)


def test_a_config_is_checked_as_far_as_its_buffers_are_known(mistakes: Callable[..., None]) -> None:
    replay = "take: {function: data.replay, sinks: [\u00a7rew], config: {rate: \u00a70, channel: ch9}}"
    mistakes(f"{BUFFERS}Workers:\n  {replay}\n  {SAVE}\n", "there is no buffer 'rew'", "`rate` is 0")


@pytest.mark.parametrize(
    ("nodes", "looked_at"), [(None, False), ((), False), (["daq"], True), (["storage"], False)]
)
def test_data_files_are_looked_at_where_they_are(
    folder: Path, nodes: list[str] | None, looked_at: bool
) -> None:
    text = (
        "Nodes: {daq: {host: 192.168.1.1}, storage: {host: 192.168.1.2}}\nsecurity: none\n"
        f"{BUFFERS}Workers:\n  take: {{function: data.replay, sinks: [raw], config: {{filename: b.npy}}}}\n"
        f"  {SAVE}\n"
    )
    if looked_at:
        with pytest.raises(TopologyError, match=r"b\.npy: there is no such file"):
            load("setup.yaml", text=text, nodes=nodes)
    else:
        load("setup.yaml", text=text, nodes=nodes)


@pytest.mark.usefixtures("recorded")
def test_a_key_that_any_taker_of_a_config_may_know_is_no_warning(
    warnings: Callable[..., None], folder: Path
) -> None:
    (folder / "common.yaml").write_text("{filename: a.npy, limit: 1}\n")
    replay = "take: {function: data.replay, sinks: [raw], config: [common.yaml, *both]}"
    own = "own: {file: modules/user.py, function: save, sources: [raw], config: common.yaml}"
    drain = "drain: {function: exporters.drain, sources: [raw], config: *both, base_config: {limit: 1}}"
    warnings(
        f"both: &both {{rate: 1, \u00a7wrong: 2}}\nbase_config: {{limit: 2}}\n"
        f"{BUFFERS}Workers:\n  {replay}\n  {own}\n  {drain}\n",
        "worker 'take': the key 'wrong' means nothing to data.replay",
    )


def test_a_key_for_a_function_without_config_is_to_be_removed(warnings: Callable[..., None]) -> None:
    warnings(
        other("function: exporters.drain, config: {\u00a7filename: a}"),
        "the key 'filename' means nothing to exporters.drain; remove it",
    )


@pytest.mark.usefixtures("config_files")
def test_a_config_file_of_several_workers_is_complained_about_once(folder: Path) -> None:
    text = other("function: exporters.parquet, config: configs/bad.yaml").replace(
        SAVE, SAVE[:-1] + ", config: configs/bad.yaml}"
    )
    with pytest.raises(TopologyError) as caught:
        load("setup.yaml", text=text)
    assert len(caught.value.mistakes) == 1


@pytest.mark.usefixtures("config_files")
def test_a_key_given_twice_in_a_config_file_is_a_warning(setup: Callable[[str], Topology]) -> None:
    topology = setup(other("function: exporters.parquet, config: configs/double.yaml"))
    assert config_of(topology) == {"a": 2}
    assert topology.warnings[0].startswith("configs/double.yaml:2:1: the key 'a' is given twice")
