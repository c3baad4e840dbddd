"""The calls to spot accounts of the emulated Binance: by REST, and by the WebSocket API's names.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ccrs_binance.emulator_calls import Call, asking, cheap_with, placing
from ccrs_binance.emulator_order_lists import LISTS, OCO, OTO, OTOCO, WHICH_LIST
from ccrs_binance.emulator_spot_orders import AMEND, CANCEL, REPLACE, WHICH
from ccrs_binance.emulator_spot_records import FILLS, ORDERS
from ccrs_binance.emulator_spot_tickets import NEW_ORDER

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

SOCKET_NAMES: Mapping[str, tuple[str, str]] = {
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "/api/v3/order/amend/keepPriority"),
    "order.amendments": ("GET", "/api/v3/order/amendments"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "orderList.place.oco": ("POST", "/api/v3/orderList/oco"),
    "orderList.place.oto": ("POST", "/api/v3/orderList/oto"),
    "orderList.place.otoco": ("POST", "/api/v3/orderList/otoco"),
    "orderList.cancel": ("DELETE", "/api/v3/orderList"),
    "orderList.status": ("GET", "/api/v3/orderList"),
    "openOrderLists.status": ("GET", "/api/v3/openOrderList"),
    "allOrderLists": ("GET", "/api/v3/allOrderList"),
    "order.status": ("GET", "/api/v3/order"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "myPreventedMatches": ("GET", "/api/v3/myPreventedMatches"),
    "account.status": ("GET", "/api/v3/account"),
    "account.commission": ("GET", "/api/v3/account/commission"),
    "account.rateLimits.orders": ("GET", "/api/v3/rateLimit/order"),
}


def spot_calls(trading: Trading) -> dict[tuple[str, str], Call]:
    """By method and path."""
    orders, records, lists = trading.spot_orders, trading.spot_records, trading.lists
    test = (*NEW_ORDER, "computeCommissionRates")
    return {
        ("POST", "/api/v3/order"): placing(orders.place, *NEW_ORDER),
        ("POST", "/api/v3/order/test"): Call(
            act=orders.test, names=test, weight=cheap_with("computeCommissionRates", 20, 1)
        ),
        ("DELETE", "/api/v3/order"): placing(orders.cancel, *CANCEL, orders=0),
        ("DELETE", "/api/v3/openOrders"): placing(orders.cancel_all, "symbol", orders=0),
        ("POST", "/api/v3/order/cancelReplace"): placing(orders.replace, *REPLACE),
        ("PUT", "/api/v3/order/amend/keepPriority"): placing(
            orders.amend, *AMEND, weight=4, orders=0
        ),
        ("POST", "/api/v3/orderList/oco"): placing(lists.place_oco, *OCO, orders=2),
        ("POST", "/api/v3/orderList/oto"): placing(lists.place_oto, *OTO, orders=2),
        ("POST", "/api/v3/orderList/otoco"): placing(lists.place_otoco, *OTOCO, orders=3),
        ("DELETE", "/api/v3/orderList"): placing(lists.cancel, *WHICH_LIST, orders=0),
        ("GET", "/api/v3/orderList"): asking(lists.one, *WHICH_LIST, weight=4),
        ("GET", "/api/v3/openOrderList"): asking(lists.open_lists, weight=6),
        ("GET", "/api/v3/allOrderList"): asking(lists.all_lists, *LISTS, weight=20),
        ("GET", "/api/v3/order/amendments"): asking(
            records.amendments, "symbol", "orderId", "fromExecutionId", "limit", weight=4
        ),
        ("GET", "/api/v3/order"): asking(records.order, *WHICH, weight=4),
        ("GET", "/api/v3/openOrders"): asking(
            records.open_orders, "symbol", weight=cheap_with("symbol", 6, 80)
        ),
        ("GET", "/api/v3/allOrders"): asking(records.all_orders, *ORDERS, weight=20),
        ("GET", "/api/v3/myTrades"): asking(
            records.trades, *FILLS, weight=cheap_with("orderId", 5, 20)
        ),
        ("GET", "/api/v3/myPreventedMatches"): asking(
            records.prevented,
            *("symbol", "preventedMatchId", "orderId", "fromPreventedMatchId", "limit"),
            weight=cheap_with("preventedMatchId", 2, 20),
        ),
        ("GET", "/api/v3/account"): asking(records.account, "omitZeroBalances", weight=20),
        ("GET", "/api/v3/account/commission"): asking(records.commission, "symbol", weight=20),
        ("GET", "/api/v3/rateLimit/order"): asking(records.order_counts, weight=40),
        ("GET", "/sapi/v1/account/apiRestrictions"): asking(records.restrictions, weight=1),
        ("GET", "/sapi/v1/bnbBurn"): asking(records.discount, weight=1),
        ("POST", "/sapi/v1/bnbBurn"): Call(
            act=records.discount,
            names=("spotBNBBurn", "interestBNBBurn"),
            weight=1,
            trades=True,
        ),
    }
