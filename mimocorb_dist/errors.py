"""All errors of mimocorb_dist, in one place.

    MimocorbError
    |-- SetupError              a setup, or a function's use of it, is wrong
    |   `-- TopologyError       one or more mistakes in a setup file, each with its place
    |-- UfuncError              a user function raised, or returned what it must not
    |-- RingError               a ring buffer cannot be made, attached or used
    |-- WireError               a message or a socket is not what it should be
    |   |-- UnreachableError    nobody answers at an address
    |   `-- KeysError           keys are missing, wrong, not known at the other end, or not safe
    |-- LinkError               the two ends of a link do not fit together
    |-- RunError                a run cannot start, go on or be recorded
    |   `-- RefusedError        a command does not fit the state of the run
    `-- DataFileError           a data file is not what it says

Every message says what happened, where, and what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class MimocorbError(Exception):
    """Base of all errors that mimocorb_dist raises on purpose."""


class SetupError(MimocorbError):
    """A setup, or a worker function's use of its sources, sinks and config, is wrong."""


class TopologyError(SetupError):
    """A setup file has mistakes.

    Parameters
    ----------
    mistakes
        One text for each mistake, of the form ``file:line:column: what is wrong; what to do``.
    warnings
        What is odd besides, in the same form: it may be the cause of a mistake elsewhere.
    """

    def __init__(self, mistakes: Sequence[str], warnings: Sequence[str] = ()) -> None:
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
        super().__init__("\n".join([*mistakes, *(f"warning: {text}" for text in warnings)]))


class UfuncError(MimocorbError):
    """A user function raised, or returned something its template cannot use."""


class RingError(MimocorbError):
    """A ring buffer cannot be made, attached or used."""


class WireError(MimocorbError):
    """A message or a socket is not what it should be."""


class UnreachableError(WireError):
    """Nobody answers at an address within the time given."""


class KeysError(WireError):
    """Keys are missing, wrong, not known at the other end, or open to others.

    Parameters
    ----------
    text
        What is wrong, and what to do.
    unknown
        Whether the other end is the right one, and does not know the own key.
    """

    def __init__(self, text: str, *, unknown: bool = False) -> None:
        self.unknown = unknown
        super().__init__(text)


class LinkError(MimocorbError):
    """The two ends of a link do not fit together."""


class RunError(MimocorbError):
    """A run cannot start, go on or be recorded."""


class RefusedError(RunError):
    """A command does not fit the state of the run."""


class DataFileError(MimocorbError):
    """A data file is missing, damaged, or not of the type that it should be."""
