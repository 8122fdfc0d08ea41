"""Where in the user's code something went wrong."""

from __future__ import annotations

import functools
import importlib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mimocorb_dist.ring

if TYPE_CHECKING:
    from types import TracebackType

_NOT_THE_USERS = (
    "<",
    str(Path(__file__).parent),
    str(Path(__file__).parent.parent / "compat"),
    str(Path(mimocorb_dist.ring.__file__).parent),
    str(Path(importlib.__file__).parent),
)
"""How names of files begin that no user has written, and that stand between ours and the user's."""


def describe_error(error: BaseException) -> str:
    """Return type and text of what a user's code has raised, with the remedy where that is known."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ValueError) and "read-only" in str(error):
        text += "; other workers get these data, too: change a copy of them"
    return text


def place_of_error(error: BaseException) -> str:
    """Name the line of the user's code at which an error came up, as ``file.py:12``.

    The user's file is the first one in the error's traceback that does not belong to this package; the line
    is the innermost in that file.

    Returns
    -------
    str
        Empty if there is no such file.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    place, user_file = "", None
    for frame, line in traceback.walk_tb(error.__traceback__):
        filename = frame.f_code.co_filename
        if user_file is None and not filename.startswith(_NOT_THE_USERS):
            user_file = filename
        if filename == user_file:
            place = f"{Path(filename).name}:{line}"
    return place


def place_of_function(function: Any) -> str:
    """Name the file and first line of a user's function, as ``file.py:12``; empty if it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return "" if code is None else f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def from_users_code(trace: TracebackType | None) -> TracebackType | None:
    """Cut off what comes before the user's code in a traceback, if there is any of it."""
    start = trace
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        start = start.tb_next
    return start or trace
