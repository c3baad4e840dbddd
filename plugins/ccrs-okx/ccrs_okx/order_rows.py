"""Rows of orders, of answers and of the channel ``orders`` alike.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""

from __future__ import annotations

from ccrs_core import EndReason, Market, OrderReport, OrderState, OrderType, StrangeReport
from ccrs_okx import fields
from ccrs_okx.fields import Row
from ccrs_okx.order_states import BY_EXCHANGE, STATES, TYPES, ended

DETAILS = (
    *("instType", "ordType", "tag", "tdMode", "ccy", "lever", "tgtCcy", "tradeQuoteCcy"),
    *("category", "source", "cancelSource", "amendSource", "stpMode", "algoId", "algoClOrdId"),
    *("pxUsd", "pxVol", "pxType", "isTpLimit", "attachAlgoOrds", "linkedAlgoOrd", "rpi"),
    *("rpiTakerAccess", "rpiMaker", "slippage", "riskBypassResult", "outcome", "rebate"),
    *("rebateCcy", "pnl", "fee", "feeCcy", "lastPx", "notionalUsd"),
)
"""Fields that have no unified name."""


def order(row: Row, received_time_ns: int) -> OrderReport | StrangeReport:
    """What a row says of an order; one in a state that nobody knows, or of what isn't offered, is
    strange."""
    market, native = fields.market_of(row), fields.needed(row, "instId")
    state, time_ns = STATES.get(row["state"]), fields.time(row, "uTime")
    if state is None or market is None:
        unknown = f"order of {row['instType']}" if market is None else f"state {row['state']}"
        return StrangeReport(
            what=unknown[:80],
            market=market,
            native=native,
            exchange_time_ns=time_ns,
            received_time_ns=received_time_ns,
            native_fields=fields.details(row, ("ordId", "clOrdId", "state", *DETAILS)),
        )
    kind, time_in_force, post_only = TYPES.get(row.get("ordType", ""), (None, None, None))
    filled, source = fields.size(row, "accFillSz"), fields.text(row, "cancelSource")
    reason: EndReason | None = None
    if state.final:
        at_once = kind is OrderType.MARKET or row.get("ordType") in _AT_ONCE
        state, reason = ended(state, source, at_once=at_once, filled=bool(filled))
    size, in_quote = fields.price(row, "sz"), _in_quote(row, kind)
    algo = fields.text(row, "algoClOrdId")
    return OrderReport(
        market=market,
        native=native,
        exchange_order_id=fields.needed(row, "ordId"),
        client_order_id=fields.text(row, "clOrdId") or algo,
        state=state,
        reason=reason,
        reason_text=_why(row, state, source),
        side=fields.side(row),
        type=kind,
        size=None if in_quote else size,
        quote_size=size if in_quote else None,
        price=fields.price(row, "px"),
        filled_size=filled,
        average_price=fields.price(row, "avgPx"),
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=fields.truth(row, "reduceOnly"),
        position_side=fields.position_side(row),
        parent_id=algo or fields.text(row, "algoId"),
        fired_by=fields.text(row, "algoId") or algo,
        by_exchange=row.get("category") in BY_EXCHANGE,
        created_ns=fields.time(row, "cTime"),
        exchange_time_ns=time_ns,
        received_time_ns=received_time_ns,
        native_fields=fields.details(row, DETAILS),
    )


_AT_ONCE = frozenset({"ioc", "fok", "op_fok"})


def _in_quote(row: Row, kind: OrderType | None) -> bool:
    """Whether the size is in quote units: of market orders of spot that say so, and of buys among
    them that don't say."""
    if kind is not OrderType.MARKET or fields.market_of(row) is not Market.SPOT:
        return False
    unit = fields.text(row, "tgtCcy")
    return row.get("side") == "buy" if not unit else unit == "quote_ccy"


def _why(row: Row, state: OrderState, source: str) -> str:
    """OKX's own words for why it ended, as far as there are any."""
    if not state.final or state is OrderState.FILLED:
        return ""
    told = (
        f"cancelSource {source}" if source else "",
        fields.text(row, "cancelSourceReason"),
    )
    return " ".join(each for each in told if each)
