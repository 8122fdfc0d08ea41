"""``mimocorb-node python``: a Python program in which the classic names can be imported.

It runs as under ``python``: with its arguments, its search path, its tracebacks and its exit status. All
Python processes that it starts find the names, too.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from mimocorb_dist.compat import children, install

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

COMMAND = "python"
USAGE = """\
Usage: mimocorb-node python SCRIPT [ARGUMENTS]...
       mimocorb-node python -m MODULE [ARGUMENTS]...

  Run a Python program that imports mimocorb or mimocorb2 with mimocorb_dist in
  their place. Arguments, search path and exit status are those of python.
"""


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether a command line, without the program, asks for this command."""
    return list(arguments[:1]) == [COMMAND]


def run(arguments: Sequence[str]) -> NoReturn:
    """Run a Python program in this process, and end with it.

    Parameters
    ----------
    arguments
        Path of the program, or ``-m`` and the name of a module, and the program's own arguments.
    """
    name, *its_arguments = arguments or [""]
    if name in ("", "-h", "--help"):
        print(USAGE, file=sys.stdout if name else sys.stderr, end="")
        sys.exit(0 if name else 2)
    if name.startswith("-") and (name != "-m" or not its_arguments):
        print(f"{USAGE}\nError: {name!r} is none of these", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    install()
    _tell_children()
    sys.excepthook = _excepthook
    if name == "-m":
        _run_module(its_arguments[0], its_arguments[1:])
    else:
        _run_file(Path(name), its_arguments)
    sys.exit(0)


def _tell_children() -> None:
    """Let every Python process that this one starts find the classic names."""
    paths = [str(Path(children.__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))


def _run_file(path: Path, arguments: Sequence[str]) -> None:
    if path.is_dir() or path.suffix in (".zip", ".pyz"):
        sys.argv = [str(path), *arguments]
        runpy.run_path(str(path), run_name="__main__")
        return
    try:
        source = path.read_bytes()
    except OSError as error:
        print(  # noqa: T201 (in the words of python)
            f"mimocorb-node python: can't open file {str(path.absolute())!r}: {error}", file=sys.stderr
        )
        sys.exit(2)
    sys.argv = [str(path), *arguments]
    sys.path[0] = str(path.resolve().parent)
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=str(path.absolute()),
        __builtins__=__builtins__,
        __cached__=None,
        __annotations__={},
        __loader__=SourceFileLoader("__main__", str(path)),
    )
    sys.modules["__main__"] = main
    exec(compile(source, str(path), "exec", dont_inherit=True), main.__dict__)


def _run_module(name: str, arguments: Sequence[str]) -> None:
    sys.argv = [name, *arguments]
    sys.path[0] = os.getcwd()
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if error.__traceback__ is not None and _is_runpy(error.__traceback__):
            print(f"{sys.executable}: {error}", file=sys.stderr)  # noqa: T201 (in the words of python)
            sys.exit(1)
        raise


def _is_runpy(trace: TracebackType) -> bool:
    """Tell whether an error came up before any code of the program ran."""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__") == "runpy"


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error of the program as python does: without what has called it."""
    start, step = trace, trace
    while step is not None:
        if step.tb_frame.f_code.co_filename == __file__:
            start = step.tb_next
        step = step.tb_next
    sys.__excepthook__(kind, error.with_traceback(start), start)
