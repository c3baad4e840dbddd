"""Placing, amending and canceling orders on the emulated Bybit, by either way: what is refused at
once, and in which words; whatever else comes of an order is told by events.

https://bybit-exchange.github.io/docs/v5/order/create-order and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse, wrong
from ccrs_bybit.emulator_fitting import (
    check_price,
    check_trigger,
    fit,
    last_price,
    priced_by,
    tradable,
)
from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_order_rows import PREVENTIONS
from ccrs_bybit.emulator_tickets import (
    Change,
    ExitTerms,
    Fields,
    Ticket,
    amend_ticket,
    category_of,
    create_ticket,
    which_order,
)
from ccrs_core import (
    NS_PER_SECOND,
    Exit,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    Trigger,
    TriggerBy,
)
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Lifetime,
    Listing,
    NewOrder,
    Refusal,
    Refused,
    SimulatedMarket,
    Stage,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

FOLLOWED_BY = {
    "LastPrice": TriggerBy.LAST,
    "MarkPrice": TriggerBy.MARK,
    "IndexPrice": TriggerBy.INDEX,
}
_LIFETIMES = {
    "GTC": Lifetime.GTC,
    "IOC": Lifetime.IOC,
    "FOK": Lifetime.FOK,
    "PostOnly": Lifetime.POST_ONLY,
}
INDEXED_SIDES = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
_COMPLAINTS: Mapping[Refusal, Complaint] = {
    Refusal.NOT_FOUND: Complaint.NOT_FOUND,
    Refusal.ENDED: Complaint.NOT_FOUND,
    Refusal.DUPLICATE_ID: Complaint.DUPLICATE,
    Refusal.MARKET_STATE: Complaint.NOT_LIVE,
    Refusal.SIZE_STEP: Complaint.QTY_STEP,
    Refusal.SIZE_MIN: Complaint.QTY_SMALL,
    Refusal.SIZE_MAX: Complaint.QTY_LARGE,
    Refusal.PRICE_STEP: Complaint.PRICE_STEP,
    Refusal.PRICE_MIN: Complaint.PRICE_LOW,
    Refusal.BALANCE: Complaint.BALANCE,
    Refusal.CAP_OPEN: Complaint.TOO_MANY_ORDERS,
    Refusal.CAP_WAITING: Complaint.TOO_MANY_CONDITIONAL,
    Refusal.REDUCE_ONLY: Complaint.NOTHING_TO_REDUCE,
    Refusal.NOTHING_CHANGES: Complaint.UNCHANGED,
    Refusal.BELOW_FILLED: Complaint.BELOW_FILLED,
    Refusal.NOT_AMENDABLE: Complaint.NOT_AMENDABLE,
    Refusal.BUSY: Complaint.BUSY,
}
_MOST = {SPOT: 10, LINEAR: 20, INVERSE: 20, OPTION: 20}
_MOST_AT_ONCE = 500
_JUST_NS = 2 * NS_PER_SECOND
MISMATCH = BadRequest(PARAMETER, "position idx not match position mode")


class Orders:
    """What clients do with orders; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._single: Mapping[str, Callable[..., dict[str, Any]]] = {
            "create": self.create,
            "amend": self.amend,
            "cancel": self.cancel,
        }

    # --- one order ---

    def create(
        self, account: TradingAccount, category: str, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``create``: the ack of an order, or of the first of those that it was split into."""
        trading = self._trading
        placed: list[DeskOrder] = []
        for order in self.asked(account, category, values):
            try:
                placed.append(trading.desk.place(account, order))
            except Refused as refused:
                if not placed:
                    market = trading.venue.market(order.listing)
                    raise self._complain(refused, category, order, market) from None
        return self._ack(placed[0])

    def asked(
        self, account: TradingAccount, category: str, values: Mapping[str, Any]
    ) -> list[NewOrder]:
        """The order that is asked for; several where Bybit splits it.

        :raises BadRequest: for the first thing that is wrong with it.
        """
        trading = self._trading
        found = trading.listing(category, values.get("symbol"))
        listing = tradable(found, category, str(values.get("symbol")))
        ticket = create_ticket(category, values)
        side = self._position_side(account, listing, ticket)
        market = trading.venue.market(listing)
        held = trading.held(account, listing, side)
        if ticket.link_id in account.client_ids:
            raise refuse(category, Complaint.DUPLICATE)
        if ticket.price is not None:
            # Its market goes on by the rules that it began with; these are those of now.
            check_price(category, ticket.price, listing)
        fitted = fit(ticket, market, moves=trading.moves_prices(account, category), held=held)
        trigger = None
        if ticket.trigger_price is not None:
            trigger = Trigger(
                price=ticket.trigger_price,
                rises=check_trigger(ticket, market),
                by=FOLLOWED_BY[ticket.trigger_follows],
            )
        # Those after the first have no link id, as ids are unique.
        return [
            _new_order(
                ticket, listing, side, size, fitted.price, trigger, "" if n else ticket.link_id
            )
            for n, size in enumerate(fitted.sizes)
        ]

    def checked(
        self, account: TradingAccount, category: str, values: Mapping[str, Any]
    ) -> NewOrder:
        """The order that is asked for, if it would be taken.

        :raises BadRequest: else.
        """
        order = self.asked(account, category, values)[0]
        try:
            self._trading.desk.check(account, order)
        except Refused as refused:
            market = self._trading.venue.market(order.listing)
            raise self._complain(refused, category, order, market) from None
        return order

    def amend(
        self, account: TradingAccount, category: str, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``amend``: acknowledged; what comes of it is told by an event."""
        trading = self._trading
        change = amend_ticket(category, values)
        order = self._find(account, category, change.symbol, change.order_id, change.link_id)
        if order is None or order.stage.ended:
            raise self._gone(order, category, now_ns, amended=True)
        listing = order.listing
        market = trading.venue.market(listing)
        try:
            trading.desk.amend(account, order.number, _changed(change, order, market))
        except Refused as refused:
            raise self._complain(refused, category, order.asked, market) from None
        trading.amended(order.number)
        return self._ack(order)

    def cancel(
        self, account: TradingAccount, category: str, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``cancel``: acknowledged; the order may be filled all the same."""
        fields = Fields(values)
        order_id, link_id = which_order(fields)
        order = self._find(account, category, fields.text("symbol"), order_id, link_id)
        if order is not None and category == SPOT:
            asked = fields.text("orderFilter") or "Order"
            if asked != order.asked.labels.get("filter", "Order"):
                order = None
        if order is None or order.stage.ended:
            raise self._gone(order, category, now_ns, amended=False)
        try:
            self._trading.desk.cancel(account, order.number)
        except Refused as refused:
            market = self._trading.venue.market(order.listing)
            raise self._complain(refused, category, order.asked, market) from None
        return self._ack(order)

    # --- several ---

    def batch(
        self,
        what: str,
        account: TradingAccount,
        values: Mapping[str, Any],
        passed: int,
        now_ns: int,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """``create-batch`` and its kin: the result, and what was said of each item.

        :param passed: how many the rate limit lets through.
        """
        category = category_of(values)
        rows, codes = [], []
        for index, found in enumerate(items(values)):
            item: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
            symbol, link_id = item.get("symbol", ""), item.get("orderLinkId", "")
            row = {"category": category, "symbol": symbol, "orderId": "", "orderLinkId": link_id}
            code, text = 0, "OK"
            try:
                if index >= passed:
                    raise BadRequest(10006, "Too many visits!")
                row |= self._single[what](account, category, item, now_ns)
            except BadRequest as refused:
                code, text = int(refused.code), refused.text
            if what == "create":
                row["createAt"] = str(milliseconds(now_ns)) if not code else ""
            rows.append(row)
            codes.append({"code": code, "msg": text})
        return {"list": rows}, {"list": codes}

    def cancel_all(
        self, account: TradingAccount, category: str, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``cancel-all``: of contracts 500 at most, whichever; of spot the plain ones only, unless
        another filter is named."""
        fields = Fields(values)
        symbol, base, settle = (fields.text(n) for n in ("symbol", "baseCoin", "settleCoin"))
        if category in {LINEAR, INVERSE} and not (symbol or base or settle):
            raise BadRequest(PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
        if symbol and self._trading.listing(category, symbol) is None:
            raise refuse(category, Complaint.SYMBOL)
        kind = fields.text("orderFilter") or ("Order" if category == SPOT else "")
        if kind not in _FILTERS[category]:
            raise wrong("orderFilter")
        only_stops = fields.text("stopOrderType") == "Stop" and kind == "StopOrder"
        found = [
            order
            for order in account.open_orders()
            if order.listing.category == category
            and _within(order.listing, symbol, base, settle)
            and _filtered(order, kind)
            and not (only_stops and order.exit_kind)
        ]
        if category in {LINEAR, INVERSE} and len(found) > _MOST_AT_ONCE:
            found = self._trading.venue.rng.sample(found, _MOST_AT_ONCE)
        acks = []
        for order in found:
            try:
                self._trading.desk.cancel(account, order.number)
            except Refused:
                continue  # it is being canceled already
            acks.append(self._ack(order))
        # Recorded: without anything to cancel there is no list.
        return {"list": acks, "success": "1"} if acks else {"success": "1"}

    # --- parts ---

    def _ack(self, order: DeskOrder) -> dict[str, Any]:
        return {
            "orderId": self._trading.ids.order(order),
            "orderLinkId": order.client_order_id,
        }

    def _find(
        self, account: TradingAccount, category: str, symbol: str, order_id: str, link_id: str
    ) -> DeskOrder | None:
        if self._trading.listing(category, symbol) is None:
            raise refuse(category, Complaint.SYMBOL)
        order = self._trading.find(account, order_id, link_id)
        if order is None or order.listing.key != (category, symbol):
            return None
        return order

    def _position_side(
        self, account: TradingAccount, listing: Listing, ticket: Ticket
    ) -> PositionSide:
        if listing.category in {SPOT, OPTION}:
            return PositionSide.NET
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if hedged is not (ticket.position_idx != 0):
            raise MISMATCH
        return INDEXED_SIDES[ticket.position_idx]

    def _gone(
        self, order: DeskOrder | None, category: str, now_ns: int, *, amended: bool
    ) -> BadRequest:
        """How an order that isn't open is denied: right after it ended Bybit still knows how."""
        if order is not None and now_ns - order.updated_ns < _JUST_NS:
            filled = order.stage is Stage.FILLED
            return refuse(category, Complaint.FILLED if filled else Complaint.CANCELED)
        if amended and category != SPOT:
            return refuse(category, Complaint.NOT_AMENDABLE)
        return refuse(category, Complaint.NOT_FOUND)

    @staticmethod
    def _complain(
        refused: Refused, category: str, asked: NewOrder, market: SimulatedMarket
    ) -> BadRequest:
        listing = asked.listing
        match refused.why:
            case Refusal.POSITION_SIDE:
                return MISMATCH
            case Refusal.NOTIONAL_MIN:
                least = f"{listing.min_notional:f}{listing.quote}"
                return refuse(category, Complaint.VALUE_SMALL, least)
            case Refusal.RISK_LIMIT:
                return refuse(category, Complaint.RISK_LIMIT, refused)
            case Refusal.EXIT_SIDE:
                limited = asked.price if asked.type is OrderType.LIMIT else None
                base = limited or last_price(market)
                buys = asked.side is Side.BUY
                for kind, exit_ in (
                    ("TakeProfit", asked.take_profit),
                    ("StopLoss", asked.stop_loss),
                ):
                    up = (kind == "TakeProfit") is buys
                    if exit_ is not None and (exit_.price > base) is not up:
                        return wrong_side(kind, exit_.price, base, buys=buys)
            case Refusal.TRIGGER_PASSED if asked.trigger is not None:
                rises = asked.trigger.rises
                passed = Complaint.EXPECTED_RISE if rises else Complaint.EXPECTED_FALL
                shown = (asked.trigger.price, last_price(market))
                return refuse(category, passed, *(f"{v.scaleb(4):.0f}" for v in shown), "LastPrice")
        return refuse(category, _COMPLAINTS[refused.why])


def wrong_side(kind: str, price: Decimal, base: Decimal, *, buys: bool) -> BadRequest:
    """How Bybit refuses a take profit, stop loss or trailing stop that would fire at once.

    It writes prices in hundred-millionths there; its words differ between kinds and sides.
    """
    up = (kind != "StopLoss") is buys
    if kind == "StopLoss":
        how = "lower than" if buys else "greater than"
    else:
        how = "be higher than" if up else "be less than"
    shown = [f"{value.scaleb(8):.0f}" for value in (price, base)]
    side = "Buy" if buys else "Sell"
    text = f"{kind}:{shown[0]} set for {side} position should {how} base_price:{shown[1]}"
    return BadRequest(PARAMETER, f"{text}??LastPrice")


_FILTERS: Mapping[str, frozenset[str]] = {
    SPOT: frozenset({"Order", "tpslOrder", "StopOrder", "OcoOrder", "BidirectionalTpslOrder"}),
    LINEAR: frozenset({"", "Order", "StopOrder", "OpenOrder"}),
    INVERSE: frozenset({"", "Order", "StopOrder", "OpenOrder"}),
    OPTION: frozenset({"", "Order", "StopOrder"}),
}


def items(values: Mapping[str, Any]) -> Sequence[Any]:
    """The items of a batch.

    :raises BadRequest: where there are none, or too many.
    """
    found = values.get("request")
    if not isinstance(found, list) or not found:
        raise wrong("request")
    if len(found) > _MOST[category_of(values)]:
        raise BadRequest(PARAMETER, "The number of orders in a batch exceeds the limit")
    return found


def _within(listing: Listing, symbol: str, base: str, settle: str) -> bool:
    if symbol:
        return listing.symbol == symbol
    return listing.base == base if base else settle in {"", listing.settle}


def _filtered(order: DeskOrder, kind: str) -> bool:
    if not kind:
        return True
    if order.listing.category == SPOT:
        return str(order.asked.labels.get("filter", "Order")) == kind
    waits = order.stage is Stage.WAITING
    return waits is (kind == "StopOrder")


def _exit(terms: ExitTerms | None) -> Exit | None:
    if terms is None:
        return None
    by = FOLLOWED_BY[terms.follows]
    return Exit(price=terms.price, limit_price=terms.limit_price, by=by)


def _new_order(
    ticket: Ticket,
    listing: Listing,
    side: PositionSide,
    size: Decimal,
    price: Decimal | None,
    trigger: Trigger | None,
    link_id: str,
) -> NewOrder:
    labels = {
        "filter": ticket.order_filter,
        "leverage": ticket.leverage,
        "unit": ticket.market_unit,
        "close": ticket.close_on_trigger,
        "slippage_type": ticket.slippage_type,
        "slippage": "" if ticket.slippage is None else f"{ticket.slippage:f}",
    }
    if ticket.category == OPTION:
        by_volatility = ticket.volatility is not None
        labels["place"] = "iv" if by_volatility else "price"
        labels["iv"] = f"{ticket.volatility:f}" if by_volatility else ""
    return NewOrder(
        listing=listing,
        side=ticket.side,
        size=None if ticket.in_quote else size,
        quote_size=size if ticket.in_quote else None,
        price=price,
        type=OrderType.MARKET if ticket.market else OrderType.LIMIT,
        lifetime=_LIFETIMES[ticket.lifetime],
        reduce_only=ticket.reduce_only,
        closing=ticket.closes_all,
        position_side=side,
        self_trade=PREVENTIONS.get(ticket.prevention),
        client_order_id=link_id,
        trigger=trigger,
        locks_at_once=ticket.order_filter == "tpslOrder",
        take_profit=_exit(ticket.take_profit),
        stop_loss=_exit(ticket.stop_loss),
        partial_exits=ticket.tpsl_mode == "Partial",
        labels=labels,
    )


def _changed(change: Change, order: DeskOrder, market: SimulatedMarket) -> NewOrder:
    """The order as it is to be."""
    listing, asked = order.listing, order.asked
    found: dict[str, Any] = {}
    price = change.price
    if change.volatility is not None:
        price = priced_by(change.volatility, market)
    elif price is not None:
        check_price(listing.category, price, listing)
    if price is not None:
        if asked.type is OrderType.MARKET:
            raise refuse(listing.category, Complaint.NOT_AMENDABLE)
        found["price"] = price
    if change.qty is not None:
        if change.qty % listing.lot:
            raise refuse(listing.category, Complaint.QTY_STEP)
        found["size"] = change.qty
    if change.trigger_price is not None:
        if asked.trigger is None:
            raise refuse(listing.category, Complaint.NOT_AMENDABLE)
        check_price(listing.category, change.trigger_price, listing)
        found["trigger"] = attrs.evolve(asked.trigger, price=change.trigger_price)
    for name, value, follows, limit in (
        ("take_profit", change.take_profit, change.tp_follows, change.tp_limit),
        ("stop_loss", change.stop_loss, change.sl_follows, change.sl_limit),
    ):
        before: Exit | None = getattr(asked, name)
        if value is None:
            continue
        if order.filled:
            raise refuse(listing.category, Complaint.EXITS_OF_FILLED)
        if not value:
            found[name] = None
            continue
        by = FOLLOWED_BY[follows] if follows else before.by if before else TriggerBy.LAST
        limited = limit or (before.limit_price if before else None)
        found[name] = Exit(price=value, limit_price=limited, by=by)
    if not found:
        raise BadRequest(34040, "not modified")
    return attrs.evolve(asked, **found)
