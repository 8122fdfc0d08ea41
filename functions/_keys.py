"""The kinds of values that keys of configs have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._kinds import problem_of
from ._settings import Key, UnfitError, unknown

if TYPE_CHECKING:
    from ._settings import Surroundings


@dataclass(frozen=True)
class Number(Key):
    """A number; the function gets a float."""

    above: float = -math.inf
    minimum: float = -math.inf
    maximum: float = math.inf

    @property
    def kind(self) -> str:
        """What its value must be."""
        if math.isfinite(self.minimum) and math.isfinite(self.maximum):
            return f"a number from {self.minimum:g} to {self.maximum:g}"
        limits = f" above {self.above:g}" if math.isfinite(self.above) else ""
        limits += f" not below {self.minimum:g}" if math.isfinite(self.minimum) else ""
        limits += f" not above {self.maximum:g}" if math.isfinite(self.maximum) else ""
        return f"a number{limits}"

    def read(self, value: Any, around: Surroundings) -> float:  # noqa: ARG002
        """Return the value."""
        if not is_number(value) or not (value > self.above and self.minimum <= value <= self.maximum):
            raise UnfitError(f"it must be {self.kind}")
        return float(value)


@dataclass(frozen=True)
class Whole(Key):
    """A whole number."""

    minimum: int = 0

    @property
    def kind(self) -> str:
        """What its value must be."""
        return f"a whole number not below {self.minimum}"

    def read(self, value: Any, around: Surroundings) -> int:  # noqa: ARG002
        """Return the value."""
        if isinstance(value, bool) or not isinstance(value, int) or value < self.minimum:
            raise UnfitError(f"it must be {self.kind}")
        return value


@dataclass(frozen=True)
class Repetitions(Whole):
    """A whole number, or true for no end, which the function gets as None."""

    @property
    def kind(self) -> str:
        """What its value must be."""
        return f"{super().kind}, or true"

    def read(self, value: Any, around: Surroundings) -> Any:
        """Return the value."""
        return None if value is True else super().read(value, around)


@dataclass(frozen=True)
class Flag(Key):
    """True or false."""

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "true or false"

    def read(self, value: Any, around: Surroundings) -> bool:  # noqa: ARG002
        """Return the value."""
        if not isinstance(value, bool):
            raise UnfitError(f"it must be {self.kind}")
        return value


@dataclass(frozen=True)
class Choice(Key):
    """One of a few words or numbers."""

    options: tuple[str | int, ...] = ()

    @property
    def kind(self) -> str:
        """What its value must be."""
        *first, last = map(str, self.options)
        return f"{', '.join(first)} or {last}"

    def read(self, value: Any, around: Surroundings) -> str | int:  # noqa: ARG002
        """Return the value."""
        if isinstance(value, bool) or value not in self.options:
            raise unknown(value, map(str, self.options), self.kind)
        return next(option for option in self.options if option == value)


@dataclass(frozen=True)
class Text(Key):
    """A text that is not empty."""

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "a text"

    def read(self, value: Any, around: Surroundings) -> str:  # noqa: ARG002
        """Return the value."""
        if not isinstance(value, str) or not value:
            raise UnfitError(f"it must be {self.kind}")
        return value


@dataclass(frozen=True)
class OutputName(Text):
    """The name of a file in the run directory, by default that of the buffer; given without its suffix."""

    suffix: str = ""
    end: str = "sources"

    @classmethod
    def of(cls, meaning: str, suffix: str, end: str = "sources") -> OutputName:
        """Make the key `filename` of a function that writes, or reads, a file named after its buffer."""

        def name_of_buffer(around: Surroundings) -> str | None:
            buffer = around.first(end)
            return buffer.name if buffer else None

        whose = "the source's name" if end == "sources" else "the buffer's name"
        return cls(meaning, name_of_buffer, whose, suffix, end)

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "the name of a file in the run directory, without a path"

    def read(self, value: Any, around: Surroundings) -> str:
        """Return the value without the suffix."""
        name = super().read(value, around).removesuffix(self.suffix)
        if name in ("", ".", "..") or Path(name).name != name:
            raise UnfitError(f"it must be {self.kind}")
        return name


@dataclass(frozen=True)
class DataFile(Key):
    """A file with recorded events; the function gets its whole path."""

    suffixes: tuple[str, ...] = (".npz", ".npy", ".mimo", ".parquet")
    beside_setup: bool = True

    @property
    def kind(self) -> str:
        """What its value must be."""
        *first, last = self.suffixes
        return f"the name of a {', '.join(first)} or {last} file" if first else f"the name of a {last} file"

    def read(self, value: Any, around: Surroundings) -> Path:
        """Return its path, after a look at the file if this machine should have it."""
        if not isinstance(value, str) or not value:
            raise UnfitError(f"it must be {self.kind}")
        path = Path(value).expanduser()
        if path.suffix not in self.suffixes:
            other = "" if len(self.suffixes) > 1 else "; data.replay takes other formats as well"
            raise UnfitError(f"it must be {self.kind}{other}")
        path = around.setup_dir / path if self.beside_setup else path.absolute()
        problem = problem_of(path) if around.files else None
        if problem:
            base = "the setup file" if self.beside_setup else "the working directory"
            raise UnfitError(f"{problem[1]}; names are relative to {base}", f"{path}: {problem[0]}")
        return path


@dataclass(frozen=True)
class Field(Key):
    """A field of one of the worker's buffers."""

    end: str = "sources"

    @classmethod
    def first(cls, meaning: str, end: str = "sources") -> Field:
        """Make a key whose default is the first field of the buffer."""

        def first_field(around: Surroundings) -> str | None:
            return next(iter(_fields(around, end)), None)

        return cls(meaning, first_field, "the first field", end)

    @property
    def kind(self) -> str:
        """What its value must be."""
        return f"a field of the {_SINGULAR[self.end]}"

    def read(self, value: Any, around: Surroundings) -> str:
        """Return the value."""
        if not isinstance(value, str):
            raise UnfitError(f"it must be {self.kind}")
        _check_field(value, around, self.end)
        return value


@dataclass(frozen=True)
class Fields(Key):
    """A list of fields of one of the worker's buffers."""

    end: str = "sources"

    @property
    def kind(self) -> str:
        """What its value must be."""
        return f"a list of fields of the {_SINGULAR[self.end]}"

    def read(self, value: Any, around: Surroundings) -> list[str]:
        """Return the value; an empty list means all."""
        if not isinstance(value, list):
            raise UnfitError(f"it must be {self.kind}")
        for name in value:
            _check_field(name, around, self.end, "a list of fields")
        return value or list(_fields(around, self.end))


@dataclass(frozen=True)
class FieldMap(Key):
    """A map from fields of one of the worker's buffers; others may be in it only if it is not strict."""

    end: str = "sources"
    to: str = "texts"
    strict: bool = True

    @property
    def kind(self) -> str:
        """What its value must be."""
        return f"a map of fields of the {_SINGULAR[self.end]} to {self.to}"

    def read(self, value: Any, around: Surroundings) -> dict[str, Any]:
        """Return the value."""
        if not isinstance(value, dict):
            raise UnfitError(f"it must be {self.kind}")
        for name in value if self.strict else ():
            _check_field(name, around, self.end, "a map of fields")
        return value


@dataclass(frozen=True)
class Bins(Key):
    """Bins for fields of one of the worker's buffers; others are left out if it is not strict."""

    end: str = "sources"
    strict: bool = True

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "a map of fields to [lowest, highest, number of edges]"

    def read(self, value: Any, around: Surroundings) -> dict[str, tuple[float, float, int]]:
        """Return for each field the lowest and highest edge, and their number."""
        if not isinstance(value, dict) or not value:
            raise UnfitError(f"it must be {self.kind}")
        known = _fields(around, self.end)
        if not self.strict and any(name in known for name in value):
            value = {name: limits for name, limits in value.items() if name in known}
        for name, limits in value.items():
            _check_field(name, around, self.end, "a map of fields")
            if not _are_bins(limits):
                raise UnfitError(f"it must be [lowest, highest, number of edges (2 or more)] for {name}")
        return {name: (float(low), float(high), edges) for name, (low, high, edges) in value.items()}


@dataclass(frozen=True)
class Interval(Key):
    """Two limits, the lower one first unless an axis may be turned round; the function gets floats."""

    minimum: float = -math.inf
    ordered: bool = True

    @property
    def kind(self) -> str:
        """What its value must be."""
        if not self.ordered:
            return "[low, high]"
        least = f" and not below {self.minimum:g}" if math.isfinite(self.minimum) else ""
        return f"[low, high], low below high{least}"

    def read(self, value: Any, around: Surroundings) -> tuple[float, float]:  # noqa: ARG002
        """Return the limits."""
        pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_number, value))
        if not pair or (self.ordered and not self.minimum <= value[0] < value[1]):
            raise UnfitError(f"it must be {self.kind}")
        return float(value[0]), float(value[1])


@dataclass(frozen=True)
class Scaling(Key):
    """Scale, offset and label of an axis."""

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "[scale, offset, label], the first two being numbers"

    def read(self, value: Any, around: Surroundings) -> tuple[float, float, str]:  # noqa: ARG002
        """Return scale, offset and label."""
        if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(map(is_number, value[:2])):
            raise UnfitError(f"it must be {self.kind}")
        scale, offset, label = value
        return float(scale), float(offset), str(label)


@dataclass(frozen=True)
class Condition(Key):
    """A condition on peaks as scipy takes it: a least value, or a list, in which limits may be missing."""

    @property
    def kind(self) -> str:
        """What its value must be."""
        return "a number, or a list [minimum, maximum]"

    def read(self, value: Any, around: Surroundings) -> Any:  # noqa: ARG002
        """Return the value."""
        numbers = value if isinstance(value, list) and value else [value]
        if any(number is not None and not is_number(number) for number in numbers):
            raise UnfitError(f"it must be {self.kind}")
        return value


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_SINGULAR = {"sources": "source", "sinks": "sink", "observes": "observed buffer"}


def _fields(around: Surroundings, end: str) -> tuple[str, ...]:
    buffer = around.first(end)
    return () if buffer is None else buffer.data_dtype.names or ()


def _check_field(name: Any, around: Surroundings, end: str, what: str = "a field") -> None:
    """Check that a buffer has a field; all names are right for a buffer that is not known."""
    buffer = around.first(end)
    names = _fields(around, end)
    if buffer is not None and name not in names:
        raise unknown(name, names, f"{what} of {buffer.name}: {', '.join(names)}")


def _are_bins(limits: Any) -> bool:
    if not isinstance(limits, (list, tuple)) or len(limits) != 3 or not all(map(is_number, limits)):
        return False
    low, high, edges = limits
    return bool(low < high) and isinstance(edges, int) and edges >= 2
