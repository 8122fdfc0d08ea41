"""Reading YAML: places, anchors and merge keys, keys given twice, and what is no YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import load
from mimocorb_dist.topology.document import read_document
from mimocorb_dist.topology.findings import Findings

from .setups import SETUP

if TYPE_CHECKING:
    from collections.abc import Callable


def read(text: str) -> tuple[Any, Findings]:
    findings = Findings("a.yaml")
    document = read_document(Path("a.yaml"), "a.yaml", findings, text)
    return document, findings


def test_every_key_and_value_has_its_place() -> None:
    document, _ = read("a: 1\nb:\n  - x\n  - {c: [2]}\n")
    entry = document.value["b"]
    assert str(entry.key_place) == "a.yaml:2:1"
    assert [str(item.place) for item in entry.item.value] == ["a.yaml:3:5", "a.yaml:4:5"]
    assert str(entry.item.value[1].value["c"].item.value[0].place) == "a.yaml:4:10"


def test_anchors_aliases_and_merge_keys_work() -> None:
    text = "t: &t {a: 1, b: 2}\nu: &u {b: 3, c: 4}\nv: {<<: *t, b: 9}\nw: {<<: [*t, *u]}\nx: *t\n"
    document, findings = read(text)
    assert document.plain() == yaml.safe_load(text)
    assert not findings.mistakes


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(plain)
def test_values_are_those_of_a_plain_yaml_reader(value: Any) -> None:
    text = yaml.safe_dump(value)
    document, findings = read(text)
    assert not findings.mistakes
    assert document.plain() == yaml.safe_load(text)


@given(st.text(alphabet="ab: -[]{},&*<'\"\n\t#!|>%@?=0", max_size=40))
def test_any_text_is_read_or_is_a_mistake_with_a_place(text: str) -> None:
    document, findings = read(text)
    assert (document is None) == bool(findings.mistakes)
    assert all(mistake.startswith("a.yaml:") for mistake in findings.mistakes)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [1, 2\nb: 3\n", "2:2", ("not valid YAML", "brackets")),
        ("a:\n\tb: 1\n", "2:1", ("spaces, not with tabs",)),
        ("a: *nowhere\n", "1:4", ("undefined alias", "anchor (&name)")),
        ("a: 1\n---\nb: 2\n", "2:1", ("single document",)),
        ("a: \x07\n", "1:4", ("no text that YAML can hold (character U+0007)",)),
        (
            "a: !!python/object:os.system {}\n",
            "1:4",
            ("the tag 'tag:yaml.org,2002:python/object:os.system'",),
        ),
        ("a: !unknown 3\n", "1:4", ("'3' cannot be read as !unknown",)),
        ("a: !!binary aGFsbG8=\n", "1:4", ("binary values",)),
        ("a: 2024-13-77\n", "1:4", ("'2024-13-77' cannot be read as timestamp", "quotes")),
        ("? [a, b]\n: 1\n", "1:3", ("a key is a list",)),
        ("a: &x [1, *x]\n", "1:4", ("contains itself",)),
        ("t: 1\na: {<<: 3}\n", "2:9", ("'<<' merges mappings only",)),
        ("[" * 1000, "1:1", ("nested too deeply",)),
    ],
)
def test_what_is_no_usable_yaml_is_one_mistake_with_its_place(
    text: str, place: str, words: tuple[str, ...]
) -> None:
    document, findings = read(text)
    assert document is None
    (mistake,) = findings.mistakes
    assert mistake.startswith(f"a.yaml:{place}: ")
    for word in words:
        assert word in mistake


def test_aliases_of_aliases_do_not_run_away() -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    document, findings = read(text)
    assert document is None
    assert "more than 100000 values" in findings.mistakes[0]


def test_a_number_that_yaml_reads_as_text_is_a_warning() -> None:
    document, findings = read("a: 1e3\nb: '1e3'\nc: 1.0e+3\nd: -2E-6\n")
    assert document.plain() == {"a": "1e3", "b": "1e3", "c": 1000.0, "d": "-2E-6"}
    assert findings.warnings == [
        "a.yaml:1:4: YAML reads 1e3 as a text, not as a number; "
        "write 1.0e+3 for the number, or put it in quotes for the text",
        "a.yaml:4:4: YAML reads -2E-6 as a text, not as a number; "
        "write -2.0e-6 for the number, or put it in quotes for the text",
    ]


def test_a_key_given_twice_is_a_warning_with_both_places_and_the_last_wins(
    setup: Callable[..., Any], warnings: Callable[..., None]
) -> None:
    text = SETUP.replace("slot_count: 8", "slot_count: 8, \u00a7slot_count: 16")
    warnings(text, ("'slot_count' is given twice, first at line 2, column 9", "the last one counts"))
    assert setup(text.replace("\u00a7", "")).buffers["raw"].slot_count == 16


def test_a_file_that_is_no_utf8_text_is_a_mistake_with_its_place(folder: Path) -> None:
    (folder / "setup.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(TopologyError, match=r"setup.yaml:2:4: the file is no UTF-8 text \(byte 0xe4\)"):
        load("setup.yaml")


def test_a_byte_order_mark_is_passed_over(folder: Path) -> None:
    (folder / "setup.yaml").write_bytes(b"\xef\xbb\xbf" + SETUP.encode())
    assert list(load("setup.yaml").buffers) == ["raw"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("setpu.yaml", "there is no such file; did you mean 'setup.yaml'?"),
        ("../work/setup.yml", "there is no such file; did you mean '../work/setup.yaml'?"),
        ("big.yml", "there is no such file; {folder} has huge.yaml, setup.yaml"),
        ("modules/big.yml", "there is no such file; {folder}/modules has no YAML file"),
        ("modules", "this is a folder; name the setup file in it"),
        ("nowhere/setup.yaml", "there is no folder {folder}/nowhere; check the name"),
        ("/dev/null", "this is no file that holds a setup; check the name"),
    ],
)
def test_a_missing_setup_file_is_told_plainly_with_the_files_that_are_there(
    folder: Path, name: str, words: str
) -> None:
    for there in ("huge.yaml", "setup.yaml"):
        (folder / there).write_text(SETUP)
    with pytest.raises(TopologyError) as caught:
        load(name)
    assert str(caught.value) == f"{name}: {words.format(folder=folder)}"


def test_a_text_can_be_given_instead_of_the_file(folder: Path) -> None:
    assert load("elsewhere.yaml", text=SETUP).directory == folder
