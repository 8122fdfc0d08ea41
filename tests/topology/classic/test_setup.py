"""A setup of mimoCoRB 1 becomes the same model as any other."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.topology import describe, load, plan
from mimocorb_dist.topology.graph import draw

from .setups import BUFFERS, MAIN, SETUP, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mimocorb_dist.topology import Topology

    Setup = Callable[[str], Topology]

MINUTE = datetime(2026, 11, 21, 17, 9, 33)


def with_main(main: str) -> str:
    return BUFFERS + MAIN.replace("{}", main) + WORKERS


def test_buffers_and_functions_become_the_model(setup: Setup, folder: Path) -> None:
    topology = setup(SETUP)
    assert topology.dialect == "mimoCoRB 1"
    first, second = topology.buffers["RB_1"], topology.buffers["RB_2"]
    assert (first.slot_count, first.data_length, first.delivery) == (16, 100, "broadcast")
    assert first.data_dtype == np.dtype([("chA", float), ("chB", np.int32)])
    assert second.data_dtype == np.float64 and second.data_dtype.names is None
    find = topology.workers["Fkt_2"]
    assert (find.function, find.file, find.processes) == ("find", folder / "modules" / "user.py", 3)
    assert (find.sources, find.sinks, find.call) == (("RB_1",), ("RB_2",), "classic1")
    assert find.assigned == (("RB_2", "write"), ("RB_1", "read"))
    roles = [worker.role for worker in topology.workers.values()]
    assert roles == ["importer", "filter", "exporter", "observer", "lone"]
    assert topology.roots == ("RB_1",)
    assert topology.target_directory == folder / "target"
    assert topology.warnings == ()
    groups = [ring.groups for ring in plan(topology).nodes["local"].rings]
    assert groups == [("Fkt_2",), ("Fkt_3",)]


def test_it_can_be_described_and_drawn(setup: Setup, folder: Path) -> None:
    topology = setup(SETUP)
    assert "Fkt_5  x 1  lone" in describe(plan(topology))
    for suffix in ("svg", "png"):
        draw(topology, folder / f"flow.{suffix}")
        assert (folder / f"flow.{suffix}").stat().st_size > 1000


def test_names_are_relative_to_the_working_directory(folder: Path) -> None:
    (folder / "setups").mkdir()
    path = folder / "setups" / "muon_setup.yaml"
    path.write_text("output_directory: out\n" + with_main("{config_file: common.yaml}"))
    topology = load("setups/muon_setup.yaml")
    assert topology.workers["Fkt_1"].file == folder / "modules" / "user.py"
    assert topology.target_directory == folder / "out"
    assert topology.directory == folder / "setups"
    assert dict(topology.rules.copied) == {
        "muon_setup.yaml": path,
        "common.yaml": folder / "common.yaml",
    }


def test_a_file_name_may_have_its_suffix(setup: Setup, folder: Path) -> None:
    assert setup(SETUP.replace("modules/user,", "modules/user.py,")).workers["Fkt_1"].file is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spectrum_setup.yaml", "spectrum_2026-11-21_1709"),
        ("setup.yaml", "2026-11-21_1709"),
        ("a_setup_b.yaml", "a_2026-11-21_1709"),
        ("100%setup.yaml", "100%2026-11-21_1709"),
        ("muons.yaml", "muons_2026-11-21_1709"),
    ],
)
def test_run_directories_are_named_after_the_setup(folder: Path, name: str, expected: str) -> None:
    (folder / name).write_text(SETUP)
    assert load(name).run_name(MINUTE) == expected


def test_configs_of_the_same_name_are_all_copied(setup: Setup, folder: Path) -> None:
    (folder / "modules" / "own.yaml").write_text("width: 4\n")
    workers = WORKERS.replace("RB_assign: {RB_2: read}", "config_file: own.yaml, RB_assign: {RB_2: read}")
    workers = workers.replace("{RB_1: observe}", "{RB_1: observe}, config_file: modules/own.yaml")
    topology = setup(BUFFERS + MAIN + workers)
    assert set(topology.rules.copied) == {"setup.yaml", "own.yaml", "modules_own.yaml"}


# Which config a function gets.


def test_the_own_config_file_wins_over_the_common_one_and_that_over_the_setup(setup: Setup) -> None:
    inline = "FunctionConfigs:\n  take: {a: 1}\n  find: {a: 2, b: 3}\n  save: {a: 3}\n"
    workers = WORKERS.replace("RB_assign: {RB_2: read}", "config_file: own.yaml, RB_assign: {RB_2: read}")
    topology = setup(inline + BUFFERS + MAIN.replace("{}", "{config_file: common.yaml}") + workers)
    configs = {worker.function: worker.config for worker in topology.workers.values()}
    assert configs == {
        "take": {"a": 1},
        "find": {"threshold": 1},
        "save": {"width": 3},
        "scope": {},
        "watch": {},
    }


def test_empty_configs_are_empty(setup: Setup, folder: Path) -> None:
    (folder / "own.yaml").write_text("# nothing yet\n")
    workers = WORKERS.replace("{RB_2: read}", "{RB_2: read}, config_file: own.yaml")
    topology = setup("FunctionConfigs: {take: }\n" + BUFFERS + MAIN + workers)
    assert topology.workers["Fkt_1"].config == topology.workers["Fkt_3"].config == {}


# Limits and controls.


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("{}", (None, None)),
        ("{runtime: 0, runevents: 0}", (None, None)),
        ("{runtime: -1, runevents: -1}", (None, None)),
        ("{runtime: 2.5, runevents: 10}", (10, 2.5)),
        ("{runtime: , runevents: 9.5}", (10, None)),
        ("{runtime: 7, runevents: 10, config_file: common.yaml}", (10, 5.0)),
        ("", (None, None)),
    ],
)
def test_limits_of_runs(setup: Setup, main: str, expected: tuple[int | None, float | None]) -> None:
    rules = setup(with_main(main)).rules
    assert (rules.max_events, rules.max_time_s) == expected


def test_the_common_config_file_can_lift_a_limit(setup: Setup, folder: Path) -> None:
    (folder / "common.yaml").write_text("general: {runtime: 0}\n")
    assert setup(with_main("{runtime: 7, config_file: common.yaml}")).rules.max_time_s is None


def test_rules_of_runs(setup: Setup) -> None:
    rules = setup("GUI_control: false\n" + SETUP).rules
    assert (rules.kbd, rules.gui, rules.holds) == (True, False, True)
    assert (rules.counted, rules.ends_with) == ("RB_1", "Fkt_1")
    assert setup("KBD_control: false\n" + SETUP).rules.kbd is False


def test_what_is_compared_between_nodes(setup: Setup, folder: Path) -> None:
    one = setup(SETUP)
    assert one.content_hash() == setup("# a remark\n" + SETUP).content_hash()
    assert one.content_hash() != setup(with_main("{runevents: 5}")).content_hash()
    assert one.content_hash() != setup(SETUP.replace("float64", "float32")).content_hash()
    assert list(one.function_files()) == ["modules/user.py"]


def test_which_config_file_has_changed_is_seen(setup: Setup, folder: Path) -> None:
    text = with_main("{config_file: common.yaml}").replace(
        "fkt_name: find,", "fkt_name: find, config_file: own.yaml,"
    )
    first = setup(text).yaml_files
    assert set(first) == {"setup.yaml", "common.yaml", "own.yaml"}
    (folder / "own.yaml").write_text("width: 4\n")
    changed = setup(text).yaml_files
    assert {file for file in first if changed[file] != first[file]} == {"own.yaml"}


def test_nodes(setup: Setup) -> None:
    text = "Nodes: {daq: {}, pc: {}}\nBroker: {node: pc}\n" + SETUP.replace(
        "fkt_name: take", "fkt_name: take, node: daq"
    ).replace("fkt_name: find", "fkt_name: find, node: [daq, pc]").replace(
        "data_type: float64", "data_type: float64\n      node: pc"
    )
    for function in ("save", "scope", "watch"):
        text = text.replace(f"fkt_name: {function}", f"fkt_name: {function}, node: pc")
    topology = setup(text)
    assert {name: buffer.node for name, buffer in topology.buffers.items()} == {"RB_1": "daq", "RB_2": "pc"}
    names = {link.name for link in plan(topology).links}
    assert names == {"RB_1@daq->pc#Fkt_2", "RB_2@daq->pc"}


def test_disks_and_watchdogs(setup: Setup) -> None:
    text = "Disk: {pause: 2 GB}\n" + SETUP.replace(
        "number_of_slots: 8", "number_of_slots: 8\n      watchdog: 60"
    )
    topology = setup(text)
    assert topology.disk.bounds(10**13).pause == 2 * 10**9
    assert [buffer.watchdog_s for buffer in topology.buffers.values()] == [None, 60.0]


# What works there works here.


def test_the_last_of_two_equal_keys_counts(warnings: Callable[..., None], setup: Setup) -> None:
    text = SETUP.replace("data_type: float64", "data_type: int8\n      \u00a7data_type: float64")
    warnings(text, ("'data_type' is given twice", "the last one counts"))
    assert setup(text.replace("\u00a7", "")).buffers["RB_2"].data_dtype == np.float64


def test_a_buffer_that_nobody_uses_is_left_out(warnings: Callable[..., None], setup: Setup) -> None:
    unused = "  - \u00a7RB_3: {number_of_slots: 1, channel_per_slot: 1, data_type: int8}\n"
    text = BUFFERS + unused + MAIN + WORKERS
    warnings(text, "no function uses buffer 'RB_3'")
    assert list(setup(text.replace("\u00a7", "")).buffers) == ["RB_1", "RB_2"]


def test_keys_that_mean_nothing_are_only_odd(warnings: Callable[..., None]) -> None:
    text = SETUP.replace("num_process: 3", "\u00a7priority: 5, num_process: 3")
    warnings(text, "function 'Fkt_2': the key 'priority' means nothing here")


def test_limits_at_the_top_level_are_odd(warnings: Callable[..., None]) -> None:
    warnings("\u00a7runtime: &r 5\n" + SETUP, ("the key 'runtime' means nothing", "move it to 'Fkt_main'"))
    warnings("runtime: &r 5\n" + with_main("{runtime: *r}"))


def test_other_top_level_keys_hold_templates(warnings: Callable[..., None]) -> None:
    warnings("author: me\nversion: 3\n" + SETUP)


def test_several_importers_with_several_processes_are_odd(warnings: Callable[..., None]) -> None:
    text = SETUP.replace("fkt_name: take, num_process: 1", "fkt_name: take, num_process: \u00a72")
    warnings(text, "function 'Fkt_1' imports with 2 processes")


def test_a_buffer_that_is_only_written_is_odd(warnings: Callable[..., None]) -> None:
    text = SETUP.replace("  - RB_2:", "  - \u00a7RB_2:").replace("RB_assign: {RB_2: read}", "RB_assign: {}")
    warnings(text, ("no function reads buffer 'RB_2', it is only written", "released as soon as"))


def test_an_observed_buffer_needs_no_reader(warnings: Callable[..., None]) -> None:
    text = SETUP.replace("  - RB_2:", "  - \u00a7RB_2:").replace(
        "RB_assign: {RB_2: read}", "RB_assign: {RB_2: observe}"
    )
    warnings(text, "no function reads buffer 'RB_2', it is only observed")
