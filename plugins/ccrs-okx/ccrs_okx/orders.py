"""What is sent to place, amend and cancel orders, and what is answered: by HTTP and by the socket
of order entry alike.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from typing import Any

from ccrs_core import (
    AccountInfo,
    AmendOrder,
    AmendOrders,
    Answer,
    CancelOrder,
    CancelOrders,
    CcrsError,
    ExchangeUnavailable,
    Exit,
    Instrument,
    Market,
    OrderRequest,
    OrderType,
    OutcomeUnknown,
    Placed,
    PlaceOrder,
    PlaceOrders,
    PositionSide,
    Request,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
    Unsupported,
    UsageError,
)
from ccrs_core.wire import ns_or_none, spelled
from ccrs_okx.error_codes import error_of_item
from ccrs_okx.sizes import shortest

Body = dict[str, Any]
Done = Placed | CcrsError

SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
POSITIONS = {PositionSide.LONG: "long", PositionSide.SHORT: "short"}
TIMES_IN_FORCE = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
TRIGGERED_BY = {TriggerBy.LAST: "last", TriggerBy.MARK: "mark", TriggerBy.INDEX: "index"}
SELF_TRADES = {
    SelfTradePrevention.CANCEL_MAKER: "cancel_maker",
    SelfTradePrevention.CANCEL_TAKER: "cancel_taker",
    SelfTradePrevention.CANCEL_BOTH: "cancel_both",
}

CONTRACTS = frozenset({Market.LINEAR, Market.INVERSE})

TAG = "ccrs"
"""What orders of this package are marked with, so that disconnect protection can be about them
alone."""

AT_MARKET = "-1"
"""The price of what a trigger places, where that is to be a market order."""

KINDS: Mapping[str, frozenset[str]] = {
    "post_only": frozenset({"rpi", "mmp_and_post_only"}),
    "limit": frozenset({"mmp"}),
    "market": frozenset({"optimal_limit_ioc"}),
}
"""Kinds of orders that ``native`` may ask for in place of the one that is said: for retail price
improvement, by protected market makers, at the limit of prices."""

LONGEST_BATCH = dict.fromkeys(Market, 20)
"""https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-multiple-orders"""


# --- numbers ---------------------------------------------------------------------------------

_EXACT = Context(prec=60, traps=[Inexact])


def plain(number: Decimal) -> str:
    """A number's digits, without an exponent."""
    return f"{number:f}"


def contracts(size: Decimal, instrument: Instrument) -> str:
    """A size as OKX counts it: derivatives in contracts.

    :raises UsageError: where it isn't so many contracts, however many digits they have.
    """
    each = instrument.base_per_native_contract
    if each is None or each == 1:
        return plain(size)
    try:
        found = _EXACT.divide(size, each)
    except Inexact:
        raise UsageError(
            f"{size:f} of {instrument.symbol} are no contracts of {each:f} {instrument.base}"
        ) from None
    return plain(shortest(found))


# --- placing ---------------------------------------------------------------------------------


def placing(request: PlaceOrder) -> Body:
    """The fields of ``/api/v5/trade/order``, without those that name the instrument.

    :raises Unsupported: where OKX doesn't take such an order.
    """
    asked, instrument = request.order, request.instrument
    body = {**common(request), "clOrdId": request.client_order_id}
    if asked.type is OrderType.MARKET:
        body |= _market_order(asked, instrument, on_margin(request))
    else:
        assert asked.size is not None
        kind = "post_only" if asked.post_only else TIMES_IN_FORCE[asked.time_in_force]
        body |= {
            "ordType": kind,
            "sz": contracts(asked.size, instrument),
            **_price(asked, instrument),
        }
    if asked.self_trade_prevention is not None:
        body["stpMode"] = SELF_TRADES[asked.self_trade_prevention]
    if asked.take_profit is not None or asked.stop_loss is not None:
        body["attachAlgoOrds"] = [_exits(asked, instrument.market)]
    return with_native(body, asked.native)


def common(request: PlaceOrder) -> Body:
    """What is said of any order, whether it waits for a trigger or not."""
    asked, market = request.order, request.instrument.market
    return {
        "tdMode": trade_mode(market, request.account),
        "side": SIDES[asked.side],
        "tag": TAG,
        **_position(asked, market),
    }


def trade_mode(market: Market, account: AccountInfo | None) -> str:
    """``tdMode``, which each order says: cross margin, unless nothing is borrowed or owed.

    Spot is paid for with cash, but for accounts in which all is margin; who buys options in spot
    mode pays for them, too.
    https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
    """
    level = "" if account is None else str(account.native.get("acctLv", ""))
    if market is Market.SPOT:
        return "cross" if level in {"3", "4"} else "cash"
    return "cash" if level == "1" else "cross"


def on_margin(request: PlaceOrder) -> bool:
    """Whether an order of spot is one of margin, of which some is borrowed: whose mode the user has
    said, unless all of the account is one margin.

    https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
    """
    mode = request.order.native.get("tdMode")
    if request.instrument.market is not Market.SPOT or mode not in ("cross", "isolated"):
        return False
    all_is_margin = trade_mode(Market.SPOT, request.account) == "cross"
    return not (mode == "cross" and all_is_margin)


def margin_size(asked: OrderRequest) -> Body:
    """The size of an order at market on margin, which has no ``tgtCcy``: what a buy pays and what a
    sell sells. A size in the other unit would be taken for one in this.

    :raises Unsupported: where it is in the other unit.
    """
    size = asked.quote_size if asked.side is Side.BUY else asked.size
    if size is None:
        raise Unsupported("okx: on margin a market buy is in the quote currency, a sell in base")
    return {"sz": plain(size)}


def _position(asked: OrderRequest, market: Market) -> Body:
    """Which position it is about, and whether it only makes that smaller."""
    if asked.position_side is not PositionSide.NET:
        if market not in CONTRACTS:
            raise Unsupported("okx has two positions of one instrument for contracts alone")
        closes = asked.side is (Side.SELL if asked.position_side is PositionSide.LONG else Side.BUY)
        if asked.reduce_only and not closes:
            raise UsageError(f"a {asked.side} of a {asked.position_side} position makes it larger")
        # What closes one of two positions only reduces it: nothing says so.
        return {"posSide": POSITIONS[asked.position_side]}
    if not asked.reduce_only:
        return {}
    if market not in CONTRACTS:
        raise Unsupported(f"okx has no reduce-only orders of {market.value}")
    return {"reduceOnly": True}


def _market_order(asked: OrderRequest, instrument: Instrument, margin: bool) -> Body:
    if asked.time_in_force is TimeInForce.FOK:
        raise Unsupported("okx has no market orders that fill whole or not at all")
    body: Body = {"ordType": "market"}
    if instrument.market is not Market.SPOT:
        if asked.size is None:
            raise Unsupported("okx takes sizes in the quote currency for spot alone")
        return body | {"sz": contracts(asked.size, instrument)}
    if margin:
        return body | margin_size(asked)
    # A market buy's size would be in quote units by default, and what the balance doesn't allow for
    # would make the order smaller without a word.
    in_quote = asked.size is None
    size = asked.quote_size if asked.size is None else asked.size
    assert size is not None
    unit = "quote_ccy" if in_quote else "base_ccy"
    return body | {"sz": plain(size), "tgtCcy": unit, "banAmend": True}


def _price(asked: OrderRequest, instrument: Instrument) -> Body:
    if asked.price is not None:
        return {"px": plain(asked.price)}
    assert asked.volatility is not None
    if instrument.market is not Market.OPTION:
        raise Unsupported("only options are priced by volatility")
    return {"pxVol": plain(asked.volatility)}


def _exits(asked: OrderRequest, market: Market) -> Body:
    """What takes profits and stops losses, once the order is filled whole."""
    if market is Market.OPTION:
        raise Unsupported("okx attaches no exits to orders of options")
    if asked.reduce_only:
        raise Unsupported("okx attaches no exits to orders that only reduce")
    return {
        **exit_fields("tp", asked.take_profit, market),
        **exit_fields("sl", asked.stop_loss, market),
    }


def exit_fields(name: str, asked: Exit | None, market: Market) -> Body:
    """One exit, ``tp`` or ``sl``: at which price it fires, and what it places then."""
    if asked is None:
        return {}
    if market is Market.SPOT and asked.by is not TriggerBy.LAST:
        raise Unsupported("triggers of spot follow the last price")
    limit = AT_MARKET if asked.limit_price is None else plain(asked.limit_price)
    return {
        f"{name}TriggerPx": plain(asked.price),
        f"{name}TriggerPxType": TRIGGERED_BY[asked.by],
        f"{name}OrdPx": limit,
    }


_SAID = ("instId", "instIdCode", "clOrdId", "algoClOrdId", "sz", "px", "tag")
"""What nothing else may say."""


def with_native(body: Body, native: Mapping[str, Any]) -> Body:
    """A body with the user's own fields: those of OKX that nothing unified says, another margin
    mode, or a kind of order of its own.

    :raises UsageError: where they would replace what is said otherwise.
    """
    fixed = {*body, *_SAID} - {"tdMode"}
    if native.get("ordType") in KINDS.get(body.get("ordType", ""), ()):
        fixed.discard("ordType")
    taken = sorted(set(native) & fixed)
    if taken:
        raise UsageError(f"native fields can't replace what is said otherwise: {', '.join(taken)}")
    return {**body, **native}


# --- amending and canceling ------------------------------------------------------------------


def amending(request: AmendOrder) -> Body:
    """The fields of ``/api/v5/trade/amend-order``, without those that name the instrument.

    :raises Unsupported: where OKX doesn't amend that.
    """
    if request.conditional or request.trigger is not None:
        raise Unsupported("okx: orders that wait for a trigger are canceled and placed anew")
    if request.take_profit is not None or request.stop_loss is not None:
        raise Unsupported("okx: attached exits are canceled and placed anew")
    body = ids(request)
    if request.request_id:
        body["reqId"] = request.request_id
    if request.size is not None:
        body["newSz"] = contracts(request.size, request.instrument)
    if request.price is not None:
        body["newPx"] = plain(request.price)
    if request.volatility is not None:
        if request.instrument.market is not Market.OPTION:
            raise Unsupported("only options are priced by volatility")
        body["newPxVol"] = plain(request.volatility)
    return body


def canceling(request: CancelOrder) -> Body:
    """The fields of ``/api/v5/trade/cancel-order``, without those that name the instrument.

    :raises Unsupported: of orders that wait for a trigger: they are canceled elsewhere.
    """
    if request.conditional:
        raise Unsupported("okx cancels orders that wait for a trigger one by one, and by REST")
    return ids(request)


def ids(request: AmendOrder | CancelOrder) -> Body:
    """What names an order: OKX's id, or else the client's."""
    if request.exchange_order_id:
        return {"ordId": request.exchange_order_id}
    if request.client_order_id:
        return {"clOrdId": request.client_order_id}
    raise UsageError("neither the exchange's id of the order nor the client's is given")


# --- all of them -----------------------------------------------------------------------------

Alone = PlaceOrder | AmendOrder | CancelOrder
Several = PlaceOrders | AmendOrders | CancelOrders

_ALONE: dict[type[Any], Callable[[Any], Body]] = {
    PlaceOrder: placing,
    AmendOrder: amending,
    CancelOrder: canceling,
}


def fields_of(request: Alone) -> Body:
    """What is said of one order, without those that name the instrument."""
    return _ALONE[type(request)](request)


def body_of(request: Alone | Several) -> Body | list[Body]:
    """All that is sent by HTTP.

    :raises Unsupported: where OKX doesn't take that.
    """
    if isinstance(request, Alone):
        return {"instId": request.instrument.native, **fields_of(request)}
    items: Sequence[Alone] = request.items
    return [{"instId": item.instrument.native, **fields_of(item)} for item in items]


def answer_of(request: Alone | Several, rows: Any) -> Answer[Any]:
    """What is answered, row by row, in the order of what was asked."""
    if type(rows) is not list:
        raise TypeError("the rows are no list")
    if isinstance(request, Alone):
        (row,) = rows
        return Answer(placed(request, row))
    items: Sequence[Alone] = request.items
    return Answer([_done(item, rows, place, len(items)) for place, item in enumerate(items)])


def placed(
    item: Alone, row: Mapping[str, Any], name: str = "ordId", own: str = "clOrdId"
) -> Placed:
    """What one row of an answer says was taken. ``name``, ``own``: where the ids stand.

    :raises ValueError: (or kin) where the row is of another order.
    """
    identity, client_id = spelled(row[name]), spelled(row.get(own) or "")
    if not identity:
        raise ValueError(f"{name} is blank")
    expected = "" if isinstance(item, PlaceOrder) else item.exchange_order_id
    for wanted, told in ((item.client_order_id, client_id), (expected, identity)):
        if wanted and told and wanted != told:
            raise ValueError(f"the answer is about {told!r:.60}")
    taken_ns = ns_or_none(row.get("ts"))
    return Placed(exchange_order_id=identity, client_order_id=client_id, taken_ns=taken_ns)


def _done(item: Alone, rows: Sequence[Any], place: int, count: int) -> Done:
    """What became of one item of a batch; never of another one."""
    if len(rows) != count or type(rows[place]) is not dict:
        return OutcomeUnknown("", "the answer says nothing of this one")
    row = rows[place]
    failed = error_of_item(row)
    try:
        if failed is None:
            return placed(item, row)
    except (KeyError, TypeError, ValueError) as error:
        unread = OutcomeUnknown("", f"it was taken, but its row can't be read: {error!r}"[:200])
        unread.__cause__ = error
        return unread
    if not isinstance(failed, ExchangeUnavailable):
        return failed
    unknown = OutcomeUnknown(failed.code, failed.text)
    unknown.__cause__ = failed
    return unknown


ENTRY_OPS: Mapping[type[Request[Any]], str] = {
    PlaceOrder: "order",
    AmendOrder: "amend-order",
    CancelOrder: "cancel-order",
    PlaceOrders: "batch-orders",
    AmendOrders: "batch-amend-orders",
    CancelOrders: "batch-cancel-orders",
}
"""Names of what can be asked for over the socket."""

PATHS: Mapping[type[Request[Any]], str] = {
    PlaceOrder: "order",
    AmendOrder: "amend-order",
    CancelOrder: "cancel-order",
    PlaceOrders: "batch-orders",
    AmendOrders: "amend-batch-orders",
    CancelOrders: "cancel-batch-orders",
}
"""Where the same is asked for by HTTP, below ``/api/v5/trade``."""
