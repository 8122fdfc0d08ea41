"""Mistakes in setups of mimoCoRB 1 are told in its own words, with place and remedy, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.errors import TopologyError

from .setups import BUFFERS, MAIN, SETUP, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology

M = "\u00a7"


def replaced(old: str, new: str, text: str = SETUP) -> str:
    assert text.count(old) == 1, (old, text.count(old))
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  - RB_2:", f"  - {M}RB_3:", ("'RB_3' stands where 'RB_2' has to be", "name it 'RB_2'")),
        ("  - Fkt_main: {}\n", "", ("'Fkt_1' stands where 'Fkt_main' has to be", "'- Fkt_main: {}'")),
        ("number_of_slots: 8", f"number_of_slots: {M}0", ("number_of_slots is 0", "from 1")),
        ("number_of_slots: 8", f"number_of_slots: {M}'8'", ("number_of_slots is '8', a text", "quotes")),
        ("channel_per_slot: 1\n", f"channel_per_slot: {M}-1\n", ("channel_per_slot is -1", "at least 1")),
        (
            "channel_per_slot: 1\n",
            f"channel_per_slot: {M}999999999\n",
            ("channel_per_slot 999999999", "write at most"),
        ),
        (
            "data_type: float64",
            f"data_type: {M}flaot64",
            ("data_type has the unknown type 'flaot64'", "'float64'"),
        ),
        ("data_type: float64", f"data_type: {M}[a, b]", ("data_type is a list", "1: [chA, float32]")),
        ("data_type: float64", f"data_type: {M}{{}}", ("data_type is empty", "1: [chA, float32]")),
        ("[chB, int32]", f"{M}[chB]", ("field 3 of data_type is a list of 1", "1: [chA, float32]")),
        ("[chB, int32]", f"{M}chB", ("field 3 of data_type is 'chB'", "1: [chA, float32]")),
        ("[chB, int32]", f"[{M}chA, int32]", ("there are two fields 'chA'", "otherwise")),
        ("[chB, int32]", f"[chB, {M}int33]", ("field 'chB' has the unknown type 'int33'", "'int32'")),
        ("num_process: 3", f"num_process: {M}none", ("function 'Fkt_2': num_process is 'none'", "from 1")),
        ("num_process: 3", f"{M}num_proces: 3", ("unknown key 'num_proces'", "did you mean 'num_process'?")),
        ("num_process: 3, ", "", ("function 'Fkt_2': the key 'num_process' is missing", "num_process: 1")),
        ("num_process: 3", f"{M}number_of_processes: 3", ("it is called 'num_process'",)),
        ("fkt_name: find", f"fkt_name: {M}fnd", ("does not define the function 'fnd'", "'find'")),
        ("fkt_name: find", f"fkt_name: {M}bare", ("'bare' in", "**rb_info")),
        ("fkt_name: find", f"fkt_name: {M}modern", ("'modern' in", "source_list=None")),
        ("fkt_name: find, ", "", ("the key 'fkt_name' is missing", "take, find, save")),
        (
            "RB_assign: {RB_2: read}",
            f"RB_assign: {{RB_2: {M}reed}}",
            ("'RB_2' is 'reed'", "did you mean 'read'?"),
        ),
        (
            "RB_assign: {RB_2: read}",
            f"RB_assign: {{{M}RB_2: }}",
            ("'RB_2' is nothing", "read, write, observe"),
        ),
        (
            "RB_assign: {RB_2: read}",
            f"RB_assign: {{{M}RB_7: read, RB_2: read}}",
            ("function 'Fkt_3': there is no buffer 'RB_7'",),
        ),
        (
            "RB_assign: {RB_2: read}",
            f"RB_assign: {M}RB_2",
            ("RB_assign is 'RB_2', not a mapping", "{RB_1: write}"),
        ),
        (
            "RB_assign: {RB_2: read}",
            f"RB_assign: {{RB_2: read}}, config_file: {M}ow.yaml",
            ("no config file 'ow.yaml'", "'own.yaml'"),
        ),
        (
            "  - Fkt_main: {}",
            f"  - Fkt_main: {{config_file: {M}commn.yaml}}",
            ("no config file", "'common.yaml'"),
        ),
        ("  - Fkt_main: {}", f"  - Fkt_main: {M}5", ("'Fkt_main' is 5, not a mapping", "runevents")),
        (
            "  - Fkt_main: {}",
            f"  - Fkt_main: {{runtime: {M}long}}",
            ("runtime is 'long'", "number of seconds"),
        ),
        (
            "  - Fkt_main: {}",
            f"  - Fkt_main: {{runevents: {M}true}}",
            ("runevents is true", "number of events"),
        ),
        (
            "  - Fkt_main: {}",
            f"  - Fkt_main: {{{M}run_events: 5}}",
            ("unknown key 'run_events'", "'runevents'"),
        ),
        ("RingBuffer:", f"KBD_control: {M}1\nRingBuffer:", ("KBD_control is 1", "true or false")),
        (
            "RingBuffer:",
            f"output_directory: {M}own.yaml\nRingBuffer:",
            ("output_directory is 'own.yaml'", "is a file"),
        ),
        ("RingBuffer:", f"{M}target_directory: x\nRingBuffer:", ("it is called 'output_directory'",)),
        (
            "RingBuffer:",
            f"{M}Workers: {{}}\nRingBuffer:",
            ("stands in a setup of mimoCoRB 1", "'Functions:'"),
        ),
        ("RingBuffer:", f"FunctionConfigs: {{take: {M}5}}\nRingBuffer:", ("the config 'take' is 5",)),
        ("RingBuffer:", f"FunctionConfigs: {M}5\nRingBuffer:", ("FunctionConfigs is 5, not a mapping",)),
    ],
)
def test_one_mistake(mistakes: Callable[..., None], old: str, new: str, words: tuple[str, ...]) -> None:
    text = replaced(old, new)
    if old.startswith("  - RB_2"):
        text = text.replace("RB_2:", "RB_3:").replace("RB_2", "RB_3")
    if M not in text:
        place = {"  - F": "  - Fkt_1", "num_p": "  - Fkt_2", "fkt_n": "  - Fkt_2"}[old[:5]]
        text = text.replace(place, place[:4] + M + place[4:])
    mistakes(text, words)


def test_buffers_whose_events_come_from_nowhere(mistakes: Callable[..., None]) -> None:
    text = replaced("  - RB_2:", f"  - {M}RB_2:").replace("{RB_2: write, RB_1: read}", "{RB_1: read}")
    mistakes(text, ("no function writes buffer 'RB_2'", "'RB_2: write'"))


def test_functions_in_a_circle(mistakes: Callable[..., None]) -> None:
    text = replaced("{RB_2: read}", f"{{RB_2: read, {M}RB_1: write}}")
    mistakes(text, ("circle", "one of these functions"))


def test_counted_events_that_nobody_writes(mistakes: Callable[..., None]) -> None:
    text = (
        BUFFERS
        + f"Functions:\n  - {M}Fkt_main: {{runevents: 5}}\n"
        + (
            "  - Fkt_1: {file_name: modules/user, fkt_name: take, num_process: 1, RB_assign: {RB_2: write}}\n"
            "  - Fkt_2: {file_name: modules/user, fkt_name: save, num_process: 1, RB_assign: {RB_2: read}}\n"
        )
    )
    mistakes(text, ("runevents counts the events of 'RB_1', which no function writes",))


def test_what_stands_beside_its_name(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace("      ", "    ").replace("  - RB_1:\n    n", f"  - RB_1:\n    {M}n")
    text = text.replace("  - RB_2:\n    n", f"  - RB_2:\n    {M}n")
    words = ("what belongs to 'RB_1' stands beside it, not below it", "indent it further")
    mistakes(text, words, "what belongs to 'RB_2' stands beside it")


def test_sections_that_are_no_lists(mistakes: Callable[..., None]) -> None:
    one = f"RingBuffer: {M}{{RB_1: {{number_of_slots: 3}}}}\nFunctions: {M}5\n"
    mistakes(one, "RingBuffer is a mapping, not a list", "Functions is 5, not a list")
    mistakes(f"RingBuffer: {M}[]\n{M}Functions:\n", "RingBuffer is empty", "the key 'Functions' has no value")
    mistakes(f"{M}Functions:\n  - {M}Fkt_main: {{}}\n", "'RingBuffer' is missing", "no function besides")
    mistakes(f"{M}Ringbuffer: []\n{MAIN}{WORKERS}", "write 'RingBuffer:'")


def test_items_that_are_no_mappings(mistakes: Callable[..., None]) -> None:
    text = BUFFERS + f"  - {M}5\n  - {M}{{}}\n  - {M}7: {{}}\n  - {M}RB_6:\n" + MAIN + WORKERS
    mistakes(
        text,
        "an item of RingBuffer is 5, not 'RB_3:'",
        "an item of RingBuffer is empty, not 'RB_4:'",
        ("an item is named 7", "name it 'RB_5'"),
        ("buffer 'RB_6' is nothing, not a mapping", "number_of_slots: 16"),
    )


def test_two_items_in_one(mistakes: Callable[..., None]) -> None:
    text = BUFFERS + MAIN + WORKERS.replace("  - Fkt_4", f"    {M}Fkt_4")
    text = text.replace("  - Fkt_5", "  - Fkt_4")
    mistakes(text, ("'Fkt_4' stands in the item of 'Fkt_3'", "'- Fkt_4:'"))


def test_equal_names(mistakes: Callable[..., None]) -> None:
    mistakes(
        SETUP.replace("  - Fkt_5", f"  - {M}Fkt_4"), ("two items of the name 'Fkt_4'", "name it 'Fkt_5'")
    )


def test_after_a_gap_it_is_counted_on(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace("Fkt_5", "Fkt_6").replace("Fkt_4", f"{M}Fkt_5")
    mistakes(text, ("'Fkt_5' stands where 'Fkt_4' has to be", "name it 'Fkt_4'"))


def test_files_that_are_not_there(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace("modules/user, fkt_name: find", f"{M}modules/usr, fkt_name: find")
    text = text.replace("modules/user, fkt_name: save", f"{M}module/user, fkt_name: save")
    relative = "names are relative to the working directory"
    mistakes(text, ("no file 'modules/usr.py'", "'modules/user.py'"), ("there is no folder", relative))


def test_functions_that_are_no_python(setup: Callable[[str], Topology], folder: Path) -> None:
    (folder / "modules" / "user.py").write_text("def take(:\n")
    with pytest.raises(TopologyError) as caught:
        setup(SETUP)
    assert all(
        text.startswith("modules/user.py:1:10: this is not valid Python") for text in caught.value.mistakes
    )


def test_limits_in_the_common_config(setup: Callable[[str], Topology], folder: Path) -> None:
    (folder / "common.yaml").write_text("general: {runtime: soon}\n")
    with pytest.raises(TopologyError) as caught:
        setup(SETUP.replace("Fkt_main: {}", "Fkt_main: {config_file: common.yaml}"))
    (text,) = caught.value.mistakes
    assert text.startswith("common.yaml:1:20: 'general' of the common config file: runtime is 'soon'")


def test_all_mistakes_at_once(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace("number_of_slots: 16", f"number_of_slots: {M}many")
    text = text.replace("fkt_name: take", f"fkt_name: {M}tke").replace(
        "{RB_1: observe}", f"{{RB_1: {M}look}}"
    )
    mistakes(text, "number_of_slots is 'many'", "'tke'", "RB_assign of 'RB_1' is 'look'")
