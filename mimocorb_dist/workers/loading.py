"""Finding the function of a worker: in a user's file, or among the prebuilt ones."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError

from . import user
from .generations import LISTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PREBUILT = "mimocorb_dist.functions"
_LISTS = 4
"""Arguments of a function of mimoCoRB 1: three lists of buffers, and the config."""


def load_function(function: str, file: Path | None, call: str = "io") -> Callable[..., Any]:
    """Import the function of a worker, as one that is called with its `BufferIO`.

    Parameters
    ----------
    function
        Its name; without a file ``module.function``, also of a module in a folder
        (``importers.redpitaya.waveform``).
    file
        The user's file; None for a prebuilt function.
    call
        How the function itself wants to be called: ``io``, or ``classic1`` as in mimoCoRB 1.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    SetupError
        If there is no such file, module or function. Errors that the file raises while it is imported are
        passed on.
    """
    if file is not None and call == "classic1":
        found = _member(user.load(file, Path.cwd()), function.rpartition(".")[2], str(file), _LISTS)
        return user.called_with_lists(found)
    if file is not None:
        return _member(user.load(file), function.rpartition(".")[2], str(file))
    module_name, _, name = function.rpartition(".")
    if not module_name:
        raise SetupError(
            f"function {function!r} is no prebuilt one: they are named module.function, like exporters.csv; "
            "for a function of your own give its `file`, too"
        )
    full_name = f"{PREBUILT}.{module_name}"
    try:
        module = importlib.import_module(full_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{full_name}.".startswith(f"{error.name}."):
            raise  # a library that the module needs
        raise SetupError(
            f"there is no prebuilt module {module_name!r}{_nearest(module_name, _prebuilt_modules())}"
        ) from error
    return _member(module, name, module_name)


def _member(module: ModuleType, name: str, where: str, arguments: int = 1) -> Callable[..., Any]:
    function: Any = getattr(module, name, None)
    if callable(function):
        _check_signature(function, name, where, arguments)
        return function  # type: ignore[no-any-return]
    own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    what = "no function" if function is None else "something, but no function,"
    raise SetupError(f"{where} has {what} {name!r}{_nearest(name, own)}")


def _check_signature(function: Callable[..., Any], name: str, where: str, arguments: int) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C tell nothing about it
        return
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        if arguments == 1 and _binds(signature, LISTS):
            return
        if arguments == _LISTS:
            raise SetupError(
                f"{where}: {name}{signature} cannot be called with the lists of its sources, sinks and "
                f"observed buffers, and its config ({error}); declare it as `def {name}(source_list=None, "
                "sink_list=None, observe_list=None, config_dict=None, **rb_info):`"
            ) from error
        raise SetupError(
            f"{where}: {name}{signature} cannot be called with one argument, the worker's BufferIO "
            f"({error}); declare it as `def {name}(io):`"
        ) from error


def _binds(signature: inspect.Signature, arguments: int) -> bool:
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        return False
    return True


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; do you mean {near[0]!r}?"
    return f"; there is: {', '.join(sorted(known))}" if known else ""


def _prebuilt_modules() -> list[str]:
    package = importlib.import_module(PREBUILT)
    prefix = f"{PREBUILT}."
    names = [module.name for module in pkgutil.walk_packages(package.__path__, prefix)]
    return [name.removeprefix(prefix) for name in names if "._" not in name]
