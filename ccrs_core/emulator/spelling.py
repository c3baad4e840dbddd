"""How exchanges spell times and JSON numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ccrs_core.model.units import NS_PER_SECOND


def exact_json(value: Any) -> bytes:
    """JSON in which each ``Decimal`` is a number of exactly its digits, trailing zeros too."""
    return _json(value).encode()


def _json(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json.dumps(key)}:{_json(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_json, value))}]"
    return json.dumps(value)


def rfc3339(time_ns: int) -> str:
    """A time such as ``2026-01-01T00:00:00.123456Z``."""
    moment = datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_SECOND // 1000:06d}Z"
