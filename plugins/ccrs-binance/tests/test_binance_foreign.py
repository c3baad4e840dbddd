"""Recordings made by other programs name their streams, and show by their form whose they are."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import pytest
from ccrs_binance import Binance
from ccrs_binance.foreign import instrument_of, subscriptions_in

from ccrs_core import Channel, Data, Market, Subscription, Unrecognised

SAMPLES = importlib.resources.files("ccrs_binance") / "samples" / "streams"


def frame(stream: str, **data: Any) -> bytes:
    return json.dumps({"stream": stream, "data": data}).encode()


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("spot", Market.SPOT),
        ("usdm-public", Market.LINEAR),
        ("usdm-market", Market.LINEAR),
        ("coinm-public", Market.INVERSE),
        ("coinm-market", Market.INVERSE),
    ],
)
def test_the_market_of_a_recording_is_guessed_from_its_frames(name: str, market: Market) -> None:
    frames = (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()
    found = subscriptions_in(frames, None)
    assert {sub.instrument.market for sub in found} == {market}
    exchange = Binance()
    codec = exchange.codec(exchange.route(found[0]))
    codec.subscribe(found, "1")
    topics = {m.topic for f in frames for m in codec.decode(f, 1) if isinstance(m, Data)}
    assert topics == {codec.topic(sub) for sub in found}


def test_the_users_word_about_the_market_counts() -> None:
    kline = frame("ethusdt@kline_1h", e="kline")
    (sub,) = subscriptions_in([kline, kline], Market.LINEAR)
    assert sub.symbol == "ETH/USDT:USDT"
    assert (sub.channel, sub.interval) == (Channel.CANDLES, "1h")
    (sub,) = subscriptions_in([kline], None)
    assert sub.symbol == "ETH/USDT"


def test_coin_margined_symbols_are_known_whatever_else_a_recording_holds() -> None:
    streams = ("ethusdt@trade", "btcusd_perp@trade", "ethusd_261225@trade")
    found = subscriptions_in([frame(stream, e="trade") for stream in streams], Market.LINEAR)
    assert [sub.symbol for sub in found] == ["ETH/USDT:USDT", "BTC/USD:BTC", "ETH/USD:ETH-261225"]


def test_coin_margined_symbols_say_nothing_of_the_others_market() -> None:
    change = frame("btcusd_perp@depth@100ms", e="depthUpdate", pu=1)
    found = subscriptions_in([change, change, frame("ethusdt@kline_1h", e="kline")], None)
    assert [sub.symbol for sub in found] == ["BTC/USD:BTC", "ETH/USDT"]


@pytest.mark.parametrize("speed", ["", "@0ms", "@100ms", "@250ms", "@500ms", "@1000ms"])
def test_books_of_every_speed_are_read(speed: str) -> None:
    fields = {"e": "depthUpdate", "E": 1764364800002, "s": "XRPUSDT", "U": 5, "u": 6}
    change = frame(f"xrpusdt@depth{speed}", **fields, b=[["1", "2"]], a=[])
    (sub,) = subscriptions_in([change], None)
    assert sub == Subscription(Channel.BOOK, sub.instrument, depth=1000)
    assert sub.symbol == "XRP/USDT"
    codec = Binance().codec(Binance().route(sub))
    codec.subscribe([sub], "1")
    (data,) = codec.decode(change, 1)
    assert isinstance(data, Data)
    assert data.sequence == 6


def test_what_belongs_to_no_stream_is_passed_over() -> None:
    frames = [b"", b"[]", b'{"result":null,"id":1}', frame("!ticker@arr"), frame("btcusdt@new")]
    assert subscriptions_in(frames, None) == ()


@pytest.mark.parametrize(
    ("native", "market"),
    [("", Market.SPOT), ("USDT", Market.SPOT), ("XYZ", Market.LINEAR),
     ("BTCUSDT_261225", Market.SPOT), ("BTCUSDT_261332", Market.LINEAR),
     ("BTCUSDT", Market.INVERSE), ("BTCUSD", Market.INVERSE), ("USD_PERP", Market.INVERSE)],
)  # fmt: skip
def test_what_looks_like_no_instrument_is_left_out(native: str, market: Market) -> None:
    assert instrument_of(native, market) is None


TRADE = {"e": "trade", "E": 1794000000001, "T": 1794000000000, "s": "BTCUSDT", "t": 5}
TRADED = {"p": "10.5", "q": "2", "m": True}
SINGLE = frame("btcusdt@trade", **TRADE, **TRADED)
AGGREGATE = frame("btcusdt@aggTrade", e="aggTrade", E=1794000000001, T=1794000000000, a=9, **TRADED)


def played(frames: list[bytes], market: Market | None = None) -> tuple[list[Any], list[str]]:
    """The events of frames, by what is guessed of them, and what the others are called."""
    events: list[Any] = []
    others: list[str] = []
    exchange = Binance()
    codecs: dict[str, Any] = {}
    for sub in subscriptions_in(frames, market):
        route = exchange.route(sub)
        codecs.setdefault(route.url, exchange.codec(route)).subscribe([sub], "1")
    for each in frames:
        messages = [m for codec in codecs.values() for m in codec.decode(each, 1)]
        found = [event for m in messages if isinstance(m, Data) for event in m.events]
        events += found
        others += [m.what for m in messages if isinstance(m, Unrecognised)][: not found]
    return events, others


@pytest.mark.parametrize("market", [Market.SPOT, Market.LINEAR])
@pytest.mark.parametrize("frames", [[SINGLE], [AGGREGATE]], ids=["trade", "aggTrade"])
def test_trades_are_read_singly_or_aggregated(market: Market, frames: list[bytes]) -> None:
    (trade,), others = played(frames, market)
    assert (str(trade.price), str(trade.size), trade.side.value) == ("10.5", "2", "sell")
    assert trade.trade_id == ("5" if frames == [SINGLE] else "9")
    assert not others


@pytest.mark.parametrize("market", [Market.SPOT, Market.LINEAR])
def test_what_says_the_same_is_read_once(market: Market) -> None:
    """The stream that comes first counts; the other one is named."""
    for one, other, name in ((SINGLE, AGGREGATE, "aggTrade"), (AGGREGATE, SINGLE, "trade")):
        events, others = played([one, other, one, other], market)
        assert len(events) == 2
        assert len({event.trade_id for event in events}) == 1
        assert others == [f"stream btcusdt@{name}"] * 2


def test_a_book_of_two_speeds_is_read_once() -> None:
    fields = {"e": "depthUpdate", "E": 1764364800002, "s": "XRPUSDT", "b": [["1", "2"]], "a": []}
    quick = [frame("xrpusdt@depth@100ms", **fields, U=n, u=n) for n in (5, 6)]
    slow = frame("xrpusdt@depth", **fields, U=5, u=6)
    events, others = played([*quick, slow])
    assert [event.sequence for event in events] == [5, 6]
    assert others == ["stream xrpusdt@depth"]


@pytest.mark.parametrize(
    ("stream", "data", "market"),
    [
        ("trade", {**TRADE, **TRADED, "X": "MARKET"}, Market.LINEAR),
        ("trade", {**TRADE, **TRADED, "M": True}, Market.SPOT),
        ("aggTrade", TRADED, Market.LINEAR),
        ("aggTrade", {**TRADED, "M": True}, Market.SPOT),
        ("depth@100ms", {"U": 1, "u": 2, "pu": 0}, Market.LINEAR),
        ("depth@100ms", {"U": 1, "u": 2}, Market.SPOT),
        ("ticker", {"c": "1"}, Market.LINEAR),
        ("ticker", {"c": "1", "b": "1"}, Market.SPOT),
        ("bookTicker", {"st": 1}, Market.LINEAR),
    ],
)
def test_fields_prove_the_market_of_their_stream_against_a_majority(
    stream: str, data: dict[str, Any], market: Market
) -> None:
    other = (
        frame("ethusdt@depth", U=1, u=2)
        if market is Market.LINEAR
        else frame("ethusdt@depth", U=1, u=2, pu=0)
    )
    found = subscriptions_in([other] * 5 + [frame(f"btcusdt@{stream}", **data)], None)
    assert [s.instrument.market for s in found if s.instrument.native == "BTCUSDT"] == [market]


@pytest.mark.parametrize("speed", ["", "@1s", "@3s"])
def test_mark_prices_of_every_speed_bring_index_prices_and_funding_rates_too(speed: str) -> None:
    mark = {"e": "markPriceUpdate", "E": 1794000000000, "p": "10", "i": "10", "r": "0.0001"}
    events, others = played([frame(f"btcusdt@markPrice{speed}", **mark, T=1794000060000)])
    assert {event.type for event in events} == {"mark_price", "index_price", "funding"}
    assert not others
    dated = frame(f"btcusdt_261225@markPrice{speed}", **{**mark, "r": ""}, T=0)
    guessed = [sub.channel for sub in subscriptions_in([dated], None)]
    assert guessed == [Channel.MARK_PRICE, Channel.INDEX_PRICE]


def test_what_spot_has_not_is_not_guessed_of_it() -> None:
    assert (
        subscriptions_in([frame("btcusdt@markPrice"), frame("btcusdt@forceOrder")], Market.SPOT)
        == ()
    )
