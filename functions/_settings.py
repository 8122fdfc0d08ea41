"""The config of a prebuilt function, declared once: for its checks, for the function, and for its help.

A function gets its declaration as a decorator, and reads its settings with it::

    EXPORT = Config({"filename": OutputName("Name of the file, without ``.mimo``.", suffix=".mimo")})

    @EXPORT
    def export(io):
        settings = EXPORT.read(io)

The check of a setup finds the declaration as `config` of the function, and tells the same problems before
the run, with their places.
"""

from __future__ import annotations

import inspect
import textwrap
from abc import ABC, abstractmethod
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mimocorb_dist.workers import BufferIO

    Settings = Mapping[str, Any]
    Function = Callable[[BufferIO], None]

REQUIRED: Any = object()
"""The default of a key that must be there."""

_WIDTH = 100


class Buffer(Protocol):
    """What is known of a buffer."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def data_length(self) -> Any:
        """Samples of one event."""

    @property
    def data_dtype(self) -> Any:
        """Structured type of one sample."""


@dataclass(frozen=True)
class Surroundings:
    """What a config is checked against.

    Parameters
    ----------
    sources, sinks, observes
        The worker's buffers; empty where they are not known.
    setup_dir
        Folder of the setup file.
    files
        Whether data files are to be looked at.
    """

    sources: Sequence[Buffer]
    sinks: Sequence[Buffer]
    observes: Sequence[Buffer]
    setup_dir: Path
    files: bool = False

    def first(self, end: str) -> Buffer | None:
        """Return the first of `sources`, `sinks` or `observes`, if it is known."""
        return next(iter(getattr(self, end)), None)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a config.

    Parameters
    ----------
    key
        The key; None if it is about the worker's buffers.
    what, remedy
        What is wrong, and what to do.
    """

    key: str | None
    what: str
    remedy: str


class UnfitError(Exception):
    """A value cannot be.

    Parameters
    ----------
    remedy
        What to write.
    what
        What is wrong with the value, if there is more to say than the value itself.
    """

    def __init__(self, remedy: str, what: str = "") -> None:
        super().__init__(remedy)
        self.remedy = remedy
        self.what = what


@dataclass(frozen=True)
class Key(ABC):
    """A key of a config; the kinds of its values are in `_keys`.

    Parameters
    ----------
    meaning
        What it is for.
    default
        Its value if it is not given; None: it may be left out; a callable gives it for a worker's
        surroundings, or None where they are not known.
    default_text
        How the default is told, if it is not a plain value.
    """

    meaning: str
    default: Any = REQUIRED
    default_text: str = ""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What its value must be, in a few words."""

    @abstractmethod
    def read(self, value: Any, around: Surroundings) -> Any:
        """Return a value as the function takes it.

        Raises
        ------
        UnfitError
            If it cannot be.
        """

    @property
    def default_shown(self) -> str:
        """The default in words; empty if the key must be there."""
        if self.default is REQUIRED:
            return ""
        if self.default_text or self.default is None:
            return self.default_text or "not given"
        return str(self.default).lower() if isinstance(self.default, bool) else _shown(self.default)


class Config:
    """The keys of a function's config.

    Parameters
    ----------
    keys
        The keys by name.
    rules
        What else must hold: functions of the settings and surroundings, which yield problems. They are only
        asked when all keys are right and all buffers are known.
    """

    def __init__(
        self,
        keys: Mapping[str, Key] | None = None,
        *rules: Callable[[Settings, Surroundings], Iterable[Problem]],
    ) -> None:
        self.keys = dict(keys or {})
        self._rules = rules

    def __call__(self, function: Function) -> Function:
        """Give the declaration to a function, and the function's docstring a section on its config."""
        function.config = self  # type: ignore[attr-defined]
        if function.__doc__ and self.keys:
            about, example, rest = inspect.cleandoc(function.__doc__).partition("\n\nExample\n---")
            function.__doc__ = f"{about}\n\n{self._section()}{example}{rest}"
        return function

    def read(self, io: BufferIO) -> dict[str, Any]:
        """Return the settings of a worker: a value for each key.

        Raises
        ------
        SetupError
            If a key is missing or cannot have its value. Data files are not looked at: who reads them does.
        """
        around = Surroundings(
            _buffers(io.buffer_names_in, io.data_in_examples),
            _buffers(io.buffer_names_out, io.data_out_examples),
            _buffers(io.buffer_names_observe, io.data_observe_examples),
            io.setup_dir,
        )
        settings, problems = self._judge(io.config, around)
        for problem in (*problems, *(() if problems else self._broken_rules(settings, around))):
            raise SetupError(f"worker {io.name}: {problem.what}; {problem.remedy}")
        return settings

    def problems(
        self,
        config: Mapping[Any, Any],
        *,
        sources: Sequence[Buffer],
        sinks: Sequence[Buffer],
        observes: Sequence[Buffer],
        complete: bool,
        setup_dir: Path,
        files: bool,
    ) -> list[Problem]:
        """Check a worker's config without the worker.

        Parameters
        ----------
        config
            The config.
        sources, sinks, observes
            The worker's buffers; empty where they are not known.
        complete
            Whether all of them are known.
        setup_dir
            Folder of the setup file.
        files
            Whether this machine has the worker's data files.

        Returns
        -------
        list of Problem
            All that is wrong.
        """
        around = Surroundings(sources, sinks, observes, setup_dir, files)
        settings, problems = self._judge(config, around)
        return problems if problems or not complete else [*self._broken_rules(settings, around)]

    def _judge(self, config: Mapping[Any, Any], around: Surroundings) -> tuple[dict[str, Any], list[Problem]]:
        settings: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, key in self.keys.items():
            value = config.get(name)
            if value is None and key.default is REQUIRED:
                remedy = f"it must be {key.kind}"
                problems.append(Problem(name, f"in its config `{name}` is missing", remedy))
                continue
            if value is None:
                value = key.default(around) if callable(key.default) else key.default
            try:
                settings[name] = None if value is None else key.read(value, around)
            except UnfitError as error:
                problems.append(unfit(name, value, error.remedy, error.what))
        return settings, problems

    def _broken_rules(self, settings: Settings, around: Surroundings) -> Iterator[Problem]:
        for rule in self._rules:
            yield from rule(settings, around)

    def _section(self) -> str:
        lines = ["Config", "------"]
        for name, key in self.keys.items():
            default = ", optional" if key.default is None and not key.default_text else ""
            if not default and key.default_shown:
                default = f", default {key.default_shown}"
            lines += [f"{name} : {key.kind}{default}", _paragraph(key.meaning)]
        return "\n".join(lines)


def unfit(key: str, value: Any, remedy: str, what: str = "") -> Problem:
    """Make the problem of a value that cannot be."""
    shown = repr(value) if isinstance(value, str) else _shown(value)
    return Problem(key, f"in its config `{key}` is {shown}{f' ({what})' if what else ''}", remedy)


def unknown(name: Any, known: Iterable[str], allowed: str) -> UnfitError:
    """Make the error for a name that is none of the known ones."""
    near = get_close_matches(str(name), list(known), n=1)
    return UnfitError(f"it must be {allowed}" + (f"; do you mean {near[0]!r}?" if near else ""))


@dataclass(frozen=True)
class _AttachedBuffer:
    name: str
    data_length: int
    data_dtype: np.dtype[Any]


def _buffers(names: Sequence[str], examples: Sequence[np.ndarray[Any, Any]]) -> list[_AttachedBuffer]:
    return [
        _AttachedBuffer(name, example.size, example.dtype)
        for name, example in zip(names, examples, strict=True)
    ]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
