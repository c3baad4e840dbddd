"""Private connections and order entry: logins, topics, rows that can't be read, answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from account_rows import (
    NOW_NS,
    algo_row,
    detail_row,
    instrument,
    order_row,
    position_row,
    traded,
)
from ccrs_okx import Okx
from ccrs_okx.entry_codec import EntryCodec, enters
from ccrs_okx.private_codec import PrivateCodec
from ccrs_okx.signing import DEADLINE_MS, signed
from ccrs_okx.trading import ACCOUNT_CHANNELS, ENTRY, PRIVATE, WAITING

from ccrs_core import (
    Access,
    Ack,
    AmendOrder,
    Balance,
    CancelOrder,
    CancelOrders,
    Channel,
    Closing,
    ConfirmationReport,
    Credentials,
    Data,
    DecodeError,
    EndReason,
    EntryReply,
    FillReport,
    HttpRequest,
    LeftOut,
    LoggedIn,
    LoginRefused,
    Market,
    Message,
    OrderReport,
    OrderState,
    Placed,
    PlaceOrder,
    PlaceOrders,
    Pong,
    PositionReport,
    Refused,
    Subscription,
    Trigger,
    errors,
    limit,
    market,
)

ACCESS = Access(
    now_ms=1_700_000_000_000,
    url="wss://x",
    credentials=Credentials("testkey", "testsecret", "testphrase"),
)
ARGS: dict[Channel, dict[str, str]] = {
    Channel.ORDERS: {"channel": "orders", "instType": "ANY"},
    Channel.FILLS: {"channel": "orders", "instType": "ANY"},
    Channel.POSITIONS: {"channel": "positions", "instType": "ANY"},
    Channel.BALANCES: {"channel": "account"},
    Channel.WAITING_ORDERS: {"channel": "orders-algo", "instType": "ANY"},
}


def of_account(channel: Channel) -> Subscription:
    return Subscription(channel, account="main", exchange="okx")


def subscribed() -> PrivateCodec:
    codec = PrivateCodec()
    codec.subscribe([of_account(channel) for channel in ARGS], "1")
    return codec


def heard(channel: Channel, *rows: Any, codec: Any = None, **more: Any) -> list[Message]:
    frame = {"arg": {**ARGS[channel], "uid": "77"}, "data": list(rows), **more}
    return list((codec or subscribed()).decode(json.dumps(frame).encode(), NOW_NS))


def reports(messages: list[Message]) -> list[Any]:
    return [each for message in messages if isinstance(message, Data) for each in message.events]


# --- topics ---


def test_every_channel_of_an_account_has_a_private_route_and_a_topic() -> None:
    exchange = Okx()
    for channel in ACCOUNT_CHANNELS:
        route = exchange.route(of_account(channel))
        assert route == (WAITING if channel is Channel.WAITING_ORDERS else PRIVATE)
        assert isinstance(exchange.codec(route), PrivateCodec)
    assert isinstance(exchange.codec(ENTRY), EntryCodec)
    for environment in Okx.environments.values():
        assert ENTRY.at(environment.addresses).startswith("wss://ws")


def test_orders_and_their_fills_are_one_topic_and_what_is_timed_comes_on_change_alone() -> None:
    codec = PrivateCodec()
    asked = json.loads(codec.subscribe([of_account(each) for each in ARGS], "7"))
    assert (asked["id"], asked["op"]) == ("7", "subscribe")
    told = {argument["channel"]: argument for argument in asked["args"]}
    assert set(told) == {"orders", "positions", "account", "orders-algo"}
    assert json.loads(told["positions"]["extraParams"]) == {"updateInterval": "0"}
    assert json.loads(told["account"]["extraParams"]) == {"updateInterval": "0"}
    assert told["orders"] == ARGS[Channel.ORDERS]


@pytest.mark.parametrize("channel", list(ARGS))
def test_answers_name_the_topic(channel: Channel) -> None:
    codec = subscribed()
    for event in ("subscribe", "unsubscribe"):
        frame = {"id": "1", "event": event, "arg": ARGS[channel], "connId": "a"}
        (answer,) = codec.decode(json.dumps(frame).encode(), NOW_NS)
        assert answer == Ack("1", (codec.topic(of_account(channel)),))
    frame = {"id": "1", "event": "error", "code": "60018", "msg": "no", "connId": "a"}
    (refused,) = codec.decode(json.dumps(frame).encode(), NOW_NS)
    assert isinstance(refused, Refused)


def test_logins_are_answered_and_refusals_that_pass_arent_for_good() -> None:
    codec = subscribed()

    def said(**frame: Any) -> Message:
        (message,) = codec.decode(json.dumps(frame).encode(), NOW_NS)
        return message

    assert said(event="login", code="0", msg="", connId="a") == LoggedIn()
    wrong = said(event="error", code="60009", msg="Login failed.", connId="a")
    assert wrong == LoginRefused("60009", "Login failed.")
    late = said(event="error", code="60006", msg="Timestamp request expired", connId="a")
    assert isinstance(late, LoginRefused)
    assert late.later
    assert codec.decode(b"pong", NOW_NS) == (Pong(),)
    closing = said(event="notice", code="64008", msg="upgrade", connId="a")
    assert isinstance(closing, Closing)


# --- orders ---


def test_a_row_tells_the_order_and_then_its_fill() -> None:
    order, fill = reports(heard(Channel.ORDERS, traded("881", "3", "3")))
    assert isinstance(order, OrderReport)
    assert isinstance(fill, FillReport)
    assert (order.filled_size, fill.size, fill.fill_id) == (Decimal(3), Decimal(3), "881")


def test_the_last_word_may_repeat_a_trade_and_ends_the_order_all_the_same() -> None:
    """The second trade is told twice, and only the second time the order is filled."""
    rows = [
        traded("881", "3", "3"),
        traded("882", "2", "5"),
        traded("882", "2", "5", "filled", uTime="1794000301002"),
    ]
    found = reports(heard(Channel.ORDERS, *rows))
    fills = [each.fill_id for each in found if isinstance(each, FillReport)]
    states = [each.state for each in found if isinstance(each, OrderReport)]
    assert fills == ["881", "882", "882"]  # of one id: the ledger takes it once
    assert states == [OrderState.OPEN, OrderState.OPEN, OrderState.FILLED]


def test_the_last_word_may_have_no_trade() -> None:
    last = traded("", "0", "5", "filled", fillPx="", fillTime="", execType="", fillFee="0")
    (only,) = reports(heard(Channel.ORDERS, last))
    assert isinstance(only, OrderReport)
    assert (only.state, only.filled_size) == (OrderState.FILLED, Decimal(5))


@pytest.mark.parametrize(
    ("result", "code", "done", "reason"),
    [
        ("0", "0", True, None),
        ("-1", "51511", False, EndReason.POST_ONLY),
        ("-1", "0", False, EndReason.OTHER),
        ("1", "51008", False, EndReason.BALANCE),
    ],
)
def test_what_came_of_an_amendment_follows_what_its_row_says_of_the_order(
    result: str, code: str, done: bool, reason: EndReason | None
) -> None:
    row = order_row(reqId="r1", amendResult=result, code=code, msg="said so")
    order, said = reports(heard(Channel.ORDERS, row))
    assert isinstance(order, OrderReport)
    assert isinstance(said, ConfirmationReport)
    assert (said.request_id, said.done, said.reason) == ("r1", done, reason)
    assert said.exchange_order_id == "3967"
    assert said.code == ("" if done or code == "0" else code)
    assert bool(said.text) != done


def test_rows_without_a_request_of_ours_confirm_nothing() -> None:
    for changes in ({"reqId": "", "amendResult": "0"}, {"reqId": "r1", "amendResult": ""}):
        assert len(reports(heard(Channel.ORDERS, order_row(**changes)))) == 1
    assert len(reports(heard(Channel.ORDERS, order_row(amendSource="4")))) == 1


def test_orders_that_wait_come_on_their_own_topic() -> None:
    (found,) = reports(heard(Channel.WAITING_ORDERS, algo_row()))
    assert (found.state, found.exchange_order_id) == (OrderState.WAITING, "7001")


# --- positions and balances ---


def test_a_position_of_the_other_margin_is_added_to_the_one_that_is_told() -> None:
    codec = subscribed()
    first = reports(heard(Channel.POSITIONS, position_row(pos="5"), codec=codec))
    assert [each.size for each in first] == [5]
    both = reports(
        heard(Channel.POSITIONS, position_row(pos="-2", mgnMode="isolated"), codec=codec)
    )
    assert [each.size for each in both] == [3]
    closed = reports(
        heard(Channel.POSITIONS, position_row(pos="0", mgnMode="isolated"), codec=codec)
    )
    assert [each.size for each in closed] == [5]
    gone = reports(heard(Channel.POSITIONS, position_row(pos="0"), codec=codec))
    assert [each.size for each in gone] == [0]
    # A new connection begins with all that there is.
    assert reports(heard(Channel.POSITIONS, position_row(pos="7")))[0].size == 7


def test_balances_are_told_by_currency_as_of_the_accounts_time() -> None:
    row = {
        "uTime": "1794000399002",
        "totalEq": "9",
        "details": [detail_row(), detail_row(ccy="BTC")],
    }
    found = reports(heard(Channel.BALANCES, row, eventType="snapshot", curPage=1, lastPage=True))
    assert [each.asset for each in found] == ["USDT", "BTC"]
    assert {each.exchange_time_ns for each in found} == {1_794_000_399_002_000_000}
    assert {each.account for each in found} == {"main"}
    assert reports(heard(Channel.BALANCES, {"uTime": "1794000399002", "details": []})) == []


# --- strange rows ---


@pytest.mark.parametrize(
    ("channel", "good", "kind"),
    [
        (Channel.ORDERS, order_row(), OrderReport),
        (Channel.WAITING_ORDERS, algo_row(), OrderReport),
        (Channel.POSITIONS, position_row(), PositionReport),
        (Channel.BALANCES, {"uTime": "1794000399002", "details": [detail_row()]}, Balance),
    ],
)
@pytest.mark.parametrize("bad", [{}, 7, None, "x", [], {"instType": "SWAP", "details": [{}]}])
def test_a_strange_row_takes_no_other_away(
    channel: Channel, good: dict[str, Any], kind: type, bad: Any
) -> None:
    messages = heard(channel, good, bad, good)
    assert [type(each) for each in reports(messages)] == [kind, kind]
    assert sum(isinstance(each, LeftOut) for each in messages) == 1
    with pytest.raises(DecodeError):
        heard(channel, bad)


# --- signing ---


def test_placements_and_amendments_carry_a_deadline_and_nothing_else_does() -> None:
    for call, timely in (
        ("order", True),
        ("batch-orders", True),
        ("amend-order", True),
        ("amend-batch-orders", True),
        ("cancel-order", False),
        ("order-algo", False),
    ):
        request = signed(HttpRequest("POST", f"/api/v5/trade/{call}", body=b"{}"), ACCESS)
        expected = str(ACCESS.now_ms + DEADLINE_MS) if timely else None
        assert request.headers.get("expTime") == expected
    assert "expTime" not in signed(HttpRequest("GET", "/api/v5/trade/order"), ACCESS).headers


# --- order entry ---

NUMBERED = instrument(native_code=4711)
PLACE = PlaceOrder(NUMBERED, limit(NUMBERED.symbol, "buy", price="1.5", size="0.02"), "ccrs1")
CANCEL = CancelOrder(instrument=NUMBERED, client_order_id="ccrs1")
AMEND = AmendOrder(
    instrument=NUMBERED, client_order_id="ccrs1", size=Decimal("0.03"), request_id="r"
)


def entered(request: Any) -> Any:
    frame = EntryCodec().entry(request, "12", ACCESS)
    return json.loads(frame)


def test_what_is_entered_names_instruments_by_number_and_says_until_when_it_is_good() -> None:
    deadline = str(ACCESS.now_ms + DEADLINE_MS)
    body = {
        *("tdMode", "side", "tag", "clOrdId"),
        *("ordType", "sz", "px"),
    }
    told = entered(PLACE)
    assert (told["id"], told["op"], told["expTime"]) == ("12", "order", deadline)
    (argument,) = told["args"]
    assert argument["instIdCode"] == 4711
    assert set(argument) == {"instIdCode", *body}
    assert (argument["sz"], argument["px"]) == ("2", "1.5")
    amended = entered(AMEND)
    assert (amended["op"], amended["expTime"]) == ("amend-order", deadline)
    assert amended["args"] == [{"instIdCode": 4711, "clOrdId": "ccrs1", "reqId": "r", "newSz": "3"}]
    canceled = entered(CancelOrders((CANCEL, CANCEL)))
    assert canceled["op"] == "batch-cancel-orders"
    assert "expTime" not in canceled
    assert len(canceled["args"]) == 2
    assert entered(PlaceOrders((PLACE, PLACE)))["op"] == "batch-orders"


def test_what_has_no_number_or_waits_for_a_trigger_goes_another_way() -> None:
    unnamed = PlaceOrder(instrument(), PLACE.order, "c")
    waits = PlaceOrder(
        NUMBERED,
        market(NUMBERED.symbol, "sell", size="0.01", trigger=Trigger(price="1", rises=False)),
        "c",
    )
    assert enters(PLACE)
    assert enters(AMEND)
    assert enters(CancelOrders((CANCEL,)))
    assert not enters(unnamed)
    assert not enters(waits)
    assert not enters(PlaceOrders((PLACE, unnamed)))
    assert not enters(CancelOrder(instrument=NUMBERED, client_order_id="c", conditional=True))
    assert Okx().enters(PLACE)
    with pytest.raises(LookupError):
        entered(unnamed)


def answered(request: Any, **frame: Any) -> Any:
    op = entered(request)["op"]
    body = {"id": "12", "op": op, "code": "0", "msg": "", "data": [], **frame}
    codec = EntryCodec()
    (reply,) = codec.decode(json.dumps(body).encode(), NOW_NS)
    assert isinstance(reply, EntryReply)
    assert reply.request_id == "12"
    return codec.entry_answer(request, reply.content, NOW_NS).value


TAKEN = {"ordId": "3967", "clOrdId": "ccrs1", "ts": "1794000400000", "sCode": "0", "sMsg": ""}


def test_answers_to_what_was_entered_are_read_as_those_by_http() -> None:
    assert isinstance(answered(PLACE, data=[TAKEN]), Placed)
    poor = {**TAKEN, "ordId": "", "sCode": "51008", "sMsg": "poor"}
    with pytest.raises(errors.InsufficientBalance):
        answered(PLACE, code="1", data=[poor])
    two = PlaceOrders((PLACE, PLACE))
    taken, refused = answered(two, code="2", data=[TAKEN, poor])
    assert isinstance(taken, Placed)
    assert isinstance(refused, errors.InsufficientBalance)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("60013", errors.InvalidRequest),
        ("60014", errors.RateLimited),
        ("50011", errors.RateLimited),
        ("50036", errors.ClockRefused),
        ("50004", errors.ExchangeUnavailable),
        ("51001", errors.InvalidRequest),
        ("99999", errors.ExchangeError),
        ("1", errors.ExchangeError),
    ],
)
def test_what_isnt_taken_at_all_is_told_by_its_code(code: str, kind: type[Exception]) -> None:
    for request in (PLACE, PlaceOrders((PLACE, PLACE))):
        with pytest.raises(errors.ExchangeError) as refused:
            answered(request, code=code, msg="no")
        assert type(refused.value) is kind


@pytest.mark.parametrize(
    "frame",
    [
        {"data": []},
        {"data": [{**TAKEN, "clOrdId": "other"}]},
        {"data": [{**TAKEN, "ordId": ""}]},
        {"op": "cancel-order", "data": [TAKEN]},
        {"code": 0, "data": [TAKEN]},
        {"data": None},
    ],
)
def test_answers_about_something_else_are_none(frame: dict[str, Any]) -> None:
    with pytest.raises((DecodeError, errors.OutcomeUnknown)):
        answered(PLACE, **frame)


def test_there_are_no_topics_where_orders_are_entered() -> None:
    codec, wanted = EntryCodec(), of_account(Channel.ORDERS)
    for call in (codec.subscribe, codec.unsubscribe):
        with pytest.raises(LookupError):
            call([wanted], "1")
    with pytest.raises(LookupError):
        codec.topic(wanted)
    (told,) = codec.decode(b'{"event":"login","code":"0","msg":"","connId":"a"}', NOW_NS)
    assert told == LoggedIn()
    (late,) = codec.decode(b'{"event":"notice","code":"64008","msg":"x","connId":"a"}', NOW_NS)
    assert isinstance(late, Closing)
    assert instrument(Market.SPOT).native_code is None
