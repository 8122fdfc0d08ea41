"""Functions of workers: prebuilt ones by their names, those in users' files without importing them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import load

from .setups import SETUP, other, with_worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology


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
