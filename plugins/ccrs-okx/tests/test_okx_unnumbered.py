"""Candles and liquidations, which have no numbers: each state and each of them is told once."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec
from hypothesis import given
from hypothesis import strategies as st
from okx_frames import (
    INVERSE,
    LINEAR,
    MINUTE,
    NOW,
    OPTION,
    SPOT,
    codec_for,
    data_of,
    instrument,
    only,
    said,
    told,
)

from ccrs_core import (
    NS_PER_MS,
    Ack,
    Candle,
    Channel,
    Codec,
    Data,
    Instrument,
    LeftOut,
    Liquidation,
    Side,
    Subscription,
    Unrecognised,
)
from ccrs_core.connections.runner import Runner
from ccrs_core.topics.topic import Topic


def delivered(
    channel: Channel,
    connections: list[list[dict[str, Any]]],
    of: Instrument | None = None,
    **options: Any,
) -> list[Any]:
    """What a feed gets of frames that connections bring in turns."""
    subscription = Subscription(channel, of or instrument(), **options)
    runners = [Runner(number) for number in range(len(connections))]
    codecs = [codec_for(channel, of=of, **options) for _ in connections]
    topic = Topic(
        codecs[0].topic(subscription),
        runners,
        live=lambda _: len(runners),
        resync=lambda *_: None,
        arm=lambda: None,
        exchange=Okx(),
    )
    heard: list[Any] = []
    feed: Any = SimpleNamespace(put=heard.extend, notify=heard.append)
    topic.stream(subscription).feeds.append(feed)
    for turn in zip(*connections, strict=True):
        for frame, codec, runner in zip(turn, codecs, runners, strict=True):
            for message in said(codec, frame):
                assert isinstance(message, Data)
                topic.deliver(message, runner, 1.0)
    return heard


# --- candles ---


def candle(start: int, volume: str, *, confirm: str | None = "0") -> dict[str, Any]:
    row = [str(start), "1", "3", "0.5", "2", volume, "9"]
    return told("candle1m", row if confirm is None else [*row, "11", confirm])


def test_states_of_candles_have_rising_numbers_and_end_where_the_next_begins() -> None:
    volumes = st.lists(
        st.decimals(0, 10**15, places=8).map(lambda volume: f"{volume:f}"), min_size=1, max_size=4
    )

    @given(volumes, st.integers(20_000_000, 60_000_000))
    def check(volumes: list[str], minute: int) -> None:
        codec = codec_for(Channel.CANDLES, interval="1m")
        start = minute * MINUTE
        rising = sorted(volumes, key=Decimal)
        frames = [candle(start, volume) for volume in rising]
        frames.append(candle(start, rising[-1], confirm="1"))
        frames.append(candle(start + MINUTE, "0"))
        found = [data_of(codec, frame) for frame in frames]
        numbers = [m.sequence for m in found if type(m.sequence) is int]
        assert all(0 <= number < 2**63 for number in numbers)
        assert numbers == sorted(numbers)
        # Closing, the next candle and every change in nine digits make a greater number.
        last = [message.sequence for message in found[-2:]]
        assert all(type(number) is int for number in last)
        for place in range(len(rising) - 1):
            grown = Decimal(rising[place + 1]) > Decimal(rising[place]) * Decimal("1.00000002")
            assert not grown or type(found[place + 1].sequence) is int
        closed, following = found[-2].events[0], found[-1].events[0]
        assert isinstance(closed, Candle)
        assert isinstance(following, Candle)
        assert closed.closed
        assert not following.closed
        assert closed.close_time_ns == following.open_time_ns == (start + MINUTE) * NS_PER_MS

    check()


GROWING = [
    ("345678.90112345", "91000.1", "0"),
    ("345678.90164345", "91007.3", "0"),
    ("345678.90196345", "90988.8", "0"),
    ("345678.90302345", "90990.0", "0"),
    ("345678.90302345", "90990.0", "1"),
]


def grown(volume: str, close: str, confirm: str) -> dict[str, Any]:
    return told("candle1m", [str(NOW), "90000", "92000", "89000", close, volume, "1", "2", confirm])


def test_a_candle_that_grows_by_little_is_delivered_in_each_of_its_states() -> None:
    heard = delivered(Channel.CANDLES, [[grown(*state) for state in GROWING]], interval="1m")
    assert [str(candle.close) for candle in heard] == [close for _, close, _ in GROWING]
    assert [candle.closed for candle in heard] == [False] * 4 + [True]


@given(
    st.lists(
        st.tuples(
            st.decimals(0, 10**9, places=8).map("{:f}".format),
            st.decimals("0.01", 10, places=2).map("{:f}".format),
            st.sampled_from("01"),
        ),
        unique=True,
        max_size=8,
    ),
    st.integers(1, 3),
)
def test_no_two_states_of_a_candle_are_taken_for_one(
    states: list[tuple[str, str, str]], connections: int
) -> None:
    frames = [grown(*state) for state in states]
    heard = delivered(Channel.CANDLES, [frames] * connections, interval="1m")
    assert [(e.volume, e.close, e.closed) for e in heard] == [
        (Decimal(volume), Decimal(close), confirm == "1") for volume, close, confirm in states
    ]


@pytest.mark.parametrize("column", [1, 2, 3, 4, 5, 6, 8])
def test_states_that_have_not_grown_are_told_apart_by_all_that_they_say(column: int) -> None:
    base = [str(NOW), "90", "92", "89", "91", "7", "1", "2", "0"]
    other = [*base[:column], "1" if column == 8 else "6", *base[column + 1 :]]
    frames = [told("candle1m", row) for row in ([*base[:5], "99", *base[6:]], base, other)]
    assert len(delivered(Channel.CANDLES, [frames], interval="1m")) == 3


def test_a_state_of_a_candle_that_is_repeated_is_delivered_once() -> None:
    first, second = grown(*GROWING[0]), grown(*GROWING[1])
    frames = [first, first, second, second, second]
    heard = delivered(Channel.CANDLES, [frames], interval="1m")
    assert [str(candle.close) for candle in heard] == [close for _, close, _ in GROWING[:2]]


def test_a_linear_candle_of_2022_has_no_turnover_in_the_quote_currency() -> None:
    codec = codec_for(Channel.CANDLES, of=instrument(LINEAR), interval="1m")
    frame = candle(NOW, "5", confirm=None)
    frame["arg"]["instId"] = LINEAR
    event = only(codec, frame)
    assert (event.volume, event.turnover) == (5, None)


def test_a_candle_of_2022_is_open_and_one_of_neither_state_is_unrecognised() -> None:
    codec = codec_for(Channel.CANDLES, interval="1m")
    event = only(codec, candle(NOW, "5", confirm=None))
    assert (event.closed, event.volume, event.turnover) == (False, 5, 9)
    (new,) = said(codec, candle(NOW, "5", confirm="2"))
    assert isinstance(new, Unrecognised)


@pytest.mark.parametrize(
    ("native", "contract", "volume", "turnover"),
    [
        (SPOT, "1", "500", "9"),
        (LINEAR, "0.01", "5.00", "11"),
        (INVERSE, "100", "500", "9"),
        (OPTION, "0.01", "5.00", None),
    ],
)
def test_turnover_is_in_the_quote_currency_and_of_inverse_contracts_in_their_coin(
    native: str, contract: str, volume: str, turnover: str | None
) -> None:
    codec = codec_for(Channel.CANDLES, of=instrument(native, contract), interval="1m")
    frame = candle(NOW, "500")
    frame["arg"]["instId"] = native
    event = only(codec, frame)
    assert str(event.volume) == volume
    assert event.turnover == (None if turnover is None else Decimal(turnover))


# --- liquidations ---


def liquidated(*natives: str, side: str = "sell", kind: str = "SWAP") -> dict[str, Any]:
    detail = {"side": side, "posSide": "net", "bkPx": "99", "sz": "13", "bkLoss": "0", "ccy": ""}
    rows = [
        {"instId": n, "instType": kind, "details": [{**detail, "ts": str(NOW)}]} for n in natives
    ]
    return {"arg": {"channel": "liquidation-orders", "instType": kind}, "data": rows}


def topics_said(codec: Codec, *natives: str) -> list[str]:
    messages = said(codec, liquidated(*natives))
    return [message.topic for message in messages if isinstance(message, Data)]


ETH = "ETH-USDT-SWAP"


@pytest.mark.parametrize(("order", "position"), [("sell", Side.BUY), ("buy", Side.SELL)])
def test_a_liquidation_is_told_by_the_side_of_the_position(order: str, position: Side) -> None:
    codec = codec_for(Channel.LIQUIDATIONS, of=instrument(ETH, "0.1"))
    event = only(codec, liquidated(LINEAR, ETH, side=order))
    assert isinstance(event, Liquidation)
    assert (event.side, str(event.size), str(event.price)) == (position, "1.3", "99")
    assert event.symbol == "ETH/USDT:USDT"
    (new,) = said(codec, liquidated(ETH, side="adl"))
    assert isinstance(new, Unrecognised)


def test_liquidations_of_a_type_are_shared_and_end_with_the_last_who_wants_them() -> None:
    codec = OkxCodec()
    btc, eth = (Subscription(Channel.LIQUIDATIONS, instrument(n)) for n in (LINEAR, ETH))
    args = [{"channel": "liquidation-orders", "instType": "SWAP"}]
    assert codec.request_kind(btc) == codec.request_kind(eth) == "SWAP"
    asked = json.loads(codec.subscribe([btc, eth], "1"))
    assert asked == {"id": "1", "op": "subscribe", "args": args}, "one argument for both"
    both = [codec.topic(btc), codec.topic(eth)]
    assert topics_said(codec, LINEAR, ETH, "XRP-USDT-SWAP") == both
    ack = {"event": "subscribe", "arg": args[0]}
    assert said(codec, {"id": "1", **ack}) == [Ack("1", None)]
    assert said(codec, ack) == [Ack(None, tuple(both))]

    asked = json.loads(codec.unsubscribe([btc], "2"))
    assert asked["op"] == "subscribe", "the other still wants them"
    assert topics_said(codec, LINEAR, ETH) == both[1:]
    (others,) = said(codec, liquidated(LINEAR))
    assert isinstance(others, Unrecognised)

    asked = json.loads(codec.unsubscribe([eth], "3"))
    assert asked == {"id": "3", "op": "unsubscribe", "args": args}
    assert topics_said(codec, LINEAR, ETH) == []
    codec.subscribe([btc], "4")
    assert topics_said(codec, LINEAR, ETH) == both[:1]


@pytest.mark.parametrize(
    ("strange", "left"),
    [
        (5, 2),
        ({}, 2),
        ({"instId": []}, 2),
        ({"instId": ETH}, 1),
        ({"instId": ETH, "details": 5}, 1),
    ],
)
def test_a_row_of_liquidations_that_cannot_be_read_takes_no_other_away(
    strange: Any, left: int
) -> None:
    codec = codec_for(Channel.LIQUIDATIONS, of=instrument(LINEAR))
    codec.subscribe([Subscription(Channel.LIQUIDATIONS, instrument(ETH))], "2")
    frame = liquidated(LINEAR, ETH)
    frame["data"].insert(1, strange)
    messages = said(codec, frame)
    assert [m.topic.rpartition(":")[2] for m in messages if isinstance(m, Data)] == [LINEAR, ETH]
    assert sum(isinstance(m, LeftOut) for m in messages) == left


def test_dated_contracts_are_a_type_of_their_own() -> None:
    codec = codec_for(Channel.LIQUIDATIONS, of=instrument("BTC-USDT-261225"))
    (unwanted,) = said(codec, liquidated("BTC-USDT-261225"))
    assert isinstance(unwanted, Unrecognised)
    event = only(codec, liquidated("BTC-USDT-261225", kind="FUTURES"))
    assert event.symbol == "BTC/USDT:USDT-261225"


def test_several_liquidations_are_told_in_the_order_of_their_times() -> None:
    frame = liquidated(ETH)
    (row,) = frame["data"]
    row["details"] = [{**row["details"][0], "ts": str(NOW + n)} for n in (3, 1, 2)]
    messages = said(codec_for(Channel.LIQUIDATIONS, of=instrument(ETH)), frame)
    times = [event.exchange_time_ns for message in messages for event in message.events]
    assert times == [(NOW + n) * NS_PER_MS for n in (1, 2, 3)]


def test_each_liquidation_is_delivered_once_whatever_its_time() -> None:
    frame = liquidated(ETH)
    (row,) = frame["data"]
    one = row["details"][0]
    row["details"] = [one, {**one, "sz": "14"}, one, {**one, "bkPx": "98", "ts": str(NOW - 5)}]
    heard = delivered(Channel.LIQUIDATIONS, [[frame], [frame]], of=instrument(ETH))
    assert sorted((str(e.size), str(e.price)) for e in heard) == [
        ("13", "98"), ("13", "99"), ("13", "99"), ("14", "99")
    ]  # fmt: skip


def test_what_rows_of_one_frame_say_alike_has_happened_as_often() -> None:
    frame = liquidated(ETH, LINEAR, ETH)
    codec = codec_for(Channel.LIQUIDATIONS, of=instrument(ETH))
    told_apart = [message.sequence for message in said(codec, frame)]
    assert len(set(told_apart)) == 2
    again = [
        message.sequence
        for message in said(codec_for(Channel.LIQUIDATIONS, of=instrument(ETH)), frame)
    ]
    assert told_apart == again, "the same on all connections"


@pytest.mark.parametrize(
    "other", [{"bkPx": "98"}, {"sz": "14"}, {"side": "buy"}, {"ts": "1795000000000"}]
)
def test_liquidations_that_differ_in_anything_are_two(other: dict[str, str]) -> None:
    first, second = liquidated(ETH), liquidated(ETH)
    second["data"][0]["details"][0] |= other
    heard = delivered(Channel.LIQUIDATIONS, [[first, second]] * 2, of=instrument(ETH))
    assert len(heard) == 2
