"""Pages of an account's histories: back in time, by windows of at most seven days.

Bybit tells the newest rows of a window first, page by page under cursors of its own, and a week at
most. So windows go back in time from the end that is asked for, or from now, each page after page,
until the beginning. https://bybit-exchange.github.io/docs/v5/order/execution
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import unquote

import attrs

from ccrs_core import NS_PER_MS

LONGEST_MS = 7 * 86_400_000
KEPT_MS = 730 * 86_400_000
"""Two years."""
_MARGIN_MS = 60_000
"""A window that ends now is told by Bybit's clock as it answers, page by page: of its oldest minute
the next window tells."""


class Stretch(Protocol):
    """A question about a stretch of time."""

    @property
    def start_ns(self) -> int | None: ...
    @property
    def end_ns(self) -> int | None: ...
    @property
    def limit(self) -> int: ...


@attrs.frozen
class Window:
    """Where a page stands: in the window of ``since_ms <= time < before_ms`` (None: the one that
    ends now, whose ``since_ms`` its first answer tells), in a ``part`` of what is asked for, with
    ``left`` rows still wanted (None: all), at one of Bybit's cursors."""

    since_ms: int | None = None
    before_ms: int | None = None
    part: str = ""
    left: int | None = None
    cursor: str = ""

    @classmethod
    def of(cls, request: Stretch, cursor: str | None, part: str = "") -> Window:
        """The one of a cursor, or the first one."""
        if cursor is None:
            # The last ones are wanted, or all from a start on.
            left = request.limit if request.start_ns is None else None
            return cls._ending(request, before(request), part, left)
        since, end, part, left_over, own = cursor.split(":", 4)
        return cls(_number(since), _number(end), part, _number(left_over), own)

    @classmethod
    def _ending(
        cls, request: Stretch, before_ms: int | None, part: str, left: int | None
    ) -> Window:
        if before_ms is None:
            return cls(part=part, left=left)
        start, since_ms = first(request), before_ms - LONGEST_MS
        if start is not None:
            since_ms = max(since_ms, start)
        return cls(since_ms, before_ms, part, left)

    @property
    def query(self) -> list[tuple[str, object]]:
        """What asks for it. Both bounds of Bybit's are inclusive."""
        asked: list[tuple[str, object]] = []
        if self.before_ms is not None:
            asked += [("startTime", self.since_ms), ("endTime", self.before_ms - 1)]
        if self.cursor:
            # It comes percent-encoded, and whoever sends a query encodes it.
            asked.append(("cursor", unquote(self.cursor)))
        return asked

    def began(self, now_ms: int, length_ms: int = LONGEST_MS) -> Window:
        """The same, once it is known when it began. ``length_ms``: how far one that ends now
        reaches back."""
        if self.since_ms is not None:
            return self
        return attrs.evolve(self, since_ms=now_ms - length_ms + _MARGIN_MS)

    def has(self, time_ns: int) -> bool:
        """Whether a row of a time is of this window, and of none before or after it."""
        ms = time_ns // NS_PER_MS
        return (self.since_ms is None or ms >= self.since_ms) and (
            self.before_ms is None or ms < self.before_ms
        )

    def following(
        self, request: Stretch, result: Any, now_ms: int, oldest_ns: int | None, rows: int
    ) -> str | None:
        """The cursor of the page after this one, whose ``result`` held ``rows`` that are wanted,
        the oldest of all at ``oldest_ns`` (None: none); None where nothing that is wanted can be
        further back."""
        left = None if self.left is None else self.left - rows
        if left is not None and left <= 0:
            return None
        start = first(request)
        if start is not None and oldest_ns is not None and oldest_ns // NS_PER_MS < start:
            return None
        if more := further(result, self.cursor):
            return attrs.evolve(self, left=left, cursor=more).written()
        assert self.since_ms is not None
        oldest_kept = now_ms - KEPT_MS
        if self.since_ms <= (oldest_kept if start is None else max(start, oldest_kept)):
            return None
        return self._ending(request, self.since_ms, self.part, left).written()

    def written(self) -> str:
        """The cursor that asks for it."""
        numbers = [
            "" if each is None else str(each) for each in (self.since_ms, self.before_ms, self.left)
        ]
        return f"{numbers[0]}:{numbers[1]}:{self.part}:{numbers[2]}:{self.cursor}"


def _number(text: str) -> int | None:
    return int(text) if text else None


def first(request: Stretch) -> int | None:
    """The beginning that is asked for, in milliseconds."""
    return None if request.start_ns is None else -(-request.start_ns // NS_PER_MS)


def before(request: Stretch) -> int | None:
    """The end that is asked for, in milliseconds: the first one after it."""
    return None if request.end_ns is None else -(-request.end_ns // NS_PER_MS)


def further(result: Any, asked: str) -> str:
    """Bybit's cursor of the next page, as received; empty where there is none.

    One comes even with the last of the rows: only an empty page, or no cursor, is the end.
    """
    more = result.get("nextPageCursor")
    if more is not None and type(more) is not str:
        raise TypeError("nextPageCursor isn't text")
    return more if more and result["list"] and more != asked else ""
