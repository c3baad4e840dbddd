"""What is checked before an order or an amendment is acknowledged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.emulator.matching import RuleBroken
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.clearing import index_price, lock_of, locked_asset
from ccrs_core.emulator.trading.floor import TradingFloor
from ccrs_core.emulator.trading.orders import (
    ZERO,
    DeskOrder,
    NewOrder,
    Refusal,
    Refused,
    Stage,
)
from ccrs_core.emulator.trading.positions import value_of
from ccrs_core.emulator.trading.tiers import leverage_for
from ccrs_core.emulator.trading.triggers import reached
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.instruments import InstrumentStatus, Market, Side
from ccrs_core.model.order_requests import OrderType, PositionSide

_MARGIN_FOR_MARKET = Decimal("1.05")


class Checks:
    """Refuses what can't be done, before anything is."""

    def __init__(self, floor: TradingFloor) -> None:
        self._floor = floor

    def new(self, account: TradingAccount, asked: NewOrder) -> dict[str, Any]:
        """What a new order is besides what was asked.

        :raises Refused: where there can't be such an order.
        """
        listing = asked.listing
        now_ns = self._floor.venue.now_ns
        over = listing.expiry_ns is not None and listing.expiry_ns <= now_ns
        if listing.status is not InstrumentStatus.TRADING or over:
            raise Refused(Refusal.MARKET_STATE)
        self._fresh_id(account, asked)
        market = self._floor.venue.market(listing)
        self._sides(account, asked)
        self._rules(market, asked)
        self._caps(account, asked)
        begun = asked.trigger is not None and asked.activates_at is None
        if begun and asked.trigger is not None and reached(market, asked.trigger):
            raise Refused(Refusal.TRIGGER_PASSED)
        self._exits(market, asked)
        opens = self._opens(account, asked)
        more: dict[str, Any] = {
            "last_price": market.rules.price.value(market.tape.last),
            "underlying_price": index_price(market),
            "opens": opens,
            "budget": self._budget(account, market, asked),
        }
        order = DeskOrder(
            number=0,
            account="",
            asked=asked,
            stage=Stage.ACCEPTED,
            created_ns=0,
            updated_ns=0,
            **more,
        )
        self._affords(account, order, ZERO)
        self._within_tiers(account, order)
        if asked.closing and asked.size is None:
            held = self._floor.clearing.position(account, listing, asked.position_side)
            more["reduced_to"] = abs(held.size)
        return more

    def amendment(self, account: TradingAccount, order: DeskOrder, asked: NewOrder) -> None:
        """Refuse an amendment that can't be made.

        :raises Refused: naming why.
        """
        if asked == order.asked:
            raise Refused(Refusal.NOTHING_CHANGES, order=order)
        below = asked.size is not None and asked.size <= order.filled
        if below and not self._floor.conduct.amends_below_filled:
            raise Refused(Refusal.BELOW_FILLED, order=order)
        if order.asked.type is OrderType.MARKET and order.stage is not Stage.WAITING:
            raise Refused(Refusal.NOT_AMENDABLE, order=order)
        market = self._floor.venue.market(order.listing)
        self._rules(market, asked)
        trigger = asked.trigger
        begun = trigger != order.asked.trigger and asked.activates_at is None
        if trigger is not None and begun and reached(market, trigger):
            raise Refused(Refusal.TRIGGER_PASSED, order=order)
        if (asked.take_profit, asked.stop_loss) != (order.asked.take_profit, order.asked.stop_loss):
            self._exits(market, asked)
        after = attrs.evolve(order, asked=asked, reduced_to=None)
        self._affords(account, after, order.locked)
        self._within_tiers(account, after)

    # --- one thing each ---

    def _fresh_id(self, account: TradingAccount, asked: NewOrder) -> None:
        number = account.client_ids.get(asked.client_order_id) if asked.client_order_id else None
        if number is None:
            return
        order = self._floor.last_known(account, number)
        if self._floor.conduct.ids_for_ever or number in account.orders:
            raise Refused(Refusal.DUPLICATE_ID, order=order)

    def _sides(self, account: TradingAccount, asked: NewOrder) -> None:
        listing, side = asked.listing, asked.position_side
        if listing.market is Market.SPOT:
            if side is not PositionSide.NET:
                raise Refused(Refusal.POSITION_SIDE)
            return
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if hedged == (side is PositionSide.NET):
            raise Refused(Refusal.POSITION_SIDE)
        if not asked.reduces or asked.trigger is not None:
            return
        held = self._floor.clearing.position(account, listing, side).size
        reducible = -held if asked.side is Side.BUY else held
        shrinks = self._floor.conduct.shrinks_reduce_only or asked.size is None
        if reducible <= 0 or (not shrinks and (asked.size or ZERO) > reducible):
            raise Refused(Refusal.REDUCE_ONLY)

    def _rules(self, market: SimulatedMarket, asked: NewOrder) -> None:
        listing = asked.listing
        if asked.size is None:
            if asked.quote_size is None:
                if not asked.closing:
                    raise Refused(Refusal.SIZE_MIN)
            elif asked.quote_size < listing.min_notional:
                raise Refused(Refusal.NOTIONAL_MIN)
            return
        best = (market.engine.asks if asked.side is Side.BUY else market.engine.bids).best
        reference = market.rules.price.value(best or market.tape.last)
        try:
            market.rules.check(asked.size, asked.price, reference)
        except RuleBroken as broken:
            why = Refusal(broken.rule.value)
            if why is Refusal.NOTIONAL_MIN and asked.reduces:
                return
            raise Refused(why, str(broken)) from None

    def _caps(self, account: TradingAccount, asked: NewOrder) -> None:
        conduct, listing = self._floor.conduct, asked.listing
        if conduct.cap is not None:
            why = conduct.cap(asked, account.open_orders())
            if why is not None:
                raise Refused(why)
            return
        waiting = account.waiting(listing)
        if asked.trigger is not None:
            if waiting >= conduct.most_waiting(listing):
                raise Refused(Refusal.CAP_WAITING)
        elif len(account.open_orders(listing)) - waiting >= conduct.most_open(listing):
            raise Refused(Refusal.CAP_OPEN)

    def _exits(self, market: SimulatedMarket, asked: NewOrder) -> None:
        limited = asked.price if asked.type is OrderType.LIMIT else None
        price = limited or market.rules.price.value(market.tape.last)
        up = asked.side is Side.BUY
        for exit_, above in ((asked.take_profit, up), (asked.stop_loss, not up)):
            if exit_ is not None and (exit_.price > price) != above:
                raise Refused(Refusal.EXIT_SIDE)

    def _opens(self, account: TradingAccount, asked: NewOrder) -> bool:
        """Whether an order may make more of a position; of spot it always spends something."""
        if asked.listing.market is Market.SPOT:
            return True
        if asked.reduces or asked.position_side is not PositionSide.NET:
            return not asked.reduces
        held = self._floor.clearing.position(account, asked.listing, PositionSide.NET).size
        reducible = -held if asked.side is Side.BUY else held
        open_already = sum(
            (
                order.remaining
                for order in account.open_orders(asked.listing)
                if order.side is asked.side and not order.opens and order.stage is not Stage.WAITING
            ),
            ZERO,
        )
        return reducible < (asked.size or ZERO) + open_already

    def _budget(
        self, account: TradingAccount, market: SimulatedMarket, asked: NewOrder
    ) -> Decimal | None:
        """The most that a market order to buy on spot may spend."""
        if asked.listing.market is not Market.SPOT or asked.side is Side.SELL:
            return None
        if asked.quote_size is not None:
            return asked.quote_size
        if asked.price is not None or asked.size is None:
            return None
        cost, left = ZERO, market.rules.size.count(asked.size) or 0
        ticks = market.engine.asks.best or market.tape.last
        for ticks, total in market.engine.asks.top(len(market.engine.asks.keys)):
            lots = min(total, left)
            cost += market.rules.price.value(ticks) * market.rules.size.value(lots)
            left -= lots
            if not left:
                break
        cost += market.rules.price.value(ticks) * market.rules.size.value(left)
        free = self._floor.margins.of_asset(account, asked.listing.quote).free
        return max(cost, min(free, cost * _MARGIN_FOR_MARKET))

    def _within_tiers(self, account: TradingAccount, order: DeskOrder) -> None:
        """What an order, and others like it, could make of the position must suit its leverage."""
        listing, asked = order.listing, order.asked
        contract = listing.market in (Market.LINEAR, Market.INVERSE)
        if not contract or not order.opens or asked.trigger is not None:
            return
        clearing, sign = self._floor.clearing, 1 if order.side is Side.BUY else -1
        held = clearing.position(account, listing, asked.position_side).size * sign
        others = sum(
            (
                each.remaining
                for each in account.open_orders(listing)
                if each.side is order.side
                and each.opens
                and each.number != order.number
                and each.asked.position_side is asked.position_side
                and each.stage is not Stage.WAITING
            ),
            ZERO,
        )
        price = order.price or order.last_price
        value = value_of(listing, max(held, ZERO) + others + order.remaining, price)
        most = leverage_for(self._floor.conduct, listing, value)
        if clearing.leverage(account, listing, asked.position_side) > most:
            raise Refused(Refusal.RISK_LIMIT, f"{most:f}")

    def _affords(self, account: TradingAccount, order: DeskOrder, locked: Decimal) -> None:
        clearing, margins = self._floor.clearing, self._floor.margins
        leverage = clearing.leverage(account, order.listing, order.asked.position_side)
        more = lock_of(order, leverage) - locked
        if more <= 0:
            return
        asset = locked_asset(order)
        spot = order.listing.market is Market.SPOT
        free = margins.of_asset(account, asset).free if spot else margins.available(account, asset)
        if more > free:
            raise Refused(Refusal.BALANCE, f"{more:f} {asset} are needed, {free:f} are there")
