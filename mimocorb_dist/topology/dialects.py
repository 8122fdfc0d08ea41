"""Which dialect a setup is written in.

Everything behind this module sees one form: the document of a mimoCoRB2 setup, as items with places. A
dialect is a function from a document to that form; its items have places in the file that the user wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import Entry, Item
    from .findings import Findings


def to_common_form(document: Item, findings: Findings) -> Item | None:
    """Translate a document to the form of mimoCoRB2.

    Returns
    -------
    Item or None
        A mapping with `Buffers`, `Workers`, ...; None after a mistake.
    """
    entries: dict[object, Entry] = document.value
    if "RingBuffer" in entries or isinstance(_value(entries, "Functions"), list):
        entry = entries["RingBuffer"] if "RingBuffer" in entries else entries["Functions"]
        findings.mistake(
            entry.key_place,
            "this setup is in the dialect of mimoCoRB 1 (RingBuffer, Functions); this version reads "
            "setups of mimoCoRB2",
            "write buffers under 'Buffers:' and functions under 'Workers:', each with a name of its own",
        )
        return None
    return document


def _value(entries: dict[object, Entry], key: str) -> object:
    entry = entries.get(key)
    return None if entry is None else entry.item.value
