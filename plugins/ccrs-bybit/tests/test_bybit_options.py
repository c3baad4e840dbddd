"""Options: what a ticker tells of them, and trades that come for all of a coin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import instrument_of
from ccrs_bybit.options import IN_TICKERS
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    Channel,
    Data,
    DecodeError,
    GetActivity,
    Greeks,
    Instrument,
    LeftOut,
    Market,
    MarkPrice,
    Message,
    Refused,
    Subscription,
    Ticker,
    Unchanged,
    Unrecognised,
)

CALL, PUT, OTHER = "BTC-25DEC26-120000-C-USDT", "BTC-25DEC26-90000-P-USDT", "ETH-25DEC26-4000-C"
ROW = {
    "symbol": CALL, "bidPrice": "2100", "bidSize": "1", "bidIv": "0.51", "askPrice": "2140",
    "askSize": "0.8", "askIv": "0.53", "lastPrice": "2105", "highPrice24h": "2300",
    "lowPrice24h": "1900", "markPrice": "2121.77", "indexPrice": "98765.4", "markPriceIv": "0.52",
    "underlyingPrice": "99120.1", "openInterest": "12.3", "turnover24h": "1", "volume24h": "0.5",
    "delta": "0.21", "gamma": "0.00001", "vega": "98.1", "theta": "-51.2",
}  # fmt: skip


def option(native: str = CALL) -> Instrument:
    found = instrument_of(native, Market.OPTION)
    assert found is not None
    return found


def ticker(ts: int, kind: str = "snapshot", **changes: Any) -> bytes:
    frame = {"topic": f"tickers.{CALL}", "ts": ts, "type": kind, "data": {**ROW, **changes}}
    return json.dumps(frame).encode()


def said(messages: Sequence[Message]) -> list[str]:
    return [e.type for m in messages if isinstance(m, Data) for e in m.events]


def watching(*channels: Channel) -> BybitCodec:
    codec = BybitCodec()
    codec.subscribe([Subscription(channel, option()) for channel in channels], "1")
    return codec


def test_one_ticker_tells_all_that_is_wanted_and_only_news_of_what_is_a_state() -> None:
    codec = watching(*IN_TICKERS)
    every = [channel.value for channel in IN_TICKERS]
    assert said(codec.decode(ticker(1_794_000_300_000), 5)) == every
    assert said(codec.decode(ticker(1_794_000_300_100), 5)) == ["top_of_book", "ticker"]
    news = codec.decode(ticker(1_794_000_300_200, delta="0.22", markPrice="2122"), 5)
    assert said(news) == ["top_of_book", "ticker", "mark_price", "greeks"]
    codec.subscribe([Subscription(Channel.GREEKS, option())], "2")
    assert "greeks" in said(codec.decode(ticker(1_794_000_300_300, delta="0.22"), 5))


@given(st.sampled_from([channel for channel in IN_TICKERS if channel is not Channel.TICKER]))
def test_a_stream_that_tells_nothing_new_is_alive(channel: Channel) -> None:
    codec = watching(channel)
    codec.decode(ticker(1_794_000_300_000), 5)
    (again,) = codec.decode(ticker(1_794_000_300_100, lastPrice="2106"), 5)
    assert isinstance(again, Unchanged) or channel is Channel.TOP_OF_BOOK
    (other,) = codec.decode(ticker(1_794_000_300_200, "delta"), 5)
    assert isinstance(other, Unrecognised)


def test_what_there_is_none_of_is_none() -> None:
    codec = watching(Channel.GREEKS, Channel.MARK_PRICE, Channel.TICKER)
    blank = dict.fromkeys(("delta", "theta", "markPrice", "indexPrice", "openInterest"), "")
    zero = dict.fromkeys(("bidPrice", "bidSize", "bidIv", "lastPrice"), "0")
    messages = codec.decode(ticker(1_794_000_300_000, **blank, **zero), 5)
    greeks, told = (e for m in messages if isinstance(m, Data) for e in m.events)
    assert isinstance(greeks, Greeks)
    assert isinstance(told, Ticker)
    assert (greeks.bid_iv, greeks.delta, greeks.theta) == (None, None, None)
    assert (str(greeks.mark_iv), str(greeks.vega)) == ("0.52", "98.1")
    assert (told.last_price, told.bid_price, told.mark_price) == (None, None, None)
    worthless = codec.decode(ticker(1_794_000_300_100, markPrice="0"), 5)
    marks = [e for m in worthless if isinstance(m, Data) for e in m.events]
    assert [e.mark_price for e in marks if isinstance(e, MarkPrice)] == [0]


@pytest.mark.parametrize("field", ["delta", "markPriceIv", "underlyingPrice", "bidIv"])
def test_figures_that_are_none_are_malformed(field: str) -> None:
    for wrong in ("x", 5, "-1" if field != "delta" else "1e999999", "NaN"):
        with pytest.raises(DecodeError):
            watching(Channel.GREEKS).decode(ticker(1_794_000_300_000, **{field: wrong}), 5)


# --- trades -----------------------------------------------------------------------------------


def trade(native: str, price: str = "100", **changes: Any) -> dict[str, Any]:
    row = {"p": price, "v": "1", "i": "a-b", "T": 1_794_000_300_000, "BT": False, "s": native}
    return {**row, "S": "Buy", "seq": 7, **changes}


def trades(*rows: Any) -> bytes:
    frame = {"id": "x", "topic": "publicTrade.BTC", "ts": 1_794_000_300_001, "data": list(rows)}
    return json.dumps({**frame, "type": "snapshot"}).encode()


def answer(*done: str, failed: Sequence[str] = ()) -> bytes:
    data = {"failTopics": list(failed), "successTopics": list(done)}
    return json.dumps({"success": not failed, "data": data, "type": "COMMAND_RESP"}).encode()


def answered(codec: BybitCodec, frame: bytes) -> tuple[Message, ...]:
    return tuple(codec.decode(frame, 5))


def wanted(*natives: str) -> list[Subscription]:
    return [Subscription(Channel.TRADES, option(native)) for native in natives]


def test_trades_of_a_coin_are_shared_out_and_a_strange_one_takes_no_other_away() -> None:
    codec = BybitCodec()
    codec.subscribe(wanted(CALL, PUT), "1")
    messages = codec.decode(
        trades(trade(PUT), trade("BTC-26MAR27-1-C"), trade(CALL, "x"), trade(CALL, "101")), 5
    )
    one, left_out, two = messages
    assert isinstance(one, Data)
    assert isinstance(left_out, LeftOut)
    assert isinstance(two, Data)
    assert (one.topic, left_out.topic, two.topic) == (
        *(f"publicTrade.{PUT}", f"publicTrade.{CALL}", f"publicTrade.{CALL}"),
    )
    assert one.events[0].symbol == option(PUT).symbol
    (nobodys,) = codec.decode(trades(trade("BTC-26MAR27-1-C")), 5)
    assert isinstance(nobodys, Unrecognised)
    with pytest.raises(DecodeError):
        codec.decode(trades(7), 5)


def test_answers_name_the_coin_and_mean_what_each_request_asked_for() -> None:
    codec = BybitCodec()
    assert json.loads(str(codec.subscribe(wanted(CALL, PUT), "1")))["args"] == ["publicTrade.BTC"]
    codec.subscribe(wanted("BTC-25DEC26-80000-P"), "2")
    codec.subscribe(wanted(OTHER), "3")
    assert answered(codec, answer("publicTrade.BTC")) == (
        Ack(None, (f"publicTrade.{CALL}", f"publicTrade.{PUT}")),
    )
    assert answered(codec, answer(failed=["publicTrade.ETH"])) == (
        Refused(None, "", "refused, without a reason", (f"publicTrade.{OTHER}",)),
    )
    assert answered(codec, answer("publicTrade.BTC")) == (
        Ack(None, ("publicTrade.BTC-25DEC26-80000-P",)),
    )


def test_a_coin_that_is_heard_already_is_no_refusal() -> None:
    codec = BybitCodec()
    codec.subscribe(wanted(CALL), "1")
    answered(codec, answer("publicTrade.BTC"))
    codec.subscribe(wanted(PUT), "2")
    again = answer(failed=["publicTrade.BTC"])
    assert answered(codec, again) == (Ack(None, (f"publicTrade.{PUT}",)),)
    codec.unsubscribe(wanted(CALL, PUT), "3")
    answered(codec, answer("publicTrade.BTC"))
    codec.subscribe(wanted(CALL), "4")
    (refused,) = answered(codec, again)
    assert isinstance(refused, Refused)


def test_the_last_option_that_is_given_up_ends_the_trades_of_its_coin() -> None:
    codec = BybitCodec()
    codec.subscribe(wanted(CALL, PUT), "1")
    codec.decode(answer("publicTrade.BTC"), 5)
    kept = json.loads(str(codec.unsubscribe(wanted(CALL), "2")))
    assert (kept["op"], kept["args"]) == ("subscribe", ["publicTrade.BTC"])
    assert answered(codec, answer("publicTrade.BTC")) == (Ack(None, (f"publicTrade.{CALL}",)),)
    assert said(codec.decode(trades(trade(PUT), trade(CALL)), 5)) == ["trade"]
    ended = json.loads(str(codec.unsubscribe(wanted(PUT), "3")))
    assert (ended["op"], ended["args"]) == ("unsubscribe", ["publicTrade.BTC"])
    assert answered(codec, answer("publicTrade.BTC")) == (Ack(None, (f"publicTrade.{PUT}",)),)
    (late,) = codec.decode(trades(trade(PUT)), 5)
    assert isinstance(late, Unrecognised)


def test_what_nobody_else_wants_ends_though_the_trades_of_the_coin_are_wanted_still() -> None:
    codec = BybitCodec()
    book = Subscription(Channel.BOOK, option(CALL), depth=25)
    codec.subscribe([*wanted(CALL, PUT), book], "1")
    codec.decode(answer("publicTrade.BTC", f"orderbook.25.{CALL}"), 5)
    ended = json.loads(str(codec.unsubscribe([*wanted(CALL), book], "2")))
    assert (ended["op"], ended["args"]) == ("unsubscribe", [f"orderbook.25.{CALL}"])
    (done,) = answered(codec, answer(f"orderbook.25.{CALL}"))
    assert isinstance(done, Ack)
    assert set(done.topics or ()) == {f"orderbook.25.{CALL}", f"publicTrade.{CALL}"}
    assert said(codec.decode(trades(trade(PUT), trade(CALL)), 5)) == ["trade"]
    # What is subscribed to again is meant by its own answer alone.
    codec.subscribe([book], "3")
    assert answered(codec, answer(f"orderbook.25.{CALL}")) == (
        Ack(None, (f"orderbook.25.{CALL}",)),
    )


def test_what_happened_to_quiet_options_is_asked_by_coin() -> None:
    for channel in (Channel.TRADES, Channel.BOOK):
        question = Bybit().activity(Subscription(channel, option(OTHER), depth=25))
        assert question == GetActivity(Market.OPTION, channel, "ETH")
        request = Bybit.endpoints[GetActivity].encode(question, None)
        assert dict(request.query) == {"category": "option", "baseCoin": "ETH"}
