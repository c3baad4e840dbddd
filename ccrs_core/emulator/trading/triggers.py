"""Orders that wait: for a price that triggers them, and take profits and stop losses for the order
or position that they belong to.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator.market import Figure, SimulatedMarket
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.clearing import index_price, lock_of, locked_asset, mark_price
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.orders import ZERO, DeskOrder, Ending, NewOrder, Stage
from ccrs_core.emulator.trading.pit import Pit
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import Exit, OrderType, PositionSide, Trigger, TriggerBy


def followed(market: SimulatedMarket, by: TriggerBy) -> Decimal | None:
    """The price that triggers of a kind follow, now; None where there is none."""
    match by:
        case TriggerBy.MARK:
            return mark_price(market) if market.has(Figure.MARK_PRICE) else None
        case TriggerBy.INDEX:
            return index_price(market) if market.has(Figure.INDEX_PRICE) else None
    return market.rules.price.value(market.tape.last) if market.has(Figure.LAST_PRICE) else None


def reached(market: SimulatedMarket, trigger: Trigger) -> bool:
    """Whether the price is at or beyond a trigger's."""
    price = followed(market, trigger.by)
    if price is None:
        return False
    return price >= trigger.price if trigger.rises else price <= trigger.price


class Triggers:
    """Brings orders to the engine whose triggers are reached."""

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor

    def look(self, pit: Pit) -> None:
        met = self._floor.clearing.met.pop(pit.listing.key, ())
        waiting = self._floor.waiting.get(pit.listing.key)
        if not waiting:
            return
        market = pit.market
        for number, account in tuple(waiting.items()):
            order = account.orders.get(number)
            if order is None or order.stage is not Stage.WAITING:
                waiting.pop(number, None)
                continue
            if (account.name, order.asked.contingent) in met:
                waiting.pop(number)
                pit.cancel_now(account, number, Ending.PARTNER)
                continue
            if order.asked.trails:
                order = self._follow(market, account, order)
            if order.asked.trigger is not None and reached(market, order.asked.trigger):
                if order.asked.activates_at is not None:
                    continue
                waiting.pop(number)
                self._fire(pit, account, order)

    def _follow(
        self, market: SimulatedMarket, account: TradingAccount, order: DeskOrder
    ) -> DeskOrder:
        """Let a trailing trigger follow the price, once that has come to where it begins."""
        asked = order.asked
        assert asked.trigger is not None
        price = followed(market, asked.trigger.by)
        if price is None:
            return order
        falls = not asked.trigger.rises
        begins = asked.activates_at
        upwards = falls is not asked.activates_towards
        if begins is not None and not (price >= begins if upwards else price <= begins):
            return order
        behind = asked.distance(price)
        stop = price - behind if falls else price + behind
        further = stop > asked.trigger.price if falls else stop < asked.trigger.price
        if begins is None and not further:
            return order
        trigger = attrs.evolve(asked.trigger, price=max(stop, order.listing.tick))
        after = attrs.evolve(asked, trigger=trigger, activates_at=None)
        return self._floor.clearing.change(account, order, asked=after)

    def _fire(self, pit: Pit, account: TradingAccount, order: DeskOrder) -> None:
        floor = self._floor
        for other in account.open_orders(order.listing):
            if other.number != order.number and _partners(order, other):
                pit.cancel_now(account, other.number, Ending.PARTNER)
        leverage = floor.clearing.leverage(account, order.listing, order.asked.position_side)
        spot = order.listing.market is Market.SPOT
        life: dict[str, Any] = {
            "triggered": True,
            "stage": Stage.ACCEPTED,
            "opens": spot or order.opens,
        }
        fired = attrs.evolve(order, **life)
        more = lock_of(fired, leverage) - order.locked
        if more > 0 and more > self._free(account, order):
            floor.clearing.change(
                account, order, triggered=True, stage=Stage.REJECTED, ending=Ending.BALANCE
            )
            return
        if floor.conduct.triggers_anew(order.listing):
            asked = attrs.evolve(order.asked, trigger=None, trailing=None, trailing_share=None)
            kept = ("parent", "exit_kind", "opens", "budget", "last_price", "underlying_price")
            life = {name: getattr(fired, name) for name in kept}
            waited, order = order, floor.order(account, asked, origin=order.number, **life)
            floor.clearing.change(
                account,
                waited,
                triggered=True,
                stage=Stage.CANCELED,
                ending=Ending.REPLACED,
                replaced_by=order.number,
            )
            account.remember(asked.client_order_id, order.number)
        else:
            floor.clearing.change(account, order, **life)
        number = order.number
        pit.act_now(lambda: pit.enter(account, number))

    def _free(self, account: TradingAccount, order: DeskOrder) -> Decimal:
        asset, margins = locked_asset(order), self._floor.margins
        if order.listing.market is Market.SPOT:
            return margins.of_asset(account, asset).free
        return margins.available(account, asset)


def _partners(order: DeskOrder, other: DeskOrder) -> bool:
    """Whether an order that is triggered ends another one."""
    if order.asked.contingent:
        return order.asked.contingent == other.asked.contingent
    if order.asked.pair:
        return order.asked.pair == other.asked.pair and other.stage is Stage.WAITING
    return order.parent is not None and other.parent == order.parent and bool(other.exit_kind)


class Exits:
    """Makes the take profits and stop losses of orders that were filled, and ends those, and
    reduce-only orders, whose position is gone."""

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor
        self._made: set[int] = set()
        """Orders whose exits were made that are still open."""

    def look(self, pit: Pit) -> None:
        clearing = self._floor.clearing
        for number, order in tuple(clearing.parents.items()):
            if order.listing.key == pit.listing.key and order.account in self._floor.accounts:
                self._make(pit, self._floor.accounts[order.account], order)
                if order.stage.ended:
                    clearing.parents.pop(number)
                    self._made.discard(number)
        for name, key in tuple(clearing.changed):
            if key != pit.listing.key:
                continue
            clearing.changed.pop((name, key), None)
            if name in self._floor.accounts and pit.listing.market is not Market.SPOT:
                self._end(pit, self._floor.accounts[name])

    def _make(self, pit: Pit, account: TradingAccount, order: DeskOrder) -> None:
        asked = order.asked
        whole = pit.listing.market is not Market.SPOT and not asked.partial_exits
        if order.number in self._made or not (whole or order.stage.ended):
            return
        self._made.add(order.number)
        if whole:
            self._clear(pit, account, asked.position_side)
        exits = {"take_profit": asked.take_profit, "stop_loss": asked.stop_loss}
        for kind, wanted in exits.items():
            if wanted is not None:
                self.add(pit, account, order, kind, wanted, whole=whole)

    def add(
        self,
        pit: Pit,
        account: TradingAccount,
        parent: DeskOrder,
        kind: str,
        wanted: Exit,
        *,
        whole: bool,
    ) -> None:
        """Let a take profit or stop loss wait."""
        listing = pit.listing
        spot, buys = listing.market is Market.SPOT, parent.side is Side.SELL
        size: Decimal | None = None
        if not whole:
            less = max(parent.fees.get(listing.base, ZERO), ZERO) if spot and not buys else ZERO
            size = listing.lot * int((parent.filled - less) / listing.lot)
        money = None
        if spot and buys and wanted.limit_price is None:
            # Bought back for what the sale brought in.
            size, money = None, parent.value - max(parent.fees.get(listing.quote, ZERO), ZERO)
        if size == 0:
            return
        held = self._floor.clearing.position(account, listing, parent.asked.position_side)
        asked = NewOrder(
            listing=listing,
            side=Side.BUY if buys else Side.SELL,
            size=size,
            quote_size=money,
            price=wanted.limit_price,
            type=OrderType.MARKET if wanted.limit_price is None else OrderType.LIMIT,
            reduce_only=not spot,
            closing=whole,
            position_side=parent.asked.position_side,
            trigger=Trigger(
                price=wanted.price, rises=(kind == "take_profit") != buys, by=wanted.by
            ),
        )
        order = self._floor.order(
            account,
            asked,
            parent=parent.number,
            exit_kind=kind,
            budget=money,
            # Of the two, one lays hold of the assets for both.
            opens=spot and (kind == "stop_loss" or parent.asked.stop_loss is None),
            reduced_to=abs(held.size) if whole else None,
        )
        self._floor.wait(account, order)

    def _clear(self, pit: Pit, account: TradingAccount, side: PositionSide) -> None:
        """Exits of a whole position are replaced by later ones."""
        for order in account.open_orders(pit.listing):
            if order.exit_kind and order.asked.closing and order.asked.position_side is side:
                pit.cancel_now(account, order.number, Ending.REPLACED)

    def _end(self, pit: Pit, account: TradingAccount) -> None:
        sizes = {p.side: p.size for p in account.positions_of(pit.listing)}
        for order in account.open_orders(pit.listing):
            if not order.asked.reduces or order.stage is Stage.ACCEPTED:
                continue
            held = sizes.get(order.asked.position_side, ZERO)
            if not held or (held > 0) == (order.side is Side.BUY):
                gone = Ending.POSITION_CLOSED if order.exit_kind else Ending.REDUCE_ONLY
                pit.cancel_now(account, order.number, gone)
            elif order.asked.closing and order.stage is Stage.WAITING and order.size != abs(held):
                self._floor.clearing.change(account, order, reduced_to=abs(held))
