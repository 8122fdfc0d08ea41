"""The numbered lists of a setup of mimoCoRB 1: each item is a mapping of its name to what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology.document import Entry, Item
from mimocorb_dist.topology.fields import Fields
from mimocorb_dist.topology.findings import nearest, shown, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mimocorb_dist.topology.findings import Findings

MAIN = "Fkt_main"
_FUNCTIONS = "Fkt_"


def numbered_items(findings: Findings, item: Item, key: str, prefix: str) -> dict[str, Entry]:
    """Read a list whose items are named in their order.

    Parameters
    ----------
    findings
        Gets the mistakes.
    item
        The list.
    key
        What it is called: ``RingBuffer``.
    prefix
        How names begin: ``RB_``, ``Fkt_``. The first of the latter is ``Fkt_main``.

    Returns
    -------
    dict
        The items by the names that they have: references to a wrong name are no further mistakes.
    """
    wanted = MAIN if prefix == _FUNCTIONS else f"{prefix}1"
    if not isinstance(item.value, list):
        what = f"{key} is {shown(item.value)}, not a list"
        findings.mistake(item.place, what, f"write its items below each other, each as '- {wanted}: {{...}}'")
        return {}
    if not item.value:
        findings.mistake(item.place, f"{key} is empty", f"write its items as '- {wanted}: {{...}}'")
    found: dict[str, Entry] = {}
    for element in item.value:
        name, entry = _named(findings, element, key, wanted)
        if entry is not None and name in found:
            what = f"{key}: there are two items of the name '{name}'"
            findings.mistake(entry.key_place, what, _remedy(prefix, wanted))
        elif entry is not None:
            if name != wanted:
                what = f"{key}: '{name}' stands where '{wanted}' has to be"
                findings.mistake(entry.key_place, what, _remedy(prefix, wanted))
            found[name] = entry
        # After a wrong number it is counted on from there: one mistake, not one at each item.
        wanted = f"{prefix}{_number(name, prefix) + 1}"
    return found


def _number(name: str, prefix: str) -> int:
    number = name.removeprefix(prefix)
    return int(number) if number.isascii() and number.isdigit() else 0


def _remedy(prefix: str, wanted: str) -> str:
    """Say how to name an item."""
    if wanted == MAIN:
        return f"begin with '- {MAIN}: {{}}', then {prefix}1, {prefix}2 and so on"
    return f"name it '{wanted}': items are numbered in their order, {prefix}1, {prefix}2, ..."


def _named(findings: Findings, element: Item, key: str, wanted: str) -> tuple[str, Entry | None]:
    """Return the name of a list's item, and what stands there; the wanted name and None after a mistake."""
    entries = element.value
    if not isinstance(entries, dict) or not entries:
        what = f"an item of {key} is {shown(entries) if entries != {} else 'empty'}, not '{wanted}:'"
        findings.mistake(element.place, what, f"write '- {wanted}:', and what it is below, further indented")
        return wanted, None
    name = wanted if wanted in entries else next(iter(entries))
    entry = entries[name]
    if not isinstance(name, str):
        findings.mistake(entry.key_place, f"{key}: an item is named {shown(name)}", f"name it '{wanted}'")
        return wanted, None
    others = {other: value for other, value in entries.items() if other != name}
    if others and entry.item.value is None:
        place = next(iter(others.values())).key_place
        what = f"{key}: what belongs to '{name}' stands beside it, not below it"
        findings.mistake(place, what, f"indent it further than '{name}'")
        return name, Entry(entry.key_place, Item(others, entry.item.place), entry.earlier)
    for other, value in others.items():
        what = f"{key}: {shown(other)} stands in the item of '{name}'"
        findings.mistake(value.key_place, what, f"begin a new item: '- {other}:'")
    return name, entry


def fields_of(findings: Findings, label: str, entry: Entry, example: str) -> Fields | None:
    """Return what an item holds; a mistake and None if that is no mapping."""
    if isinstance(entry.item.value, dict):
        return Fields(findings, label, entry.key_place, entry.item.value)
    what = f"{label} is {shown(entry.item.value)}, not a mapping"
    place = entry.key_place if entry.item.value is None else entry.item.place
    findings.mistake(place, what, f"write for example '{example}'")
    return None


def check_keys(fields: Fields, allowed: Collection[str], renamed: Mapping[str, str]) -> None:
    """Look for keys that mean nothing.

    mimoCoRB 1 passes over them, so they are only odd, unless one stands for a known key that is not there.

    Parameters
    ----------
    fields
        What an item holds.
    allowed
        The keys that have a meaning.
    renamed
        What keys of mimoCoRB2 are called here.
    """
    absent = [key for key in allowed if key not in fields.entries]
    for key, entry in fields.entries.items():
        if key in allowed:
            continue
        meant = renamed.get(key) if isinstance(key, str) else None
        if meant in absent:
            what = f"{fields.label}: unknown key '{key}'"
            fields.findings.mistake(entry.key_place, what, f"in a setup of mimoCoRB 1 it is called '{meant}'")
        elif (meant := nearest(key, absent, cutoff=0.75)) is not None:
            what = f"{fields.label}: unknown key {shown(key)}"
            fields.findings.mistake(entry.key_place, what, suggest(key, allowed, "allowed"))
        else:
            what = f"{fields.label}: the key {shown(key)} means nothing here"
            fields.findings.warn(entry.key_place, what, "remove it")
        if meant:
            fields.mistyped.add(meant)


def truth(fields: Fields, key: str, default: bool) -> bool:
    """Return the value of a key that says yes or no."""
    item = fields.item(key)
    if item is None:
        return default
    if not isinstance(item.value, bool):
        what = f"{key} is {shown(item.value)}"
        fields.findings.mistake(item.place, what, "write true or false")
        return default
    return item.value


def limit(fields: Fields, key: str, *, whole: bool) -> float | None:
    """Return the limit of a run that a key sets, above 0; None for no limit (0, negative, absent)."""
    item = fields.item(key)
    if item is None:
        return None
    value: Any = item.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        what = f"{fields.label}: {key} is {shown(value)}"
        unit = "of events" if whole else "of seconds"
        fields.findings.mistake(item.place, what, f"write a number {unit}, or 0 for no limit")
        return None
    if value <= 0 or value == float("inf"):
        return None
    # mimoCoRB 1 ends when so many events are there: never before.
    return -int(-value // 1) if whole else float(value)
