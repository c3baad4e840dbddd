"""Private connections: logins, topics of an account, and rows that can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.private_codec import PrivateCodec
from hypothesis import given, settings
from hypothesis import strategies as st
from trading_rows import NOW_MS, NOW_NS, coin_row, fill_row, order_row, position_row

from ccrs_core import (
    Access,
    Ack,
    Balance,
    Channel,
    Credentials,
    Data,
    DecodeError,
    EarlyFillReport,
    FillReport,
    LeftOut,
    LoggedIn,
    LoginRefused,
    MarginCallReport,
    Market,
    Message,
    OrderReport,
    Pong,
    PositionReport,
    Refused,
    StrangeReport,
    Subscription,
    Unrecognised,
)

TOPICS = {
    Channel.ORDERS: "order",
    Channel.FILLS: "execution",
    Channel.EARLY_FILLS: "execution.fast",
    Channel.POSITIONS: "position",
    Channel.BALANCES: "wallet",
}
MADE: dict[Channel, Callable[..., dict[str, Any]]] = {
    Channel.ORDERS: order_row,
    Channel.FILLS: fill_row,
    Channel.EARLY_FILLS: fill_row,
    Channel.POSITIONS: position_row,
}
REPORTS = {
    Channel.ORDERS: OrderReport,
    Channel.FILLS: FillReport,
    Channel.EARLY_FILLS: EarlyFillReport,
    Channel.POSITIONS: PositionReport,
}
ACCESS = Access(
    now_ms=1_700_000_000_000, url="wss://x", credentials=Credentials("testkey", "testsecret")
)


def of_account(channel: Channel, market: Market | None = None) -> Subscription:
    return Subscription(channel, account="main", exchange="bybit", market=market)


def subscribed() -> PrivateCodec:
    codec = PrivateCodec()
    codec.subscribe([of_account(channel) for channel in TOPICS], "1")
    return codec


def heard(channel: Channel, *rows: Any, codec: PrivateCodec | None = None) -> list[Message]:
    frame = {"topic": TOPICS[channel], "id": "x", "creationTime": NOW_MS, "data": list(rows)}
    return list((codec or subscribed()).decode(json.dumps(frame).encode(), NOW_NS))


def test_all_topics_of_an_account_go_by_one_private_route() -> None:
    exchange = Bybit()
    assert exchange.capabilities.account_channels == {*TOPICS, Channel.DEAD_MAN}
    routes = {exchange.route(of_account(channel)) for channel in TOPICS}
    (route,) = routes
    assert route.private
    assert route.url == "{private}/v5/private"
    assert isinstance(exchange.codec(route), PrivateCodec)


def test_topics_are_asked_for_in_one_request() -> None:
    frame = PrivateCodec().subscribe([of_account(channel) for channel in TOPICS], "7")
    args = ["order", "execution", "execution.fast", "position", "wallet"]
    assert json.loads(frame) == {"req_id": "7", "op": "subscribe", "args": args}


@pytest.mark.parametrize(
    ("market", "topic"),
    [
        (Market.LINEAR, "dcp.future"),
        (Market.INVERSE, "dcp.future"),
        (Market.SPOT, "dcp.spot"),
        (Market.OPTION, "dcp.option"),
    ],
)
def test_protection_is_subscribed_to_by_market(market: Market, topic: str) -> None:
    codec = PrivateCodec()
    wanted = of_account(Channel.DEAD_MAN, market)
    assert codec.topic(wanted) == topic
    assert json.loads(codec.subscribe([wanted], "1"))["args"] == [topic]
    assert json.loads(codec.unsubscribe([wanted], "2"))["args"] == [topic]


def test_logins_sign_the_time_at_which_they_end() -> None:
    login = json.loads(PrivateCodec().login(ACCESS, "1"))
    proof = "6a806639d27b1c24c3808a191e9d0274d0c9d3a04a160233856d65840dfda2c8"
    assert login == {"req_id": "1", "op": "auth", "args": ["testkey", 1_700_000_010_000, proof]}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ('{"success":true,"ret_msg":"","op":"auth","conn_id":"x"}', LoggedIn()),
        (
            '{"success":false,"ret_msg":"invalid sign","op":"auth","conn_id":"x"}',
            LoginRefused("", "invalid sign"),
        ),
        ('{"req_id":"3","op":"pong","args":["1675418560633"],"conn_id":"x"}', Pong()),
        (
            '{"success":true,"ret_msg":"","conn_id":"x","req_id":"4","op":"subscribe"}',
            Ack("4"),
        ),
        (
            '{"success":false,"ret_msg":"Request not authorized","req_id":"4","op":"subscribe"}',
            Refused("4", "", "Request not authorized"),
        ),
    ],
)
def test_answers_are_those_of_other_connections(frame: str, expected: Message) -> None:
    assert list(subscribed().decode(frame.encode(), NOW_NS)) == [expected]


@pytest.mark.parametrize("channel", MADE)
def test_rows_become_reports_in_their_order(channel: Channel) -> None:
    rows = [MADE[channel](symbol=name) for name in ("BTCUSDT", "ETHUSDT", "BTCUSDT")]
    (data,) = heard(channel, *rows)
    assert isinstance(data, Data)
    assert data.topic == TOPICS[channel]
    reports: list[Any] = list(data.events)
    assert [type(each) for each in reports] == [REPORTS[channel]] * 3
    assert [each.native for each in reports] == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]
    assert {each.market for each in reports} == {Market.LINEAR}


@pytest.mark.parametrize("channel", MADE)
def test_a_row_that_cannot_be_read_takes_no_other_away(channel: Channel) -> None:
    odd = MADE[channel](symbol=7)
    found = heard(channel, MADE[channel](), odd, MADE[channel](symbol="ETHUSDT"))
    assert [type(each) for each in found] == [Data, LeftOut, Data]
    with pytest.raises(DecodeError):
        heard(channel, odd)


def test_a_kind_of_execution_that_nobody_knows_is_strange() -> None:
    (data,) = heard(Channel.FILLS, fill_row(execType="Barter"), fill_row())
    assert isinstance(data, Data)
    assert [type(each) for each in data.events] == [StrangeReport, FillReport]


def test_a_position_in_liquidation_is_told_with_a_warning() -> None:
    (data,) = heard(Channel.POSITIONS, position_row(positionStatus="Liq"))
    assert isinstance(data, Data)
    assert [type(each) for each in data.events] == [PositionReport, MarginCallReport]


def test_wallets_tell_of_each_coin() -> None:
    wallet = {"accountType": "UNIFIED", "coin": [coin_row(), coin_row(coin="BTC", equity="1.5")]}
    (data,) = heard(Channel.BALANCES, wallet)
    assert isinstance(data, Data)
    balances: list[Any] = list(data.events)
    assert [type(each) for each in balances] == [Balance, Balance]
    assert [(each.asset, each.total) for each in balances] == [
        ("USDT", Decimal(950)),
        ("BTC", Decimal("1.5")),
    ]
    assert {(each.account, each.exchange_time_ns) for each in balances} == {("main", NOW_NS)}


def test_a_coin_that_cannot_be_read_takes_no_other_away() -> None:
    coins = [coin_row(), coin_row(walletBalance="much"), coin_row(coin="BTC")]
    found = heard(Channel.BALANCES, {"accountType": "UNIFIED", "coin": coins})
    assert [type(each) for each in found] == [Data, LeftOut]
    assert isinstance(found[0], Data)
    assert len(found[0].events) == 2
    other = heard(Channel.BALANCES, {"accountType": "CONTRACT", "coin": coins})
    assert [type(each) for each in other] == [Unrecognised]


def test_topics_that_were_left_say_nothing_more() -> None:
    codec = subscribed()
    codec.unsubscribe([of_account(Channel.ORDERS)], "2")
    (said,) = heard(Channel.ORDERS, order_row(), codec=codec)
    assert isinstance(said, Unrecognised)
    assert isinstance(heard(Channel.FILLS, fill_row(), codec=codec)[0], Data)


# --- whatever comes ----------------------------------------------------------------------------

ODD = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "0", "-1", "1e-9", "NaN", "1" * 80, "UNKNOWN", "Buy", "None"])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


def changed(make: Callable[..., dict[str, Any]]) -> st.SearchStrategy[Any]:
    names = sorted(make())
    fields = st.dictionaries(st.sampled_from(names), ODD, max_size=4)
    less = st.sets(st.sampled_from(names), max_size=3)
    return (
        st.builds(
            lambda more, without: {
                name: value for name, value in (make() | more).items() if name not in without
            },
            fields,
            less,
        )
        | ODD
    )


@pytest.mark.parametrize("channel", [*MADE, Channel.BALANCES])
@settings(max_examples=50)
@given(data=st.data())
def test_any_row_is_read_or_counted(channel: Channel, data: st.DataObject) -> None:
    """Blank, missing, odd: what can be read stands, what can't is told, and nothing is raised but
    what says that a whole frame can't be read."""
    make = MADE.get(channel, coin_row)
    rows = data.draw(st.lists(changed(make), min_size=1, max_size=3))
    good = make(symbol="GOOD") if channel in MADE else make(coin="GOOD")
    sent = [*rows, good]
    if channel is Channel.BALANCES:
        sent = [{"accountType": "UNIFIED", "coin": sent}]
    found = heard(channel, *sent)
    reports: list[Any] = [each for part in found if isinstance(part, Data) for each in part.events]
    left_out = [each for each in found if isinstance(each, LeftOut)]
    assert {type(each) for each in found} <= {Data, LeftOut}
    told = [each for each in reports if not isinstance(each, MarginCallReport)]
    assert len(told) + len(left_out) == len(rows) + 1
    names = [each.asset if isinstance(each, Balance) else each.native for each in reports]
    assert names.count("GOOD") >= 1
