"""The finder that serves classic import names."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from .names import CLASSIC_MODULES, CLASSIC_PACKAGES, ROOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType


class ClassicFinder(MetaPathFinder):
    """Serves `mimocorb2` and `mimocorb` with all their modules, whether they are installed or not."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (the protocol of finders)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return how to load a classic module; None for all others.

        Raises
        ------
        ModuleNotFoundError
            For a classic module that is not provided.
        """
        if fullname.partition(".")[0] not in ROOTS:
            return None
        if fullname in CLASSIC_MODULES:
            return ModuleSpec(fullname, _NamesLoader(), is_package=fullname in ROOTS)
        ours = _our_module(fullname)
        if ours is None:
            raise ModuleNotFoundError(_no_module(fullname), name=fullname)
        return ModuleSpec(fullname, _AliasLoader(ours), is_package=fullname in CLASSIC_PACKAGES)


class _NamesLoader(Loader):
    """Makes a module whose names are looked up in the table, each when it is first used."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import machinery make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look up its names."""
        names = CLASSIC_MODULES[module.__name__]
        module.__doc__ = f"Names of {module.__name__}, provided by mimocorb_dist."
        every = {*names, *(_submodules(module.__name__) if module.__name__ == "mimocorb" else ())}
        module.__dict__["__all__"] = sorted(name for name in every if not name.startswith("_"))
        module.__dict__["__getattr__"] = _lookup(module, names)


class _AliasLoader(Loader):
    """Gives a module of ours under a classic name, too: one module, not two."""

    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return our module."""
        try:
            module = importlib.import_module(self._ours)
        except ModuleNotFoundError as error:
            if error.name == self._ours:
                raise ModuleNotFoundError(_no_module(spec.name), name=spec.name) from error
            raise
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give back the specification, in whose place the import machinery has put the classic one."""
        module.__spec__ = self._own_spec


def install() -> None:
    """Serve the classic names in this process, before all other finders. Installing twice is harmless."""
    if not any(isinstance(finder, ClassicFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ClassicFinder())


def _lookup(module: ModuleType, names: dict[str, str]) -> Callable[[str], Any]:
    def __getattr__(name: str) -> Any:
        if name in names:
            our_module, _, our_name = names[name].partition(":")
            value = getattr(importlib.import_module(our_module), our_name)
            setattr(module, name, value)
            return value
        if f"{module.__name__}.{name}" in CLASSIC_MODULES:
            return importlib.import_module(f"{module.__name__}.{name}")
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        known = ", ".join(sorted({*names, *_submodules(module.__name__)}))
        raise ImportError(
            f"mimocorb_dist does not provide {name!r} of {module.__name__}; it provides: {known}",
            name=module.__name__,
        )

    return __getattr__


def _submodules(package: str) -> list[str]:
    return [name.removeprefix(f"{package}.") for name in CLASSIC_MODULES if name.startswith(f"{package}.")]


def _our_module(fullname: str) -> str | None:
    for classic, ours in CLASSIC_PACKAGES.items():
        if fullname == classic or fullname.startswith(f"{classic}."):
            return ours + fullname.removeprefix(classic)
    return None


def _no_module(fullname: str) -> str:
    root = fullname.partition(".")[0]
    known = ", ".join(sorted(name for name in (*CLASSIC_MODULES, *CLASSIC_PACKAGES) if name.startswith(root)))
    return f"mimocorb_dist does not provide the module {fullname}; of {root} it provides: {known}"
