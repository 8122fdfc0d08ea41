"""The prebuilt functions: which there are, what buffers they want, and which keys their configs have.

Names are looked up in the texts of the modules. Only those whose functions a setup has are imported: they
declare the keys of their configs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .findings import nearest
from .user_files import Code, read_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .drafts import BufferDraft

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


class ConfigProblem(Protocol):
    """What is wrong with a config: at a key of it, or (None) with the worker's buffers."""

    @property
    def key(self) -> str | None:
        """The key."""

    @property
    def what(self) -> str:
        """What is wrong."""

    @property
    def remedy(self) -> str:
        """What to do."""


class DeclaredConfig(Protocol):
    """What a prebuilt function declares of its config."""

    @property
    def keys(self) -> Mapping[str, Any]:
        """Its keys by name."""

    def problems(
        self,
        config: Mapping[Any, Any],
        *,
        sources: Sequence[BufferDraft],
        sinks: Sequence[BufferDraft],
        observes: Sequence[BufferDraft],
        complete: bool,
        setup_dir: Path,
        files: bool,
    ) -> Sequence[ConfigProblem]:
        """Return all that is wrong with a config; of the buffers those are given that are known."""


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

# Names of mimoCoRB2 for which there is no function yet.
LATER = {
    "importers.picoscope.source": "PicoScopes",
    "importers.redpitaya.waveform": "RedPitayas",
}


def ports_of(function: str) -> Ports | None:
    """Return what is known of the buffers that a prebuilt function wants."""
    parts = function.split(".")
    for length in range(len(parts), 0, -1):
        if (ports := PORTS.get(".".join(parts[:length]))) is not None:
            return ports
    return None


def config_of(function: str) -> DeclaredConfig | None:
    """Return what a prebuilt function declares of its config; None if nothing is known."""
    module, _, name = function.rpartition(".")
    if not module or problem_with(function) is not None:
        return None
    try:
        found = import_module(f"{PACKAGE}.{module}")
    except ImportError:  # it needs what is not installed here; the worker says so
        return None
    config: DeclaredConfig | None = getattr(getattr(found, name, None), "config", None)
    return config


def problem_with(function: str, ends: tuple[int, int, int] | None = None) -> tuple[str, str] | None:
    """Return what is wrong with the name of a prebuilt function, and the remedy; None if it exists.

    Parameters
    ----------
    function
        The name.
    ends
        Numbers of the sources, sinks and observed buffers of its worker, to tell which one is meant.
    """
    module, _, name = function.rpartition(".")
    if not all(part.isidentifier() for part in function.split(".")):
        return f"'{function}' is no name of a function", "write module.function, such as exporters.csv"
    if not module:
        remedy = "add 'file:' with the file that defines it, or write a prebuilt one as module.function"
        return f"'{function}' is no prebuilt function", _closest(function, remedy, ends)
    code = _module_code(module)
    if function in LATER and not (code and code.may_define(name)):
        what = f"'{function}' is not provided yet: functions for {LATER[function]} come with a later release"
        return what, "until then name an importer of your own with 'file:', or replay events with data.replay"
    if code is None:
        return f"there is no module '{module}' of prebuilt functions", _closest(
            function, _modules_remedy(), ends
        )
    if code.may_define(name):
        return None
    offered = ", ".join(f"{module}.{found}" for found in code.functions if not found.startswith("_"))
    return f"there is no prebuilt function '{function}'", _closest(
        function, f"{module} has: {offered or 'nothing'}", ends
    )


def prebuilt_functions() -> tuple[str, ...]:
    """Return the names of all prebuilt functions, as a setup writes them."""
    return tuple(
        f"{module}.{name}"
        for module in _modules()
        for name in getattr(_module_code(module), "functions", ())
        if not name.startswith("_")
    )


def _closest(function: str, otherwise: str, ends: tuple[int, int, int] | None) -> str:
    known = sorted(prebuilt_functions(), key=lambda name: _fits(name, ends))
    near = nearest(function, known)
    if near is None:  # the module may be missing or wrong, the name itself right
        by_name = {name.rpartition(".")[2]: name for name in known}  # of several, one that fits
        found = nearest(function.rpartition(".")[2], by_name, cutoff=0.8)
        near = by_name[found] if found else None
    return f"did you mean '{near}'?" if near else otherwise


def _fits(function: str, ends: tuple[int, int, int] | None) -> bool:
    """Tell whether a function wants as many buffers as a worker has."""
    ports = ports_of(function)
    if ports is None or ends is None:
        return False
    limits = (ports.sources, ports.sinks, ports.observes)
    return all(
        low <= number and (high is None or number <= high)
        for number, (low, high) in zip(ends, limits, strict=True)
    )


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
