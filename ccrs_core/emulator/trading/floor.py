"""The trading floor: all pits, and what happens by itself once something was traded or prices have
moved.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Protocol

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.back_office import BackOffice
from ccrs_core.emulator.trading.conduct import Conduct
from ccrs_core.emulator.trading.orders import DeskOrder, Ending, NewOrder, Stage
from ccrs_core.emulator.trading.pit import Pit
from ccrs_core.emulator.venue import Venue


class Aftermath(Protocol):
    """Who sees to what follows from what has happened in a pit."""

    def look(self, pit: Pit) -> None:
        """Something was traded there, or prices have moved."""


class TradingFloor(BackOffice):
    """The pits, with the office behind them."""

    def __init__(self, venue: Venue, conduct: Conduct) -> None:
        super().__init__(venue, conduct)
        self.aftermath: list[Aftermath] = []
        """Asked, in this order, about a pit in which something has happened."""
        self._pits: dict[tuple[str, str], Pit] = {}
        self._numbers = count(1)
        self._settling = False

    def pit(self, listing: Listing) -> Pit:
        """The pit of a listing, made on first use."""
        found = self._pits.get(listing.key)
        if found is None:
            found = self._pits[listing.key] = Pit(self, listing, self.settle)
        return found

    def order(self, account: TradingAccount, asked: NewOrder, **more: Any) -> DeskOrder:
        """A new order, acknowledged and booked."""
        now_ns = self.venue.now_ns
        order = DeskOrder(
            number=next(self._numbers),
            account=account.name,
            asked=asked,
            stage=Stage.ACCEPTED,
            created_ns=now_ns,
            updated_ns=now_ns,
            **more,
        )
        return self.clearing.change(account, order)

    def wait(self, account: TradingAccount, order: DeskOrder) -> None:
        """Let an order wait for its trigger."""
        self.clearing.change(account, order, stage=Stage.WAITING)
        self.waiting.setdefault(order.listing.key, {})[order.number] = account

    def cancel_all(self, account: TradingAccount, listing: Listing, why: Ending) -> None:
        """Cancel an account's orders of a listing at once, as the exchange's deed."""
        pit = self.pit(listing)
        for order in account.open_orders(listing):
            pit.cancel_now(account, order.number, why)

    def settle(self, pit: Pit, now_ns: int) -> None:
        """Let happen what follows from a trade or a price, and tell of all of it."""
        if self._settling:
            return
        self._settling = True
        self.bulletin.now_ns = now_ns
        try:
            for look in self.aftermath:
                look.look(pit)
            pit.rest()
        finally:
            self._settling = False
        self.bulletin.flush()
