"""What passes over a WebSocket: a client's handshake and its refusal, and messages to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from ccrs_core.contract.rest import HttpRequest


class Frame:
    """One WebSocket message, encoded once and shared by all that it is sent to."""

    __slots__ = ("payload", "text", "wire")

    def __init__(self, payload: bytes, text: bool = True) -> None:
        self.payload = payload
        self.text = text
        self.wire: dict[int, bytes] = {}
        """The server's encodings of it, by compression window; 0 is plain."""

    @classmethod
    def json(cls, value: Any) -> Frame:
        """A text message of a value as JSON."""
        return cls(orjson.dumps(value))

    def __repr__(self) -> str:
        return f"Frame({self.payload[:200]!r})"


@attrs.frozen(kw_only=True)
class Handshake:
    """What a client asks for a WebSocket with."""

    path: str
    query: Mapping[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """HTTP headers; their names in small letters."""
    address: str
    """The client's network address."""


@attrs.frozen(kw_only=True)
class HttpRefusal:
    """A WebSocket handshake that is refused; ``status`` None drops the TCP connection."""

    status: int | None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""


@attrs.frozen
class ReceivedRequest(HttpRequest):
    """A REST request as it arrived: its query string is the one that was sent, to the byte, which
    is what clients sign."""

    raw_query: str = ""

    @property
    def query_string(self) -> str:
        return self.raw_query
