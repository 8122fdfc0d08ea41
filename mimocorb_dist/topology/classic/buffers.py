"""`RingBuffer:` of a setup of mimoCoRB 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology.buffers import MAX_SLOTS, fits, number_type, record_type
from mimocorb_dist.topology.drafts import BufferDraft
from mimocorb_dist.topology.findings import shown

from .items import check_keys, fields_of, numbered_items

if TYPE_CHECKING:
    import numpy as np

    from mimocorb_dist.topology.document import Entry, Item
    from mimocorb_dist.topology.fields import Fields
    from mimocorb_dist.topology.findings import Findings

KEYS = ("number_of_slots", "channel_per_slot", "data_type", "node", "watchdog")
_RENAMED = {"slot_count": "number_of_slots", "data_length": "channel_per_slot", "data_dtype": "data_type"}
_TYPE_EXAMPLE = "{1: [chA, float32]}"


def read_buffers(findings: Findings, top: Fields) -> dict[str, BufferDraft]:
    """Read `RingBuffer:` from the top level of a setup."""
    item = top.required("RingBuffer", "[{RB_1: {...}}]", "list the buffers: '- RB_1: {...}'")
    entries = numbered_items(findings, item, "RingBuffer", "RB_") if item else {}
    return {name: _read_buffer(findings, name, entry) for name, entry in entries.items()}


def _read_buffer(findings: Findings, name: str, entry: Entry) -> BufferDraft:
    label = f"buffer '{name}'"
    example = f"{name}: {{number_of_slots: 16, channel_per_slot: 1000, data_type: {_TYPE_EXAMPLE}}}"
    fields = fields_of(findings, label, entry, example)
    if fields is None:
        return BufferDraft(name, entry.key_place)
    check_keys(fields, KEYS, _RENAMED)
    slots = fields.required("number_of_slots", "16")
    length = fields.required("channel_per_slot", "1000")
    types = fields.required("data_type", _TYPE_EXAMPLE)
    data_length = fields.whole_number(length, "channel_per_slot", 1, None) if length else None
    data_dtype, texts = _read_type(findings, label, types) if types else (None, {})
    if length and data_length and not fits(findings, label, length, "channel_per_slot", data_dtype):
        data_length = None
    return BufferDraft(
        name=name,
        place=entry.key_place,
        slot_count=fields.whole_number(slots, "number_of_slots", 1, MAX_SLOTS) if slots else None,
        data_length=data_length,
        data_dtype=data_dtype,
        dtype_texts=texts,
        delivery="broadcast",
        node=fields.text("node", "daq"),
        watchdog_s=fields.seconds("watchdog"),
    )


def _read_type(findings: Findings, label: str, item: Item) -> tuple[np.dtype[Any] | None, dict[str, str]]:
    """Return the type of a record: plain, or with the fields of a mapping in its order."""
    if isinstance(item.value, str):
        return number_type(findings, f"{label}: data_type", item), {}
    if not isinstance(item.value, dict) or not item.value:
        what = f"{label}: data_type is {shown(item.value) if item.value != {} else 'empty'}"
        findings.mistake(item.place, what, f"write its fields: data_type: {_TYPE_EXAMPLE}; or a plain type")
        return None, {}
    fields = []
    for number, entry in item.value.items():
        pair = entry.item.value
        if isinstance(pair, list) and len(pair) == 2:
            fields.append((pair[0].value, pair[0].place, pair[1]))
        else:
            what = f"{label}: field {shown(number)} of data_type is {_described(pair)}"
            findings.mistake(entry.item.place, what, "write its name and its type: 1: [chA, float32]")
    dtype, texts = record_type(findings, label, fields)
    return (dtype if len(fields) == len(item.value) else None), texts


def _described(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)
