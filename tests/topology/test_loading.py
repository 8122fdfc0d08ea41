"""From the file to the model: the whole setup, its resolved form, and what is compared between nodes."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mimocorb_dist.errors import SetupError, TopologyError
from mimocorb_dist.topology import describe, load, plan

from .setups import BUFFERS, NODES, SETUP, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology

CLASSIC = """\
osc_template: &osc_template
  slot_count: 128
  data_length: 100
  data_dtype:
    ch1: 'f4'
    ch2: 'f4'
  overwrite: True

target_directory: results

Buffers:
  InputBuffer: *osc_template
  AcceptedPulses: *osc_template
  Parameters:
    slot_count: 32
    data_length: 1
    data_dtype: {decay_time: "int32", 1st_height: "float32"}

Workers:
  input:
    file: modules/user.py
    function: take
    sinks: [InputBuffer]
    config: [config.yaml, {rate: 10}]
  filter:
    file: modules/user.py
    function: find
    number_of_processes: 2
    sources: [InputBuffer]
    sinks: [AcceptedPulses, Parameters]
  save_pulses:
    function: data.export
    sources: [AcceptedPulses]
  hist:
    file: ''
    function: exporters.histogram
    sources: [Parameters]
    config: {bins: {decay_time: [0, 10, 11]}}
  oscilloscope:
    function: observers.oscilloscope
    observes: [InputBuffer]

Options:
  debug_workers: True
"""
EVERYTHING = (
    NODES
    + "Broker: {node: storage, port: 6000, ports: [6001, 6020]}\nbase_config: {a: 1}\n"
    + SETUP.replace("take: {", "take: {node: daq, config: {day: 2024-05-01, 3: x}, ").replace(
        "save: {", "save: {node: [filter, storage], on_error: skip, "
    )
)


@pytest.fixture
def classic(folder: Path) -> Topology:
    (folder / "config.yaml").write_text("rate: 5\ntrigger: 0.2\n")
    (folder / "setup.yaml").write_text(CLASSIC)
    return load("setup.yaml")


def test_a_classic_setup_loads_unchanged(classic: Topology, folder: Path) -> None:
    assert list(classic.buffers) == ["InputBuffer", "AcceptedPulses", "Parameters"]
    assert classic.workers["input"].config == {"rate": 10, "trigger": 0.2}
    assert classic.workers["filter"].processes == 2
    assert classic.target_directory == folder / "results"
    assert classic.roots == ("InputBuffer",)
    assert classic.warnings == (
        "setup.yaml:7:3: buffer 'InputBuffer': the key 'overwrite' means nothing here; remove it",
        "setup.yaml:7:3: buffer 'AcceptedPulses': the key 'overwrite' means nothing here; remove it",
    )


def test_roles_are_told_by_the_buffers(classic: Topology) -> None:
    roles = {name: worker.role for name, worker in classic.workers.items()}
    assert roles == {
        "input": "importer",
        "filter": "filter",
        "save_pulses": "exporter",
        "hist": "exporter",
        "oscilloscope": "observer",
    }


def test_paths_are_absolute_and_relative_to_the_setup(setup: Callable[[str], Topology], folder: Path) -> None:
    topology = setup(SETUP)
    assert (topology.path, topology.directory) == (folder / "setup.yaml", folder)
    assert topology.target_directory == folder / "target"


def test_mistakes_show_the_file_as_it_was_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "setup.yaml").write_text("a: 1\n")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(TopologyError, match=r"^work/setup.yaml:1:1: "):
        load("work/setup.yaml")


@pytest.mark.parametrize("target", ["~/runs", "/data/runs"])
def test_the_target_directory_may_be_absolute_or_in_the_home_folder(
    setup: Callable[[str], Topology], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/student")
    found = setup(f"target_directory: {target}\n{SETUP}").target_directory
    assert str(found) == target.replace("~", "/home/student")


def test_a_target_directory_is_a_text(mistakes: Callable[..., None]) -> None:
    mistakes(f"target_directory: \u00a7[a]\n{SETUP}", ("setup: target_directory is a list, not a text",))


@pytest.mark.parametrize("target", ["modules/user.py", "modules/user.py/runs"])
def test_a_target_directory_that_is_a_file_is_a_mistake(
    mistakes: Callable[..., None], folder: Path, target: str
) -> None:
    mistakes(
        f"target_directory: \u00a7{target}\n{SETUP}",
        (f"target_directory is '{target}', but {folder}/modules/user.py is a file", "name a folder"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the setup is empty"),
        ("# only a comment\n", "the setup is empty"),
        ("- a\n", "is a list"),
        ("abc", "'abc'"),
    ],
)
def test_a_setup_is_a_mapping(setup: Callable[[str], Topology], text: str, words: str) -> None:
    with pytest.raises(TopologyError) as caught:
        setup(text)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("setup.yaml:1:1: the setup is ")
    assert words in mistake
    assert "it needs at least 'Buffers:' and 'Workers:'" in mistake


def test_other_top_level_keys_mean_nothing(warnings: Callable[..., None]) -> None:
    warnings(f"my_template: {{x: 1}}\n7: seven\nOptions: {{debug_workers: true}}\n{SETUP}")


def test_options_are_passed_over_with_a_word_on_those_that_had_a_meaning_once(
    setup: Callable[[str], Topology], warnings: Callable[..., None], folder: Path
) -> None:
    topology = setup(SETUP + "\nOptions: {output_directory: target, overarching_config: [], debug: true}")
    assert topology.warnings == ()
    assert topology.target_directory == folder / "target"
    words = ("is passed over", "write 'target_directory'")
    warnings(SETUP + "\nOptions: {\u00a7output_directory: runs}", words)
    warnings(SETUP + "\nOptions: {\u00a7overarching_config: config.yaml}", "write 'base_config'")
    assert setup(SETUP + "\nOptions: [whatever]").warnings == ()
    assert setup(SETUP + "\nOptions:").warnings == ()


@pytest.mark.parametrize(("key", "meant"), [("Bufers", "Buffers"), ("workers", "Workers")])
def test_a_mistyped_top_level_key_beside_the_right_one_is_a_warning(
    warnings: Callable[..., None], key: str, meant: str
) -> None:
    words = (f"the key '{key}' means nothing at the top level, where '{meant}' is, too", f"to '{meant}'")
    warnings(f"buffers_of_all: {{}}\n\u00a7{key}: {{}}\n{SETUP}", words)


@pytest.mark.parametrize(
    ("key", "meant"),
    [("nodes", "Nodes"), ("Brokr", "Broker"), ("target_dir", "target_directory"), ("Security", "security")],
)
def test_a_top_level_key_that_looks_mistyped_is_a_warning(
    warnings: Callable[..., None], key: str, meant: str
) -> None:
    warnings(
        f"\u00a7{key}: x\n{SETUP}",
        (f"the key '{key}' means nothing at the top level", f"did you mean '{meant}'?"),
    )


def test_all_mistakes_come_at_once_in_the_order_of_the_file(mistakes: Callable[..., None]) -> None:
    mistakes(
        "Nodes: {daq: {host: \u00a7192.168.1.10:22}}\n"
        "Buffers:\n"
        "  raw: {slot_count: \u00a70, data_length: \u00a7x, data_dtype: {ch1: \u00a7flaot}, \u00a7foo: 1}\n"
        "Workers:\n  \u00a7take: {node: daq, sinks: [raw]}\n"
        "  save: {node: \u00a7dak, function: \u00a7exporters.cvs, sources: [raw], config: \u00a73}\n",
        *("host", "slot_count", "data_length", "flaot", "foo", "function", "dak", "cvs", "config"),
    )


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(
        ["", "raw", "daq", "none", "\u00e4", "..", "~", "a b", "exporters.parquet", "modules/user.py"]
    )
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["host", "node", "config", "raw", ""]) | st.integers(), inner, max_size=3
        )
    ),
    max_leaves=4,
)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_whatever_stands_in_a_setup_it_loads_or_has_mistakes_with_places(data: st.DataObject) -> None:
    whole = yaml.safe_load(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        part = whole
        while True:
            key = data.draw(
                st.sampled_from(list(part)) if isinstance(part, dict) else st.integers(0, len(part) - 1)
            )
            inside = part[key]
            if not isinstance(inside, (dict, list)) or not inside or data.draw(st.booleans()):
                break
            part = inside
        if isinstance(part, dict) and data.draw(st.booleans()):
            part[data.draw(st.sampled_from(["node", "x", "", 3, None, "config"]))] = part.pop(key)
        else:
            part[key] = data.draw(ANYTHING)
    mistakes: tuple[str, ...] = ()
    try:
        topology = load("setup.yaml", text=yaml.safe_dump(whole, sort_keys=False))
    except TopologyError as error:
        mistakes = error.mistakes
    if mistakes:
        assert all(re.match(r"setup.yaml:\d+:\d+: .", mistake) for mistake in mistakes)
    else:
        assert json.dumps(topology.resolved)
        assert describe(plan(topology))


def test_the_error_is_a_setup_error_with_its_mistakes(setup: Callable[[str], Topology]) -> None:
    with pytest.raises(SetupError) as caught:
        setup(BUFFERS)
    assert isinstance(caught.value, TopologyError)
    assert str(caught.value) == "\n".join(caught.value.mistakes)


def test_the_model_cannot_be_changed(setup: Callable[[str], Topology]) -> None:
    topology = setup(SETUP)
    for thing in (topology, topology.buffers["raw"], topology.workers["take"], topology.nodes["local"]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            thing.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("text", [SETUP, EVERYTHING])
def test_the_resolved_setup_is_plain_and_is_itself_the_same_setup(
    setup: Callable[[str], Topology], text: str
) -> None:
    topology = setup(text)
    assert json.loads(json.dumps(topology.resolved)) == topology.resolved
    again = setup(yaml.safe_dump(topology.resolved, sort_keys=False))
    assert again.resolved == topology.resolved
    assert again.content_hash() == topology.content_hash()


def test_the_resolved_setup_says_everything(setup: Callable[[str], Topology]) -> None:
    resolved = setup(EVERYTHING).resolved
    assert resolved["Broker"] == {"node": "storage", "port": 6000, "ports": [6001, 6020]}
    assert resolved["Buffers"]["raw"]["node"] == "daq"
    assert resolved["Buffers"]["raw"]["delivery"] == "shared"
    assert resolved["Workers"]["take"]["config"] == {"a": 1, "day": "2024-05-01", "3": "x"}
    assert resolved["Workers"]["save"]["node"] == ["filter", "storage"]
    assert resolved["security"] == "none"


def test_a_setup_of_one_host_resolves_without_nodes(setup: Callable[[str], Topology]) -> None:
    resolved = setup(SETUP).resolved
    assert set(resolved) == {"Buffers", "Workers", "target_directory"}
    assert "node" not in resolved["Workers"]["take"]


def test_the_content_hash_sees_the_content_only(setup: Callable[[str], Topology], folder: Path) -> None:
    (folder / "c.yaml").write_text("a: 1\n")
    text = SETUP.replace("save: {", "save: {config: c.yaml, ")
    first = setup(text).content_hash()
    same = "# comment\n" + text.replace("slot_count: 8, data_length: 4", "data_length: 4, slot_count: 8")
    assert setup(same).content_hash() == first
    assert setup(text.replace("slot_count: 8", "slot_count: 9")).content_hash() != first
    two, turned = (text.replace("{ch1: float32}", types) for types in ("{a: f4, b: f8}", "{b: f8, a: f4}"))
    assert setup(two).content_hash() != setup(turned).content_hash()
    (folder / "c.yaml").write_text("a: 2\n")
    assert setup(text).content_hash() != first


def test_which_file_of_a_setup_has_changed_is_seen(setup: Callable[[str], Topology], folder: Path) -> None:
    for name in ("base.yaml", "c.yaml"):
        (folder / name).write_text("a: 1\n")
    text = "base_config: base.yaml\n" + SETUP.replace("save: {", "save: {config: [c.yaml, {b: 1}], ")
    first = setup(text).yaml_files
    assert set(first) == {"setup.yaml", "base.yaml", "c.yaml"}
    assert setup("# comment\n" + text).yaml_files == first
    for name in ("base.yaml", "c.yaml"):
        (folder / name).write_text("")
        changed = setup(text).yaml_files
        assert {file for file in first if changed[file] != first[file]} == {name}
        (folder / name).write_text("a: 1  # comment\n")
    changed = setup(text.replace("b: 1", "b: 2")).yaml_files
    assert {file for file in first if changed[file] != first[file]} == {"setup.yaml"}


def test_the_content_hash_does_not_depend_on_the_folder(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / "modules").mkdir(parents=True)
    (other / "modules" / "user.py").write_text("def take(io): ...\n")
    assert (
        load(folder / "setup.yaml", text=SETUP).content_hash()
        == load(other / "s.yaml", text=SETUP).content_hash()
    )


def test_function_files_are_hashed_with_what_they_import_from_beside(
    setup: Callable[[str], Topology], folder: Path
) -> None:
    modules = folder / "modules"
    (modules / "user.py").write_text("import helper, numpy\nfrom package import tool\ndef take(io): ...\n")
    (modules / "helper.py").write_text("import user\nx = 1\n")
    (modules / "package").mkdir()
    (modules / "package" / "__init__.py").write_text("")
    (modules / "package" / "tool.py").write_text("def f(: broken\n")
    (modules / "unused.py").write_text("")
    topology = setup(SETUP)
    hashes = topology.function_files()
    names = ["helper.py", "package/__init__.py", "package/tool.py", "user.py"]
    assert list(hashes) == [f"modules/{name}" for name in names]
    (modules / "helper.py").write_text("import user\nx = 2\n")
    changed = topology.function_files()
    assert {name for name in names if hashes[f"modules/{name}"] != changed[f"modules/{name}"]} == {
        "helper.py"
    }


def test_function_files_are_named_as_in_the_setup(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("tool.py", "helper.py"):
        (tmp_path / "far" / name).write_text("import helper\ndef take(io): ...\n")
    for written in ("../far/tool.py", str(tmp_path / "far" / "tool.py")):
        hashes = load("setup.yaml", text=SETUP.replace("modules/user.py", written)).function_files()
        assert list(hashes) == [written.replace("tool", "helper"), written]


def test_a_function_file_that_has_gone_is_a_clear_error(
    setup: Callable[[str], Topology], folder: Path
) -> None:
    topology = setup(SETUP)
    (folder / "modules" / "user.py").unlink()
    with pytest.raises(SetupError, match=r"user.py: cannot be read \(No such file or directory\)"):
        topology.function_files()


def test_loading_is_quick_and_imports_nothing_heavy(folder: Path) -> None:
    (folder / "setup.yaml").write_text(
        BUFFERS + WORKERS.replace("function: exporters.parquet", "file: modules/user.py, function: save")
    )
    code = (
        "import sys; from pathlib import Path;"
        "from mimocorb_dist.topology import load, plan; from mimocorb_dist.topology.graph import draw;"
        "t = load('setup.yaml'); draw(t, Path('f.svg'));"
        "print([m for m in ('matplotlib', 'scipy', 'pandas', 'pyarrow', 'rich', 'zmq') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_warnings_are_told_with_the_mistakes_that_they_may_explain(tmp_path: Path) -> None:
    setup = tmp_path / "setup.yaml"
    setup.write_text(
        "Buffers: {raw: {slot_count: 4, data_length: 1, data_dtype: {a: float32}}}\n"
        "Workers:\n"
        "  source: {function: simulators.muons, sinks: [raw]}\n"
        "  source: {function: exporters.drain, sources: [raw]}\n"
    )
    with pytest.raises(TopologyError) as caught:
        load(setup)
    assert "no worker writes buffer 'raw'" in caught.value.mistakes[0]
    assert "setup.yaml:4:3: the key 'source' is given twice" in caught.value.warnings[0]
    assert f"warning: {caught.value.warnings[0]}" in str(caught.value)
