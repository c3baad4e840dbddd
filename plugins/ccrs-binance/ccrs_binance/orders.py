"""What is sent to place, amend and cancel orders, and what is answered: of all three products, by
HTTP and by the socket of order entry alike.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccrs_binance.error_codes import error_of_code
from ccrs_binance.fields import Row, identity, needed, needed_identity, text, time
from ccrs_core import (
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    CcrsError,
    ExchangeUnavailable,
    OrderReport,
    OutcomeUnknown,
    Placed,
    PlaceOrder,
    PlaceOrders,
    SelfTradePrevention,
    Side,
    StrangeReport,
    TimeInForce,
    UsageError,
)

Body = dict[str, str]
Done = Placed | CcrsError
Alone = PlaceOrder | AmendOrder | CancelOrder
Several = PlaceOrders | AmendOrders | CancelOrders

SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
TIMES_IN_FORCE = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
SELF_TRADES = {
    SelfTradePrevention.NONE: "NONE",
    SelfTradePrevention.CANCEL_MAKER: "EXPIRE_MAKER",
    SelfTradePrevention.CANCEL_TAKER: "EXPIRE_TAKER",
    SelfTradePrevention.CANCEL_BOTH: "EXPIRE_BOTH",
}

RESULT = "RESULT"
"""The kind of answer that says what has become of an order at once, without its fills."""


def plain(number: Decimal) -> str:
    """A number's digits, without an exponent."""
    return f"{number:f}"


def ids(request: AmendOrder | CancelOrder) -> Body:
    """What names an order: Binance's id, or else the client's, which may be used again once its
    order has ended."""
    if request.exchange_order_id:
        return {"orderId": request.exchange_order_id}
    if request.client_order_id:
        return {"origClientOrderId": request.client_order_id}
    raise UsageError("neither the exchange's id of the order nor the client's is given")


def with_native(body: Body, native: Mapping[str, Any], free: frozenset[str]) -> Body:
    """A body with the user's own fields: those of Binance that nothing unified says, and those of
    ``free`` in place of what is said.

    :raises UsageError: where they would replace what is said otherwise.
    """
    taken = sorted(set(native) & (({*body} - free) | SAID))
    if taken:
        raise UsageError(f"native fields can't replace what is said otherwise: {', '.join(taken)}")
    for name, value in native.items():
        if type(value) is bool:
            body[name] = "true" if value else "false"
        elif isinstance(value, str | int | Decimal):
            body[name] = str(value) if not isinstance(value, Decimal) else plain(value)
        else:
            raise UsageError(f"native field {name}: text, a whole number, Decimal or a truth")
    return body


SAID = frozenset(
    {
        *("symbol", "side", "quantity", "quoteOrderQty", "price", "newClientOrderId"),
        *("clientAlgoId", "timestamp", "recvWindow", "signature", "newOrderRespType"),
        *("stopPrice", "triggerPrice", "positionSide", "reduceOnly"),
    }
)
"""What nothing else may say: it is asked for otherwise, and is part of what the ledger knows."""


# --- answers ---------------------------------------------------------------------------------

ReadOrder = Callable[[Row], OrderReport | StrangeReport]


def placed(item: Alone, row: Row, read: ReadOrder) -> Placed:
    """What an answer's row says was taken, and what has become of the order.

    :raises ValueError: (or kin) where the row is of another order.
    """
    found = needed_identity(row, "orderId")
    expected = "" if isinstance(item, PlaceOrder) else item.exchange_order_id
    # What cancels on spot has an id of its own, and the order's is the original one.
    own = text(row, "origClientOrderId") or needed(row, "clientOrderId")
    if expected and expected != found:
        raise ValueError(f"the answer is about order {found}")
    if not expected and item.client_order_id and item.client_order_id != own:
        raise ValueError(f"the answer is about order {own!r:.60}")
    if needed(row, "symbol") != item.instrument.native:
        raise ValueError("the answer is about another symbol")
    report = None
    if "status" in row:
        said = read(row)
        report = said if isinstance(said, OrderReport) else None
    taken_ns = time(row, "transactTime") or time(row, "updateTime")
    return Placed(exchange_order_id=found, client_order_id=own, taken_ns=taken_ns, report=report)


def answers(items: Sequence[Alone], rows: Any, read: Callable[[Alone, Row], Placed]) -> list[Done]:
    """What became of each item of a batch, in the order of what was asked; never of another one."""
    if type(rows) is not list:
        raise TypeError("the rows are no list")
    return [_done(item, rows, place, len(items), read) for place, item in enumerate(items)]


def _done(
    item: Alone, rows: Sequence[Any], place: int, count: int, read: Callable[[Alone, Row], Placed]
) -> Done:
    row = rows[place] if len(rows) == count else None
    if type(row) is not dict:
        return OutcomeUnknown("", "the answer says nothing of this one")
    code = row.get("code")
    if type(code) is int and code < 0:
        return failure(row)
    try:
        return read(item, row)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        return _unknown("", f"it was taken, but its row can't be read: {error!r}"[:200], error)


def failure(row: Row) -> CcrsError:
    """The error that one item of an answer is."""
    failed = error_of_code(int(row["code"]), str(row.get("msg") or "no reason given"))
    if not isinstance(failed, ExchangeUnavailable):
        return failed
    return _unknown(failed.code, failed.text, failed)


def _unknown(code: str, text: str, cause: Exception) -> OutcomeUnknown:
    unknown = OutcomeUnknown(code, text)
    unknown.__cause__ = cause
    return unknown


__all__ = [
    "RESULT",
    "SELF_TRADES",
    "SIDES",
    "TIMES_IN_FORCE",
    "Alone",
    "Body",
    "Done",
    "Several",
    "answers",
    "failure",
    "identity",
    "ids",
    "placed",
    "plain",
    "with_native",
]
