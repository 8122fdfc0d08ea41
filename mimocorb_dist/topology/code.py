"""The Python file that a setup names for a function: whether it is there, and defines the function."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .findings import nearest, suggest
from .model import Place
from .paths import is_file
from .user_files import read_code

if TYPE_CHECKING:
    from .fields import Reference
    from .findings import Findings
    from .model import Call
    from .paths import Folder
    from .user_files import Code


def read_user_code(findings: Findings, folder: Folder, label: str, file: Reference) -> Code | None:
    """Read a user's file without running it; a mistake and None if that cannot be done.

    Parameters
    ----------
    findings
        Gets the mistakes.
    folder
        The folder that names are relative to.
    label
        What messages call who needs it: ``worker 'find'``.
    file
        Its name.
    """
    path = folder.find(file.name)
    if not is_file(path):
        remedy = folder.remedy(file.name, (".py",))
        findings.mistake(file.place, f"{label}: there is no file '{file.name}'", remedy)
        return None
    try:
        code = read_code(path)
    except SyntaxError as error:
        place = Place(folder.show(file.name), error.lineno or 1, error.offset or 1)
        what = f"this is not valid Python ({error.msg})"
        findings.mistake(place, what, f"correct it; {label} needs the file")
        return None
    except OSError as error:
        what = f"{label}: the file '{file.name}' cannot be read ({error.strerror})"
        findings.mistake(file.place, what, "check its rights")
        return None
    if path.stem in sys.stdlib_module_names:
        what = f"{label}: '{file.name}' is named like a module of Python, and hides it from this worker"
        findings.warn(file.place, what, "give the file another name")
    if code.stray_byte:
        place = Place(folder.show(file.name), *code.stray_byte)
        what = "this byte is no UTF-8 text, and no line says which other encoding the file has"
        findings.warn(place, what, "save the file as UTF-8")
    return code


def functions_remedy(file: Reference, code: Code) -> str:
    """Say which functions a file defines; empty if none is seen in it."""
    defined = [name for name in code.functions if not name.startswith("_")]
    return suggest("", defined, f"'{file.name}' defines") if defined else ""


def check_function(
    findings: Findings, label: str, function: Reference, file: Reference, code: Code, call: Call
) -> None:
    """Note a mistake if a file does not define a function, or one that cannot be called as it will be."""
    name = function.name
    if not code.may_define(name):
        what = f"{label}: '{file.name}' does not define the function '{name}'"
        findings.mistake(function.place, what, suggest(name, code.functions, "it defines"))
    elif call == "io" and name in code.not_for_io:
        what = f"{label}: '{name}' in '{file.name}' cannot be called with one argument, its io"
        findings.mistake(function.place, what, f"declare it as 'def {name}(io):'")
    elif call == "classic1" and name in code.not_for_lists:
        what = f"{label}: '{name}' in '{file.name}' cannot be called with lists of buffers, config and names"
        remedy = "source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info"
        findings.mistake(function.place, what, f"declare it as 'def {name}({remedy}):'")
    elif name not in code.names and (near := nearest(name, code.functions)):
        what = f"{label}: the function '{name}' is not seen in '{file.name}'"
        findings.warn(function.place, what, f"did you mean '{near}'? (the file may define more when it runs)")
