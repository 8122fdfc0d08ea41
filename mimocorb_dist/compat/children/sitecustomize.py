"""Read by Python at its start, from the folder in PYTHONPATH: the classic names are found from then on.

So they are found in all processes of a program, in whichever way `multiprocessing` starts them. A module of
this name that the program has besides is read as it would be without this one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _install() -> None:
    with contextlib.suppress(ModuleNotFoundError):  # another Python, which lacks what we need
        if importlib.util.find_spec("mimocorb_dist") is None:
            sys.path.append(str(_HERE.parents[2]))
        from mimocorb_dist.compat import install

        install()


def _read_the_other() -> None:
    """Read the module that this one hides."""
    others = [folder for folder in sys.path if Path(folder).resolve() != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _hide() -> None:
    """Take the folder off the search path, where it would not be without us."""
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != _HERE]


_install()
_hide()
_read_the_other()
