"""`Buffers:` of a setup."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .drafts import BufferDraft
from .fields import Fields, section
from .findings import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .document import Entry, Item
    from .findings import Findings
    from .model import Delivery, Place, WhenFull

BUFFER_KEYS = ("slot_count", "data_length", "data_dtype", "delivery", "when_full", "node", "watchdog")
BUFFER_LEFTOVERS = ("overwrite", "debug")
_RENAMED = {"number_of_slots": "slot_count", "channel_per_slot": "data_length", "data_type": "data_dtype"}
_EXAMPLE = "Buffers: {raw: {slot_count: 128, data_length: 1000, data_dtype: {ch1: float32}}}"
_DTYPE_EXAMPLE = "data_dtype: {ch1: float32}"
_METADATA = ("counter", "timestamp", "deadtime")
_NUMBER_TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)

MAX_SLOTS = 65536
MAX_EVENT_BYTES = 1 << 30


def read_buffers(findings: Findings, top: Fields) -> dict[str, BufferDraft]:
    """Read `Buffers:` from the top level of a setup."""
    entries = top.named_section("Buffers", "buffer", _EXAMPLE)
    return {name: _read_buffer(findings, name, entry) for name, entry in entries.items()}


def _read_buffer(findings: Findings, name: str, entry: Entry) -> BufferDraft:
    label = f"buffer '{name}'"
    entries = section(
        findings, entry.item, label, f"{name}: {{slot_count: 128, data_length: 1000, {_DTYPE_EXAMPLE}}}"
    )
    if entries is None:
        return BufferDraft(name, entry.key_place)
    fields = Fields(findings, label, entry.key_place, entries)
    fields.check_keys(BUFFER_KEYS, BUFFER_LEFTOVERS, _RENAMED)
    slots = fields.required("slot_count", "128")
    length = fields.required("data_length", "1000")
    types = fields.required("data_dtype", "{ch1: float32}")
    data_length = fields.whole_number(length, "data_length", 1, None) if length else None
    data_dtype, texts = _read_dtype(findings, label, types) if types else (None, {})
    if length and not fits(findings, label, length, "data_length", data_dtype):
        data_length = None
    return BufferDraft(
        name=name,
        place=entry.key_place,
        slot_count=fields.whole_number(slots, "slot_count", 1, MAX_SLOTS) if slots else None,
        data_length=data_length,
        data_dtype=data_dtype,
        dtype_texts=texts,
        delivery=cast("Delivery", fields.choice("delivery", ("shared", "broadcast"), "shared")),
        when_full=cast("WhenFull", fields.choice("when_full", ("block", "drop_new", "drop_old"), "block")),
        node=fields.text("node", "daq"),
        watchdog_s=fields.seconds("watchdog"),
    )


def fits(findings: Findings, label: str, length: Item, key: str, dtype: np.dtype[Any] | None) -> bool:
    """Note a mistake if so many records, as `key` says, make too large an event."""
    records = length.value
    if dtype is None or type(records) is not int or records * dtype.itemsize <= MAX_EVENT_BYTES:
        return True
    findings.mistake(
        length.place,
        f"{label}: {key} {records} makes an event of {records * dtype.itemsize} bytes",
        f"write at most {MAX_EVENT_BYTES // dtype.itemsize} (an event of {MAX_EVENT_BYTES} bytes)",
    )
    return False


def _read_dtype(findings: Findings, label: str, item: Item) -> tuple[np.dtype[Any] | None, dict[str, str]]:
    """Return a record's type and the texts that it was made of; None as type after a mistake."""
    if not isinstance(item.value, dict) or not item.value:
        what = f"{label}: data_dtype is {shown(item.value) if item.value != {} else 'empty'}"
        wanted = f"{{ch1: {item.value}}}" if isinstance(item.value, str) else "{ch1: float32}"
        findings.mistake(item.place, what, f"write a mapping of field names to types: data_dtype: {wanted}")
        return None, {}
    return record_type(
        findings, label, [(name, entry.key_place, entry.item) for name, entry in item.value.items()]
    )


def record_type(
    findings: Findings, label: str, fields: Sequence[tuple[Any, Place, Item]]
) -> tuple[np.dtype[Any] | None, dict[str, str]]:
    """Return a record's type and the texts that it is made of; None as type after a mistake.

    Parameters
    ----------
    findings
        Gets the mistakes.
    label
        What messages call the buffer.
    fields
        Name, place of the name, and type of each field.
    """
    found: list[tuple[str, np.dtype[Any]]] = []
    texts: dict[str, str] = {}
    for name, place, item in fields:
        if not isinstance(name, str) or not name:
            what = f"{label}: a field is named {shown(name)}, which is no text"
            findings.mistake(place, what, "put the name in quotes")
            continue
        if name in texts:
            findings.mistake(place, f"{label}: there are two fields '{name}'", "name one of them otherwise")
            continue
        if name in _METADATA:
            findings.warn(
                place,
                f"{label}: the field '{name}' is named like a part of the metadata",
                "files will have two columns of this name; choose another one",
            )
        field = number_type(findings, f"{label}: field '{name}'", item)
        if field is not None:
            found.append((name, field))
            texts[name] = item.value
    return (np.dtype(found) if len(found) == len(fields) else None), texts


def number_type(findings: Findings, label: str, item: Item) -> np.dtype[Any] | None:
    """Return the type of a field, or of a record without fields; a mistake and None if it is none."""
    text = item.value
    remedy = "write a numpy type such as float32, int16 or S10"
    if not isinstance(text, str):
        findings.mistake(item.place, f"{label} has {shown(text)} as type", remedy)
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a name that numpy is about to drop is refused
            found = np.dtype(text)
    except (TypeError, ValueError, SyntaxError, Warning):
        near = nearest(text, _NUMBER_TYPES)
        findings.mistake(
            item.place,
            f"{label} has the unknown type {shown(text)}",
            f"did you mean '{near}'?" if near else remedy,
        )
        return None
    if found.hasobject:
        findings.mistake(
            item.place, f"{label} has the type {shown(text)}, whose values cannot be shared in memory", remedy
        )
        return None
    if found.itemsize == 0:
        findings.mistake(
            item.place,
            f"{label} has the type {shown(text)} without a length",
            f"write the length, as in {text.rstrip('0')}10",
        )
        return None
    return found
