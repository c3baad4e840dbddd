"""The emulated Bybit's lists of an account's orders, fills and money: windows, pages, retention.

https://bybit-exchange.github.io/docs/v5/order/order-list and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_order_rows import EXECUTION_KINDS, Spelled, fill_row, number, status
from ccrs_bybit.emulator_wire import SIDES
from ccrs_core import NS_PER_SECOND, OrderType, Side
from ccrs_core.emulator import (
    BadRequest,
    DeskFill,
    DeskOrder,
    Listing,
    MoneyKind,
    MoneyRow,
    Query,
    Stage,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_DAY_NS = 86_400 * NS_PER_SECOND
_WEEK_NS = 7 * _DAY_NS
_ALL = 1_000_000
_OPEN_STATES = frozenset({"New", "PartiallyFilled", "Untriggered"})
_T = TypeVar("_T")


class Records:
    """Answers what is asked of the past; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- orders ---

    def realtime(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``order/realtime``: what is open, or the newest 500 that have ended."""
        category = query.choice("category", CATEGORIES)
        want, named = self._wanted(query, category, needs_some=True)
        closed = query.number("openOnly", 0, 2, 0) == 1
        limit = query.number("limit", 20, 50)
        histories, lag_ns = self._trading.desk.histories, self._trading.lag_ns("order/realtime")
        ended = histories.recent_orders(account.name, category, now_ns, lag_ns=lag_ns)
        found = [] if closed else histories.open_orders(account.name, now_ns, lag_ns=lag_ns)
        # By an id also what has ended lately is found, whatever else is asked for.
        if closed or named:
            found = [*found, *ended]
        found = [
            order
            for order in found
            if order.listing.category == category
            and (order.triggered or order.stage is not Stage.ACCEPTED)
        ]
        rows = sorted(filter(want, found), key=lambda order: order.number, reverse=True)
        page, cursor = paged(rows, limit, query.text("cursor"), lambda order: (order.number,))
        return self._orders(category, page, cursor)

    def history(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``order/history``: what has ended, by when it was last changed; those that were canceled
        unfilled for a day alone."""
        category = query.choice("category", CATEGORIES)
        want, named = self._wanted(query, category, needs_some=False)
        wanted_status = query.text("orderStatus")
        if wanted_status in _OPEN_STATES:
            raise BadRequest(181017, "OrderStatus must be final status")
        limit = query.number("limit", 20, 50)
        from_ns, to_ns = window(query, now_ns, _WEEK_NS)
        if named and not query.text("startTime") and not query.text("endTime"):
            from_ns, to_ns = now_ns - 730 * _DAY_NS, now_ns

        def fits(order: DeskOrder) -> bool:
            return (
                order.listing.category == category
                and want(order)
                and wanted_status in {"", status(order)}
            )

        before = _handle(query.text("cursor"))
        page = self._trading.desk.histories.orders(account.name).page(
            now_ns,
            from_ns=from_ns,
            to_ns=to_ns,
            limit=limit,
            before=before,
            want=fits,
            lag_ns=self._trading.lag_ns("order/history"),
        )
        cursor = "" if page.before is None else _cursor(str(page.before))
        return self._orders(category, page.rows, cursor)

    def _orders(self, category: str, orders: Sequence[DeskOrder], cursor: str) -> dict[str, Any]:
        rows = [self._trading.order_row(order, pushed=False) for order in orders]
        return {"list": rows, "nextPageCursor": cursor, "category": category}

    def _wanted(
        self, query: Query, category: str, *, needs_some: bool
    ) -> tuple[Callable[[DeskOrder], bool], bool]:
        """Which orders are asked for, and whether by an id: one > the other > symbol > coin."""
        order_id, link_id = query.text("orderId"), query.text("orderLinkId")
        if order_id:
            wanted = self._trading.ids.number(order_id)
            return (lambda order: order.number == wanted), True
        if link_id:
            return (lambda order: order.client_order_id == link_id), True
        symbol, base, settle = (query.text(n) for n in ("symbol", "baseCoin", "settleCoin"))
        if symbol and self._trading.listing(category, symbol) is None:
            raise refuse(category, Complaint.SYMBOL)
        if needs_some and category == LINEAR and not (symbol or base or settle):
            raise BadRequest(
                PARAMETER, "Missing some parameters that must be filled in, symbol or settleCoin"
            )
        kind = query.text("orderFilter")
        return (
            lambda order: about(order.listing, symbol, base, settle) and _filtered(order, kind)
        ), False

    # --- fills ---

    def executions(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``execution/list``: fills, and funding among them, newest first."""
        category = query.choice("category", CATEGORIES)
        order_id, link_id = query.text("orderId"), query.text("orderLinkId")
        symbol, base, settle = (query.text(n) for n in ("symbol", "baseCoin", "settleCoin"))
        if category == OPTION and not (base or symbol or order_id or link_id):
            base = "BTC"  # the documented default
        kind = query.text("execType")
        limit = query.number("limit", 50, 100)
        from_ns, to_ns = window(query, now_ns, _WEEK_NS)
        if (order_id or link_id) and not query.text("startTime") and not query.text("endTime"):
            from_ns, to_ns = now_ns - 730 * _DAY_NS, now_ns
        wanted = self._trading.ids.number(order_id) if order_id else None

        def fits(row: DeskFill | MoneyRow) -> bool:
            if order_id or link_id:
                fill = row if isinstance(row, DeskFill) else None
                if fill is None or (order_id and fill.order.number != wanted):
                    return False
                return bool(order_id) or fill.order.client_order_id == link_id
            listing = row.listing
            return (
                listing is not None
                and listing.category == category
                and about(listing, symbol, base, settle)
                and kind in {"", execution_type(row)}
            )

        page = self._trading.desk.histories.executions(account.name).page(
            now_ns,
            from_ns=from_ns,
            to_ns=to_ns,
            limit=limit,
            before=_handle(query.text("cursor")),
            want=fits,
            lag_ns=self._trading.lag_ns("execution/list"),
        )
        cursor = "" if page.before is None else _cursor(str(page.before))
        rows = [self.execution(account, row) for row in page.rows]
        return {"nextPageCursor": cursor, "category": category, "list": rows}

    def execution(self, account: TradingAccount, row: DeskFill | MoneyRow) -> dict[str, Any]:
        """A row of ``execution/list``."""
        if isinstance(row, DeskFill):
            return fill_row(self._trading.ids, row, pushed=False)
        return funding_row(self._trading, account, row)

    # --- money ---

    def closed_profit(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``position/closed-pnl``: a row for each order that closed some of a position."""
        category = query.choice("category", (LINEAR, INVERSE))
        symbol = query.text("symbol")
        limit = query.number("limit", 50, 100)
        from_ns, to_ns = window(query, now_ns, _WEEK_NS)
        past = self._trading.desk.histories.executions(account.name).page(
            now_ns, from_ns=from_ns, to_ns=to_ns, limit=_ALL
        )
        by_order: dict[int, list[DeskFill]] = {}
        for fill in past.rows:
            if not isinstance(fill, DeskFill) or not fill.closed:
                continue
            if fill.listing.category != category or symbol not in {"", fill.listing.symbol}:
                continue
            by_order.setdefault(fill.order.number, []).append(fill)
        rows = list(by_order.values())
        page, cursor = paged(
            rows, limit, query.text("cursor"), lambda each: (each[0].time_ns, each[0].number)
        )
        listed = [self._closed(account, each) for each in page]
        return {"nextPageCursor": cursor, "category": category, "list": listed}

    def _closed(self, account: TradingAccount, fills: Sequence[DeskFill]) -> dict[str, Any]:
        last, order = fills[0], fills[0].order
        listing = last.listing
        spelled, inverse = Spelled(listing), listing.category == INVERSE
        size = sum((fill.closed for fill in fills), Decimal(0))
        out = sum((fill.value * fill.closed / fill.size for fill in fills), Decimal(0))
        profit = sum((fill.profit for fill in fills), Decimal(0))
        fee = sum((fill.fee * fill.closed / fill.size for fill in fills), Decimal(0))
        entry_fee = sum((fill.entry_fee for fill in fills), Decimal(0))
        sells = last.side is Side.SELL
        entry = out - profit if sells is not inverse else out + profit
        units = size * listing.worth_of_one

        def mean(value: Decimal) -> Decimal:
            return (units / value if inverse else value / units) if value else Decimal(0)

        return {
            "symbol": listing.symbol,
            "orderType": "Market" if order.asked.type is OrderType.MARKET else "Limit",
            "leverage": number(self._trading.leverage(account, listing, order.asked.position_side)),
            "updatedTime": str(milliseconds(last.time_ns)),
            "side": SIDES[last.side],
            "orderId": self._trading.ids.order(order),
            "closedPnl": number(profit - fee - entry_fee),
            "avgEntryPrice": number(mean(entry)),
            "qty": spelled.size(order.size or size),
            "cumEntryValue": number(entry),
            "createdTime": str(milliseconds(order.created_ns)),
            "orderPrice": spelled.price(order.price),
            "closedSize": spelled.size(size),
            "avgExitPrice": number(mean(out)),
            "execType": "Trade" if order.by is None else "BustTrade",
            "fillCount": str(len(fills)),
            "cumExitValue": number(out),
            "openFee": number(entry_fee),
            "closeFee": number(fee),
        }

    def transactions(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/transaction-log``: all that changed the wallet, newest first."""
        category = query.text("category")
        if category not in {"", *CATEGORIES}:
            raise BadRequest(PARAMETER, "params error: category invalid")
        currency, base, kind = (query.text(n) for n in ("currency", "baseCoin", "type"))
        limit = query.number("limit", 20, 50)
        from_ns, to_ns = window(query, now_ns, _DAY_NS, most_ns=_WEEK_NS)

        def fits(row: MoneyRow) -> bool:
            listing = row.listing
            return (
                currency in {"", row.asset}
                and (not category or (listing is not None and listing.category == category))
                and (not base or (listing is not None and listing.base == base))
                and kind in {"", _log_type(row)}
            )

        page = self._trading.desk.histories.moved(account.name).page(
            now_ns,
            from_ns=from_ns,
            to_ns=to_ns,
            limit=limit,
            before=_handle(query.text("cursor")),
            want=fits,
            lag_ns=self._trading.lag_ns("account/transaction-log"),
        )
        cursor = "" if page.before is None else _cursor(str(page.before))
        rows = [self._log_row(account, row) for row in page.rows]
        return {"nextPageCursor": cursor, "list": rows}

    def _log_row(self, account: TradingAccount, row: MoneyRow) -> dict[str, Any]:
        listing, fill = row.listing, row.fill
        spot = listing is not None and listing.category == SPOT
        settled = row.kind is MoneyKind.FUNDING
        uid, ids = self._trading.uid(account), self._trading.ids
        return {
            "transSubType": "",
            "id": f"{uid}_{listing.symbol if listing else row.asset}_{row.number}",
            "symbol": "" if listing is None else listing.symbol,
            "side": "None" if row.side is None else SIDES[row.side],
            "funding": number(row.funding, 12) if settled else "",
            "orderLinkId": "" if fill is None or fill.order.by else fill.order.client_order_id,
            "orderId": "" if fill is None else ids.order(fill.order),
            "fee": number(row.fee, 12),
            "change": number(row.change, 12),
            "cashFlow": number(row.cash, 12),
            "transactionTime": str(milliseconds(row.time_ns)),
            "type": _log_type(row),
            "feeRate": number(row.fee_rate) if listing else "",
            "bonusChange": "",
            "size": "0" if spot else number(row.position_size),
            "qty": number(row.cash if spot else row.size),
            "cashBalance": number(row.balance, 12),
            "currency": row.asset,
            "category": "" if listing is None else listing.category,
            "tradePrice": number(row.price) if row.price else "",
            "tradeId": "" if fill is None else ids.fill(fill.listing.category, fill.number),
            "extraFees": "",
        }


_LOG_TYPES: Mapping[MoneyKind, str] = {
    MoneyKind.TRADE: "TRADE",
    MoneyKind.FUNDING: "SETTLEMENT",
    MoneyKind.LIQUIDATION: "LIQUIDATION",
    MoneyKind.DELEVERAGING: "ADL",
    MoneyKind.DELIVERY: "DELIVERY",
    MoneyKind.INSURANCE: "LIQUIDATION",
}


def _log_type(row: MoneyRow) -> str:
    if row.kind is MoneyKind.TRANSFER:
        return "TRANSFER_IN" if row.change >= 0 else "TRANSFER_OUT"
    return _LOG_TYPES[row.kind]


def execution_type(row: DeskFill | MoneyRow) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#exectype"""
    if isinstance(row, DeskFill):
        return EXECUTION_KINDS[row.kind]
    if row.kind is MoneyKind.FUNDING:
        return "Funding"
    inverse = row.listing is not None and row.listing.category == INVERSE
    return "Settle" if inverse else "Delivery"


def funding_row(trading: Trading, account: TradingAccount, row: MoneyRow) -> dict[str, Any]:
    """What was paid or received for a position, or its delivery, as a row among the fills: no
    trade, though it looks like one."""
    assert row.listing is not None
    listing = row.listing
    spelled = Spelled(listing)
    funding = row.kind is MoneyKind.FUNDING
    side = row.side or (Side.BUY if row.position_size >= 0 else Side.SELL)
    size = abs(row.size or row.position_size)
    worth = size * listing.worth_of_one
    value = worth / row.price if listing.category == INVERSE and row.price else worth * row.price
    seconds = row.time_ns // NS_PER_SECOND
    price = spelled.price(row.price)
    kind = execution_type(row)
    return {
        "symbol": listing.symbol,
        "orderId": f"{seconds}-{listing.symbol}-{trading.uid(account)}-{SIDES[side]}",
        "orderLinkId": "",
        "side": SIDES[side],
        "orderPrice": spelled.price(None),
        "orderQty": spelled.size(Decimal(0)),
        "leavesQty": spelled.size(Decimal(0)),
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "createType": "" if funding else "CreateBySettle",
        "execFee": number(-row.funding if funding else row.fee, 12),
        "execFeeV2": "",
        "execId": trading.ids.fill(LINEAR, (1 << 40) + row.number),
        "execPrice": price,
        "execQty": spelled.size(size),
        "execType": kind,
        "execValue": number(value),
        "execTime": str(milliseconds(row.time_ns)),
        "feeCurrency": "",
        "isMaker": False,
        "feeRate": number(row.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": price,
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": spelled.size(Decimal(0) if funding else size),
        "seq": trading.venue.market(listing).sequence,
        "extraFees": "",
    }


def window(
    query: Query, now_ns: int, length_ns: int, *, most_ns: int | None = None
) -> tuple[int, int]:
    """The stretch of time that is asked for: without both ends the newest, of one end as much as
    there is in a window.

    :raises BadRequest: where it is longer, or its ends are the wrong way round.
    """
    start, end = query.time_ns("startTime"), query.time_ns("endTime")
    most_ns = length_ns if most_ns is None else most_ns
    if start is None and end is None:
        return now_ns - length_ns, now_ns
    if start is None:
        assert end is not None
        return end - length_ns, end
    if end is None:
        return start, start + length_ns
    if end < start:
        raise BadRequest(PARAMETER, "The start time cannot be greater than the end time.")
    if end - start > most_ns:
        days = most_ns // _DAY_NS
        raise BadRequest(
            PARAMETER, f"The time range between startTime and endTime cannot exceed {days} days"
        )
    return start, end


def about(listing: Listing, symbol: str, base: str, settle: str) -> bool:
    """Whether a listing is among those asked for: by symbol, else by coin."""
    if symbol:
        return listing.symbol == symbol
    if base:
        return listing.base == base
    return settle in {"", listing.settle}


def _filtered(order: DeskOrder, kind: str) -> bool:
    if not kind:
        return True
    conditional = order.asked.trigger is not None and not order.triggered
    if order.listing.category == SPOT:
        return str(order.asked.labels.get("filter") or "Order") == kind
    return conditional is (kind == "StopOrder")


def _cursor(key: str) -> str:
    return quote(f"page_token={key}&", safe="")


def _key(cursor: str) -> tuple[int, ...]:
    # Clients send it back as it came, or decoded once.
    text = unquote(unquote(cursor))
    parts = text[len("page_token=") : -1].split(":")
    shaped = text.startswith("page_token=") and text.endswith("&")
    if not shaped or not all(part.isascii() and part.isdecimal() for part in parts):
        raise BadRequest(PARAMETER, "params error: cursor invalid")
    return tuple(map(int, parts))


def _handle(cursor: str) -> int | None:
    return _key(cursor)[0] if cursor else None


def paged(
    rows: Sequence[_T], limit: int, cursor: str, key: Callable[[_T], tuple[int, ...]]
) -> tuple[Sequence[_T], str]:
    """The rows behind the one that a cursor names, which may be gone by now, and the cursor of the
    next page; ``rows`` are by falling keys."""
    if cursor:
        last = _key(cursor)
        rows = [row for row in rows if key(row) < last]
    page = rows[:limit]
    if len(rows) <= limit:
        return page, ""
    return page, _cursor(":".join(map(str, key(page[-1]))))
