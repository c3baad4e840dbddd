"""Placing, modifying and canceling orders of contracts on the emulated Binance, one by one and in
batches, and the switch that cancels them when their owner falls silent.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_calls import listed, on_steps
from ccrs_binance.emulator_codes import NO_SUCH_ORDER, UNKNOWN_ORDER, complaint
from ccrs_binance.emulator_contract_rows import answer_row
from ccrs_binance.emulator_contract_tickets import NEW_ORDER, SIDES, matched_price, read
from ccrs_binance.emulator_params import Params, missing
from ccrs_binance.emulator_ws_json import read as read_json
from ccrs_binance.emulator_ws_json import text_of
from ccrs_core import NS_PER_MS, OrderType, Side
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Ending,
    Lifetime,
    Listing,
    NewOrder,
    Refusal,
    Refused,
    SimulatedMarket,
    TradingAccount,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

WHICH = ("symbol", "orderId", "origClientOrderId")
MODIFY = (*WHICH, "side", "quantity", "price", "priceMatch", "modifyId", "reduceOnly")
MOST_AT_ONCE = 5
_MOST_CANCELED = 10
_MOST_CHANGES = 10_000
_NOT_MAKER = BadRequest(
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected. The "
    "order will not be recorded in the order history.",
    400,
)
_NOT_WHOLE = BadRequest(
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected. The order "
    "will not be recorded in the order history.",
    400,
)
_DONE = "The operation of cancel all open order is done."
_ANSWERS = ("ACK", "RESULT")


def takes_at(market: SimulatedMarket, asked: NewOrder) -> bool:
    """Whether an order would trade at once."""
    engine = market.engine
    best = (engine.asks if asked.side is Side.BUY else engine.bids).best
    if best is None or asked.price is None:
        return best is not None
    price = market.rules.price.value(best)
    return asked.price >= price if asked.side is Side.BUY else asked.price <= price


def filled_whole(market: SimulatedMarket, asked: NewOrder) -> bool:
    """Whether there is enough for an order at its price."""
    ladder = market.engine.asks if asked.side is Side.BUY else market.engine.bids
    left = market.rules.size.count(asked.size) if asked.size is not None else None
    for ticks, lots in ladder.top(len(ladder.keys)):
        price = market.rules.price.value(ticks)
        beyond = asked.price is not None and (
            price > asked.price if asked.side is Side.BUY else price < asked.price
        )
        if beyond or left is None or left <= 0:
            break
        left -= lots
    return left is not None and left <= 0


class ContractOrders:
    """What clients do with orders of USD-M or COIN-M; one for all accounts."""

    def __init__(self, trading: Trading, category: str) -> None:
        self._trading = trading
        self._category = category
        self._changes: Counter[int] = Counter()
        self._countdowns: dict[tuple[str, str], int] = {}
        """Which countdown of an account and a symbol is the newest."""

    # --- one order ---

    def place(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order``: ``ACK`` says that it was taken, ``RESULT`` what came of one that doesn't
        wait."""
        trading = self._trading
        listing = listed(trading, self._category, params)
        market = trading.venue.market(listing)
        asked = read(params, listing, market, trading.ids.made_up(), now_ns)
        answer = params.word("newOrderRespType", _ANSWERS, "ACK")
        order = self._placed(params.account, asked, market)
        immediate = asked.type is OrderType.MARKET or asked.lifetime in (
            Lifetime.IOC,
            Lifetime.FOK,
        )
        return answer_row(trading.ids, order, accepted=answer == "ACK" or not immediate)

    def test(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``order/test``."""
        trading = self._trading
        listing = listed(trading, self._category, params)
        market = trading.venue.market(listing)
        asked = read(params, listing, market, trading.ids.made_up(), now_ns)
        try:
            trading.desk.check(params.account, asked)
        except Refused as refused:
            raise complaint(refused, market.listing) from None
        return {}

    def _placed(
        self, account: TradingAccount, asked: NewOrder, market: SimulatedMarket
    ) -> DeskOrder:
        trading = self._trading
        missed = on_steps(asked.listing, asked.size, asked.price)
        try:
            if missed is not None:
                raise Refused(missed)
            trading.desk.check(account, asked)
            if asked.lifetime is Lifetime.POST_ONLY and takes_at(market, asked):
                raise _NOT_MAKER
            if asked.lifetime is Lifetime.FOK and not filled_whole(market, asked):
                raise _NOT_WHOLE
            order = trading.desk.place(account, asked)
        except Refused as refused:
            raise complaint(refused, asked.listing) from None
        self._expire(account, order)
        return trading.desk.find(account, number=order.number) or order

    def _expire(self, account: TradingAccount, order: DeskOrder) -> None:
        """End a good-till-date order when its time comes."""
        till = order.asked.labels.get("goodTillDate")
        if not till:
            return

        def end(now_ns: int) -> None:
            if order.number in account.orders:
                self._trading.desk.cancel(account, order.number, Ending.NO_LIQUIDITY)

        self._trading.venue.at(till * NS_PER_MS, end)

    def cancel(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE order``."""
        listing = listed(self._trading, self._category, params)
        order = self.found(params, listing)
        if order is None or order.stage.ended or order.asked.trigger is not None:
            raise UNKNOWN_ORDER
        return self._cancel(params.account, order)

    def _cancel(self, account: TradingAccount, order: DeskOrder) -> dict[str, Any]:
        trading = self._trading
        try:
            trading.desk.cancel(account, order.number, Ending.BY_USER)
        except Refused:
            raise UNKNOWN_ORDER from None
        after = trading.desk.find(account, number=order.number) or order
        return answer_row(trading.ids, after)

    def modify(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``PUT order``: another price and size, behind others at that price; an order that has
        filled so much already, or a maker's that would take, is canceled by it."""
        trading, account = self._trading, params.account
        listing = listed(trading, self._category, params)
        market = trading.venue.market(listing)
        side = SIDES[params.word("side", SIDES, params.needed("side"))]
        order = self.found(params, listing)
        if order is None or order.stage.ended or order.asked.trigger is not None:
            raise NO_SUCH_ORDER
        if order.asked.type is not OrderType.LIMIT:
            raise BadRequest(-5025, "Only limit order is supported.", 400)
        if side is not order.side:
            raise BadRequest(-1117, "Invalid side.", 400)
        size, price = params.number("quantity"), params.number("price")
        match = params.text("priceMatch")
        if match and price is None:
            price = matched_price(market, side, match)
        for name, value in (("quantity", size), ("price", price)):
            if value is None:
                raise missing(name)
        if params.flag("reduceOnly") and not order.asked.reduce_only:
            raise BadRequest(-5047, "Modify reduceOnly mismatch.", 400)
        assert size is not None
        if self._changes[order.number] >= _MOST_CHANGES:
            raise BadRequest(-5026, "Exceed maximum modify order limit.", 400)
        labels = dict(order.asked.labels)
        if "modifyId" in params:
            labels["modifyId"] = params.whole("modifyId")
        asked = attrs.evolve(order.asked, size=size, price=price)
        if asked == order.asked:
            raise BadRequest(-5027, "No need to modify the order.", 400)
        asked = attrs.evolve(asked, labels=labels)
        crosses = asked.lifetime is Lifetime.POST_ONLY and takes_at(market, asked)
        if size <= order.filled or crosses:
            return self._cancel(account, order)
        try:
            trading.desk.amend(account, order.number, asked)
        except Refused as refused:
            if refused.why in (Refusal.NOT_FOUND, Refusal.ENDED):
                raise NO_SUCH_ORDER from None
            raise complaint(refused, listing) from None
        self._changes[order.number] += 1
        after = trading.desk.find(account, number=order.number) or order
        return answer_row(trading.ids, after)

    def cancel_all(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE allOpenOrders``: of one symbol; what waits for a price stays."""
        listing = listed(self._trading, self._category, params)
        for order in self._plain(params.account, listing):
            if order.number in params.account.orders:
                self._trading.desk.cancel(params.account, order.number)
        return {"code": 200, "msg": _DONE}

    @staticmethod
    def _plain(account: TradingAccount, listing: Listing) -> list[DeskOrder]:
        return [order for order in account.open_orders(listing) if order.asked.trigger is None]

    # --- several ---

    def place_batch(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``POST batchOrders``: each by itself, in whichever order."""
        return self._each(params, NEW_ORDER, lambda each: self.place(each, now_ns))

    def modify_batch(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``PUT batchOrders``."""
        return self._each(params, MODIFY, lambda each: self.modify(each, now_ns))

    def _each(
        self,
        params: Params,
        names: Sequence[str],
        act: Callable[[Params], dict[str, Any]],
    ) -> list[dict[str, Any]]:
        found = items(params)
        rows: list[dict[str, Any]] = [{}] * len(found)
        turns = list(range(len(found)))
        self._trading.venue.rng.shuffle(turns)  # they are carried out side by side
        for turn in turns:
            values = {name: text_of(value) for name, value in found[turn].items() if name in names}
            rows[turn] = _tried(act, Params(values, params.account))
        return rows

    def cancel_batch(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``DELETE batchOrders``: ten at most, by their ids or the client's."""
        symbol = listed(self._trading, self._category, params).symbol
        by_number = "orderIdList" in params
        name = "orderIdList" if by_number else "origClientOrderIdList"
        try:
            found = read_json(params.needed(name))
        except ValueError:
            found = None
        if not isinstance(found, list) or not 1 <= len(found) <= _MOST_CANCELED:
            raise BadRequest(-1130, f"Data sent for parameter '{name}' is not valid.", 400)
        key = "orderId" if by_number else "origClientOrderId"
        return [
            _tried(
                lambda each: self.cancel(each, now_ns),
                Params({"symbol": symbol, key: text_of(each)}, params.account),
            )
            for each in found
        ]

    # --- the switch ---

    def countdown(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``countdownCancelAll``: cancels a symbol's open orders unless it is called again in time;
        what waits for a price stays."""
        trading, account = self._trading, params.account
        listing = listed(trading, self._category, params)
        wait_ms = params.whole("countdownTime")
        if wait_ms is None:
            raise missing("countdownTime")
        key = account.name, listing.symbol
        turn = self._countdowns[key] = self._countdowns.get(key, 0) + 1

        def fire(now_ns: int) -> None:
            if self._countdowns[key] != turn:
                return
            for order in self._plain(account, listing):
                if order.number in account.orders:
                    trading.desk.cancel(account, order.number, Ending.DEAD_MAN)

        if wait_ms:
            trading.venue.at(now_ns + wait_ms * NS_PER_MS, fire)
        return {"symbol": listing.symbol, "countdownTime": str(wait_ms)}

    # --- parts ---

    def found(self, params: Params, listing: Listing) -> DeskOrder | None:
        """The order that is named, by its number where both are sent.

        :raises BadRequest: -1102 where neither is.
        """
        trading, account = self._trading, params.account
        order_id, client_id = params.whole("orderId"), params.text("origClientOrderId")
        if order_id is None and not client_id:
            raise missing("orderId")
        if order_id is None:
            order = trading.desk.find(account, client_order_id=client_id)
        else:
            number = trading.ids.number(listing.key, order_id)
            order = None if number is None else trading.desk.find(account, number=number)
        return order if order is not None and order.listing.key == listing.key else None


def _tried(act: Callable[[Params], dict[str, Any]], params: Params) -> dict[str, Any]:
    """What one of several came to."""
    try:
        return act(params)
    except BadRequest as refused:
        return {"code": refused.code, "msg": refused.text}


def items(params: Params) -> list[dict[str, Any]]:
    """The orders of a batch.

    :raises BadRequest: where they are none, or more than five.
    """
    try:
        found = read_json(params.needed("batchOrders"))
    except ValueError:
        found = None
    fine = isinstance(found, list) and found and all(isinstance(each, dict) for each in found)
    if not fine:
        raise BadRequest(-1130, "Data sent for parameter 'batchOrders' is not valid.", 400)
    assert isinstance(found, list)
    if len(found) > MOST_AT_ONCE:
        raise BadRequest(-4082, "Invalid number of batch place orders.", 400)
    return found
