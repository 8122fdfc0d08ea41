"""Workers of the older generations of mimoCoRB2, until the spring of 2025.

Their functions were called with four arguments: the lists of sources, of sinks and of observed buffers, and
the config; mostly they were declared as ``def worker(*mimo_args)``, and handed all to a template. Later the
same declaration was used for one argument, the `BufferIO`. So a function gets

- four arguments if it has four parameters;
- four if it is declared with ``*`` alone, and its file shows that it takes them apart: unpacks four, asks for
  another item than the first, or hands them to a function of the file that does;
- else the `BufferIO`, and templates find their way from each form.

The ends of buffers that such a function gets in the lists, or finds in a template as ``reader``, ``writer``,
``writers``, ``observer``, ``sources``, ``sinks`` and ``observes``, gave data before metadata in ``with end as
(data, metadata)``. They do so here unless the file names them in the other order. Under the newer names, as
in ``io.read[0]``, metadata come first, in every file.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from .io import BufferIO

LISTS = 4
_FIRST = 0
_KEEP_ALL = ("list", "tuple")


class DataFirst:
    """An end of a buffer that gives data, then metadata.

    Parameters
    ----------
    end
        The end, of which it has all other attributes.
    """

    def __init__(self, end: Any) -> None:
        self.end = end

    def __enter__(self) -> tuple[Any, Any]:
        metadata, data = self.end.__enter__()
        return data, metadata

    def __exit__(self, *error: Any) -> Any:
        return self.end.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.end, name)

    def __reduce__(self) -> Any:
        return DataFirst, (self.end,)

    def __repr__(self) -> str:
        return f"DataFirst({self.end!r})"


def arguments_for(function: Callable[..., Any], io: BufferIO) -> tuple[Any, ...]:
    """Return what a user's function is to be called with.

    Parameters
    ----------
    function
        The function.
    io
        What it gets, as a whole or taken apart. It notes the order that the function's file expects.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some functions written in C tell nothing about it
        return (io,)
    if not parameters:
        return (io,)
    variadic = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
    needed = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not variadic and len(needed) < LISTS:
        return (io,)
    code: CodeType | None = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return (io,)
    io.data_first = gives_data_first(code.co_filename)
    if variadic and not _takes_apart(code):
        return (io,)
    return (
        in_older_order(io, io.read),
        in_older_order(io, io.write),
        in_older_order(io, io.observe),
        io.config,
    )


def in_older_order(io: BufferIO, ends: list[Any]) -> list[Any]:
    """Return the ends of a worker as its older names give them."""
    return [DataFirst(end) for end in ends] if io.data_first else ends


def bare(end: Any) -> Any:
    """Return the end of a buffer itself."""
    return end.end if isinstance(end, DataFirst) else end


@cache
def gives_data_first(filename: str) -> bool:
    """Tell whether data come before metadata in a file of an older generation.

    The first place that tells decides: ``with end as (data, metadata)``, or a constant as in ``event[DATA]``,
    where the file says ``DATA = 0``. Without any, data come first.
    """
    tree = _parsed(filename)
    if tree is None:
        return True
    constants = {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    found = [(node.lineno, order) for node, order in _orders(tree, constants)]
    return min(found)[1] if found else True


def _orders(tree: ast.Module, constants: dict[str, Any]) -> Iterator[tuple[ast.expr, bool]]:
    """Yield what tells an order, and whether data come first in it."""
    for node in ast.walk(tree):
        match node:
            case ast.withitem(optional_vars=(ast.Tuple() | ast.List()) as names) if len(names.elts) == 2:
                first, second = (_is_metadata(name) for name in names.elts)
                if first != second:
                    yield names, second
            case ast.Subscript(slice=ast.Name(id="DATA" | "METADATA" as name)) if constants.get(name) in (
                0,
                1,
            ):
                yield node, (constants[name] == 0) == (name == "DATA")


def _is_metadata(name: ast.expr) -> bool:
    return isinstance(name, ast.Name) and ("meta" in name.id.lower() or name.id.lower() in ("m", "md"))


@cache
def _parsed(filename: str) -> ast.Module | None:
    try:
        return ast.parse(Path(filename).read_bytes(), filename)
    except (OSError, SyntaxError, ValueError):  # typed in, or made by a program
        return None


def _takes_apart(code: CodeType) -> bool:
    """Tell whether a function that is declared with ``*`` alone takes its arguments apart."""
    tree = _parsed(code.co_filename)
    if tree is None:
        return False
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    own = functions.get(code.co_name)
    if own is None or own.args.vararg is None:
        return False
    return _Parts(functions).taken(own, own.args.vararg.arg)


class _Parts:
    """Looks for places in a file where the items of an argument list are used one by one."""

    def __init__(self, functions: dict[str, ast.FunctionDef]) -> None:
        self._functions = functions
        self._seen: set[tuple[str, str]] = set()

    def taken(self, function: ast.FunctionDef, name: str) -> bool:
        """Tell whether a function takes apart what it knows under a name."""
        if (function.name, name) in self._seen:
            return False
        self._seen.add((function.name, name))
        return any(self._is_part(function, node, name) for node in ast.walk(function))

    def _is_part(self, function: ast.FunctionDef, node: ast.AST, name: str) -> bool:
        match node:
            case ast.Assign(targets=[ast.Tuple() | ast.List() as items], value=value) if _is(value, name):
                return len(items.elts) > 1
            case ast.Assign(targets=[ast.Name(id=other)], value=value) if _is(value, name):
                return self.taken(function, other)
            case ast.Subscript(value=value, slice=place) if _is(value, name):
                return not (isinstance(place, ast.Constant) and place.value == _FIRST)
            case ast.Call(func=ast.Name(id=called), args=arguments) if called in self._functions:
                return self._is_taken_by(self._functions[called], arguments, name)
        return False

    def _is_taken_by(self, called: ast.FunctionDef, arguments: list[ast.expr], name: str) -> bool:
        """Tell whether a function of the file takes apart what it is called with."""
        parameters = [*called.args.posonlyargs, *called.args.args]
        for number, argument in enumerate(arguments):
            if _is(argument, name):
                if number < len(parameters) and self.taken(called, parameters[number].arg):
                    return True
            elif isinstance(argument, ast.Starred) and _is(argument.value, name):
                if len(parameters) - number >= LISTS:
                    return True
                if called.args.vararg is not None and self.taken(called, called.args.vararg.arg):
                    return True
        return False


def _is(value: ast.expr, name: str) -> bool:
    """Tell whether an expression is the argument list of a name, or a copy of it."""
    match value:
        case ast.Name(id=found):
            return found == name
        case ast.Call(func=ast.Name(id=kind), args=[inner]) if kind in _KEEP_ALL:
            return _is(inner, name)
    return False
