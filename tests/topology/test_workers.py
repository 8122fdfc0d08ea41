"""`Workers:`: their keys, functions, files and configs."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import load

from .setups import BUFFERS, NODES, SAVE, SETUP, with_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology


def other(worker: str) -> str:
    """Return a setup with a second reader of raw, given by some of its keys."""
    return with_worker(f"other: {{sources: [raw], {worker}}}")


def test_a_worker_is_read_as_it_stands(setup: Callable[[str], Topology], folder: Path) -> None:
    text = other(
        "file: modules/user.py, function: find, number_of_processes: 3, on_error: skip, config: {a: 1}"
    )
    worker = setup(text).workers["other"]
    assert (worker.function, worker.file) == ("find", folder / "modules" / "user.py")
    assert (worker.processes, worker.on_error, worker.config) == (3, "skip", {"a": 1})
    assert (worker.sources, worker.sinks, worker.observes) == (("raw",), (), ())
    assert str(worker.place) == "setup.yaml:6:3"


def test_what_is_not_said_has_its_default(setup: Callable[[str], Topology]) -> None:
    worker = setup(SETUP).workers["save"]
    assert (worker.nodes, worker.file, worker.config) == (("local",), None, {})
    assert (worker.processes, worker.on_error) == (1, "stop")


@pytest.mark.parametrize("file", ["", "''", "~"])
def test_an_empty_file_means_a_prebuilt_function(setup: Callable[[str], Topology], file: str) -> None:
    assert setup(other(f"file: {file}, function: exporters.parquet")).workers["other"].file is None


def test_a_worker_may_run_on_one_node_or_several(setup: Callable[[str], Topology]) -> None:
    text = NODES + SETUP.replace("take: {", "take: {node: daq, ").replace(
        "save: {", "save: {node: [daq, filter], "
    )
    workers = setup(text).workers
    assert (workers["take"].nodes, workers["save"].nodes) == (("daq",), ("daq", "filter"))


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("other: \u00a7exporters.parquet", ("worker 'other' is 'exporters.parquet', not a mapping",)),
        ("\u00a7other: {sources: [raw]}", ("the key 'function' is missing", "'function: exporters.csv'")),
        ("other: {function: \u00a73, sources: [raw]}", ("function is 3, not a text",)),
        ("other: {\u00a7function: '', sources: [raw]}", ("the key 'function' has no value",)),
        (
            "\u00a7other: {file: modules/user.py, sources: [raw]}",
            ("the key 'function' is missing; 'modules/user.py' defines: take, find, save",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], \u00a7sink: []}",
            ("unknown key 'sink'", "did you mean 'sinks'? (allowed: node, file"),
        ),
        ("other: {function: exporters.parquet, \u00a7source_list: [raw]}", ("it is now called 'sources'",)),
        (
            "other: {function: exporters.parquet, \u00a7num_process: 2, sources: [raw]}",
            ("now called 'number_of_processes'",),
        ),
        (
            "other: {function: exporters.parquet, sources: \u00a7raw}",
            ("sources is 'raw', not a list", "sources: [raw]"),
        ),
        ("other: {function: exporters.parquet, sources: \u00a7{}}", ("sources is a mapping, not a list",)),
        (
            "other: {function: exporters.parquet, sources: [\u00a73]}",
            ("sources lists 3, not the name of a buffer",),
        ),
        ("other: {function: exporters.parquet, sources: [raw, \u00a7raw]}", ("sources lists 'raw' twice",)),
        (
            "other: {function: exporters.parquet, sources: [\u00a7rwa]}",
            ("worker 'other': there is no buffer 'rwa'", "did you mean 'raw'?"),
        ),
        ("other: {file: modules/user.py, function: find, observes: [\u00a7xyz]}", ("buffers: raw",)),
        (
            "other: {function: exporters.parquet, sources: [raw], on_error: \u00a7skp}",
            ("on_error is 'skp'", "'skip'?"),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], on_error: \u00a71}",
            ("allowed: stop, skip, restart",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a70}",
            ("number_of_processes is 0", "from 1 to 250"),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a7two}",
            ("is 'two', a text",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], number_of_processes: \u00a7true}",
            ("is true",),
        ),
        (
            "other: {function: find, sources: [raw], file: \u00a7[x]}",
            ("file is a list, not a text",),
        ),
        (
            "other: {function: exporters.parquet, sources: [raw], node: \u00a7{}}",
            ("node is a mapping, not a list",),
        ),
    ],
)
def test_a_wrong_worker_is_a_mistake(
    mistakes: Callable[..., None], worker: str, words: tuple[str, ...]
) -> None:
    mistakes(with_worker(worker), words)


@pytest.mark.parametrize("node", ["\u00a7dak", "[daq, \u00a7dak]"])
def test_an_unknown_node_is_a_mistake_with_the_nearest_name(mistakes: Callable[..., None], node: str) -> None:
    text = NODES + SETUP.replace("take: {", f"take: {{node: {node}, ").replace(
        "save: {", "save: {node: storage, "
    )
    mistakes(
        text, ("worker 'take': there is no node 'dak'", "did you mean 'daq'? (nodes: daq, filter, storage)")
    )


def test_a_node_given_twice_is_a_mistake(mistakes: Callable[..., None]) -> None:
    text = NODES + SETUP.replace("take: {", "take: {node: daq, ").replace(
        "save: {", "save: {node: [daq, \u00a7daq], "
    )
    mistakes(text, "node lists 'daq' twice")


def test_a_worker_without_node_among_several_runs_on_the_first_with_a_warning(
    warnings: Callable[..., None],
) -> None:
    text = "Nodes: {daq: , storage: }\n" + SETUP.replace("save: {", "save: {node: storage, ")
    warnings(
        text.replace("take:", "\u00a7take:"), ("worker 'take' names no node", "runs on the first, 'daq'")
    )


@pytest.mark.parametrize("name", ["a b", "a/b", ".a", "a.b", "to.x"])
def test_a_worker_name_must_be_fit_for_file_names(mistakes: Callable[..., None], name: str) -> None:
    worker = f"\u00a7{name}: {{function: exporters.parquet, sources: [raw]}}"
    mistakes(with_worker(worker), ("cannot be the name of a worker", "letters, digits"))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("exporters.cvs", ("there is no prebuilt function 'exporters.cvs'", "did you mean 'exporters.csv'?")),
        ("exporter.csv", ("there is no module 'exporter'", "did you mean 'exporters.csv'?")),
        ("csv", ("'csv' is no prebuilt function", "did you mean 'exporters.csv'?")),
        ("redpitaya.waveform", ("there is no module 'redpitaya'", "'importers.redpitaya.waveform'")),
        ("find_pulses", ("'find_pulses' is no prebuilt function", "add 'file:'")),
        ("misc.zzzzzz", ("there is no prebuilt function 'misc.zzzzzz'", "misc has: misc.copy")),
        ("qqqq.wwwwww", ("no module 'qqqq'", "modules: analyzers, data, exporters, importers.odd")),
        ("data._private_thing", ("there is no prebuilt function",)),
        ("exporters.", ("'exporters.' is no name of a function", "write module.function")),
        ("..", ("'..' is no name of a function",)),
        ("../user.find", ("'../user.find' is no name of a function",)),
        ("importers.redpitaya", ("there is no prebuilt function", "'importers.redpitaya.waveform'")),
    ],
)
def test_an_unknown_prebuilt_function_is_a_mistake_with_the_nearest_name(
    mistakes: Callable[..., None], function: str, words: tuple[str, ...]
) -> None:
    mistakes(other(f"function: \u00a7{function}"), words)


@pytest.mark.parametrize(
    ("ends", "meant"), [("sources: [raw]", "exporters.csv"), ("observes: [raw]", "visualizers.csv")]
)
def test_of_several_functions_of_a_name_the_one_that_fits_is_meant(
    mistakes: Callable[..., None], ends: str, meant: str
) -> None:
    mistakes(with_worker(f"other: {{function: \u00a7csv, {ends}}}"), f"did you mean '{meant}'?")


def test_a_file_that_hides_a_module_of_python_is_a_warning(
    warnings: Callable[..., None], folder: Path
) -> None:
    (folder / "select.py").write_text("def find(io): ...\n")
    warnings(other("file: \u00a7select.py, function: find"), "named like a module of Python")


def test_prebuilt_functions_of_nested_modules_are_found(setup: Callable[[str], Topology]) -> None:
    text = SETUP.replace("file: modules/user.py, function: take", "function: importers.redpitaya.waveform")
    assert setup(text).workers["take"].function == "importers.redpitaya.waveform"


def test_a_function_of_mimocorb2_that_is_not_there_yet_is_told_as_such(mistakes: Callable[..., None]) -> None:
    words = ("'importers.picoscope.source' is not provided yet", "PicoScopes come with a later release")
    mistakes(other("function: \u00a7importers.picoscope.source"), words)


def test_a_prebuilt_module_that_imports_everything_may_define_anything(
    setup: Callable[[str], Topology],
) -> None:
    setup(SETUP.replace("file: modules/user.py, function: take", "function: importers.odd.whatever"))


def test_checking_imports_no_function(setup: Callable[[str], Topology], folder: Path) -> None:
    (folder / "modules" / "user.py").write_text("raise SystemExit('imported')\ndef take(io): ...\n")
    setup(SETUP)


def test_a_missing_file_is_a_mistake_with_the_nearest_name(mistakes: Callable[..., None]) -> None:
    mistakes(
        other("function: find, file: \u00a7modules/usr.py"),
        ("worker 'other': there is no file 'modules/usr.py'", "did you mean 'modules/user.py'?"),
    )


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("modules", "that is a folder"),
        ("modules/user", "did you mean 'modules/user.py'?"),
        ("nowhere/user.py", "there is no folder"),
        ("modules/zzzzzzzzz.py", "names are relative to the setup file"),
        ("~nobody_of_that_name/x.py", "there is no folder"),
    ],
)
def test_a_missing_file_is_a_mistake_with_a_remedy(
    mistakes: Callable[..., None], file: str, words: str
) -> None:
    mistakes(other(f"function: find, file: \u00a7{file}"), (f"there is no file '{file}'", words))


def test_a_folder_that_cannot_be_looked_into_is_said(
    setup: Callable[[str], Topology], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if str(path).startswith(f"{folder}/modules/"):
            raise PermissionError(13, "Permission denied")
        return stat(path, *arguments, **keywords)

    def refuse_list(path: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    stat = os.stat
    monkeypatch.setattr("mimocorb_dist.topology.paths.os.stat", refuse)
    monkeypatch.setattr("mimocorb_dist.topology.paths.os.listdir", refuse_list)
    with pytest.raises(TopologyError) as caught:
        setup(other("function: find, file: modules/user.py, config: modules/c.yaml"))
    assert len(caught.value.mistakes) == 3  # the worker of the common part has that file, too
    for mistake in caught.value.mistakes:
        assert f"the folder {folder}/modules cannot be read (Permission denied); change its rights" in mistake


def test_a_file_that_does_not_define_the_function_is_a_mistake(mistakes: Callable[..., None]) -> None:
    mistakes(
        other("file: modules/user.py, function: \u00a7fnd"),
        ("'modules/user.py' does not define the function 'fnd'", "'find'? (it defines: take, find, save)"),
    )


@pytest.mark.parametrize("module", ["mimocorb_dist", "mimocorb2", "numpy", "math"])
def test_importing_everything_from_a_library_hides_no_function(
    mistakes: Callable[..., None], folder: Path, module: str
) -> None:
    (folder / "starry.py").write_text(f"from {module} import *\ndef find(io): ...\n")
    mistakes(other("file: starry.py, function: \u00a7fnd"), "did you mean 'find'?")


@pytest.mark.parametrize("line", ["from math import *", "from .numpy import *", "from modules import *"])
def test_a_name_like_one_in_a_file_that_may_define_more_is_a_warning(
    warnings: Callable[..., None], folder: Path, line: str
) -> None:
    (folder / "math.py").write_text("")
    (folder / "starry.py").write_text(f"{line}\ndef find(io): ...\n")
    warnings(other("file: starry.py, function: \u00a7fnd"), "did you mean 'find'? (the file may define more")


def test_bytes_of_another_encoding_in_a_user_file_are_a_warning_at_their_place(
    setup: Callable[[str], Topology], folder: Path
) -> None:
    (folder / "latin.py").write_bytes(b"# coding: latin-1\ndef find(io): ...\n# caf\xe9\n")
    assert setup(other("file: latin.py, function: find")).warnings == ()
    (folder / "latin.py").write_bytes(b"def find(io): ...\n# caf\xe9\n")
    try:
        compile((folder / "latin.py").read_bytes(), "latin.py", "exec")
    except SyntaxError:  # from Python 3.14 on
        with pytest.raises(TopologyError, match=r"latin\.py:2:6: this is not valid Python"):
            setup(other("file: latin.py, function: find"))
        return
    (warning,) = setup(other("file: latin.py, function: find")).warnings
    assert warning.startswith("latin.py:2:6: this byte is no UTF-8 text")
    (folder / "latin.py").write_bytes(b"# \xe9\ndef find(io): ...\n")
    assert setup(other("file: latin.py, function: find")).warnings[0].startswith("latin.py:1:3: this byte")


def test_a_file_without_any_function_is_a_mistake(mistakes: Callable[..., None], folder: Path) -> None:
    (folder / "empty.py").write_text("'''Nothing.'''\n")
    mistakes(other("file: empty.py, function: \u00a7find"), "it defines: none")


@pytest.mark.parametrize(
    "text",
    [
        "async def find(io): ...",
        "class find: ...",
        "find = print",
        "find, other = 1, 2",
        "find: object = 3",
        "from math import find",
        "from math import sin as find",
        "import numpy as find",
        "from helpers import *",
        "try:\n    def find(io): ...\nexcept ImportError:\n    pass",
        "if True:\n    pass\nelse:\n    def find(io): ...",
        "try:\n    pass\nexcept ValueError:\n    def find(io): ...",
        "with open('x') as find: ...",
        "for find in []: ...",
        "globals()['find'] = 3",
        "exec('def find(io): ...')",
        "def __getattr__(name): ...",
        "print(find := 3)",
    ],
)
def test_a_function_may_be_defined_in_many_ways(
    setup: Callable[[str], Topology], folder: Path, text: str
) -> None:
    (folder / "odd.py").write_text(text + "\n")
    setup(other("file: odd.py, function: find"))


@pytest.mark.parametrize(
    "text", ["def outer():\n    def find(io): ...", "class A:\n    def find(io): ...", "x.find = 3", "'find'"]
)
def test_what_is_inside_something_else_is_not_defined(
    mistakes: Callable[..., None], folder: Path, text: str
) -> None:
    (folder / "odd.py").write_text(text + "\n")
    mistakes(other("file: odd.py, function: \u00a7find"), "does not define the function 'find'")


@pytest.mark.parametrize("arguments", ["", "a, b", "io, *, more", "*, io", "**more"])
def test_a_function_that_does_not_take_one_argument_is_a_mistake(
    mistakes: Callable[..., None], folder: Path, arguments: str
) -> None:
    (folder / "odd.py").write_text(f"def find({arguments}): ...\n")
    mistakes(other("file: odd.py, function: \u00a7find"), ("with one argument", "'def find(io):'"))


@pytest.mark.parametrize(
    "text",
    [
        "def find(*mimo_args): ...",
        "def find(io, /, more=3, *, other=4): ...",
        "def find(io=None): ...",
        "def find(a, b): ...\nfind = partial(find, 1)",
        "@decorated\ndef find(a, b): ...",
        "try:\n    def find(a, b): ...\nexcept ImportError:\n    def find(io): ...",
    ],
)
def test_a_function_may_take_its_argument_in_many_ways(
    setup: Callable[[str], Topology], folder: Path, text: str
) -> None:
    (folder / "odd.py").write_text(f"{text}\n")
    setup(other("file: odd.py, function: find"))


def test_a_syntax_error_in_a_user_file_is_a_mistake_with_its_own_place(folder: Path) -> None:
    (folder / "modules" / "broken.py").write_text("def find(io):\n    x = = 3\n")
    with pytest.raises(TopologyError) as caught:
        load("setup.yaml", text=other("file: modules/broken.py, function: find"))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("modules/broken.py:2:9: this is not valid Python (invalid syntax)")
    assert "worker 'other' needs the file" in mistake


def test_a_user_file_that_is_no_text_is_a_mistake(folder: Path) -> None:
    (folder / "zero.py").write_bytes(b"def find(io):\0 pass\n")
    with pytest.raises(TopologyError, match=r"zero.py:1:\d+: this is not valid Python"):
        load("setup.yaml", text=other("file: zero.py, function: find"))


def test_a_user_file_that_cannot_be_read_is_a_mistake(
    mistakes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mimocorb_dist.topology.code.read_code", refuse)
    text = SETUP.replace("file: modules/user.py", "file: \u00a7modules/user.py")
    mistakes(text, ("the file 'modules/user.py' cannot be read (Permission denied)", "check its rights"))


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


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Workers: \u00a7[save]", ("Workers is a list, not a mapping",)),
        ("Workers: \u00a7{}", ("Workers is empty", "name at least one worker")),
        ("\u00a7Workers:", ("the key 'Workers' has no value",)),
        ("\u00a7Wokers: {}", ("there is no 'Workers:', but 'Wokers:'", "write 'Workers:'")),
        ("\u00a7Functions: {}", ("there is no 'Workers:', but 'Functions:'", "write 'Workers:'")),
    ],
)
def test_workers_must_be_there(mistakes: Callable[..., None], section: str, words: tuple[str, ...]) -> None:
    mistakes(BUFFERS + section + "\n", words)
