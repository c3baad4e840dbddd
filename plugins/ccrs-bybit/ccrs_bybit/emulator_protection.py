"""The emulated Bybit's disconnect protection (DCP): it isn't renewed, it counts from the loss of
the last private connection that subscribed ``dcp``.

https://bybit-exchange.github.io/docs/v5/order/dcp
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_private import DCP_TOPICS
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import Ending, TradingAccount

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_CATEGORIES: Mapping[str, frozenset[str]] = {
    "SPOT": frozenset({SPOT}),
    "DERIVATIVES": frozenset({LINEAR, INVERSE}),
    "OPTIONS": frozenset({OPTION}),
}
_USUAL = 10
_TAKES_NS = 10 * NS_PER_SECOND
"""Until a change holds."""


class Protection:
    """Which products of whom are protected, and since when nobody is connected."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._windows: dict[tuple[str, str], list[tuple[int, int]]] = {}
        """By account and product: (from when on, seconds), ascending."""
        self._lost: dict[tuple[str, str], int] = {}
        self._pings: dict[tuple[str, str], int] = {}

    def set(self, account: TradingAccount, product: str, seconds: int, now_ns: int) -> None:
        """Protect a product's orders; it takes some seconds until that holds."""
        self._windows.setdefault((account.name, product), []).append((now_ns + _TAKES_NS, seconds))

    def windows(self, account: TradingAccount, now_ns: int) -> dict[str, int]:
        """The seconds of each product that is protected now."""
        found = {product: self._window(account.name, product, now_ns) for product in _CATEGORIES}
        return {product: seconds for product, seconds in found.items() if seconds is not None}

    def _window(self, account: str, product: str, now_ns: int) -> int | None:
        set_ = self._windows.get((account, product), [])
        return next((seconds for from_ns, seconds in reversed(set_) if from_ns <= now_ns), None)

    def left(self, account: str, topics: frozenset[str], now_ns: int) -> None:
        """A private connection that had subscribed these is gone."""
        for topic in topics & DCP_TOPICS.keys():
            product = DCP_TOPICS[topic]
            if self._trading.listeners(account, topic):
                continue
            self._lost[account, product] = now_ns
            seconds = self._window(account, product, now_ns)
            if seconds is not None:
                due_ns = now_ns + seconds * NS_PER_SECOND

                def fire(now_ns: int, since_ns: int = now_ns, product: str = product) -> None:
                    self._fire(account, product, since_ns)

                self._trading.venue.at(due_ns, fire)

    def joined(self, account: str, topic: str) -> None:
        """Somebody subscribed: nothing is lost any more."""
        product = DCP_TOPICS.get(topic)
        if product is not None:
            self._lost.pop((account, product), None)

    def _fire(self, account: str, product: str, since_ns: int) -> None:
        if self._lost.get((account, product)) != since_ns:
            return
        del self._lost[account, product]
        desk = self._trading.desk
        for order in desk.accounts[account].open_orders():
            if order.listing.category in _CATEGORIES[product]:
                desk.cancel(desk.accounts[account], order.number, Ending.DEAD_MAN)
