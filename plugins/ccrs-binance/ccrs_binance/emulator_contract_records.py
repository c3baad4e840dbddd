"""The emulated Binance's lists of an account's orders, fills and income of contracts.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ccrs_binance.emulator_calls import listed
from ccrs_binance.emulator_codes import BAD_SYMBOL, NO_SUCH_ORDER
from ccrs_binance.emulator_contract_rows import order_row, pair, plain, trade_row
from ccrs_binance.emulator_listings import COINM
from ccrs_binance.emulator_params import Params, missing
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import (
    BadRequest,
    DeskFill,
    DeskOrder,
    Listing,
    MoneyKind,
    MoneyRow,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

ORDERS = ("symbol", "pair", "orderId", "startTime", "endTime", "limit")
FILLS = ("symbol", "pair", "orderId", "startTime", "endTime", "fromId", "limit")
INCOME = ("symbol", "incomeType", "startTime", "endTime", "limit")
_WEEK_NS = 7 * 86_400 * NS_PER_SECOND
_KINDS = {
    MoneyKind.FUNDING: "FUNDING_FEE",
    MoneyKind.TRANSFER: "TRANSFER",
    MoneyKind.DELIVERY: "DELIVERED_SETTELMENT",
    MoneyKind.INSURANCE: "INSURANCE_CLEAR",
}
_TOO_LONG = BadRequest(-4165, "Invalid time interval, the maximum time interval is 7 days", 400)


class ContractRecords:
    """Answers what is asked of the past of accounts of USD-M or COIN-M."""

    def __init__(self, trading: Trading, category: str) -> None:
        self._trading = trading
        self._category = category

    def _path(self, name: str) -> str:
        return self._trading.path(self._category, name)

    # --- orders ---

    def order(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET order``."""
        found = self._one(params, now_ns, "order")
        if found is None:
            raise NO_SUCH_ORDER
        return order_row(self._trading.ids, found)

    def open_order(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET openOrder``: an error where it isn't open."""
        found = self._one(params, now_ns, "openOrder")
        if found is None or found.stage.ended:
            raise NO_SUCH_ORDER
        return order_row(self._trading.ids, found)

    def _one(self, params: Params, now_ns: int, name: str) -> DeskOrder | None:
        trading, listing = self._trading, listed(self._trading, self._category, params)
        order_id, client_id = params.whole("orderId"), params.text("origClientOrderId")
        if order_id is None and not client_id:
            raise missing("orderId")

        def wanted(order: DeskOrder) -> bool:
            if order.listing.key != listing.key or order.asked.trigger is not None:
                return False
            if order_id is not None:
                return trading.ids.order(order) == order_id
            return order.client_order_id == client_id

        path = self._path(name)
        known = trading.desk.histories.one(
            params.account.name, now_ns, wanted, lag_ns=trading.lag_ns(path)
        )
        if known is not None:
            return None if trading.forgotten(known) else known
        ended = trading.ended(params.account, now_ns, wanted, path)
        return ended[-1] if ended else None

    def open_orders(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``openOrders``: what waits for a price isn't among them."""
        trading, key = self._trading, None
        if "symbol" in params:
            key = listed(trading, self._category, params).key
        named = params.text("pair")
        found = trading.open_orders(params.account, now_ns, self._path("openOrders"))
        return [
            order_row(trading.ids, order)
            for order in reversed(found)
            if self._plain(order)
            and (key is None or order.listing.key == key)
            and named in {"", pair(order.listing)}
        ]

    def _plain(self, order: DeskOrder) -> bool:
        return order.listing.category == self._category and order.asked.trigger is None

    def all_orders(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``allOrders``: from a number on, or of seven days at most, the last ones unless a time is
        told."""
        trading, about = self._trading, self._about(params)
        first = params.whole("orderId")
        from_ns, to_ns = _window(params, now_ns)
        path = self._path("allOrders")

        def wanted(order: DeskOrder) -> bool:
            if not self._plain(order) or not about(order.listing):
                return False
            if first is not None:
                return trading.ids.order(order) >= first
            return from_ns <= order.created_ns <= to_ns

        found = {
            order.number: order
            for order in (
                *trading.ended(params.account, now_ns, wanted, path),
                *filter(wanted, trading.open_orders(params.account, now_ns, path)),
            )
        }
        rows = [order_row(trading.ids, found[number]) for number in sorted(found)]
        limit = params.limit(50 if self._category == COINM else 500, 1000)
        onwards = first is not None or "startTime" in params
        return rows[:limit] if onwards else rows[-limit:]

    # --- fills ---

    def trades(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``userTrades``: from a number on, or of seven days at most."""
        trading, about = self._trading, self._about(params)
        first, order_id = params.whole("fromId"), params.whole("orderId")
        timed = "startTime" in params or "endTime" in params
        if first is not None and (timed or "pair" in params):
            raise BadRequest(-1128, "Combination of optional parameters invalid.", 400)
        from_ns, to_ns = _window(params, now_ns)

        def wanted(fill: DeskFill) -> bool:
            if fill.listing.category != self._category or not about(fill.listing):
                return False
            if order_id is not None and trading.ids.order(fill.order) != order_id:
                return False
            if first is not None:
                return trading.ids.trade(fill) >= first
            return order_id is not None or from_ns <= fill.time_ns <= to_ns

        found = trading.fills(params.account, now_ns, wanted, self._path("userTrades"))
        limit = params.limit(50 if self._category == COINM else 500, 1000)
        onwards = first is not None or "startTime" in params
        rows = found[:limit] if onwards else found[-limit:]
        return [trade_row(trading.ids, fill) for fill in rows]

    def _about(self, params: Params) -> Callable[[Listing], bool]:
        """Which instruments a list is of: a symbol, or of COIN-M all of a pair.

        :raises BadRequest: where neither or both are named.
        """
        if self._category == COINM and "pair" in params:
            if "symbol" in params:
                raise BadRequest(-1128, "Combination of optional parameters invalid.", 400)
            named = params.text("pair")
            every = self._trading.venue.listed(self._category)
            if all(pair(each) != named for each in every):
                raise BAD_SYMBOL
            return lambda listing: pair(listing) == named
        key = listed(self._trading, self._category, params).key
        return lambda listing: listing.key == key

    # --- money ---

    def income(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``income``: oldest first; of the last seven days unless a time is told."""
        trading, symbol = self._trading, params.text("symbol")
        kind = params.text("incomeType")
        from_ns, to_ns = params.time_ns("startTime"), params.time_ns("endTime")
        to_ns = now_ns if to_ns is None else to_ns
        from_ns = to_ns - _WEEK_NS if from_ns is None else from_ns
        page = trading.desk.histories.moved(params.account.name).page(
            now_ns,
            from_ns=from_ns,
            to_ns=to_ns,
            limit=1_000_000,
            lag_ns=trading.lag_ns(self._path("income")),
        )
        rows = [row for money in reversed(page.rows) for row in self._rows(money)]
        wanted = [
            row for row in rows if symbol in {"", row["symbol"]} and kind in {"", row["incomeType"]}
        ]
        limit = params.limit(100, 1000)
        return wanted[:limit] if "startTime" in params else wanted[-limit:]

    def _rows(self, money: MoneyRow) -> list[dict[str, Any]]:
        """What moved, by what it moved for: a trade's profit and its fee are two."""
        listing = money.listing
        if listing is not None and listing.category != self._category:
            return []
        row: dict[str, Any] = {
            "symbol": "" if listing is None else listing.symbol,
            "asset": money.asset,
            "time": milliseconds(money.time_ns),
            "info": "",
            "tradeId": "" if money.fill is None else str(self._trading.ids.trade(money.fill)),
        }
        number = str if self._category == COINM else int
        parts = [(_KINDS.get(money.kind, "REALIZED_PNL"), money.cash + money.funding)]
        if money.fee:
            parts.append(("COMMISSION", -money.fee))
        return [
            {
                **row,
                "incomeType": kind,
                "income": plain(amount),
                "tranId": number(money.number * 2 + turn),
            }
            for turn, (kind, amount) in enumerate(parts)
            if amount or kind != "REALIZED_PNL"
        ]


def _window(params: Params, now_ns: int) -> tuple[int, int]:
    """From when to when: the last seven days unless it is told otherwise.

    :raises BadRequest: -1023, -4165.
    """
    from_ns, to_ns = params.time_ns("startTime"), params.time_ns("endTime")
    if from_ns is not None and to_ns is not None:
        if from_ns > to_ns:
            raise BadRequest(-1023, "Start time is greater than end time.", 400)
        if to_ns - from_ns > _WEEK_NS:
            raise _TOO_LONG
        return from_ns, to_ns
    if from_ns is not None:
        return from_ns, from_ns + _WEEK_NS
    last_ns = now_ns if to_ns is None else to_ns
    return last_ns - _WEEK_NS, last_ns
