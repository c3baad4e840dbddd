"""The emulated Binance's service for orders that wait for a price: what it knows of them, ordinary
calls don't, and what becomes of them is an ordinary order with an id of its own.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Algo-Order
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_algo_rows import algo_id, number_of, row
from ccrs_binance.emulator_calls import listed, on_steps
from ccrs_binance.emulator_codes import complaint
from ccrs_binance.emulator_contract_tickets import (
    CONDITIONAL,
    PREVENTIONS,
    check_quantity,
    client_id_of,
    read_terms,
)
from ccrs_binance.emulator_listings import COINM
from ccrs_binance.emulator_params import Params, missing, unneeded
from ccrs_core import OrderType, Side, Trigger, TriggerBy
from ccrs_core.emulator import (
    BadRequest,
    DeskOrder,
    Ending,
    NewOrder,
    Refused,
    SimulatedMarket,
    Stage,
    TradingAccount,
    mark_price,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

NEW_ALGO = (
    *("algoType", "symbol", "side", "positionSide", "type", "timeInForce", "quantity", "price"),
    *("triggerPrice", "workingType", "priceMatch", "closePosition", "priceProtect", "reduceOnly"),
    *("activatePrice", "activationPrice", "callbackRate", "clientAlgoId", "newOrderRespType"),
    *("selfTradePreventionMode", "goodTillDate"),
)
WHICH_ALGO = ("algoId", "clientAlgoId", "symbol")
LISTED = ("symbol", "algoType", "algoId", "startTime", "endTime", "page", "limit")
_PRICED = frozenset({"STOP", "TAKE_PROFIT"})
_FOLLOWED = {"CONTRACT_PRICE": TriggerBy.LAST, "MARK_PRICE": TriggerBy.MARK}
_MOST_RATE = {COINM: Decimal(10)}
_LEAST_RATE = Decimal("0.1")
_GONE = frozenset({Ending.REDUCE_ONLY, Ending.POSITION_CLOSED, Ending.LIQUIDATION})
UNKNOWN = BadRequest(-2011, "Unknown order sent.", 400)
_NO_SUCH = BadRequest(-2013, "Order does not exist.", 400)


class Algo:
    """The service, of USD-M and COIN-M alike."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- what became of one ---

    def parent_of(self, order: DeskOrder) -> DeskOrder | None:
        """The order that waited, of one that it brought to life."""
        return self._of(order, order.origin)

    def child_of(self, order: DeskOrder) -> DeskOrder | None:
        """The order that one brought to life."""
        return self._of(order, order.replaced_by)

    def _of(self, order: DeskOrder, number: int | None) -> DeskOrder | None:
        account = self._trading.desk.accounts.get(order.account)
        if account is None or number is None:
            return None
        return self._trading.desk.find(account, number=number)

    def status(self, order: DeskOrder) -> str:
        """``algoStatus``, ``X``."""
        if not order.stage.ended:
            return "NEW"
        if order.stage is Stage.REJECTED:
            return "REJECTED"
        if order.ending is Ending.REPLACED:
            child = self.child_of(order)
            if child is None:
                return "TRIGGERING"
            return "FINISHED" if child.stage.ended else "TRIGGERED"
        return "EXPIRED" if order.ending in _GONE else "CANCELED"

    # --- calls ---

    def place(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``POST algoOrder``."""
        trading, account = self._trading, params.account
        if params.needed("algoType") != "CONDITIONAL":
            raise BadRequest(-1130, "Data sent for parameter 'algoType' is not valid.", 400)
        listing = listed(trading, category, params)
        market = trading.venue.market(listing)
        asked = attrs.evolve(self._asked(params, market, now_ns), listing=listing)
        missed = on_steps(listing, asked.size, asked.price)
        try:
            if missed is not None:
                raise Refused(missed)
            order = trading.desk.place(account, asked)
        except Refused as refused:
            raise complaint(refused, listing) from None
        order = trading.desk.find(account, number=order.number) or order
        trading.algo_numbers(account.name).append(order.number)
        return row(trading, order, self.status(order))

    def _asked(self, params: Params, market: SimulatedMarket, now_ns: int) -> NewOrder:
        trading, listing = self._trading, market.listing
        kind = params.needed("type")
        if kind not in CONDITIONAL:
            raise BadRequest(-1116, "Invalid orderType.", 400)
        priced, trailing = kind in _PRICED, kind == "TRAILING_STOP_MARKET"
        closing = params.flag("closePosition")
        quantity, stop = params.number("quantity"), params.number("triggerPrice")
        if closing:
            if quantity is not None:
                raise BadRequest(-4137, "Quantity must be zero with closePosition equals true", 400)
            if priced or trailing:
                raise BadRequest(-4136, "Target strategy invalid for orderType.", 400)
            if params.flag("reduceOnly"):
                raise BadRequest(-4138, "Reduce only must be true with closePosition.", 400)
        elif quantity is None:
            raise missing("quantity")
        if stop is None and not trailing:
            raise missing("triggerPrice")
        if stop is not None and trailing:
            raise unneeded("triggerPrice")
        client_id = client_id_of(params, "clientAlgoId") or trading.ids.made_up()
        terms = read_terms(params, market, priced=priced, usual_prevention="NONE", now_ns=now_ns)
        if quantity is not None:
            check_quantity(quantity, listing, market_order=not priced)
        follows = params.word("workingType", _FOLLOWED, "CONTRACT_PRICE")
        labels = {
            **terms.labels,
            "type": kind,
            "origType": kind,
            "workingType": follows,
            "priceProtect": params.flag("priceProtect"),
            "algo": True,
        }
        waits: dict[str, Any] = {}
        if trailing:
            waits = self._trailing(params, market, terms.side, _FOLLOWED[follows], labels)
        else:
            assert stop is not None
            rises = (terms.side is Side.BUY) is kind.startswith("STOP")
            waits["trigger"] = Trigger(price=stop, rises=rises, by=_FOLLOWED[follows])
            labels["stopPrice"] = stop
        return NewOrder(
            listing=listing,
            side=terms.side,
            size=quantity,
            price=terms.price,
            type=OrderType.LIMIT if priced else OrderType.MARKET,
            lifetime=terms.lifetime,
            reduce_only=terms.reduce_only or closing,
            closing=closing,
            position_side=terms.position_side,
            self_trade=PREVENTIONS[terms.labels["stp"]],
            client_order_id=client_id,
            labels=labels,
            **waits,
        )

    @staticmethod
    def _trailing(
        params: Params,
        market: SimulatedMarket,
        side: Side,
        by: TriggerBy,
        labels: dict[str, Any],
    ) -> dict[str, Any]:
        """How a trailing stop waits: so many percent behind the best price since it began."""
        rate = params.number("callbackRate")
        if rate is None:
            raise missing("callbackRate")
        if not _LEAST_RATE <= rate <= _MOST_RATE.get(market.listing.category, Decimal(20)):
            raise BadRequest(-2007, "Invalid callBack rate", 400)
        begins = params.number("activatePrice") or params.number("activationPrice")
        last = market.rules.price.value(market.tape.last)
        now = mark_price(market) if by is TriggerBy.MARK else last
        if begins is not None and (begins >= now if side is Side.BUY else begins <= now):
            raise BadRequest(-2021, "Order would immediately trigger.", 400)
        tick, share = market.listing.tick, rate / 100
        away = tick * int(now * share / tick)
        price = now // tick * tick + (away if side is Side.BUY else -away)
        labels["callbackRate"] = f"{rate:f}"
        if begins is not None:
            labels["activatePrice"] = f"{begins:f}"
        return {
            "trigger": Trigger(price=max(price, tick), rises=side is Side.BUY, by=by),
            "trailing_share": share,
            "activates_at": begins,
        }

    def cancel(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE algoOrder``."""
        order = self._found(category, params)
        if order is None or order.stage.ended:
            raise UNKNOWN
        self._trading.desk.cancel(params.account, order.number)
        return {
            "algoId": algo_id(order),
            "clientAlgoId": order.client_order_id,
            "code": "200",
            "msg": "success",
        }

    def cancel_all(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE algoOpenOrders``: of one symbol."""
        listing = listed(self._trading, category, params)
        for order in params.account.open_orders(listing):
            if order.asked.trigger is not None:
                self._trading.desk.cancel(params.account, order.number)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def one(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET algoOrder``."""
        order = self._found(category, params)
        known = None
        if order is not None:
            path = self._trading.path(category, "algoOrder")
            known = self._trading.told(params.account, order.number, path)
        if known is None:
            raise _NO_SUCH
        return row(self._trading, known, self.status(known))

    def open_orders(self, category: str, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``openAlgoOrders``."""
        trading, symbol = self._trading, params.text("symbol")
        path = trading.path(category, "openAlgoOrders")
        return [
            row(trading, order, self.status(order))
            for order in reversed(trading.open_orders(params.account, now_ns, path))
            if self._waits(order, category) and symbol in {"", order.listing.symbol}
        ]

    def all_orders(self, category: str, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``allAlgoOrders``: of a symbol, oldest first."""
        trading = self._trading
        key = listed(trading, category, params).key
        from_ns, to_ns = params.time_ns("startTime"), params.time_ns("endTime")
        first, path = params.whole("algoId"), trading.path(category, "allAlgoOrders")

        def wanted(order: DeskOrder) -> bool:
            return (
                order.listing.key == key
                and self._waits(order, category)
                and (first is None or algo_id(order) >= first)
                and (from_ns is None or order.created_ns >= from_ns)
                and (to_ns is None or order.created_ns <= to_ns)
            )

        found = {
            order.number: order
            for order in (
                *trading.ended(params.account, now_ns, wanted, path),
                *filter(wanted, trading.open_orders(params.account, now_ns, path)),
            )
        }
        limit = params.limit(500, 1000)
        orders = [found[number] for number in sorted(found)]
        orders = orders[:limit] if first is not None or from_ns is not None else orders[-limit:]
        return [row(trading, order, self.status(order)) for order in orders]

    # --- parts ---

    @staticmethod
    def _waits(order: DeskOrder, category: str) -> bool:
        return order.listing.category == category and order.asked.trigger is not None

    def _found(self, category: str, params: Params) -> DeskOrder | None:
        account: TradingAccount = params.account
        number, client_id = params.whole("algoId"), params.text("clientAlgoId")
        if number is None and not client_id:
            raise missing("algoId")
        if number is not None:
            found = self._trading.desk.find(account, number=number_of(number))
            return found if found is not None and self._waits(found, category) else None
        for known in reversed(self._trading.algo_numbers(account.name)):
            order = self._trading.desk.find(account, number=known)
            if order is not None and order.client_order_id == client_id:
                return order if self._waits(order, category) else None
        return None
