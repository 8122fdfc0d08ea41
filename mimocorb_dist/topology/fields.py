"""Reading typed values out of the mappings of a setup, with a clear mistake for each wrong one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .findings import nearest, shown, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .document import Entry, Item
    from .findings import Findings
    from .model import Place

_NAME = re.compile(r"\w[\w-]*")
_MAX_NAME = 64


@dataclass(frozen=True)
class Reference:
    """A name that the setup mentions, and where."""

    name: str
    place: Place


class Fields:
    """The keys of one mapping of a setup, such as a buffer or a worker.

    Parameters
    ----------
    findings
        Gets the mistakes.
    label
        What messages call the mapping: ``buffer 'raw'``.
    place
        Where it is named: the place of mistakes about keys that are not there.
    entries
        Its content.

    Attributes
    ----------
    mistyped
        Keys that are not there, but of which a mistake says already that something else must mean them.
    """

    def __init__(self, findings: Findings, label: str, place: Place, entries: Mapping[Any, Entry]) -> None:
        self.findings = findings
        self.label = label
        self.place = place
        self.entries = entries
        self.mistyped: set[str] = set()

    def check_keys(
        self,
        allowed: Collection[str],
        leftovers: Collection[str] = (),
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        """Note each key that is not allowed.

        Parameters
        ----------
        allowed
            The keys that have a meaning.
        leftovers
            Keys that classic setups may have though they mean nothing: a warning.
        renamed
            Names that older versions had for keys: old name -> new name.
        """
        for key, entry in self.entries.items():
            if key in allowed:
                continue
            if key in leftovers:
                self.findings.warn(
                    entry.key_place, f"{self.label}: the key '{key}' means nothing here", "remove it"
                )
            elif renamed and key in renamed:
                what = f"{self.label}: unknown key '{key}'"
                self.findings.mistake(entry.key_place, what, f"it is now called '{renamed[key]}'")
                self.mistyped.add(renamed[key])
            else:
                what = f"{self.label}: unknown key {shown(key)}"
                self.findings.mistake(entry.key_place, what, suggest(key, allowed, "allowed"))
                self.mistyped.add(nearest(key, allowed) or "")

    def item(self, key: str) -> Item | None:
        """Return the value of a key; None if it is not there or says nothing."""
        entry = self.entries.get(key)
        return None if entry is None or entry.item.value is None else entry.item

    def given(self, key: str) -> bool:
        """Tell whether a key says something: its value is neither absent nor an empty text."""
        item = self.item(key)
        return item is not None and item.value != ""

    def required(self, key: str, example: str, remedy: str = "") -> Item | None:
        """Return the value of a key that must be there; a mistake and None if it is not.

        A missing key that stands there mistyped is one mistake, not two: that of the unknown key.

        Parameters
        ----------
        key
            The key.
        example
            A value that it may have.
        remedy
            What to write, if more is known than an example.
        """
        item = self.item(key) if self.given(key) else None
        if item is None and key not in self.mistyped:
            entry = self.entries.get(key)
            missing = "has no value" if entry else "is missing"
            place = entry.key_place if entry else self.place
            what = f"{self.label}: the key '{key}' {missing}"
            self.findings.mistake(place, what, remedy or f"write for example '{key}: {example}'")
        return item

    def named_section(self, key: str, what: str, example: str) -> dict[str, Entry]:
        """Return what a section of a setup names, such as `Buffers:`; it must be there, and not be empty.

        Parameters
        ----------
        key
            The section's key.
        what
            What it names: ``buffer``.
        example
            The section as it may be written.
        """
        item = self.required(key, example.removeprefix(f"{key}: "))
        entries = section(self.findings, item, key, example) if item else None
        if item and entries == {}:
            self.findings.mistake(
                item.place, f"{key} is empty", f"name at least one {what}, as in '{example}'"
            )
        return {
            name: entry
            for name, entry in (entries or {}).items()
            if check_name(self.findings, name, entry.key_place, what) is not None
        }

    def integer(self, key: str, low: int, high: int | None) -> int | None:
        """Return the whole number from `low` to `high` that a key holds; None if absent or wrong."""
        item = self.item(key)
        return None if item is None else self.whole_number(item, key, low, high)

    def whole_number(self, item: Item, key: str, low: int, high: int | None) -> int | None:
        """Return an item as a whole number from `low` to `high`; a mistake and None if it is none."""
        value = item.value
        if type(value) is int and low <= value and (high is None or value <= high):
            return value
        allowed = (
            f"write a whole number of at least {low}"
            if high is None
            else f"write a whole number from {low} to {high}"
        )
        what = f"{self.label}: {key} is {shown(value)}"
        if isinstance(value, str):
            what += ", a text"
            allowed += ", without quotes" if re.fullmatch(r"\s*[-+]?\d+\s*", value) else ""
        self.findings.mistake(item.place, what, allowed)
        return None

    def seconds(self, key: str) -> float | None:
        """Return the time in s, 0 or more, that a key holds; None if absent or wrong."""
        item = self.item(key)
        if item is None:
            return None
        value = item.value
        if not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value < float("inf"):
            return float(value)
        what = f"{self.label}: {key} is {shown(value)}"
        self.findings.mistake(item.place, what, f"write a number of seconds: '{key}: 60'; 0 for never")
        return None

    def text(self, key: str, example: str) -> Reference | None:
        """Return the value of a key that holds a text; None if it is absent, empty or wrong."""
        item = self.item(key)
        if item is None:
            return None
        if not isinstance(item.value, str):
            quoted = not isinstance(item.value, (list, dict))
            remedy = f"write for example '{key}: {example}'" + (
                f", or put {shown(item.value)} in quotes" if quoted else ""
            )
            self.findings.mistake(
                item.place, f"{self.label}: {key} is {shown(item.value)}, not a text", remedy
            )
            return None
        return Reference(item.value, item.place) if item.value else None

    def choice(self, key: str, options: Collection[str], default: str) -> str:
        """Return the value of a key that holds one of a few words."""
        item = self.item(key)
        if item is None:
            return default
        if isinstance(item.value, str) and item.value in options:
            return item.value
        what = f"{self.label}: {key} is {shown(item.value)}"
        self.findings.mistake(item.place, what, suggest(item.value, options, "allowed"))
        return default

    def names(self, key: str, what: str, *, one_allowed: bool = False) -> tuple[Reference, ...]:
        """Return the names that a key lists.

        Parameters
        ----------
        key
            The key.
        what
            What is named: ``buffer``.
        one_allowed
            Whether a single name may stand there without brackets.
        """
        item = self.item(key)
        if item is None:
            return ()
        if isinstance(item.value, str) and one_allowed:
            return (Reference(item.value, item.place),)
        if not isinstance(item.value, list):
            name = item.value if isinstance(item.value, str) else "name"
            remedy = f"write a list of {what}s: {key}: [{name}]"
            self.findings.mistake(
                item.place, f"{self.label}: {key} is {shown(item.value)}, not a list", remedy
            )
            return ()
        found: dict[str, Reference] = {}
        for element in item.value:
            name = element.value
            if not isinstance(name, str):
                problem = f"{self.label}: {key} lists {shown(name)}, not the name of a {what}"
                self.findings.mistake(
                    element.place, problem, "write names, in quotes where YAML takes them for something else"
                )
            elif name in found:
                self.findings.mistake(
                    element.place, f"{self.label}: {key} lists '{name}' twice", "remove one of them"
                )
            else:
                found[name] = Reference(name, element.place)
        return tuple(found.values())


def section(findings: Findings, item: Item, label: str, example: str) -> dict[Any, Entry] | None:
    """Return the entries of an item that must be a mapping; a mistake and None if it is none."""
    if isinstance(item.value, dict):
        return item.value
    findings.mistake(
        item.place, f"{label} is {shown(item.value)}, not a mapping", f"write for example '{example}'"
    )
    return None


def check_name(findings: Findings, name: object, place: Place, what: str) -> str | None:
    """Note a mistake if `name` cannot be the name of a buffer, worker or node.

    Names become parts of names of files, rings and links, where ``.``, ``@``, ``>`` and ``#`` separate.

    Returns
    -------
    str or None
        The name, for it may be referred to even if it cannot stay; None if it is no text.
    """
    allowed = f"write letters, digits, '_' and '-' only, no more than {_MAX_NAME}, not beginning with '-'"
    if not isinstance(name, str):
        findings.mistake(
            place,
            f"the name of a {what} is {shown(name)}, which YAML does not read as a text",
            "put it in quotes",
        )
        return None
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        findings.mistake(place, f"{shown(name)} cannot be the name of a {what}", allowed)
    return name


def check_reference(
    findings: Findings, reference: Reference, known: Collection[str], what: str, label: str
) -> None:
    """Note a mistake if a reference names nothing that exists.

    Where nothing at all is known, the section is missing or wrong, which has been said.
    """
    if known and reference.name not in known:
        remedy = suggest(reference.name, known, f"{what}s")
        findings.mistake(reference.place, f"{label}: there is no {what} '{reference.name}'", remedy)
