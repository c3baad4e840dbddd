"""How many orders an account of the emulated Binance may have placed that were never filled, in
windows of the clock.

https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_count_decrement
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ccrs_binance.emulator_listings import SPOT, USDM
from ccrs_core import NS_PER_MS, NS_PER_SECOND
from ccrs_core.emulator import BadRequest, Venue


@attrs.frozen
class Window:
    """So many orders in so much time, which begins with the clock's."""

    interval: str
    count: int
    seconds: int
    limit: int

    @property
    def header(self) -> str:
        return f"X-MBX-ORDER-COUNT-{self.count}{self.interval[0]}"

    def row(self, used: int | None = None) -> dict[str, Any]:
        row: dict[str, Any] = {
            "rateLimitType": "ORDERS",
            "interval": self.interval,
            "intervalNum": self.count,
            "limit": self.limit,
        }
        return row if used is None else {**row, "count": used}


WINDOWS: Mapping[str, Sequence[Window]] = {
    SPOT: (Window("SECOND", 10, 10, 100), Window("DAY", 1, 86_400, 200_000)),
    USDM: (Window("SECOND", 10, 10, 300), Window("MINUTE", 1, 60, 1200)),
}


def order_limits(category: str) -> list[dict[str, Any]]:
    """As ``exchangeInfo`` has them."""
    return [each.row() for each in WINDOWS[SPOT if category == SPOT else USDM]]


_RETURNED_AFTER_NS = 40 * NS_PER_MS
_MAKERS_SHARE = 5
"""How many slots the first fill of a resting order gives back; that of another one gives one."""


class OrderCounts:
    """Counts one kind of accounts' orders: of spot, or of both kinds of contracts.

    :param factor: how many times the usual limits there are; None: no limits.
    """

    def __init__(self, venue: Venue, windows: Sequence[Window], factor: float | None) -> None:
        self._venue = venue
        self._limited = factor is not None
        self.windows = tuple(
            attrs.evolve(each, limit=max(1, round(each.limit * (factor or 1.0))))
            for each in windows
        )
        self._used: dict[tuple[str, Window], tuple[int, int]] = {}

    def _count(self, user: str, window: Window) -> int:
        span, used = self._used.get((user, window), (-1, 0))
        return used if span == self._venue.now_ns // (window.seconds * NS_PER_SECOND) else 0

    def _add(self, user: str, count: int) -> None:
        for window in self.windows:
            span = self._venue.now_ns // (window.seconds * NS_PER_SECOND)
            used = max(0, self._count(user, window) + count)
            self._used[user, window] = span, used

    def enter(self, user: str, count: int = 1) -> None:
        """Count orders that are asked for.

        :raises BadRequest: -1015, where they are too many; none is counted then.
        """
        if self._limited:
            for window in self.windows:
                if self._count(user, window) + count > window.limit:
                    text = (
                        f"Too many new orders; current limit is {window.limit} orders per "
                        f"{window.count} {window.interval}."
                    )
                    raise BadRequest(-1015, text, 429)
        self._add(user, count)

    def filled(self, user: str, *, maker: bool) -> None:
        """An order has its first fill: a little later its slot is free again."""
        count = _MAKERS_SHARE if maker else 1
        due_ns = self._venue.now_ns + _RETURNED_AFTER_NS
        self._venue.at(due_ns, lambda now_ns: self._add(user, -count))

    def headers(self, user: str) -> dict[str, str]:
        return {each.header: str(self._count(user, each)) for each in self.windows}

    def rows(self, user: str) -> list[dict[str, Any]]:
        """As ``rateLimits`` of answers tell of them."""
        return [each.row(self._count(user, each)) for each in self.windows]

    def wait(self, now_ns: int) -> int:
        """Seconds until the shortest window begins anew."""
        span_ns = self.windows[0].seconds * NS_PER_SECOND
        return (span_ns - now_ns % span_ns) // NS_PER_SECOND + 1
