"""A run from a Python script: what ``mimocorb-node start`` does, as a call."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Mapping, Set
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mimocorb_dist.errors import RunError, SetupError, TopologyError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import yaml

    from mimocorb_dist.node import Outcome

_NO_FILE = "setup"
"""Stands for the file of a setup that is in none; mistakes are told as being in ``setup["Buffers"][...]``."""


class Control:
    """A setup that can be run.

    A call runs it in this process, to its end, as ``mimocorb-node start`` does: with the same run directory,
    record, commands and messages. Workers are processes of their own, that do not import the script.

    Parameters
    ----------
    setup_dict
        The setup, as a YAML reader gives it: ``{"Buffers": ..., "Workers": ...}``.
    setup_dir
        The folder that names of files in it are relative to.
    mode
        How the run is shown and controlled, as after ``-c``: ``kbd``, ``stats``, ``gui``, joined by +, or
        ``none``.
    node, all_nodes, max_events, max_time_s
        As the options of ``mimocorb-node start``.

    Raises
    ------
    SetupError
        If the setup has mistakes, with all of them.

    Attributes
    ----------
    run_dir
        The run directory of the last call; None before, and if the run did not begin.

    Examples
    --------
    >>> Control.from_setup_file("setup.yaml", mode="stats")()
    """

    def __init__(
        self,
        setup_dict: Mapping[str, Any],
        setup_dir: str | os.PathLike[str] = ".",
        mode: str = "kbd+stats",
        *,
        node: str | None = None,
        all_nodes: bool = False,
        max_events: int | None = None,
        max_time_s: float | None = None,
    ) -> None:
        if not isinstance(setup_dict, Mapping):
            raise SetupError(
                f"the setup is {type(setup_dict).__name__}, not a mapping; for the name of a file there is "
                "Control.from_setup_file"
            )
        text = _as_yaml(setup_dict)
        self._prepare(Path(setup_dir) / _NO_FILE, text, mode, node, all_nodes, max_events, max_time_s)

    @classmethod
    def from_setup_file(
        cls,
        setup_file: str | os.PathLike[str],
        mode: str = "kbd+stats",
        *,
        node: str | None = None,
        all_nodes: bool = False,
        max_events: int | None = None,
        max_time_s: float | None = None,
    ) -> Self:
        """Take the setup from a YAML file; parameters as above."""
        self = cls.__new__(cls)
        self._prepare(Path(setup_file), None, mode, node, all_nodes, max_events, max_time_s)
        return self

    def _prepare(
        self,
        setup: Path,
        text: str | None,
        mode: str,
        node: str | None,
        all_nodes: bool,
        max_events: int | None,
        max_time_s: float | None,
    ) -> None:
        from mimocorb_dist.node import StartOptions
        from mimocorb_dist.node.modes import read_controls
        from mimocorb_dist.topology import load

        self._text = text
        self._options = StartOptions(
            setup=setup,
            setup_text=text,
            node=node,
            all_nodes=all_nodes,
            controls=read_controls(mode),
            max_events=max_events,
            max_time_s=max_time_s,
        )
        self.run_dir: Path | None = None
        try:
            load(setup, text=text)  # a script is to know before the run what is wrong
        except TopologyError as error:
            raise self._told(error).with_traceback(None) from None

    def __call__(self) -> None:
        """Run the setup to its end.

        Ctrl-C ends the run in good order, and the script goes on after it; a second one ends the run at once.
        SIGTERM and a terminal that goes (SIGHUP) end the run in good order, and then the script.

        Raises
        ------
        SetupError
            If the setup has mistakes, with all of them, or this machine is none of its nodes.
        RunError
            If the run cannot begin, or has failed; the script's exit status is 1 then.
        SystemExit
            After SIGTERM or SIGHUP, with the exit status of the run.
        """
        from mimocorb_dist.node import run

        if threading.current_thread() is not threading.main_thread():
            raise RunError(
                "a run is started in the main thread of a script, which gets the signals; call Control "
                "there, and do other things in threads"
            )
        try:
            outcome = run(self._options)
        except TopologyError as error:
            raise self._told(error).with_traceback(None) from None
        self.run_dir = outcome.directory
        if outcome.signal in (signal.SIGTERM, signal.SIGHUP):
            sys.exit(outcome.status)
        _check(outcome)

    def _told(self, error: TopologyError) -> TopologyError:
        """Return an error as the script knows the setup."""
        if self._text is None:
            return error
        return _in_the_script(error, self._text, str(self._options.setup))


def _check(outcome: Outcome) -> None:
    printed = "see what is printed above"
    if outcome.status == 1:
        where = f"{outcome.directory} has its record and logs" if outcome.directory else printed
        raise RunError(f"the run has failed, or was ended at once; {where}")
    if outcome.status:
        raise RunError(f"the run could not begin; {printed}")


def _as_yaml(setup: Mapping[str, Any]) -> str:
    import yaml

    try:
        text: str = yaml.dump(
            _plain(setup, _NO_FILE), Dumper=_without_aliases(), sort_keys=False, allow_unicode=True
        )
    except RecursionError:
        raise SetupError(f"{_NO_FILE}: a value contains itself; a setup is a tree") from None
    return text


def _without_aliases() -> type[yaml.SafeDumper]:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the protocol of dumpers)
            return True

    return Dumper


def _plain(value: Any, name: str) -> Any:
    """Return a value of a setup as YAML can hold it.

    Raises
    ------
    SetupError
        If it cannot.
    """
    match value:
        case Mapping():
            return {key: _plain(item, f"{name}[{key!r}]") for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
        case np.ndarray() | np.generic():
            return _plain(value.tolist(), name)
        case Set():
            return {_plain(item, name) for item in value}
        case PurePath() | np.dtype():
            return str(value)
    if not isinstance(value, (str, int, float, bool, type(None))) and type(value).__module__ != "datetime":
        raise SetupError(
            f"{name} is {type(value).__name__}, which a setup cannot hold; write numbers, texts, lists and "
            "mappings"
        )
    return value


def _in_the_script(error: TopologyError, text: str, file: str) -> TopologyError:
    """Return the mistakes of a setup that is in no file, with the names of values instead of lines."""
    import yaml

    node = yaml.compose(text, Loader=yaml.SafeLoader)
    names = dict(_names(node, _NO_FILE)) if node is not None else {}
    place = re.compile(rf"{re.escape(file)}:(\d+):(\d+)")

    def named(text: str) -> str:
        return place.sub(lambda found: names.get((int(found[1]), int(found[2])), _NO_FILE), text)

    return TopologyError([named(text) for text in error.mistakes], [named(text) for text in error.warnings])


def _names(node: yaml.Node, name: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the places of keys and values in a YAML text, and how a script names the values."""
    import yaml

    yield (node.start_mark.line + 1, node.start_mark.column + 1), name
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{name}[{key.value!r}]"
            yield from _names(value, inner)
            yield (key.start_mark.line + 1, key.start_mark.column + 1), inner
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _names(item, f"{name}[{index}]")
