"""What the emulated OKX's lists tell: orders, fills, bills, newest first.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-order-history-last-7-days and the pages
beside it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ccrs_core.emulator import DeskFill, DeskOrder, Listing, MoneyRow, Query, TradingAccount
from ccrs_okx.emulator_account_rows import bill_row, bill_type
from ccrs_okx.emulator_codes import ABSENT, UNKNOWN, empty, parameter
from ccrs_okx.emulator_listings import TYPES, family
from ccrs_okx.emulator_order_rows import fill_row, is_algo, kind, state
from ccrs_okx.emulator_tickets import which_order

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_T = TypeVar("_T")
_DAY_NS = 86_400 * 10**9
_ALL = 40_000


class Records:
    """Answers what is asked of the past; one for all accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- orders ---

    def one(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``GET order``: one, by either id: of several by a client's, the newest."""
        trading = self._trading
        symbol = query.text("instId")
        if not symbol:
            raise empty("instId")
        listing = trading.listing(symbol)
        if listing is None:
            raise UNKNOWN
        mine, its = which_order(query.values)
        number = trading.ids.order_number(mine) if mine else None

        def fits(order: DeskOrder) -> bool:
            if order.listing.key != listing.key or is_algo(order):
                return False
            if mine:
                return order.number == number
            return order.origin is None and order.by is None and order.client_order_id == its

        histories, lag_ns = trading.desk.histories, trading.lag_ns("trade/order")
        order = histories.one(account.name, now_ns, fits, lag_ns=lag_ns)
        if order is None:
            page = histories.orders(account.name).page(now_ns, limit=1, want=fits, lag_ns=lag_ns)
            order = next(iter(page.rows), None)
        if order is None or self._forgotten(order, now_ns):
            raise ABSENT
        return [trading.listed_row(order)]

    def _forgotten(self, order: DeskOrder, now_ns: int) -> bool:
        if not order.stage.ended:
            return False
        rules = self._trading.desk.conduct
        kept = rules.keeps_ns if order.filled else rules.keeps_unfilled_ns
        return now_ns - order.updated_ns >= kept

    def pending(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``orders-pending``: those that are open."""
        trading = self._trading
        lag_ns = trading.lag_ns("trade/orders-pending")
        found = trading.desk.histories.open_orders(account.name, now_ns, lag_ns=lag_ns)
        wanted = query.text("state")
        fits = self._about(query)
        orders = [
            order
            for order in found
            if not is_algo(order) and fits(order) and wanted in {"", state(order)}
        ]
        listed = self._paged(query, orders, lambda order: int(trading.ids.order(order.number)))
        return [trading.listed_row(order) for order in listed]

    def history(
        self, account: TradingAccount, query: Query, now_ns: int, *, archive: bool
    ) -> list[Any]:
        """``orders-history``: those that have ended within 7 days; ``-archive``: within 3 months,
        without those of which nothing was filled."""
        trading = self._trading
        query.choice("instType", (*TYPES, "MARGIN"))
        call = "trade/orders-history-archive" if archive else "trade/orders-history"
        wanted, fits = query.text("state"), self._about(query)
        begin_ns, end_ns = query.time_ns("begin"), query.time_ns("end")

        def within(order: DeskOrder) -> bool:
            return (
                not is_algo(order)
                and (not archive or bool(order.filled))
                and fits(order)
                and wanted in {"", state(order)}
                and (begin_ns is None or order.created_ns >= begin_ns)
                and (end_ns is None or order.created_ns // 10**6 * 10**6 <= end_ns)
            )

        page = trading.desk.histories.orders(account.name).page(
            now_ns,
            from_ns=now_ns - (90 if archive else 7) * _DAY_NS,
            limit=_ALL,
            want=within,
            lag_ns=trading.lag_ns(call),
        )
        orders = sorted(page.rows, key=lambda order: order.number, reverse=True)
        listed = self._paged(query, orders, lambda order: int(trading.ids.order(order.number)))
        return [trading.listed_row(order) for order in listed]

    def _about(self, query: Query) -> Callable[[DeskOrder], bool]:
        category = query.choice("instType", (*TYPES, "MARGIN", ""), "")
        kinds = query.text("ordType")
        about = _listed(query, category)

        def fits(order: DeskOrder) -> bool:
            return about(order.listing) and (not kinds or kind(order) in kinds.split(","))

        return fits

    # --- fills ---

    def fills(
        self, account: TradingAccount, query: Query, now_ns: int, *, history: bool
    ) -> list[Any]:
        """``fills``: those of 3 days; ``fills-history``: those of 3 months, by type."""
        trading = self._trading
        if history:
            category = query.choice("instType", (*TYPES, "MARGIN"))
        else:
            category = query.choice("instType", (*TYPES, "MARGIN", ""), "")
        about = _listed(query, category)
        order_id, sub_type = query.text("ordId"), query.text("subType")
        number = trading.ids.order_number(order_id) if order_id else None
        begin_ns, end_ns = query.time_ns("begin"), query.time_ns("end")

        def fits(row: DeskFill | MoneyRow) -> bool:
            if not isinstance(row, DeskFill) or not about(row.listing):
                return False
            if order_id and row.order.number != number:
                return False
            return not sub_type or fill_row(trading.ids, row)["subType"] == sub_type

        call = "trade/fills-history" if history else "trade/fills"
        kept_ns = (90 if history else 3) * _DAY_NS
        page = trading.desk.histories.executions(account.name).page(
            now_ns,
            from_ns=max(now_ns - kept_ns, begin_ns or 0),
            to_ns=None if end_ns is None else end_ns + 10**6 - 1,
            limit=_ALL,
            want=fits,
            lag_ns=trading.lag_ns(call),
        )
        rows = [row for row in page.rows if isinstance(row, DeskFill)]
        rows.sort(key=trading.ids.bill_of, reverse=True)
        return [fill_row(trading.ids, row) for row in self._paged(query, rows, trading.ids.bill_of)]

    # --- money ---

    def bills(
        self, account: TradingAccount, query: Query, now_ns: int, *, archive: bool
    ) -> list[Any]:
        """``bills``: all that changed balances within 7 days; ``-archive``: within 3 months."""
        trading = self._trading
        category = query.choice("instType", (*TYPES, "MARGIN", ""), "")
        about = _listed(query, category)
        currency, wanted, sub_type = (query.text(n) for n in ("ccy", "type", "subType"))
        some = bool(category or query.text("instId"))
        begin_ns, end_ns = query.time_ns("begin"), query.time_ns("end")

        def fits(row: MoneyRow) -> bool:
            if some and (row.listing is None or not about(row.listing)):
                return False
            if currency not in {"", row.asset} or wanted not in {"", bill_type(row)}:
                return False
            return not sub_type or bill_row(trading, row)["subType"] == sub_type

        page = trading.desk.histories.moved(account.name).page(
            now_ns,
            from_ns=max(now_ns - (90 if archive else 7) * _DAY_NS, begin_ns or 0),
            to_ns=None if end_ns is None else end_ns + 10**6 - 1,
            limit=_ALL,
            want=fits,
            lag_ns=trading.lag_ns("account/bills-archive" if archive else "account/bills"),
        )
        rows = self._paged(query, page.rows, trading.ids.bill)
        return [bill_row(trading, row) for row in rows]

    # --- pages ---

    @staticmethod
    def _paged(query: Query, rows: Iterable[_T], key: Callable[[_T], int]) -> Sequence[_T]:
        """Those older than ``after`` and newer than ``before``, newest first."""
        limit = query.number("limit", 100, 100)
        after, before = (_number(query, name) for name in ("after", "before"))
        found = [
            row
            for row in rows
            if (after is None or key(row) < after) and (before is None or key(row) > before)
        ]
        return found[:limit]


def _listed(query: Query, category: str) -> Callable[[Listing], bool]:
    symbol, wanted = query.text("instId"), query.text("instFamily")
    uly = query.text("uly")

    def about(listing: Listing) -> bool:
        return (
            category in {"", listing.category}
            and symbol in {"", listing.symbol}
            and wanted in {"", family(listing)}
            and uly in {"", f"{listing.base}-{listing.quote}"}
        )

    return about


def _number(query: Query, name: str) -> int | None:
    text = query.text(name)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise parameter(name)
    return int(text)
