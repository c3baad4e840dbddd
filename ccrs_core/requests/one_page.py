"""One page of an answer on its way: how it is asked for, and when it passed where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ccrs_core.contract.rest import Endpoint, HttpRequest, HttpResponse, Request
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.transport.gate import Priority


@attrs.frozen(kw_only=True)
class How:
    """How a request is asked."""

    share: float = 1.0
    """The part of the request budget that may be spent."""
    patience: float | None = None
    """Seconds that it may wait for its turn; None: as long as it takes."""
    priority: Priority | None = None
    send_before: float | None = None
    """When it is of no use any more to send it, monotonic seconds."""
    on_sent: Callable[[int], None] | None = None
    pages: SharedPages | None = None
    """Where what others ask in the same words may be had."""


@attrs.define(eq=False)
class Passage:
    """When a page passed where."""

    sent_ns: int | None = None
    answered_ns: int | None = None
    received_ns: int | None = None
    left_out: int = 0
    """Of the last page: rows of all pages that couldn't be read."""
    heard: Callable[[HttpResponse], None] | None = None
    """Told of a response that is no refusal."""

    def clear(self) -> None:
        """It is sent anew."""
        self.sent_ns = self.answered_ns = self.received_ns = None


@attrs.frozen
class Page:
    """One page of an answer, as it is asked for."""

    request: Request[Any]
    endpoint: Endpoint[Any, Any]
    http: HttpRequest
    cursor: str | None
    how: How
    passage: Passage = attrs.field(factory=Passage)


__all__ = ["How", "Page", "Passage"]
