"""What is under way of each order: its placement, its amendments, its cancel."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs

from ccrs_core.trading.sending import Sending


@attrs.define(eq=False)
class Flight:
    """What is under way of one order."""

    placing: Sending[Any] | None = None
    amends: list[Sending[Any]] = attrs.field(factory=list)
    """Those that wait or are under way, in the order of the calls."""
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    """Whose amendment may leave: one at a time, so that none overtakes another."""
    canceling: int = 0
    """Calls that cancel it at present."""

    @property
    def idle(self) -> bool:
        return self.placing is None and not self.amends and not self.canceling

    def withdraw_amends(self, why: str) -> None:
        """Amendments that haven't left yet aren't to leave any more."""
        for each in self.amends:
            each.withdraw(why)


class Flights:
    """Those of all orders of an account that have something under way."""

    def __init__(self) -> None:
        self._by_order: dict[str, Flight] = {}

    def of(self, key: str) -> Flight:
        """That of an order; call :meth:`landed` once nothing is under way."""
        return self._by_order.setdefault(key, Flight())

    def get(self, key: str) -> Flight | None:
        """That of an order, where anything is under way."""
        return self._by_order.get(key)

    def landed(self, key: str) -> None:
        """Forget it, if nothing is under way any more."""
        flight = self._by_order.get(key)
        if flight is not None and flight.idle:
            del self._by_order[key]

    def keys(self) -> list[str]:
        """Orders that have something under way."""
        return list(self._by_order)
