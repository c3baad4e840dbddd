"""Pages of lists that OKX answers newest first, by ids, and type by type.

A market may have several types of instruments, and orders that wait are listed apart, kind by kind:
so an answer is made of parts, of each of which pages are asked for until one isn't full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import attrs

from ccrs_core import NS_PER_MS, Market
from ccrs_core.wire import spelled

T = TypeVar("T")

PAGE = 100
"""Rows that a page has at most."""

TYPES: Mapping[Market, tuple[str, ...]] = {
    Market.SPOT: ("SPOT", "MARGIN"),
    Market.LINEAR: ("SWAP", "FUTURES"),
    Market.INVERSE: ("SWAP", "FUTURES"),
    Market.OPTION: ("OPTION",),
}
"""The types under which an account's rows of a market stand."""


class Stretch(Protocol):
    """A question about a stretch of time."""

    @property
    def start_ns(self) -> int | None: ...
    @property
    def end_ns(self) -> int | None: ...
    @property
    def limit(self) -> int: ...


@attrs.frozen
class Place:
    """Where a page stands: in which part, after which id (empty: the first page), and how many rows
    of the part are wanted yet (None: all)."""

    part: int = 0
    after: str = ""
    left: int | None = None

    @classmethod
    def of(cls, cursor: str | None, left: int | None = None) -> Place:
        """That of a cursor, or the first one."""
        if cursor is None:
            return cls(left=left)
        part, after, rest = cursor.split(":")
        return cls(int(part), after, int(rest) if rest else None)

    @property
    def query(self) -> list[tuple[str, object]]:
        """What asks for it."""
        after = [("after", self.after)] if self.after else []
        return [*after, ("limit", PAGE)]

    def following(
        self, rows: Sequence[Any], name: str, parts: int, left: int | None, found: int = 0
    ) -> str | None:
        """The cursor of the page after this one, whose rows are named by ``name``; None: that was
        the last one of all ``parts``. ``left``: how many rows a whole part is asked for; ``found``:
        how many of this page's are of what was asked, for a type's list holds other markets' too.
        """
        rest = None if self.left is None else self.left - found
        last = rows[-1] if len(rows) >= PAGE else None
        if last is not None and (rest is None or rest > 0):
            identity = spelled(last[name])
            if identity and identity != self.after:
                return _written(self.part, identity, rest)
        following = self.part + 1
        return _written(following, "", left) if following < parts else None


def _written(part: int, after: str, left: int | None) -> str:
    return f"{part}:{after}:{'' if left is None else left}"


def wanted(request: Stretch) -> int | None:
    """How many rows are wanted of each part: the last ones, or all from a start on."""
    return request.limit if request.start_ns is None and request.limit < _ALL else None


_ALL = 2**62
"""From here on a limit is none."""


LATE_MS = 60_000
"""By so much later than it happened a thing may be written down: so much further is asked."""


def times(request: Stretch) -> list[tuple[str, object]]:
    """What asks for a stretch of time, which OKX measures by when rows were written."""
    asked: list[tuple[str, object]] = []
    if request.start_ns is not None:
        asked.append(("begin", -(-request.start_ns // NS_PER_MS)))
    if request.end_ns is not None:
        asked.append(("end", -(-request.end_ns // NS_PER_MS) + LATE_MS))
    return asked


def before_end(request: Stretch, time_ns: int) -> bool:
    """Whether something isn't too late for a stretch. What is before it was written down in it, and
    no other stretch may tell of it."""
    return request.end_ns is None or time_ns < request.end_ns


def by_time(time_of: Callable[[T], int | None]) -> Callable[[Sequence[list[T]]], list[T]]:
    """Joins pages and parts: oldest first."""

    def joined(pages: Sequence[list[T]]) -> list[T]:
        rows = [each for page in pages[::-1] for each in page]
        return sorted(rows, key=lambda each: time_of(each) or 0)

    return joined


__all__ = ["PAGE", "TYPES", "Place", "Stretch", "before_end", "by_time", "times", "wanted"]
