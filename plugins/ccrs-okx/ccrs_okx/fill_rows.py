"""Fills, out of two kinds of rows: those of lists of fills, and those of the channel ``orders``,
each of which may tell of one.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-transaction-details-last-3-months
"""

from __future__ import annotations

from collections.abc import Iterable

from ccrs_core import FillKind, FillReport, Liquidity, StrangeReport
from ccrs_core.wire import ns_of_ms
from ccrs_core.wire import price as price_of
from ccrs_okx import fields
from ccrs_okx.fields import Row
from ccrs_okx.order_states import BY_EXCHANGE


def _kinds(kind: FillKind, numbers: Iterable[int]) -> dict[str, FillKind]:
    return dict.fromkeys(map(str, numbers), kind)


KINDS: dict[str, FillKind] = {
    **_kinds(FillKind.TRADE, range(1, 7)),
    **_kinds(FillKind.LIQUIDATION, [*range(100, 108), 110, 111]),
    **_kinds(FillKind.SETTLEMENT, [112, 113]),
    **_kinds(FillKind.DELEVERAGING, range(125, 129)),
    **_kinds(FillKind.BLOCK, range(204, 210)),
    **_kinds(FillKind.SPREAD, range(270, 276)),
    **_kinds(FillKind.TRANSFER, range(324, 330)),
}
"""By ``subType``. Conversions, borrowings and events, which are listed beside them, are no fills.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-get-transaction-details-last-3-months
"""

OF_EXCHANGE = frozenset({FillKind.LIQUIDATION, FillKind.SETTLEMENT, FillKind.DELEVERAGING})

LIQUIDITY = {"M": Liquidity.MAKER, "T": Liquidity.TAKER, "": None}

NO_TRADE = frozenset({"", "0"})
"""How ids of trades are spelled where there is none."""

DETAILS = (
    *("instType", "subType", "billId", "tag", "feeRate", "fillPnl", "fillPxVol", "fillPxUsd"),
    *("fillMarkVol", "fillFwdPx", "fillMarkPx", "fillIdxPx", "tradeQuoteCcy"),
)
"""Fields that have no unified name."""


def fill(row: Row, received_time_ns: int) -> FillReport | StrangeReport:
    """What a row of a list is: see :data:`KINDS`; else strange."""
    market, native = fields.market_of(row), fields.needed(row, "instId")
    time_ns, word = ns_of_ms(row.get("fillTime") or row["ts"]), fields.text(row, "subType")
    # Lists of long ago don't say the kind.
    kind = KINDS.get(word or "1")
    if market is None or kind is None:
        return StrangeReport(
            what=f"fill of subType {word}, {row['instType']}"[:80],
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(
                row, ("tradeId", "ordId", "side", "fillSz", "fillPx", "fee", "feeCcy", *DETAILS)
            ),
        )
    fee, trade = fields.paid(row, "fee"), fields.text(row, "tradeId")
    return FillReport(
        market=market,
        native=native,
        # Those of liquidations are below zero, so that they are no other trade's.
        fill_id=f"bill{fields.needed(row, 'billId')}" if trade in NO_TRADE else trade,
        # Blank of block trades.
        exchange_order_id=fields.text(row, "ordId"),
        client_order_id=fields.text(row, "clOrdId"),
        side=fields.side(row),
        price=price_of(row["fillPx"]),
        size=price_of(row["fillSz"]),
        fee=fee,
        fee_asset="" if fee is None else fields.text(row, "feeCcy"),
        liquidity=LIQUIDITY[fields.text(row, "execType")],
        kind=kind,
        by_exchange=kind in OF_EXCHANGE,
        position_side=fields.position_side(row),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        sequence=fields.trade_number(row),
        native_fields=fields.details(row, DETAILS),
    )


def pushed_fill(row: Row, received_time_ns: int) -> FillReport | None:
    """The fill that a row of the channel ``orders`` tells of; None where it tells of none.

    The last row of an order may repeat the trade of the one before it, or have none. Of orders that
    OKX makes itself trades have other numbers here than in lists, which alone count for them.
    """
    market, trade = fields.market_of(row), fields.text(row, "tradeId")
    size = fields.size(row, "fillSz")
    if market is None or trade in NO_TRADE or not size or row.get("category") in BY_EXCHANGE:
        return None
    fee = fields.paid(row, "fillFee")
    return FillReport(
        market=market,
        native=fields.needed(row, "instId"),
        fill_id=trade,
        exchange_order_id=fields.needed(row, "ordId"),
        client_order_id=fields.text(row, "clOrdId") or fields.text(row, "algoClOrdId"),
        side=fields.side(row),
        price=price_of(row["fillPx"]),
        size=size,
        fee=fee,
        fee_asset="" if fee is None else _fee_asset(row),
        liquidity=LIQUIDITY[fields.text(row, "execType")],
        position_side=fields.position_side(row),
        exchange_time_ns=ns_of_ms(row.get("fillTime") or row["uTime"]),
        received_time_ns=received_time_ns,
        sequence=fields.trade_number(row),
        native_fields=fields.details(row, DETAILS),
    )


def _fee_asset(row: Row) -> str:
    """What the fee of a push is in; where nothing was paid only the order's asset may be said."""
    return fields.text(row, "fillFeeCcy") or fields.text(row, "feeCcy")
