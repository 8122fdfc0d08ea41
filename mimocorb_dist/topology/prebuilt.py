"""The prebuilt functions: which there are, what buffers they want, and which keys their configs have.

They are looked up in the text of their modules, so that checking a setup imports none of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .findings import nearest
from .user_files import Code, read_code

PACKAGE = "mimocorb_dist.functions"


@dataclass(frozen=True)
class Ports:
    """The buffers that a function wants.

    Parameters
    ----------
    sources, sinks, observes
        Lowest and highest number of them (None: any).
    same_type
        Whether its sinks must be of the type of its source.
    single
        Which of them (``sources``, ``sinks``) must have data_length 1.
    """

    sources: tuple[int, int | None]
    sinks: tuple[int, int | None]
    observes: tuple[int, int | None]
    same_type: bool = False
    single: tuple[str, ...] = ()


_IMPORTER = Ports((0, 0), (1, 1), (0, 0))
_EXPORTER = Ports((1, 1), (0, None), (0, 0), same_type=True)
_TABLE = Ports((1, 1), (0, None), (0, 0), same_type=True, single=("sources",))
_FILTER = Ports((1, 1), (1, None), (0, 0), same_type=True)
_ANALYZER = Ports((1, 1), (1, 1), (0, 0), single=("sinks",))
_OBSERVER = Ports((0, 0), (0, 0), (1, 1))

# The longest entry that a function's name begins with holds; functions without an entry may have any buffers.
PORTS = {
    "analyzers.pha": _ANALYZER,
    "data.clocked_importer": _IMPORTER,
    "data.export": _EXPORTER,
    "data.replay": _IMPORTER,
    "data.simulate_importer": _IMPORTER,
    "exporters": _EXPORTER,
    "exporters.csv": _TABLE,
    "exporters.histogram": _TABLE,
    "importers": _IMPORTER,
    "misc.copy": _FILTER,
    "muons.find_double_pulses": _ANALYZER,
    "muons.fit_lifetime": _TABLE,
    "observers": _OBSERVER,
    "simulators": _IMPORTER,
    "visualizers": _OBSERVER,
}


_CONFIG_SECTION = re.compile(r"^Config\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", re.MULTILINE | re.DOTALL)
_CONFIG_KEYS = re.compile(r"^(\w+(?:, \w+)*) :", re.MULTILINE)


def ports_of(function: str) -> Ports | None:
    """Return what is known of the buffers that a prebuilt function wants."""
    parts = function.split(".")
    for length in range(len(parts), 0, -1):
        if (ports := PORTS.get(".".join(parts[:length]))) is not None:
            return ports
    return None


def config_keys_of(function: str) -> tuple[str, ...] | None:
    """Return the keys of a prebuilt function's config, by its docstring; None if it has none to tell."""
    module, _, name = function.rpartition(".")
    code = _module_code(module)
    docstring = code.functions.get(name) if code else None
    if docstring is None:
        return None
    config = _CONFIG_SECTION.search(docstring)
    lines = _CONFIG_KEYS.findall(config[1]) if config else []
    return tuple(key for line in lines for key in line.split(", "))


def problem_with(function: str) -> tuple[str, str] | None:
    """Return what is wrong with the name of a prebuilt function, and the remedy; None if it exists."""
    module, _, name = function.rpartition(".")
    if not all(part.isidentifier() for part in function.split(".")):
        return f"'{function}' is no name of a function", "write module.function, such as exporters.csv"
    if not module:
        remedy = "add 'file:' with the file that defines it, or write a prebuilt one as module.function"
        return f"'{function}' is no prebuilt function", _closest(function, remedy)
    code = _module_code(module)
    if code is None:
        return f"there is no module '{module}' of prebuilt functions", _closest(function, _modules_remedy())
    if code.may_define(name):
        return None
    offered = ", ".join(f"{module}.{found}" for found in code.functions if not found.startswith("_"))
    return f"there is no prebuilt function '{function}'", _closest(
        function, f"{module} has: {offered or 'nothing'}"
    )


def prebuilt_functions() -> tuple[str, ...]:
    """Return the names of all prebuilt functions, as a setup writes them."""
    return tuple(
        f"{module}.{name}"
        for module in _modules()
        for name in getattr(_module_code(module), "functions", ())
        if not name.startswith("_")
    )


def _closest(function: str, otherwise: str) -> str:
    known = prebuilt_functions()
    near = nearest(function, known)
    if near is None:  # the module may be missing or wrong, the name itself right
        by_name = {name.rpartition(".")[2]: name for name in known}
        found = nearest(function.rpartition(".")[2], by_name, cutoff=0.8)
        near = by_name[found] if found else None
    return f"did you mean '{near}'?" if near else otherwise


def _modules_remedy() -> str:
    return f"modules: {', '.join(_modules()) or 'none'}; for a function of your own add 'file:'"


def _folders() -> list[Path]:
    spec = find_spec(PACKAGE)
    return [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []


def _modules() -> tuple[str, ...]:
    names = set()
    for folder in _folders():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            if not any(part.startswith("_") for part in parts):
                names.add(".".join(parts))
    return tuple(sorted(names))


@cache
def _module_code(module: str) -> Code | None:
    for folder in _folders():
        base = folder.joinpath(*module.split("."))
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                return read_code(file)
    return None
