"""Parameters in JSON, as the emulated Binance reads and signs them: numbers as they are spelled."""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """A number of a request, spelled as the client did: that is what it has signed."""

    __slots__ = ()


def read(text: str | bytes) -> Any:
    """A JSON value whose numbers are text still.

    :raises ValueError: where it is none.
    """
    return json.loads(text, parse_int=Number, parse_float=Number)


def text_of(value: Any) -> str:
    """A parameter as text."""
    if value is True or value is False:
        return "true" if value else "false"
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
