"""Liquidation: accounts whose margin is used up lose their positions to the house, which closes
them in the market.
"""

from __future__ import annotations

from decimal import Decimal

from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.emulator.matching import Lifetime
from ccrs_core.emulator.steering import liquidate
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.clearing import Dealer, mark_price
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.happenings import DeskPosition, MarginCalled, MoneyKind
from ccrs_core.emulator.trading.margin import on_tick
from ccrs_core.emulator.trading.money_tape import Insured, Liquidated
from ccrs_core.emulator.trading.orders import DeskOrder, Ending, NewOrder
from ccrs_core.emulator.trading.pit import Pit
from ccrs_core.emulator.trading.positions import quotient
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import OrderType
from ccrs_core.model.orders import FillKind


class Risk:
    """Watches maintenance margins."""

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor
        self._looked: dict[tuple[str, str], tuple[int, int]] = {}

    def look(self, pit: Pit) -> None:
        holders = self._floor.clearing.holders.get(pit.listing.key)
        if not holders:
            return
        seen = pit.market.mark, self._floor.tape.count
        if self._looked.get(pit.listing.key) == seen:
            return
        self._looked[pit.listing.key] = seen
        for name in tuple(holders):
            self._judge(self._floor.accounts[name])

    def _judge(self, account: TradingAccount) -> None:
        floor = self._floor
        for position in tuple(account.positions.values()):
            if not position.size or position.margin_mode is not MarginMode.ISOLATED:
                continue
            margin = floor.margins.of_position(position)
            if position.isolated_margin + margin.unrealised <= margin.maintenance:
                self.liquidate(account, position)
        for asset in self._backing(account):
            self._judge_crossed(account, asset)

    def _backing(self, account: TradingAccount) -> tuple[str | None, ...]:
        """The assets that back crossed positions each by itself; None: all together."""
        if self._floor.conduct.pools_margin:
            return (None,)
        held = (each.listing.settle for each in account.positions.values() if each.size)
        return tuple(dict.fromkeys(held))

    def _judge_crossed(self, account: TradingAccount, asset: str | None) -> None:
        floor = self._floor
        while (standing := floor.margins.standing(account, asset)).maintenance > 0:
            rate = standing.maintenance / standing.equity if standing.equity > 0 else Decimal(1)
            if rate < 1:
                self._warn(account, rate)
                return
            crossed = [
                position
                for position in account.positions.values()
                if position.size
                and position.margin_mode is not MarginMode.ISOLATED
                and asset in {None, position.listing.settle}
            ]
            if not crossed:
                return
            largest = max(crossed, key=lambda each: floor.margins.of_position(each).maintenance)
            self.liquidate(account, largest)

    def _warn(self, account: TradingAccount, rate: Decimal) -> None:
        close = rate >= self._floor.conduct.warning_rate
        if close and not account.warned:
            self._floor.bulletin.add(MarginCalled, account.name, rate)
        account.warned = close

    def liquidate(self, account: TradingAccount, position: DeskPosition) -> None:
        """Let the house take over a position at its bankruptcy price, and close it."""
        floor, listing = self._floor, position.listing
        pit = floor.pit(listing)
        floor.cancel_all(account, listing, Ending.LIQUIDATION)
        market = pit.market
        mark = mark_price(market)
        bankrupt = floor.margins.bankruptcy_price(account, position)
        price = on_tick(market, mark if bankrupt is None else bankrupt)
        floor.tape.add(
            Liquidated,
            floor.bulletin.now_ns,
            account=account.name,
            category=listing.category,
            symbol=listing.symbol,
            position_side=position.side.value,
            size=position.size,
            mark_price=mark,
            bankruptcy_price=price,
        )
        forced_out(floor, pit, account, position, abs(position.size), price, Ending.LIQUIDATION)
        pit.act_now(lambda: self._close(market, position))
        self._insure(account, position)

    def _close(self, market: SimulatedMarket, position: DeskPosition) -> None:
        """Sell (buy back) in the market what the house has taken over."""
        floor = self._floor
        size = abs(position.size)
        asked = NewOrder(
            listing=position.listing,
            side=Side.SELL if position.size > 0 else Side.BUY,
            size=size,
            type=OrderType.MARKET,
            lifetime=Lifetime.IOC,
        )
        order = floor.order(floor.house, asked, opens=False, by=Ending.LIQUIDATION)
        floor.pit(position.listing).enter(floor.house, order.number)
        if position.listing.market is not Market.OPTION:
            was = Side.BUY if position.size > 0 else Side.SELL
            liquidate(market, was, size, on_tick(market, mark_price(market)))

    def _insure(self, account: TradingAccount, position: DeskPosition) -> None:
        """What the account owes once nothing is left in it is the house's loss."""
        floor, asset = self._floor, position.listing.settle
        if asset is None or any(each.size for each in account.positions.values()):
            return
        equity = floor.margins.standing(account, asset).equity
        worth = floor.margins.worth(asset)
        if equity >= 0 or not worth:
            return
        owed = quotient(-equity, worth)
        floor.tape.add(
            Insured, floor.bulletin.now_ns, account=account.name, asset=asset, amount=owed
        )
        floor.clearing.move(account, asset, MoneyKind.INSURANCE, cash=owed)
        floor.clearing.move(floor.house, asset, MoneyKind.INSURANCE, cash=-owed)


def forced_out(
    floor: TradingFloor,
    pit: Pit,
    account: TradingAccount,
    position: DeskPosition,
    size: Decimal,
    price: Decimal,
    why: Ending,
) -> DeskOrder:
    """Close (a part of) a position at a price, by an order of the exchange's: with the house where
    it is a liquidation, else with the crowd."""
    asked = NewOrder(
        listing=position.listing,
        side=Side.SELL if position.size > 0 else Side.BUY,
        size=size,
        price=price,
        type=OrderType.MARKET,
        lifetime=Lifetime.IOC,
        reduce_only=True,
        position_side=position.side,
    )
    order = floor.order(account, asked, opens=False, by=why)
    mine = Dealer(account=account, order=order.number, position_side=position.side)
    liquidated = why is Ending.LIQUIDATION
    other = Dealer(account=floor.house if liquidated else None, maker=True)
    kind = FillKind.LIQUIDATION if liquidated else FillKind.DELEVERAGING
    buyer, seller = (other, mine) if asked.side is Side.SELL else (mine, other)
    floor.clearing.trade(pit.market, price, size, buyer, seller, kind)
    return order
