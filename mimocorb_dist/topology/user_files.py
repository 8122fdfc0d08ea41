"""What is known of Python files without running them: the names they define, and the files they import."""

from __future__ import annotations

import ast
import hashlib
import io
import posixpath
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# A module that calls one of these may define names that its text does not show.
_DYNAMIC_CALLS = {"exec", "eval", "globals", "vars", "locals", "setattr", "__import__"}
# What these define is known, and no worker's function: ``from numpy import *`` says nothing about others.
_NO_FUNCTIONS = {"mimocorb_dist", "mimocorb_dist.workers", "mimocorb2", "mimocorb2.worker_templates", "numpy"}


@dataclass(frozen=True)
class Code:
    """What the text of a Python file tells.

    Parameters
    ----------
    functions
        What it defines itself at its top level, functions and classes: name -> docstring, if it has one.
    names
        All names that its top level gives a meaning: also imported and assigned ones.
    open_ended
        Whether it may define further names when it runs (``from x import *``, ``globals()``, ...).
    imports
        Absolute names of modules that it imports anywhere.
    not_for_io
        Functions of its own that cannot be called with one argument, as those of workers are, nor with four
        as in the first months of mimoCoRB2.
    not_for_lists
        Those that cannot be called with four arguments (lists of sources, sinks and observed buffers, and the
        config) and names of buffers as keywords, as mimoCoRB 1 does.
    stray_byte
        Line and column of the first byte that its encoding does not have. In comments Python lets such bytes
        pass when it imports a file, but not when it runs one.
    """

    functions: Mapping[str, str | None]
    names: frozenset[str]
    open_ended: bool
    imports: frozenset[str]
    not_for_io: frozenset[str] = frozenset()
    not_for_lists: frozenset[str] = frozenset()
    stray_byte: tuple[int, int] | None = None

    def may_define(self, name: str) -> bool:
        """Tell whether `name` is, or may be, a name of the module."""
        return name in self.names or self.open_ended


def read_code(path: Path) -> Code:
    """Read a Python file without running it.

    Raises
    ------
    SyntaxError
        If it is not valid Python.
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in a user's strings are not for us to judge
        try:
            tree = ast.parse(content, filename=str(path))
        except ValueError as error:  # a null byte, before Python 3.12
            raise SyntaxError(str(error)) from error
    functions: dict[str, str | None] = {}
    names: set[str] = set()
    bound_otherwise: set[str] = set()
    with_io: dict[str, bool] = {}
    with_lists: dict[str, bool] = {}
    open_ended = False
    for statement in _top_level(tree.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                functions[name] = ast.get_docstring(statement)
                names.add(name)
                # Of several definitions (in branches) nobody knows which one will be made.
                with_io[name] = with_io.get(name, False) or _takes(statement, 1) or _takes(statement, 4)
                with_lists[name] = with_lists.get(name, False) or _takes(statement, 4, keywords=True)
                open_ended = open_ended or name == "__getattr__"
            case ast.Import(names=aliases):
                bound_otherwise.update((alias.asname or alias.name).split(".")[0] for alias in aliases)
            case ast.ImportFrom(names=aliases):
                imported = {alias.asname or alias.name for alias in aliases}
                bound_otherwise.update(imported - {"*"})
                open_ended = open_ended or (
                    "*" in imported and not _brings_no_function(statement, path.parent)
                )
            case _:
                bound_otherwise.update(_bound_names(statement))
                open_ended = open_ended or _calls_dynamic(statement)
    imports = frozenset(_imported_modules(tree))
    not_for_io, not_for_lists = (
        frozenset({name for name, fits in known.items() if not fits} - bound_otherwise)
        for known in (with_io, with_lists)
    )
    return Code(
        functions=functions,
        names=frozenset(names | bound_otherwise),
        open_ended=open_ended,
        imports=imports,
        not_for_io=not_for_io,
        not_for_lists=not_for_lists,
        stray_byte=_stray_byte(content),
    )


def file_hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of files and of those that they import from their own folders.

    Parameters
    ----------
    files
        Python files by the names that a setup has for them.

    Returns
    -------
    dict
        Name -> hash in hexadecimal, sorted by name. Imported files are named as lying beside their importers.

    Raises
    ------
    SetupError
        If a file cannot be read.
    """
    waiting = {posixpath.normpath(name): path for name, path in files.items()}
    hashes: dict[str, str] = {}
    while waiting:
        name, path = waiting.popitem()
        try:
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            imports = _imports_of(path)
        except OSError as error:
            raise SetupError(
                f"{path}: cannot be read ({error.strerror}); check its name and rights"
            ) from error
        for module in imports:
            beside = module.replace(".", "/")
            for relative in (f"{beside}.py", f"{beside}/__init__.py"):
                other = posixpath.join(posixpath.dirname(name), relative)
                if other not in hashes and (path.parent / relative).is_file():
                    waiting[other] = path.parent / relative
    return dict(sorted(hashes.items()))


def _imports_of(path: Path) -> frozenset[str]:
    try:
        return read_code(path).imports
    except SyntaxError:  # whoever imports it is told so
        return frozenset()


def _takes(
    statement: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, count: int, *, keywords: bool = False
) -> bool:
    """Tell whether it can be called with so many arguments, and any keywords.

    Of classes and what is decorated nobody knows.
    """
    if isinstance(statement, ast.ClassDef) or statement.decorator_list:
        return True
    arguments = statement.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    return (
        required <= count
        and (positional >= count or arguments.vararg is not None)
        and None not in arguments.kw_defaults
        and (arguments.kwarg is not None or not keywords)
    )


def _brings_no_function(statement: ast.ImportFrom, folder: Path) -> bool:
    """Tell whether ``from module import *`` is of a module that has no worker's function, not a neighbour."""
    module = statement.module or ""
    root = module.partition(".")[0]
    known = module in _NO_FUNCTIONS or root in sys.stdlib_module_names
    return (
        known and not statement.level and not any((folder / name).exists() for name in (root, f"{root}.py"))
    )


def _stray_byte(content: bytes) -> tuple[int, int] | None:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError:  # the byte is in one of the first lines
        encoding = "utf-8"
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1, error.start - content.rfind(b"\n", 0, error.start)
    return None


def _top_level(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported, also those in if, try, with and loops."""
    for statement in statements:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from _top_level(handler.body)


def _own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions of a statement, without those of statements inside it."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler)):
            yield from ast.walk(child)


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    for node in _own_expressions(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _calls_dynamic(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC_CALLS
        for node in _own_expressions(statement)
    )


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")
