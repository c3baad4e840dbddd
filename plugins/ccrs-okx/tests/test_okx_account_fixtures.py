"""Frames and answers of accounts that OKX really sent, or that its documents print, from the folder
that ``CCRS_FIXTURES`` names."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from account_rows import NOW_NS, account, instrument
from ccrs_okx import Okx
from ccrs_okx.entry_codec import EntryCodec
from ccrs_okx.signing import signed
from test_okx_private import subscribed

from ccrs_core import (
    Access,
    AmendOrder,
    Balance,
    CancelOrder,
    Credentials,
    Data,
    EndReason,
    EntryReply,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    HttpRequest,
    HttpResponse,
    Liquidity,
    MarginMode,
    Market,
    OrderReport,
    OrderState,
    PlaceOrder,
    PositionReport,
    PositionSide,
    Request,
    Unrecognised,
    errors,
    limit,
)

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recorded frames in {FOLDER} (set CCRS_FIXTURES)"
)

SWAP = instrument()
ORDER = limit(SWAP.symbol, "buy", price="98000", size="1")
PLACED = PlaceOrder(SWAP, ORDER, "oktswap6", account=account())


def frames(name: str, folder: str = "okx") -> list[bytes]:
    return (FOLDER / folder / "ws" / f"{name}.jsonl").read_bytes().splitlines()


def told(name: str) -> list[list[Any]]:
    """What the frames of a file say, frame by frame, as though they were of our own topics."""
    codec, said = subscribed(), []
    for frame in frames(name):
        row = json.loads(frame)
        if "instType" in row["arg"]:
            row["arg"]["instType"] = "ANY"
        found: list[Any] = []
        for message in codec.decode(json.dumps(row).encode(), NOW_NS):
            found.extend(message.events if isinstance(message, Data) else [message])
        said.append(found)
    return said


def answered(request: Request[Any], name: str) -> Any:
    body = (FOLDER / "okx" / "rest" / f"{name}.json").read_bytes()
    response = HttpResponse(200, {}, body)
    if (error := Okx().error_of(response)) is not None:
        raise error
    answer = Okx.endpoints[type(request)].decode(request, response, NOW_NS, None)
    return getattr(answer, "value", answer)


# --- streams -----------------------------------------------------------------------------------


def test_a_market_order_over_quote_money_goes_its_way_with_one_fill() -> None:
    """What ends it tells the fill's totals again, but no further fill."""
    began, traded, ended = told("private-orders-lifecycle-2023")
    assert [each.state for each in began] == [OrderState.OPEN]
    fill = next(each for each in traded if isinstance(each, FillReport))
    assert (fill.fill_id, fill.price) == ("435550732", Decimal("26228.1"))
    assert (fill.size, fill.fee, fill.fee_asset) == (
        Decimal("0.00038128"),
        Decimal("0.010000249968"),
        "USDT",
    )
    assert fill.liquidity is Liquidity.TAKER
    assert [type(each) for each in ended] == [OrderReport]
    (order,) = ended
    assert (order.state, order.filled_size) == (OrderState.FILLED, Decimal("0.00038128"))


def test_an_order_of_2026_that_was_filled_by_one_trade() -> None:
    (events,) = told("private-orders-spot-fill-2026-10")
    order = next(each for each in events if isinstance(each, OrderReport))
    fill = next(each for each in events if isinstance(each, FillReport))
    assert (order.client_order_id, order.state) == ("fm000500000025", OrderState.FILLED)
    assert (fill.size, fill.price, fill.fee) == (
        Decimal("0.00002"),
        Decimal("84019.4"),
        Decimal("0.001680388"),
    )
    assert fill.liquidity is Liquidity.MAKER


def test_orders_of_several_products_come_by_one_topic() -> None:
    rests, done = told("private-orders")
    assert [each.client_order_id for each in rests] == ["X4BAEA772BXLWAABAAAAAAAA"]
    assert {type(each) for each in done} == {OrderReport, FillReport}
    assert {each.client_order_id for each in done} == {"001BTCUSDT20250106001"}


def test_balances_and_positions_are_read() -> None:
    full, empty = told("private-account")
    assert empty == [Unrecognised("account:: nothing")]
    usdt = next(each for each in full if isinstance(each, Balance) and each.asset == "USDT")
    assert usdt.total == Decimal("100.52768569797846")
    ((position,),) = told("private-positions")
    assert isinstance(position, PositionReport)
    assert (position.side, position.entry_price) == (PositionSide.NET, Decimal(43684))


# --- order entry -------------------------------------------------------------------------------


def test_the_socket_of_order_entry_answers_in_words_that_are_known() -> None:
    codec = EntryCodec()

    def told_of(request: Request[Any], frame: bytes) -> Any:
        (reply,) = codec.decode(frame, NOW_NS)
        assert isinstance(reply, EntryReply)
        return codec.entry_answer(request, reply.content, NOW_NS).value

    taken, failed, refused = frames("doc-order-replies", "trading/okx")
    assert told_of(PLACED, taken).exchange_order_id == "12345689"
    with pytest.raises(errors.ExchangeError) as unknown:
        told_of(PLACED, failed)
    assert (unknown.value.code, unknown.value.text) == ("5XXXX", "not exist")
    with pytest.raises(errors.ExchangeError) as invalid:
        told_of(PLACED, refused)
    assert invalid.value.code == "60013"
    amend = AmendOrder(instrument=SWAP, exchange_order_id="393936310213439488", price=Decimal(1))
    (frame,) = frames("amend-order-ack", "trading/okx")
    assert told_of(amend, frame).exchange_order_id == "393936310213439488"


# --- lists and answers -------------------------------------------------------------------------


def test_answers_of_orders_are_read() -> None:
    assert answered(PLACED, "doc-order-new-ack").exchange_order_id == "312269865356374016"
    cancel = CancelOrder(instrument=SWAP, client_order_id="oktswap6")
    assert answered(cancel, "doc-order-cancel-ack").exchange_order_id == "12345689"
    amend = AmendOrder(instrument=SWAP, exchange_order_id="12344", price=Decimal(1))
    assert answered(amend, "doc-order-amend-ack").exchange_order_id == "12344"
    with pytest.raises(errors.InsufficientBalance) as refused:
        answered(PLACED, "error-51008-order")
    assert (refused.value.code, refused.value.reason) == ("51008", EndReason.BALANCE)


def test_lists_of_orders_and_fills_are_read() -> None:
    (order,) = answered(GetOpenOrders(market=Market.INVERSE), "orders-pending")
    assert (order.client_order_id, order.state) == ("abcABC125", OrderState.OPEN)
    assert (order.position_side, order.price) == (PositionSide.LONG, Decimal("39919.4"))
    assert answered(GetOpenOrders(market=Market.INVERSE), "orders-pending-empty") == []
    (order,) = answered(GetOrderHistory(market=Market.LINEAR), "orders-history")
    assert (order.state, order.average_price) == (OrderState.FILLED, Decimal("103698.9"))
    (fill,) = answered(GetFills(market=Market.SPOT), "doc-fills")
    assert (fill.fill_id, fill.size) == ("744876980", Decimal("0.00192834"))
    assert (fill.fee, fill.fee_asset) == (Decimal("0.00000192834"), "BTC")
    assert fill.exchange_time_ns == 1_708_587_373_361_000_000


def test_positions_and_the_wallet_are_read() -> None:
    (position,) = answered(GetPositions(market=Market.INVERSE), "doc-positions")
    assert (position.side, position.size) == (PositionSide.LONG, Decimal(1))
    assert position.margin_mode is MarginMode.ISOLATED
    (usdt,) = answered(GetWallet(), "account-balance").balances
    assert (usdt.total, usdt.available) == (
        Decimal("99.89469657000001"),
        Decimal("94.42612990333333"),
    )


# --- signatures --------------------------------------------------------------------------------


def test_what_was_signed_is_proven_as_others_prove_it() -> None:
    known = json.loads((FOLDER / "signing" / "vectors.json").read_bytes())
    posted = [
        each
        for each in (known if isinstance(known, list) else known["vectors"])
        if each["exchange"] == "okx" and "POST/" in each["prehash"]
    ]
    assert len(posted) >= 2
    access = Access(
        now_ms=1_700_000_000_000,
        url="https://x",
        credentials=Credentials("testkey", "testsecret", "testphrase"),
    )
    for each in posted:
        at, _, rest = each["prehash"].partition("POST")
        assert at == "2023-11-14T22:13:20.000Z"
        start = min(i for i in (rest.find("{"), rest.find("[")) if i >= 0)
        request = HttpRequest("POST", rest[:start], body=rest[start:].encode())
        assert signed(request, access).headers["OK-ACCESS-SIGN"] == each["signature"]
