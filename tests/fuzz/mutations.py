"""Messages that are almost right: valid ones of each kind, bent in one place or more."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgpack
import numpy as np

from mimocorb_dist.links import messages as link
from mimocorb_dist.wire import messages as wire

_TERMS = link.Terms("run", "raw@a->b", "[['', '<f4']]", 10, 40, "little")
_RANGES = np.array([[0, 3], [5, 2]])
LINK_MESSAGES = (
    link.Hello(_TERMS, 7, 1),
    link.Welcome(3, 3, _RANGES, 16, 1),
    link.Refuse("because"),
    link.Frame(0, 2, bytes(48)),
    link.Released(5, _RANGES, 2),
    link.End(5),
    link.Done(),
    link.Bye(),
    link.Look(),
)
_REGISTRATION = {
    "node": "daq",
    "host": "pc",
    "pid": 1,
    "address": "127.0.0.1",
    "setup": "setup.yaml",
    "setup_hash": "0" * 64,
    "yaml_files": {"setup.yaml": "0" * 64},
    "function_files": {"f.py": "0" * 64},
    "versions": {"mimocorb_dist": "0"},
    "clock_s": 1.0,
    "max_events": None,
    "max_time_s": 3.0,
}
CONTROL_MESSAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("register", _REGISTRATION),
    ("status", {}),
    ("alive", {"node": "daq", "word": 1}),
    ("report", {"node": "daq", "report": {"rings": {"raw": {"written": 3}}, "links": {}, "workers": {}}}),
    ("ready", {"node": "daq", "ports": {"raw@daq->filter": 40000}}),
    ("started", {"node": "daq", "stage": 0}),
    ("trouble", {"node": "daq", "text": "no", "fatal": True, "link": ""}),
    ("closed", {"node": "daq", "report": {}}),
    ("farewell", {"node": "daq"}),
    ("leave", {"node": "daq"}),
)
"""What nodes say to the broker; commands that anybody may give are not among them, for they are obeyed."""
_ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**31, 2**62, 2**63 - 1, -(2**63), 2**64 - 1, 1e308, float("nan"),
    float("inf"), "", "x" * 300,
    "\0", "\U0001f4a5", b"", bytes(16), b"\xff" * 16, [], [[]], {}, {"a": {}}, [0] * 50,
)  # fmt: skip


def corpus() -> list[bytes]:
    """Return a valid message of each kind."""
    said = [wire.encode(kind, **fields) for kind, fields in CONTROL_MESSAGES]
    return [*map(link.encode, LINK_MESSAGES), *said]


def bent(random: Random, valid: list[bytes]) -> Iterator[bytes]:
    """Yield bent messages without an end."""
    while True:
        data = random.choice(valid)
        if random.random() < 0.6:  # bytes that are bent at random are mostly no message at all
            yield _replace_value(random, data, valid)
            continue
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            data = random.choice(_WAYS)(random, data, valid)
        yield data


def _flip(random: Random, data: bytes, _: list[bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(random: Random, data: bytes, _: list[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _insert(random: Random, data: bytes, _: list[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.choice((1, 2, 9, 100))) + data[place:]


def _splice(random: Random, data: bytes, valid: list[bytes]) -> bytes:
    other = random.choice(valid)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _replace_value(random: Random, data: bytes, _: list[bytes]) -> bytes:
    """Put an odd value somewhere into what the message holds."""
    try:
        content = msgpack.unpackb(data, raw=False, strict_map_key=False)
    except Exception:  # noqa: BLE001 (bent before)
        return data
    place = content
    while isinstance(place, dict) and place:
        key = random.choice(list(place))
        inner = place[key]
        if isinstance(inner, dict) and inner and random.random() < 0.8:
            place = inner
            continue
        match random.randrange(4):
            case 0:
                del place[key]
            case 1:
                place[random.choice(("", "node", "first", "more"))] = inner
            case _:
                place[key] = random.choice(_ODD)
        break
    packed: bytes = msgpack.packb(content, use_bin_type=True)
    return packed


_WAYS = (_flip, _cut, _insert, _splice, _replace_value)
