"""What is paid at appointed times: funding of perpetual contracts, and delivery of those that
expire.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.clearing import index_price, mark_price
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.happenings import DeskPosition, MoneyKind
from ccrs_core.emulator.trading.money_tape import Delivered, Funded
from ccrs_core.emulator.trading.orders import ZERO, Ending
from ccrs_core.emulator.trading.pit import Pit
from ccrs_core.emulator.trading.positions import profit_of, quotient, value_of
from ccrs_core.model.instruments import Market, OptionKind, Side


class Appointments:
    """Sees to it that funding and deliveries of listings with positions take place."""

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor
        self._funding: dict[tuple[str, str], int] = {}
        self._expiries: set[tuple[str, str]] = set()

    def look(self, pit: Pit) -> None:
        listing, floor = pit.listing, self._floor
        if not floor.clearing.holders.get(listing.key):
            return
        due_ns = pit.market.next_funding_ns
        ahead = due_ns is not None and due_ns > floor.venue.now_ns
        if due_ns is not None and ahead and self._funding.get(listing.key) != due_ns:
            self._funding[listing.key] = due_ns
            floor.venue.at(due_ns, partial(self._fund, pit, due_ns))
        if listing.expiry_ns is not None and listing.key not in self._expiries:
            self._expiries.add(listing.key)
            floor.venue.at(listing.expiry_ns, partial(self._deliver, pit))

    # --- funding ---

    def _fund(self, pit: Pit, due_ns: int, now_ns: int) -> None:
        if self._funding.get(pit.listing.key) != due_ns:
            return  # it was put off
        del self._funding[pit.listing.key]
        floor = self._floor
        floor.bulletin.now_ns = now_ns
        rate = Decimal(pit.market.funding_at(due_ns)).scaleb(-6)
        for name in tuple(floor.clearing.holders.get(pit.listing.key, ())):
            account = floor.accounts[name]
            for position in account.positions_of(pit.listing):
                self._pay(pit, account, position, rate)
        floor.settle(pit, now_ns)

    def _pay(
        self, pit: Pit, account: TradingAccount, position: DeskPosition, rate: Decimal
    ) -> None:
        """A long position pays a rate above zero, a short one receives it."""
        floor, listing = self._floor, pit.listing
        assert listing.settle is not None
        mark = mark_price(pit.market)
        amount = -value_of(listing, position.size, mark) * rate
        floor.tape.add(
            Funded,
            floor.bulletin.now_ns,
            account=account.name,
            category=listing.category,
            symbol=listing.symbol,
            position_side=position.side.value,
            size=position.size,
            mark_price=mark,
            rate=rate,
            asset=listing.settle,
            amount=amount,
        )
        floor.clearing.hold(
            account,
            attrs.evolve(
                position,
                realised=position.realised + amount,
                realised_ever=position.realised_ever + amount,
                updated_ns=floor.bulletin.now_ns,
            ),
        )
        floor.clearing.move(
            account,
            listing.settle,
            MoneyKind.FUNDING,
            funding=amount,
            fee_rate=rate,
            listing=listing,
            side=Side.BUY if position.size > 0 else Side.SELL,
            size=abs(position.size),
            price=mark,
            position_size=position.size,
        )

    # --- delivery ---

    def _deliver(self, pit: Pit, now_ns: int) -> None:
        floor, listing = self._floor, pit.listing
        self._expiries.discard(listing.key)
        floor.bulletin.now_ns = now_ns
        for account in tuple(floor.accounts.values()):
            floor.cancel_all(account, listing, Ending.SETTLEMENT)
        price = settlement_price(listing, index_price(pit.market))
        for account in (*floor.accounts.values(), floor.house):
            for position in account.positions_of(listing):
                self._settle(account, position, price)
        floor.settle(pit, now_ns)

    def _settle(self, account: TradingAccount, position: DeskPosition, price: Decimal) -> None:
        floor, listing, size = self._floor, position.listing, position.size
        assert listing.settle is not None
        worth = value_of(listing, size, price) if price else ZERO
        if listing.market is Market.OPTION:
            cash, profit = worth, worth - position.cost
        else:
            cash = profit = profit_of(listing, position.cost, -worth)
        floor.tape.add(
            Delivered,
            floor.bulletin.now_ns,
            account=account.name,
            category=listing.category,
            symbol=listing.symbol,
            position_side=position.side.value,
            size=size,
            price=price,
            asset=listing.settle,
            fee=ZERO,
        )
        floor.clearing.hold(
            account,
            attrs.evolve(
                position,
                size=ZERO,
                cost=ZERO,
                isolated_margin=ZERO,
                realised=position.realised + profit,
                realised_ever=position.realised_ever + profit,
                updated_ns=floor.bulletin.now_ns,
            ),
        )
        floor.clearing.move(
            account,
            listing.settle,
            MoneyKind.DELIVERY,
            cash=cash,
            listing=listing,
            side=Side.SELL if size > 0 else Side.BUY,
            size=abs(size),
            price=price,
        )


def settlement_price(listing: Listing, index: Decimal) -> Decimal:
    """At what a contract is settled: the index price, or what an option is worth by it."""
    if listing.market is not Market.OPTION:
        return index
    assert listing.strike is not None
    call = listing.option_kind is OptionKind.CALL
    worth = max(index - listing.strike if call else listing.strike - index, ZERO)
    return quotient(worth, index) if listing.settle == listing.base else worth
