"""What the emulated Binance tells of a spot account: balances, orders, fills, commissions.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccrs_binance.emulator_calls import listed
from ccrs_binance.emulator_codes import ARCHIVED, NO_SUCH_ORDER
from ccrs_binance.emulator_listings import SPOT
from ccrs_binance.emulator_params import Params
from ccrs_binance.emulator_spot_rows import money, order_row, prevention, trade_row
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import (
    BadRequest,
    DeskFill,
    DeskOrder,
    Listing,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_PATH = "/api/v3/"
_DAY_NS = 24 * 3600 * NS_PER_SECOND
ORDERS = ("symbol", "orderId", "startTime", "endTime", "limit")
FILLS = ("symbol", "orderId", "startTime", "endTime", "fromId", "limit")
_TOO_LONG = BadRequest(-1127, "More than 24 hours between startTime and endTime.", 400)
_COMBINATION = BadRequest(-1128, "Combination of optional parameters invalid.", 400)


class SpotRecords:
    """Answers what is asked of spot accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- the account ---

    def account(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``account``."""
        account, desk = params.account, self._trading.desk
        left_out = params.flag("omitZeroBalances")
        rows = [
            {
                "asset": asset,
                "free": money(balance.total - balance.locked),
                "locked": money(balance.locked),
            }
            for asset, balance in sorted(account.wallet.assets.items())
            if balance.total or not left_out
        ]
        rates = {"maker": "0.00100000", "taker": "0.00100000"}
        trades = any("trade" in k.may for k in desk.keys if k.account == account.name)
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {**rates, "buyer": "0.00000000", "seller": "0.00000000"},
            "canTrade": trades,
            "canWithdraw": False,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": milliseconds(now_ns),
            "accountType": "SPOT",
            "balances": rows,
            "permissions": ["SPOT"],
            "uid": self._trading.uid(account),
        }

    def commission(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``account/commission``."""
        return self.commissions(params.account, listed(self._trading, SPOT, params))

    def commissions(self, account: TradingAccount, listing: Listing) -> dict[str, Any]:
        """What an account pays for trading a pair."""
        rates = self._trading.rates(account, listing)
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
        standard = {**nothing, "maker": money(rates.maker), "taker": money(rates.taker)}
        discounted = self._trading.pays_in_discount_asset(account)
        discount: dict[str, Any] = {"enabledForAccount": discounted, "enabledForSymbol": True}
        discount |= {"discountAsset": "BNB", "discount": "0.75000000"}
        return {
            "symbol": listing.symbol,
            "standardCommission": standard,
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": discount,
        }

    def order_counts(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``rateLimit/order``."""
        return self._trading.counts[SPOT].rows(self._trading.user(params.account))

    def restrictions(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``/sapi/v1/account/apiRestrictions``: what the account's key may do."""
        keys = [key for key in self._trading.desk.keys if key.account == params.account.name]
        named = [key for key in keys if key.key == params.text("apiKey")] or keys
        key = named[0]
        trades = "trade" in key.may
        return {
            "ipRestrict": bool(key.addresses),
            "createTime": milliseconds(key.created_ns),
            "enableReading": "read" in key.may,
            "enableSpotAndMarginTrading": trades,
            "enableFutures": trades,
            "enableWithdrawals": "withdraw" in key.may,
            "enableInternalTransfer": "transfer" in key.may,
            "permitsUniversalTransfer": "transfer" in key.may,
            "enableMargin": False,
            "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False,
            **({} if key.expires_ns is None else {"expireTime": milliseconds(key.expires_ns)}),
        }

    def discount(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``/sapi/v1/bnbBurn``: whether fees are paid in BNB."""
        if "spotBNBBurn" in params:
            params.account.settings["spotBNBBurn"] = params.flag("spotBNBBurn")
        burns = self._trading.pays_in_discount_asset(params.account)
        return {"spotBNBBurn": burns, "interestBNBBurn": False}

    # --- orders ---

    def order(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET order``: as the database knows it, which may lag."""
        trading, listing = self._trading, listed(self._trading, SPOT, params)
        order = trading.spot_orders.found(
            params, listing, params.whole("orderId"), "origClientOrderId"
        )
        known = order
        if order is not None and trading.forgotten(order):
            raise ARCHIVED
        if order is not None and order.number > 0:  # else it is of a list, and not placed yet
            known = trading.told(params.account, order.number, _PATH + "order")
        if known is None:
            known = self._filed(params, listing, now_ns)
        if known is None:
            raise NO_SUCH_ORDER
        return order_row(trading.ids, known)

    def _filed(self, params: Params, listing: Listing, now_ns: int) -> DeskOrder | None:
        """An order that ended so long ago that only histories have it."""
        trading = self._trading
        order_id, client_id = params.whole("orderId"), params.text("origClientOrderId")

        def wanted(order: DeskOrder) -> bool:
            if order.listing.key != listing.key or client_id not in {"", order.client_order_id}:
                return False
            return order_id is None or trading.ids.order(order) == order_id

        found = trading.ended(params.account, now_ns, wanted, _PATH + "order", limit=1)
        return found[0] if found else None

    def open_orders(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``openOrders``: of a symbol, or of all."""
        trading = self._trading
        key = listed(trading, SPOT, params).key if "symbol" in params else None
        found = trading.open_orders(params.account, now_ns, _PATH + "openOrders")
        found = [*trading.lists.waiting(params.account), *found]
        return [
            order_row(trading.ids, order)
            for order in reversed(found)
            if key is None or order.listing.key == key
        ]

    def all_orders(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``allOrders``: open ones and others, by their numbers: from one on, in a window of a day,
        or the newest."""
        trading, listing = self._trading, listed(self._trading, SPOT, params)
        from_ns, to_ns = _window(params)
        first, limit = params.whole("orderId"), params.limit(500, 1000)

        def wanted(order: DeskOrder) -> bool:
            return (
                order.listing.key == listing.key
                and (first is None or trading.ids.order(order) >= first)
                and (from_ns is None or order.created_ns >= from_ns)
                and (to_ns is None or order.created_ns <= to_ns)
            )

        found = {
            order.number: order
            for order in (
                *trading.ended(params.account, now_ns, wanted, _PATH + "allOrders"),
                *filter(wanted, trading.open_orders(params.account, now_ns, _PATH + "allOrders")),
            )
        }
        rows = [order_row(trading.ids, found[number]) for number in sorted(found)]
        return rows[-limit:] if first is None and from_ns is None else rows[:limit]

    # --- fills ---

    def trades(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``myTrades``: oldest first; from a number or a time on, or the newest."""
        trading, listing = self._trading, listed(self._trading, SPOT, params)
        from_ns, to_ns = _window(params)
        first, order_id = params.whole("fromId"), params.whole("orderId")
        timed = from_ns is not None or to_ns is not None
        if timed and (first is not None or order_id is not None):
            raise _COMBINATION

        def wanted(fill: DeskFill) -> bool:
            return (
                fill.listing.key == listing.key
                and (first is None or trading.ids.trade(fill) >= first)
                and (order_id is None or trading.ids.order(fill.order) == order_id)
                and (from_ns is None or fill.time_ns >= from_ns)
                and (to_ns is None or fill.time_ns <= to_ns)
            )

        found = trading.fills(params.account, now_ns, wanted, _PATH + "myTrades")
        limit = params.limit(500, 1000)
        rows = found[:limit] if first is not None or from_ns is not None else found[-limit:]
        return [trade_row(trading.ids, fill) for fill in rows]

    def amendments(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``order/amendments``."""
        trading, listing = self._trading, listed(self._trading, SPOT, params)
        order_id = params.whole("orderId")
        number = None if order_id is None else trading.ids.number(listing.key, order_id)
        order = None if number is None else trading.desk.find(params.account, number=number)
        if order is None:
            raise NO_SUCH_ORDER
        limit, first = params.limit(500, 1000), params.whole("fromExecutionId") or 0
        made = trading.spot_orders.amendments.get(order.number, [])
        return [
            {
                "symbol": listing.symbol,
                "orderId": order_id,
                "executionId": count,
                "origClientOrderId": each.client_order_id,
                "newClientOrderId": order.client_order_id,
                "origQty": money(each.was),
                "newQty": money(each.size),
                "time": milliseconds(each.time_ns),
            }
            for count, each in enumerate(made, 1)
            if count >= first
        ][:limit]

    def prevented(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``myPreventedMatches``: of orders that would have traded with its own."""
        trading, listing = self._trading, listed(self._trading, SPOT, params)
        order_id, match = params.whole("orderId"), params.whole("preventedMatchId")
        if order_id is None and match is None:
            raise _COMBINATION

        def wanted(order: DeskOrder) -> bool:
            return (
                order.listing.key == listing.key
                and order.prevented_by is not None
                and (order_id is None or trading.ids.order(order) == order_id)
                and (match is None or order.number == match)
            )

        return [
            {
                "symbol": listing.symbol,
                "preventedMatchId": order.number,
                "takerOrderId": trading.ids.order(order),
                "makerSymbol": listing.symbol,
                "makerOrderId": trading.ids.numbered(listing.key, order.prevented_by or 0),
                "tradeGroupId": 1,
                "selfTradePreventionMode": prevention(order),
                "price": money(order.price),
                "takerPreventedQuantity": money((order.size or order.filled) - order.filled),
                "transactTime": milliseconds(order.updated_ns),
            }
            for order in trading.ended(params.account, now_ns, wanted, _PATH + "myPreventedMatches")
        ]


def _window(params: Params) -> tuple[int | None, int | None]:
    """From when to when, where that is asked for.

    :raises BadRequest: -1023, -1127.
    """
    from_ns, to_ns = params.time_ns("startTime"), params.time_ns("endTime")
    if from_ns is not None and to_ns is not None:
        if from_ns > to_ns:
            raise BadRequest(-1023, "Start time is greater than end time.", 400)
        if to_ns - from_ns > _DAY_NS:
            raise _TOO_LONG
    return from_ns, to_ns
