"""Frames and answers of accounts that Bybit really sent, or that its documents print, from the
folder that ``CCRS_FIXTURES`` names."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.entry_codec import EntryCodec
from ccrs_bybit.private_codec import PrivateCodec
from ccrs_bybit.signing import proof
from test_bybit_private import TOPICS, of_account
from trading_rows import NOW_NS, instrument

from ccrs_core import (
    Access,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Credentials,
    Data,
    EntryReply,
    FillReport,
    GetFeeRates,
    GetFills,
    GetOpenOrders,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    HttpRequest,
    HttpResponse,
    IncomeReport,
    LoggedIn,
    Market,
    OrderState,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Pong,
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

LINEAR = instrument()
ORDER = limit(LINEAR.symbol, "buy", price="98000", size="1")


def frames(name: str, folder: str = "bybit") -> list[bytes]:
    return (FOLDER / folder / "ws" / f"{name}.jsonl").read_bytes().splitlines()


def answered(request: Request[Any], name: str, folder: str = "bybit") -> Any:
    body = (FOLDER / folder / "rest" / f"{name}.json").read_bytes()
    response = HttpResponse(200, {}, body)
    assert Bybit().error_of(response) is None
    return Bybit.endpoints[type(request)].decode(request, response, NOW_NS, None)


# --- streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("private-order", {"OrderReport": 1}),
        ("private-execution", {"FillReport": 1}),
        ("private-position", {"PositionReport": 1}),
        ("doc-private-order", {"OrderReport": 1}),
        ("doc-private-execution", {"FillReport": 1}),
        ("doc-private-position", {"PositionReport": 1}),
        ("doc-private-wallet", {"Balance": 1}),
    ],
)
def test_each_frame_of_an_account_is_read(name: str, kinds: dict[str, int]) -> None:
    codec = PrivateCodec()
    codec.subscribe([of_account(channel) for channel in TOPICS], "1")
    found = Counter[str]()
    for frame in frames(name):
        for message in codec.decode(frame, NOW_NS):
            assert isinstance(message, Data)
            found.update(type(each).__name__ for each in message.events)
    assert dict(found) == kinds


def test_a_wallet_of_a_classic_account_is_none_of_ours() -> None:
    codec = PrivateCodec()
    codec.subscribe([of_account(channel) for channel in TOPICS], "1")
    (frame,) = frames("private-wallet")
    (message,) = codec.decode(frame, NOW_NS)
    assert isinstance(message, Unrecognised)


def test_the_socket_of_order_entry_answers_in_words_that_are_known() -> None:
    requests: list[Request[Any]] = [
        PlaceOrder(LINEAR, ORDER, "gAAC7yKS2UIAAQAAAAAA"),
        PlaceOrder(LINEAR, ORDER, "RAACPlr82kIAAQAAAAAA"),
        CancelOrder(instrument=LINEAR, client_order_id="gAAC7yKS2UIAAQAAAAAA"),
        AmendOrder(instrument=LINEAR, client_order_id="1wACjm7r2kIAAQAAAAAA"),
    ]
    codec, outcomes = EntryCodec(), []
    for request, frame in zip(requests, frames("trade-api-replies"), strict=True):
        (said,) = codec.decode(frame, NOW_NS)
        assert isinstance(said, EntryReply)
        assert Bybit().pools_left(request, said.headers)[0].left == 9
        try:
            outcomes.append(codec.entry_answer(request, said.content, NOW_NS).value)
        except errors.ExchangeError as error:
            outcomes.append(error)
    assert [type(each) for each in outcomes] == [Placed, errors.OrderRejected, Placed, Placed]


def test_a_batch_whose_items_all_failed_says_so_for_each() -> None:
    (frame,) = frames("doc-trade-batch-reply", "trading/bybit")
    ids = ["-batch-000", "batch-001", "batch-002"]
    request = PlaceOrders(tuple(PlaceOrder(LINEAR, ORDER, each) for each in ids))
    told = {**orjson.loads(frame), "reqId": "1"}  # an example of a request without an id
    (said,) = EntryCodec().decode(orjson.dumps(told), NOW_NS)
    assert isinstance(said, EntryReply)
    done = EntryCodec().entry_answer(request, said.content, NOW_NS).value
    assert [type(each) for each in done] == [errors.InvalidRequest] * 3


def test_pongs_and_logins_of_the_socket() -> None:
    codec = EntryCodec()
    assert [type(each) for f in frames("doc-trade-pong") for each in codec.decode(f, 1)] == [Pong]
    logins = [f for f in frames("acks-auth-pong-errors") if b'"connId"' in f and b"auth" in f]
    assert [type(each) for f in logins for each in codec.decode(f, 1)] == [LoggedIn]


# --- answers -----------------------------------------------------------------------------------


def test_funding_payments_are_income_of_both_signs_and_no_fills() -> None:
    request = GetFills(market=Market.LINEAR)
    body = (FOLDER / "trading/bybit/rest/execution-list-funding.json").read_bytes()
    rows = [row["execFee"] for row in json.loads(body)["result"]["list"]]
    found = answered(request, "execution-list-funding", "trading/bybit").value
    assert all(isinstance(each, IncomeReport) for each in found)
    assert [each.amount for each in found] == [-Decimal(fee) for fee in rows[::-1]]
    assert len({each.income_id for each in found}) == len(rows)


def test_examples_of_lists_are_read_whole() -> None:
    linear, inverse = Market.LINEAR, Market.INVERSE
    for request, name in (
        (GetFills(market=linear), "doc-execution-list"),
        (GetOpenOrders(market=linear, settle="USDT"), "order-realtime-linear"),
        (GetOpenOrders(market=linear, settle="USDT"), "doc-order-realtime"),
        (GetOrderHistory(market=linear), "doc-order-history"),
        (GetPositions(market=linear, settle="USDT"), "position-list"),
        (GetPositions(market=inverse), "doc-position-list"),
        (GetFeeRates(market=linear), "doc-fee-rate"),
    ):
        answer = answered(request, name)
        assert answer.left_out == 0, name
        assert len(answer.value) == 1, name


def test_a_fill_of_the_documents_is_a_takers() -> None:
    (found,) = answered(GetFills(market=Market.LINEAR), "doc-execution-list").value
    assert isinstance(found, FillReport)
    assert (found.fill_id[:8], found.fee) == ("e0cbe81d", Decimal("0.071409"))


def test_an_open_order_that_was_recorded_rests() -> None:
    request = GetOpenOrders(market=Market.LINEAR, settle="USDT")
    (found,) = answered(request, "order-realtime-linear").value
    assert (found.state, found.trigger) == (OrderState.OPEN, None)
    assert (str(found.price), str(found.size)) == ("27673.40", "0.001")


def test_wallets_that_were_recorded_are_read_whole() -> None:
    wallet = answered(GetWallet("main"), "wallet-balance").value
    held = {each.asset: each for each in wallet.balances}
    assert (str(held["BTC"].total), str(held["BTC"].wallet)) == ("1.21997126", "1.22000909")
    assert str(wallet.margin.available) == "140719.99688829"
    assert answered(GetWallet("main"), "doc-wallet-balance").left_out == 0


def test_acknowledgements_that_were_recorded() -> None:
    placed = answered(PlaceOrder(LINEAR, ORDER, ""), "order-create-ack").value
    assert placed.exchange_order_id
    one = CancelOrder(instrument=LINEAR, client_order_id="ZwAC7nLlHkQAAQAAAAAA")
    assert answered(one, "order-cancel-ack").value.exchange_order_id
    everything = CancelAll(market=Market.LINEAR, settle="USDT")
    assert answered(everything, "order-cancel-all-ack", "trading/bybit").value == []


def test_refusals_that_were_recorded() -> None:
    for name, kind in (
        ("error-10001-amend", errors.InvalidRequest),
        ("error-10004-sign", errors.AuthError),
        ("error-10006-rate-limit", errors.RateLimited),
    ):
        body = (FOLDER / "bybit/rest" / f"{name}.json").read_bytes()
        assert type(Bybit().error_of(HttpResponse(200, {}, body))) is kind


# --- signatures --------------------------------------------------------------------------------


def vectors() -> list[dict[str, Any]]:
    path = FOLDER / "signing" / "vectors.json"
    if not path.is_file():
        return []
    told = json.loads(path.read_text())
    pem = told["keys"]["rsa"]["pkcs8_pem"]
    return [
        {**each, "secret": each.get("secret", pem)}
        for each in told["vectors"]
        if each["exchange"] == "bybit"
    ]


@pytest.mark.parametrize("vector", vectors(), ids=lambda each: each["what"])
def test_signatures_equal_the_vectors(vector: dict[str, Any]) -> None:
    keys = Credentials("testkey", vector["secret"])
    assert proof(keys, vector["prehash"].encode()) == vector["signature"]
    head = "1700000000000testkey5000"
    if not vector["prehash"].startswith(head):
        return
    payload = vector["prehash"].removeprefix(head)
    post = payload.startswith("{")
    request = HttpRequest(
        "POST" if post else "GET",
        "/v5/x",
        () if post else tuple(parse_qsl(payload)),
        body=payload.encode() if post else b"",
    )
    access = Access(now_ms=1_700_000_000_000, url="https://x", credentials=keys)
    assert Bybit().sign(request, access).headers["X-BAPI-SIGN"] == vector["signature"]
