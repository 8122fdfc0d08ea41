"""What YAML says, as plain values and as a hash of them: layout and comments do not count, the order does."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any


def plain(value: Any) -> Any:
    """Return a value of YAML as JSON can hold it: dates as texts, keys as texts."""
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(plain(key)): plain(element) for key, element in value.items()
        }
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value.isoformat() if isinstance(value, date) else value


def content_hash(value: Any) -> str:
    """Return the SHA-256 of a value of YAML, in hexadecimal."""
    return hashlib.sha256(json.dumps(plain(value)).encode()).hexdigest()
