"""Control messages: what is encoded comes back, rubbish is refused, versions are compared."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import WireError
from mimocorb_dist.wire.messages import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, decode, encode

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text(), st.dictionaries(st.text(), plain, max_size=5))
def test_a_message_comes_back_as_it_was(kind: str, fields: dict[str, Any]) -> None:
    message = decode(encode(kind, **fields))
    assert message.kind == kind
    assert message.fields == fields


@given(st.binary(max_size=200))
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@given(plain)
def test_msgpack_that_is_no_message_is_refused(value: Any) -> None:
    with pytest.raises(WireError):
        decode(msgpack.packb(value))


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000,
        b"\x81" * 100_000,
        msgpack.packb({"version": 1, "kind": "a", "fields": {"t": msgpack.ExtType(5, b"x")}}),
        msgpack.packb({"version": 1, "kind": 1, "fields": {}}),
        msgpack.packb({"version": 1, "kind": "a", "fields": []}),
        msgpack.packb({"version": 1, "kind": "a", "fields": {b"name": 1}}),
        encode("a")[:-1],
        encode("a") + b"\x00",
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
    ids=["deep", "deep map", "extension", "kind", "list", "bytes name", "cut", "tail", "long"],
)
def test_damaged_messages_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


def test_another_protocol_version_is_refused_with_both_versions() -> None:
    data = msgpack.packb({"version": 99, "kind": "a", "fields": {}})
    with pytest.raises(WireError, match=f"99.*{PROTOCOL_VERSION}.*same version"):
        decode(data)


def test_version_one_of_a_message_stays_readable() -> None:
    message = decode(
        bytes.fromhex("83a776657273696f6e01a46b696e64a568656c6c6fa66669656c647381a46e6f6465a3646171")
    )
    assert message.kind == "hello"
    assert message.fields == {"node": "daq"}


def test_what_is_too_long_or_not_plain_is_not_sent() -> None:
    with pytest.raises(WireError, match="too long"):
        encode("a", data=bytes(MAX_MESSAGE_BYTES))
    with pytest.raises(WireError, match="plain values"):
        encode("a", data=object())


def test_fields_are_checked_for_presence_and_type() -> None:
    message = decode(encode("a", port=5, ratio=2, flag=True))
    assert message.field("port", int) == 5
    assert message.field("ratio", float) == 2.0
    with pytest.raises(WireError, match="no field 'host'"):
        message.field("host", str)
    with pytest.raises(WireError, match=r"'flag' .* is bool, not int"):
        message.field("flag", int)
