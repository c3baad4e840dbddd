"""Placing, amending and canceling orders on the emulated OKX, by either way: what is refused at
once, and in which words; whatever else comes of an order is pushed.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_core import InstrumentStatus, MarginMode, OrderType, Side
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    NewOrder,
    Refusal,
    Refused,
    TradingAccount,
    index_price,
)
from ccrs_okx.emulator_codes import (
    GONE,
    IN_FLIGHT,
    UNCHANGEABLE,
    UNKNOWN,
    complain,
    empty,
    parameter,
)
from ccrs_okx.emulator_fitting import band, priced_by
from ccrs_okx.emulator_listings import OPTION, SPOT
from ccrs_okx.emulator_tickets import PREVENTIONS, Ticket, change, ticket, which_order
from ccrs_okx.emulator_wire import ms

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_LIFETIMES = {
    "limit": Lifetime.GTC,
    "ioc": Lifetime.IOC,
    "fok": Lifetime.FOK,
    "post_only": Lifetime.POST_ONLY,
    "market": Lifetime.IOC,
    "optimal_limit_ioc": Lifetime.IOC,
}
_BY_SYSTEM = frozenset({"market", "optimal_limit_ioc"})
MOST_AT_ONCE = 20
_MOST_AMENDMENTS = 3

Act = Callable[[TradingAccount, Mapping[str, Any], int], dict[str, Any]]


def tradable(listing: Listing, now_ns: int) -> Listing:
    """The listing, if orders of it are taken now.

    :raises BadRequest: else.
    """
    if listing.expiry_ns is not None and listing.expiry_ns <= now_ns:
        raise BadRequest(51027, "Contract expired")
    match listing.status:
        case InstrumentStatus.TRADING:
            return listing
        case InstrumentStatus.PRELAUNCH:
            raise BadRequest(51021, "Contract listing soon")
        case InstrumentStatus.SETTLING:
            raise BadRequest(51028, "Contract under delivery")
        case InstrumentStatus.CLOSED:
            raise BadRequest(51027, "Contract expired")
    raise BadRequest(51022, "Contract suspended")


class Orders:
    """What clients do with orders; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- one order ---

    def place(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``order``: the ack.

        :raises BadRequest: naming the first thing that is wrong; nothing happened.
        """
        trading = self._trading
        asked = self.asked(account, values, now_ns)
        try:
            order = trading.desk.place(account, asked)
        except Refused as refused:
            raise complain(refused, asked) from None
        return {"ordId": trading.ids.order(order.number), "clOrdId": order.client_order_id}

    def asked(self, account: TradingAccount, values: Mapping[str, Any], now_ns: int) -> NewOrder:
        """The order that is asked for."""
        trading = self._trading
        listing = tradable(self.listing(values), now_ns)
        prevention = str(account.settings.get("acctStpMode", "cancel_maker"))
        said = ticket(listing.category, values, prevention)
        self.check_mode(account, listing, said.mode)
        market = trading.venue.market(listing)
        price = said.price
        labels = {
            "kind": said.kind,
            "mode": said.mode,
            "tag": said.tag,
            "unit": said.unit,
            "ccy": said.currency,
            "exits": said.exits_id,
            "lever": trading.leverage(account, listing, said.position_side),
        }
        if said.volatility is not None:
            price = priced_by(market, said.volatility, said.side)
            labels |= {"pxVol": f"{said.volatility:f}", "pxType": "pxVol"}
        elif said.dollars is not None:
            price = _from_dollars(said, market)
            labels |= {"pxUsd": f"{said.dollars:f}", "pxType": "pxUsd"}
        if said.price is not None:
            _on_tick(listing, said.price)
        if price is not None and listing.category != OPTION:
            self._within(listing, said.side, price)
        self._isolate(account, listing, said.mode)
        each = listing.contract
        by_system = said.kind in _BY_SYSTEM
        return NewOrder(
            listing=listing,
            side=said.side,
            size=None if said.in_quote else said.size * each,
            quote_size=said.size if said.in_quote else None,
            price=price,
            type=OrderType.MARKET if by_system else OrderType.LIMIT,
            lifetime=_LIFETIMES[said.kind],
            reduce_only=said.reduce_only,
            position_side=said.position_side,
            self_trade=PREVENTIONS[said.prevention],
            client_order_id=said.client_id,
            take_profit=said.take_profit,
            stop_loss=said.stop_loss,
            partial_exits=True,
            labels=labels,
        )

    def check_mode(self, account: TradingAccount, listing: Listing, mode: str) -> None:
        """Refuse a margin mode that the account's level hasn't.

        https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
        """
        level = self._trading.level(account)
        spot, option = listing.category == SPOT, listing.category == OPTION
        wrong = BadRequest(
            51010, "You can't complete this request under your current account mode."
        )
        if level == "1":
            if mode != "cash" or not (spot or option):
                raise wrong
        elif spot:
            if mode != ("cash" if level == "2" else "cross"):
                raise wrong
        elif mode == "cash":
            raise wrong

    def _isolate(self, account: TradingAccount, listing: Listing, mode: str) -> None:
        """The margin mode of a contract's positions is that of the order which opens them; here of
        one instrument there is one at a time."""
        if listing.category in {SPOT, OPTION}:
            return
        wanted = MarginMode.ISOLATED if mode == "isolated" else MarginMode.CROSS
        if account.margin_mode_of(listing) is wanted:
            return
        try:
            self._trading.desk.settings.margin_mode(account, wanted, listing)
        except Refused:
            raise BadRequest(
                51010, "You can't complete this request under your current account mode."
            ) from None

    def _within(self, listing: Listing, side: Side, price: Decimal) -> None:
        lowest, highest = band(self._trading.venue.market(listing))
        if (side is Side.BUY and price > highest) or (side is Side.SELL and price < lowest):
            raise BadRequest(
                51006,
                "Order price is not within the price limit "
                f"(max buy price: {highest:f} min sell price: {lowest:f}) ",
            )

    def amend(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``amend-order``: acknowledged; what comes of it is pushed with its ``reqId``."""
        trading = self._trading
        listing = self.listing(values)
        mine, its = which_order(values)
        wanted = change(values)
        order = self._find(account, listing, mine, its)
        if order is None or order.stage.ended:
            raise UNCHANGEABLE
        if trading.amendments.count(order.number) >= _MOST_AMENDMENTS:
            raise IN_FLIGHT
        found: dict[str, Any] = {}
        market = trading.venue.market(listing)
        if wanted.size is not None:
            found["size"] = wanted.size * listing.contract
        price = wanted.price
        if listing.category == OPTION and wanted.volatility is not None:
            price = priced_by(market, wanted.volatility, order.side)
            vol = {"pxVol": f"{wanted.volatility:f}", "pxType": "pxVol"}
            found["labels"] = {**order.asked.labels, **vol}
        if wanted.price is not None:
            _on_tick(listing, wanted.price)
        if price is not None:
            if listing.category != OPTION:
                self._within(listing, order.side, price)
            found["price"] = price
        asked = attrs.evolve(order.asked, **found)
        # Before it: it may be carried out at once.
        trading.amendments.begin(order.number, wanted.request_id)
        try:
            trading.desk.amend(account, order.number, asked)
        except Refused as refused:
            trading.amendments.drop(order.number)
            if wanted.cancels:
                self._cancel_now(account, order)
            if refused.why in (Refusal.ENDED, Refusal.NOT_FOUND):
                raise UNCHANGEABLE from None
            raise complain(refused, asked) from None
        return {
            "ordId": trading.ids.order(order.number),
            "clOrdId": self.client_id(order),
            "reqId": wanted.request_id,
        }

    def _cancel_now(self, account: TradingAccount, order: DeskOrder) -> None:
        try:
            self._trading.desk.cancel(account, order.number, Ending.EXCHANGE)
        except Refused:
            return  # it has ended by itself

    def cancel(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``cancel-order``: acknowledged; the order may be filled all the same."""
        trading = self._trading
        listing = self.listing(values)
        mine, its = which_order(values)
        order = self._find(account, listing, mine, its)
        if order is None or order.stage.ended:
            raise GONE
        try:
            trading.desk.cancel(account, order.number)
        except Refused:
            raise GONE from None
        return {"ordId": trading.ids.order(order.number), "clOrdId": self.client_id(order)}

    def close_position(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``close-position``: a market order for all of a position."""
        from ccrs_okx.emulator_tickets import POSITION_SIDES, Fields

        trading, listing = self._trading, tradable(self.listing(values), now_ns)
        fields = Fields(values)
        side = POSITION_SIDES.get(fields.text("posSide"))
        if side is None:
            raise parameter("posSide")
        position = trading.desk.position(account, listing, side)
        if listing.category in {SPOT, OPTION} or not position.size:
            raise BadRequest(51023, "Position doesn't exist.")
        asked = NewOrder(
            listing=listing,
            side=Side.SELL if position.size > 0 else Side.BUY,
            size=abs(position.size),
            type=OrderType.MARKET,
            lifetime=Lifetime.IOC,
            reduce_only=True,
            position_side=side,
            labels={"kind": "market", "mode": fields.word("mgnMode", ("cross", "isolated"))},
        )
        try:
            trading.desk.place(account, asked)
        except Refused as refused:
            raise complain(refused, asked) from None
        told = {"instId": listing.symbol, "posSide": fields.text("posSide")}
        return {**told, "clOrdId": fields.text("clOrdId"), "tag": fields.tag()}

    # --- parts ---

    def listing(self, values: Mapping[str, Any]) -> Listing:
        """Which instrument a request is about: by its id, over sockets by its code.

        :raises BadRequest: 50014, 51001.
        """
        trading = self._trading
        code = values.get("instIdCode")
        if "instIdCode" in values and (isinstance(code, bool) or not isinstance(code, int)):
            raise empty("instIdCode") if code in (None, "") else parameter("instIdCode")
        symbol = values.get("instId")
        if isinstance(code, int):
            found = trading.by_code(code)
        elif isinstance(symbol, str) and symbol:
            found = trading.listing(symbol)
        else:
            raise empty("instId")
        if found is None:
            raise UNKNOWN
        return found

    def _find(
        self, account: TradingAccount, listing: Listing, mine: str, its: str
    ) -> DeskOrder | None:
        order = self._trading.find(account, mine, its)
        return order if order is not None and order.listing.key == listing.key else None

    @staticmethod
    def client_id(order: DeskOrder) -> str:
        """What a client called it; what a trigger has placed has no such id of its own."""
        return "" if order.origin is not None else order.client_order_id


def _on_tick(listing: Listing, price: Decimal) -> None:
    # A market goes on by the rules that it began with; these are those of now.
    if price % listing.tick:
        raise BadRequest(51000, "Parameter px error ")


def _from_dollars(said: Ticket, market: Any) -> Decimal:
    assert said.dollars is not None
    listing = market.listing
    price = said.dollars if listing.settle != listing.base else said.dollars / index_price(market)
    ticks = market.rules.allowed(max(1, market.rules.price.nearest(price)), said.side)
    return Decimal(market.rules.price.value(ticks))


def answered(
    act: Act,
    account: TradingAccount,
    items: Sequence[Any],
    now_ns: int,
    named: Sequence[str],
    admit: Callable[[Mapping[str, Any]], BadRequest | None],
) -> list[dict[str, Any]]:
    """What is said of each item, in order; one that is refused takes no other away.

    :param named: which of an item's own words its row says again.
    :param admit: why an item is refused for limits, or None.
    """
    rows = []
    for item in items:
        values: Mapping[str, Any] = item if isinstance(item, Mapping) else {}
        row = dict.fromkeys(named, "")
        row |= {
            name: value
            for name in named
            if name not in {"ordId", "algoId"} and isinstance(value := values.get(name), str)
        }
        code, text, sub = "0", "", ""
        try:
            refusal = admit(values)
            if refusal is not None:
                raise refusal
            row |= act(account, values, now_ns)
        except BadRequest as refused:
            code, text = str(refused.code), refused.text
            sub = f"{code}_1000" if code == "51008" else ""
        rows.append({**row, "ts": ms(now_ns), "sCode": code, "sMsg": text, "subCode": sub})
    return rows


def overall(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The outer code and text: 1 where all have failed, 2 where some have."""
    failed = sum(row["sCode"] != "0" for row in rows)
    if not failed:
        return "0", ""
    if failed == len(rows):
        return "1", "All operations failed"
    return "2", "Bulk operation partially succeeded."
