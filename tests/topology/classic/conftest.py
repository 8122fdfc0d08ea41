"""A working directory with functions and configs as setups of mimoCoRB 1 name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.topology.conftest import folder, mistakes, setup, warnings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["folder", "mistakes", "setup", "warnings"]

ARGUMENTS = "source_list=None, sink_list=None, observe_list=None, config_dict=None"
FUNCTIONS = "\n".join(
    f"def {name}({ARGUMENTS}, **rb_info): ..." for name in ("take", "find", "save", "scope", "watch")
)


@pytest.fixture(autouse=True)
def functions(folder: Path) -> None:
    (folder / "modules" / "user.py").write_text(
        f"{FUNCTIONS}\ndef bare({ARGUMENTS}): ...\ndef modern(io): ...\n"
    )
    (folder / "common.yaml").write_text("general: {runtime: 5}\nfind: {threshold: 1}\n")
    (folder / "own.yaml").write_text("width: 3\n")
