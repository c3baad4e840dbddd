"""Take profit and stop loss of positions on the emulated Bybit, and what an order would need before
it is placed.

https://bybit-exchange.github.io/docs/v5/position/trading-stop and
https://bybit-exchange.github.io/docs/v5/order/pre-check-order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse, wrong
from ccrs_bybit.emulator_fitting import check_price, followed_price, last_price, tradable
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_order_rows import exit_of
from ccrs_bybit.emulator_orders import FOLLOWED_BY, INDEXED_SIDES, wrong_side
from ccrs_bybit.emulator_risk import MOST_EXITS
from ccrs_bybit.emulator_tickets import Fields, category_of
from ccrs_core import MarginMode, OrderType, PositionMode, Side, Trigger
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    DeskPosition,
    NewOrder,
    Refusal,
    Refused,
    TradingAccount,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_KINDS = (("take_profit", "tp", "takeProfit"), ("stop_loss", "sl", "stopLoss"))
_TRAILING = "trailing_stop"
_FOLLOWED = frozenset({"LastPrice", "IndexPrice", "MarkPrice"})


class Stops:
    """What clients set for positions; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    def set(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``trading-stop``: of the whole position one of each, changed if it is there; or of a
        part, beside what there is. 0 removes. A trailing stop is always of the whole."""
        category = category_of(values)
        fields = Fields(values)
        if category == SPOT:
            raise wrong("category")
        listing = self._trading.listing(category, values.get("symbol"))
        listing = tradable(listing, category, str(values.get("symbol")))
        partial = fields.word("tpslMode", ("Full", "Partial")) == "Partial"
        if "tpslMode" not in fields.values or (partial and category == OPTION):
            raise wrong("tpslMode")
        index = fields.whole("positionIdx", (0, 1, 2), -1)
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if hedged is not (index != 0):
            raise BadRequest(PARAMETER, "position idx not match position mode")
        position = self._trading.position(account, listing, INDEXED_SIDES[index])
        if not position.size:
            raise BadRequest(PARAMETER, "can not set tp/sl/ts for zero position")
        wanted = [
            (kind, short, price)
            for kind, short, name in _KINDS
            if (price := fields.number(name)) is not None
        ]
        made = [self._order(position, fields, *each, partial=partial) for each in wanted]
        distance = fields.number("trailingStop")
        if distance is not None:
            if category == OPTION:
                raise wrong("trailingStop")
            made.append((_TRAILING, self._trailing(position, fields, distance)))
        sizes = {order.size for _, order in made if order is not None and not order.closing}
        if len(sizes) > 1:
            raise BadRequest(PARAMETER, "tpSize and slSize must be equal")
        changes = [
            each for kind, order in made for each in self._changes(account, position, kind, order)
        ]
        if not changes:
            raise BadRequest(34040, "not modified")
        self._room(account, position, [order for _, order in changes if order is not None])
        for known, order in changes:
            self._carry_out(account, known, order)
        return {}

    def _changes(
        self, account: TradingAccount, position: DeskPosition, kind: str, order: NewOrder | None
    ) -> list[tuple[DeskOrder | None, NewOrder | None]]:
        """What a wish comes to: an order that is there, and what it is to be; None: gone."""
        known = [
            other
            for other in account.open_orders(position.listing)
            if exit_of(other) == kind
            and other.asked.closing
            and other.asked.position_side is position.side
        ]
        if order is None:
            return [(other, None) for other in known]
        if not order.closing or not known:
            return [(None, order)]
        after = attrs.evolve(
            known[0].asked,
            trigger=order.trigger,
            trailing=order.trailing,
            activates_at=order.activates_at,
        )
        return [] if after == known[0].asked else [(known[0], after)]

    def _room(
        self, account: TradingAccount, position: DeskPosition, orders: Sequence[NewOrder]
    ) -> None:
        parts = sum(1 for each in account.open_orders(position.listing) if exit_of(each))
        parts -= sum(1 for each in account.open_orders(position.listing) if each.asked.closing)
        if parts + sum(1 for each in orders if not each.closing) > MOST_EXITS:
            raise refuse(position.listing.category, Complaint.TOO_MANY_EXITS)

    def _carry_out(
        self, account: TradingAccount, known: DeskOrder | None, order: NewOrder | None
    ) -> None:
        desk = self._trading.desk
        try:
            if known is None:
                assert order is not None
                desk.place(account, order)
            elif order is None:
                desk.cancel(account, known.number)
            else:
                desk.amend(account, known.number, order)
        except Refused as refused:
            if refused.why is Refusal.BUSY:
                raise refuse(LINEAR, Complaint.BUSY) from None
            raise BadRequest(PARAMETER, f"params error: {refused}") from None

    def _trailing(
        self, position: DeskPosition, fields: Fields, distance: Decimal
    ) -> NewOrder | None:
        """A stop that follows the last price at a distance, from where ``activePrice`` says on."""
        if not distance:
            return None
        listing, long = position.listing, position.size > 0
        begins = fields.number("activePrice") or None
        last = last_price(self._trading.venue.market(listing))
        if begins is not None:
            check_price(listing.category, begins, listing)
            if (begins > last) is not long:
                raise wrong_side("TrailingProfit", begins, last, buys=long)
        if distance % listing.tick or distance >= (begins or last):
            raise wrong("trailingStop")
        from_ = begins or last
        return NewOrder(
            listing=listing,
            side=Side.SELL if long else Side.BUY,
            type=OrderType.MARKET,
            reduce_only=True,
            closing=True,
            position_side=position.side,
            trigger=Trigger(price=from_ - distance if long else from_ + distance, rises=not long),
            trailing=distance,
            activates_at=begins,
            labels={"exit": _TRAILING},
        )

    def _order(
        self,
        position: DeskPosition,
        fields: Fields,
        kind: str,
        short: str,
        price: Decimal,
        *,
        partial: bool,
    ) -> tuple[str, NewOrder | None]:
        if not price:
            return kind, None
        listing, long = position.listing, position.size > 0
        check_price(listing.category, price, listing)
        follows = fields.word(f"{short}TriggerBy", _FOLLOWED, "LastPrice")
        base = followed_price(self._trading.venue.market(listing), follows)
        if price == base or (price > base) is not ((kind == "take_profit") is long):
            name = "TakeProfit" if kind == "take_profit" else "StopLoss"
            raise wrong_side(name, price, base, buys=long)
        limited = fields.word(f"{short}OrderType", ("Market", "Limit"), "Market") == "Limit"
        limit = fields.number(f"{short}LimitPrice") or None
        size = fields.number(f"{short}Size") or abs(position.size)
        if limited and (limit is None or not partial):
            raise wrong(f"{short}LimitPrice")
        if size > abs(position.size):
            raise BadRequest(
                110058,
                "You can't set take profit and stop loss due to insufficient size of remaining "
                "position size.",
            )
        if size % listing.lot:
            raise refuse(listing.category, Complaint.QTY_STEP)
        return kind, NewOrder(
            listing=listing,
            side=Side.SELL if long else Side.BUY,
            size=size if partial else None,
            price=limit if limited else None,
            type=OrderType.LIMIT if limited else OrderType.MARKET,
            reduce_only=True,
            closing=not partial,
            position_side=position.side,
            trigger=Trigger(
                price=price, rises=(kind == "take_profit") is long, by=FOLLOWED_BY[follows]
            ),
            partial_exits=partial,
            labels={"exit": kind},
        )

    def check(
        self, account: TradingAccount, category: str, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``pre-check``: the rates of margin before and after an order; none is placed."""
        if category not in CATEGORIES or category == SPOT:
            raise BadRequest(PARAMETER, "Illegal category")
        if account.margin_mode is MarginMode.ISOLATED:
            raise BadRequest(PARAMETER, "isolated margin mode is not supported")
        if category == INVERSE and account.margin_mode is MarginMode.CROSS:
            raise BadRequest(PARAMETER, "inverse is not supported in cross margin mode")
        if values.get("triggerPrice"):
            raise BadRequest(PARAMETER, "conditional orders are not supported")
        asked = self._trading.orders.checked(account, category, values)
        before, desk = self._trading.desk.margins.standing(account), self._trading.desk
        price = asked.price or self._trading.venue.market(asked.listing).rules.price.value(
            self._trading.venue.market(asked.listing).tape.last
        )
        value = (asked.size or Decimal(0)) * asked.listing.worth_of_one * price
        leverage = self._trading.leverage(account, asked.listing, asked.position_side)
        worth = desk.margins.worth(asked.listing.settle or "")
        initial = value / leverage * worth
        kept = desk.margins.maintenance(asked.listing, value) * worth
        if asked.reduce_only:
            initial = kept = Decimal(0)

        def rate(margin: Decimal) -> int:
            return int(margin / before.equity * 10_000) if before.equity > 0 else 0

        return {
            "orderId": self._trading.ids.of(category, now_ns % 2**40),
            "orderLinkId": asked.client_order_id,
            "preImrE4": rate(before.initial),
            "preMmrE4": rate(before.maintenance),
            "postImrE4": rate(before.initial + initial),
            "postMmrE4": rate(before.maintenance + kept),
        }
