"""Control messages between nodes, broker and link ends: msgpack maps that carry their protocol version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgpack

from mimocorb_dist.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 8 << 20
"""Largest control message: room for the texts of a large setup, with a bound for the broker's memory."""
SAME_VERSION = "use the same version of mimocorb_dist on all nodes"
_NOT_OURS = "received something that is not a message of mimocorb_dist; check which program uses this address"

_T = TypeVar("_T")


@dataclass(frozen=True)
class Message:
    """One control message: its kind and its named fields (plain values, lists and maps)."""

    kind: str
    fields: Mapping[str, Any]

    def field(self, name: str, wanted: type[_T]) -> _T:
        """Return a field after checking its type.

        Parameters
        ----------
        name
            The field's name.
        wanted
            int, float, str, bytes, bool, list or dict.  An int passes as float; a bool does not pass as int.

        Raises
        ------
        WireError
            When the field is missing or of another type.
        """
        if name not in self.fields:
            raise WireError(f"a {self.kind!r} message has no field {name!r}; {SAME_VERSION}")
        value = self.fields[name]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise WireError(
                f"field {name!r} of a {self.kind!r} message is {type(value).__name__}, "
                f"not {wanted.__name__}; {SAME_VERSION}"
            )
        checked: _T = value
        return checked


def encode(kind: str, /, **fields: Any) -> bytes:
    """Return a control message as bytes.

    Raises
    ------
    WireError
        When a value is not a plain one, or the message exceeds `MAX_MESSAGE_BYTES`.
    """
    try:
        data: bytes = msgpack.packb({"version": PROTOCOL_VERSION, "kind": kind, "fields": fields})
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(
            f"cannot send a {kind!r} message: {error}; its fields must be plain values"
        ) from error
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(
            f"a {kind!r} message of {len(data)} bytes is too long; "
            f"at most {MAX_MESSAGE_BYTES} bytes can be sent, shorten its fields {sorted(fields)}"
        )
    return data


def decode(data: bytes) -> Message:
    """Return the message that `data` holds.

    Raises
    ------
    WireError
        When `data` is too long, is not a message, or is one of another protocol version.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"{_NOT_OURS}: it has {len(data)} bytes, at most {MAX_MESSAGE_BYTES} are allowed")
    try:
        content = msgpack.unpackb(data, raw=False, strict_map_key=True, ext_hook=_refuse_extension)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise WireError(f"{_NOT_OURS}: {error or type(error).__name__}") from error
    if not isinstance(content, dict) or "version" not in content:
        raise WireError(f"{_NOT_OURS}: no protocol version")
    if content["version"] != PROTOCOL_VERSION:
        raise WireError(
            f"a message has protocol version {content['version']!r}, "
            f"this process speaks {PROTOCOL_VERSION}; {SAME_VERSION}"
        )
    kind, fields = content.get("kind"), content.get("fields")
    if not isinstance(kind, str) or not isinstance(fields, dict) or not all(map(_is_text, fields)):
        raise WireError(f"{_NOT_OURS}: no kind or no fields")
    return Message(kind, fields)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _refuse_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"extension type {code}")
