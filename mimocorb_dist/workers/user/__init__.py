"""The user's file of a worker process, as a module of this package, named after the file.

In a package of its own its name cannot collide with that of another module, whatever it is. Processes that a
user function starts with `multiprocessing`, in whichever way, import it under the same name: they know the
file from the environment.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mimocorb_dist import compat
from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.stopping import Calls, calls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from mimocorb_dist.workers.io import BufferIO

ENVIRONMENT = "MIMOCORB_USER_FILE"


def load(file: Path, also: Path | None = None) -> ModuleType:
    """Import a user's file. A process can have one.

    Parameters
    ----------
    file
        Its path. Its folder is put first in the search path, so that it can import its neighbours.
    also
        A folder that it can import from, too, after all others: the working directory in mimoCoRB 1.

    Raises
    ------
    SetupError
        If there is no such file. Errors that the file raises are passed on.
    """
    file = file.absolute()
    if not file.is_file():
        raise SetupError(f"{file}: there is no such file; correct `file` of the worker in the setup")
    os.environ[ENVIRONMENT] = str(file)
    if also is not None and str(also) not in sys.path:
        sys.path.append(str(also))
    return importlib.import_module(_module_name(file))


def called_with_lists(function: Callable[..., Any]) -> Callable[[BufferIO], Any]:
    """Return a function of mimoCoRB 1 as one that is called with its `BufferIO`; import what it needs."""
    from mimocorb_dist.compat.classic1.calling import call, prepare

    prepare(function)

    @calls(Calls.FUNCTION)
    def called(io: BufferIO) -> Any:
        return call(function, io)

    called.__name__ = getattr(function, "__name__", called.__name__)
    return called


def _module_name(file: Path) -> str:
    return f"{__name__}.{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}"


class _UserFileFinder(MetaPathFinder):
    """Finds the file that the environment names."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 (the protocol of finders)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        named = os.environ.get(ENVIRONMENT)
        if named is None or fullname != _module_name(file := Path(named)):
            return None
        if str(file.parent) not in sys.path[:1]:
            sys.path.insert(0, str(file.parent))
        return spec_from_file_location(fullname, file, loader=SourceFileLoader(fullname, str(file)))


compat.install()
sys.meta_path.append(_UserFileFinder())
