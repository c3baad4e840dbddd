"""Pages of an account's lists: by windows of time as long as Binance allows, and by ids within.

Lists begin with the oldest row of a window. One that is longer than a page is gone on with by the
id after the last one, to which no time belongs, until the end of what was asked for.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Account-Trade-List
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from ccrs_core import NS_PER_MS

DAY_MS = 86_400_000


class Stretch(Protocol):
    """A question about a stretch of time."""

    @property
    def start_ns(self) -> int | None: ...
    @property
    def end_ns(self) -> int | None: ...
    @property
    def limit(self) -> int: ...


@attrs.frozen(kw_only=True)
class Walk:
    """How a list is walked through: windows of at most ``span_ms``, pages of at most ``page`` rows,
    which go on at an id (``asks``) that rows name ``id``; ``first`` is the least there is."""

    span_ms: int
    page: int
    asks: str
    id: str
    time: str = "time"
    first: int = 0

    def query(self, request: Stretch, cursor: str | None) -> list[tuple[str, object]]:
        """What asks for a page. A cursor is a time (``t``), or an id (``i``)."""
        if cursor is not None and cursor[0] == "i":
            return [(self.asks, int(cursor[1:])), ("limit", self.page)]
        since = _since(request, cursor)
        if since is None:
            if request.limit <= self.page:
                return [("limit", max(1, request.limit))]
            return [(self.asks, self.first), ("limit", self.page)]
        until = since + self.span_ms
        end = end_ms(request)
        if end is not None:
            until = min(until, end)
        # Both bounds are inclusive.
        return [("startTime", since), ("endTime", max(since, until - 1)), ("limit", self.page)]

    def following(
        self, request: Stretch, cursor: str | None, rows: Sequence[Any], now_ms: int
    ) -> str | None:
        """The cursor of the page after this one; None: that was the last."""
        end = end_ms(request)
        since = _since(request, cursor)
        by_id = (cursor is not None and cursor[0] == "i") or (
            since is None and request.limit > self.page
        )
        if len(rows) >= self.page and (by_id or since is not None):
            if end is not None and newest(rows, self.time) >= end:
                return None
            return f"i{newest(rows, self.id) + 1}"
        if by_id or since is None:
            return None
        after = since + self.span_ms
        return None if after > now_ms or (end is not None and after >= end) else f"t{after}"


def newest(rows: Sequence[Any], name: str) -> int:
    """The largest number under a name; rows that can't be read are for others to tell.

    :raises ValueError: where no row has one: where to go on isn't known.
    """
    held = (row.get(name) for row in rows if type(row) is dict)
    return max(number for number in held if type(number) is int)


def _since(request: Stretch, cursor: str | None) -> int | None:
    if cursor is not None and cursor[0] == "t":
        return int(cursor[1:])
    return None if request.start_ns is None else -(-request.start_ns // NS_PER_MS)


def end_ms(request: Stretch) -> int | None:
    """The end that is asked for, in milliseconds: the first one after it."""
    return None if request.end_ns is None else -(-request.end_ns // NS_PER_MS)


def within(request: Stretch, time_ns: int | None) -> bool:
    """Whether a row's time is in the stretch that is asked for."""
    if time_ns is None:
        return True
    return (request.start_ns is None or time_ns >= request.start_ns) and (
        request.end_ns is None or time_ns < request.end_ns
    )
