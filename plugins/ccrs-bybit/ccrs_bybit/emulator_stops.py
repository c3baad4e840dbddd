"""Take profit and stop loss of positions on the emulated Bybit, and what an order would need before
it is placed.

https://bybit-exchange.github.io/docs/v5/position/trading-stop and
https://bybit-exchange.github.io/docs/v5/order/pre-check-order
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse, wrong
from ccrs_bybit.emulator_fitting import check_price, tradable
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, OPTION, SPOT
from ccrs_bybit.emulator_orders import FOLLOWED_BY, INDEXED_SIDES
from ccrs_bybit.emulator_tickets import Fields, category_of
from ccrs_core import MarginMode, OrderType, PositionMode, Side, Trigger
from ccrs_core.emulator import (
    BadRequest,
    DeskPosition,
    NewOrder,
    Refused,
    TradingAccount,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_KINDS = (("take_profit", "tp", "takeProfit"), ("stop_loss", "sl", "stopLoss"))
_FOLLOWED = frozenset({"LastPrice", "IndexPrice", "MarkPrice"})


class Stops:
    """What clients set for positions; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    def set(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``trading-stop``: of the whole position one of each, which replaces the one before; or of
        a part, beside what there is. 0 removes."""
        category = category_of(values)
        fields = Fields(values)
        if category == SPOT:
            raise wrong("category")
        listing = self._trading.listing(category, values.get("symbol"))
        listing = tradable(listing, category, str(values.get("symbol")))
        partial = fields.word("tpslMode", ("Full", "Partial")) == "Partial"
        if "tpslMode" not in fields.values or (partial and category == OPTION):
            raise wrong("tpslMode")
        if fields.number("trailingStop"):
            raise BadRequest(PARAMETER, "trailing stops aren't offered for this position")
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
        if not made:
            raise BadRequest(34040, "not modified")
        desk = self._trading.desk
        for kind, order in made:
            for other in account.open_orders(listing) if not partial else ():
                same = (other.exit_kind or other.asked.labels.get("exit")) == kind
                if same and other.asked.closing and other.asked.position_side is position.side:
                    desk.cancel(account, other.number)
            if order is not None:
                try:
                    desk.place(account, order)
                except Refused as refused:
                    raise BadRequest(PARAMETER, f"{kind}: {refused}") from None
        return {}

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
        kept = value * desk.conduct.maintenance_rate(asked.listing) * worth
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
