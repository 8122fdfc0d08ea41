"""`Buffers:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from .setups import NODES, SETUP, WORKERS, with_buffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology


def test_a_buffer_is_read_as_it_stands(setup: Callable[[str], Topology]) -> None:
    types = "{n: uint8, t: float64, id: S10}"
    text = f"raw: {{slot_count: 4, data_length: 3, data_dtype: {types}, delivery: broadcast}}"
    buffer = setup(with_buffer(text)).buffers["raw"]
    assert (buffer.name, buffer.slot_count, buffer.data_length, buffer.delivery) == ("raw", 4, 3, "broadcast")
    assert buffer.data_dtype == np.dtype([("n", np.uint8), ("t", np.float64), ("id", "S10")])
    assert buffer.event_bytes == 3 * 19
    assert str(buffer.place) == "setup.yaml:2:3"


def test_writers_of_a_full_buffer_wait_unless_told_otherwise(
    setup: Callable[[str], Topology],
) -> None:
    assert setup(SETUP).buffers["raw"].when_full == "block"
    for policy in ("block", "drop_new", "drop_old"):
        topology = setup(SETUP.replace("raw: {", f"raw: {{when_full: {policy}, "))
        assert topology.buffers["raw"].when_full == policy
        assert topology.resolved["Buffers"]["raw"]["when_full"] == policy


def test_delivery_is_shared_unless_said_otherwise(setup: Callable[[str], Topology]) -> None:
    assert setup(SETUP).buffers["raw"].delivery == "shared"


def test_a_buffer_lives_on_the_node_of_its_first_writer_or_where_it_says(
    setup: Callable[[str], Topology],
) -> None:
    text = NODES + SETUP.replace("take: {", "take: {node: [filter, daq], ").replace(
        "save: {", "save: {node: storage, "
    )
    assert setup(text).buffers["raw"].node == "filter"
    assert setup(text.replace("raw: {", "raw: {node: storage, ")).buffers["raw"].node == "storage"


@pytest.mark.parametrize(
    ("buffer", "words"),
    [
        ("raw: \u00a7[1]", ("buffer 'raw' is a list, not a mapping",)),
        (
            "\u00a7raw: {data_length: 4, data_dtype: {a: i4}}",
            ("the key 'slot_count' is missing", "'slot_count: 128'"),
        ),
        ("\u00a7raw: {slot_count: 4, data_dtype: {a: i4}}", ("the key 'data_length' is missing",)),
        ("\u00a7raw: {slot_count: 4, data_length: 4}", ("the key 'data_dtype' is missing",)),
        (
            "raw: {\u00a7slot_count: , data_length: 4, data_dtype: {a: i4}}",
            ("the key 'slot_count' has no value",),
        ),
        (
            "raw: {\u00a7slot_cout: 4, data_length: 4, data_dtype: {a: i4}}",
            ("unknown key 'slot_cout'", "did you mean 'slot_count'? (allowed: slot_count, data_length"),
        ),
        (
            "raw: {\u00a7number_of_slots: 4, data_length: 4, data_dtype: {a: i4}}",
            ("unknown key 'number_of_slots'", "it is now called 'slot_count'"),
        ),
        ("raw: {\u00a73: 4, slot_count: 4, data_length: 4, data_dtype: {a: i4}}", ("unknown key 3",)),
        (
            "raw: {slot_count: \u00a70, data_length: 4, data_dtype: {a: i4}}",
            ("slot_count is 0", "from 1 to 65536"),
        ),
        ("raw: {slot_count: \u00a765537, data_length: 4, data_dtype: {a: i4}}", ("slot_count is 65537",)),
        ("raw: {slot_count: \u00a7true, data_length: 4, data_dtype: {a: i4}}", ("slot_count is true",)),
        (
            "raw: {slot_count: \u00a7'8', data_length: 4, data_dtype: {a: i4}}",
            ("is '8', a text", "without quotes"),
        ),
        ("raw: {slot_count: \u00a78.0, data_length: 4, data_dtype: {a: i4}}", ("slot_count is 8.0",)),
        (
            "raw: {slot_count: \u00a7many, data_length: 4, data_dtype: {a: i4}}",
            ("slot_count is 'many', a text",),
        ),
        (
            "raw: {slot_count: 8, data_length: \u00a7-1, data_dtype: {a: i4}}",
            ("data_length is -1", "at least 1"),
        ),
        (
            "raw: {slot_count: 8, data_length: \u00a7300000000, data_dtype: {a: i4}}",
            ("makes an event of 1200000000 bytes", "write at most 268435456"),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: \u00a7float32}",
            ("data_dtype is 'float32'", "{ch1: float32}"),
        ),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: \u00a7[i4]}", ("data_dtype is a list",)),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: \u00a7{}}", ("data_dtype is empty",)),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a7flaot32}}",
            ("buffer 'raw': field 'a' has the unknown type 'flaot32'", "did you mean 'float32'?"),
        ),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a732}}", ("field 'a' has 32 as type",)),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: {a:\u00a7 }}", ("field 'a' has nothing as type",)),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a7'f4,,'}}", ("unknown type 'f4,,'",)),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a7O}}",
            ("whose values cannot be shared",),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a7object}}",
            ("whose values cannot be shared",),
        ),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: {a: \u00a7S}}", ("without a length", "as in S10")),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {\u00a71: i4}}",
            ("a field is named 1", "in quotes"),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: i4}, delivery: \u00a7brodcast}",
            ("delivery is 'brodcast'", "did you mean 'broadcast'? (allowed: shared, broadcast)"),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: i4}, when_full: \u00a7drop_odl}",
            ("when_full is 'drop_odl'", "did you mean 'drop_old'? (allowed: block, drop_new, drop_old)"),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: i4}, delivery: \u00a7true}",
            ("delivery is true",),
        ),
        (
            "raw: {slot_count: 8, data_length: 4, data_dtype: {a: i4}, node: \u00a7[a]}",
            ("node is a list, not a text",),
        ),
        ("raw: {slot_count: 8, data_length: 4, data_dtype: {a: i4}, node: \u00a7daq}", ("no node 'daq'",)),
    ],
)
def test_a_wrong_buffer_is_a_mistake(
    mistakes: Callable[..., None], buffer: str, words: tuple[str, ...]
) -> None:
    mistakes(with_buffer(buffer), words)


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "..", ".raw", "raw.in", "a@b", "a>b", "a#b", "-a", "''", "a" * 65]
)
def test_a_buffer_name_must_be_fit_for_file_names(mistakes: Callable[..., None], name: str) -> None:
    buffer = "{slot_count: 8, data_length: 4, data_dtype: {a: i4}}"
    workers = WORKERS.replace("raw", f'"{name}"' if name != "''" else name)
    mistakes(
        f"Buffers:\n  \u00a7{name}: {buffer}\n{workers}",
        ("cannot be the name of a buffer", "letters, digits"),
    )


@pytest.mark.parametrize("name", ["raw_2", "1st", "Z\u00e4hlrohr", "a-b", "_", "\u03bc"])
def test_letters_digits_underscore_and_hyphen_make_names(setup: Callable[[str], Topology], name: str) -> None:
    assert list(setup(SETUP.replace("raw", name)).buffers) == [name]


def test_leftovers_of_classic_setups_are_warnings(warnings: Callable[..., None]) -> None:
    warnings(
        SETUP.replace("{slot_count", "{\u00a7overwrite: false, slot_count"),
        "the key 'overwrite' means nothing here",
    )


@pytest.mark.parametrize("field", ["counter", "timestamp", "deadtime"])
def test_a_field_named_like_metadata_is_a_warning(warnings: Callable[..., None], field: str) -> None:
    warnings(
        SETUP.replace("ch1:", f"\u00a7{field}:"), f"the field '{field}' is named like a part of the metadata"
    )


def test_a_template_may_serve_several_buffers_whose_mistakes_are_told_apart(
    mistakes: Callable[..., None],
) -> None:
    mistakes(
        "t: &t {slot_count: \u00a7\u00a70, data_length: 4, data_dtype: {a: i4}}\n"
        "Buffers:\n  one: *t\n  two: {<<: *t, data_length: 8}\n"
        "Workers:\n  a: {file: modules/user.py, function: take, sinks: [one, two]}\n"
        "  b: {file: modules/user.py, function: save, sources: [one, two]}\n",
        "buffer 'one': slot_count is 0",
        "buffer 'two': slot_count is 0",
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Buffers: \u00a7[raw]", ("Buffers is a list, not a mapping", "data_dtype")),
        ("Buffers: \u00a7{}", ("Buffers is empty",)),
        ("\u00a7Buffers:", ("the key 'Buffers' has no value",)),
        ("\u00a7buffers: {}", ("there is no 'Buffers:', but 'buffers:'", "write 'Buffers:'")),
    ],
)
def test_buffers_must_be_there(mistakes: Callable[..., None], section: str, words: tuple[str, ...]) -> None:
    mistakes(f"{section}\n{WORKERS}", words)


def test_missing_buffers_are_a_mistake(mistakes: Callable[..., None]) -> None:
    mistakes("\u00a7" + WORKERS, ("the key 'Buffers' is missing", "write for example 'Buffers: "))
