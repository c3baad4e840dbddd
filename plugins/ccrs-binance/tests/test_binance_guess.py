"""Recordings made by other programs name their streams, and show by their form whose they are."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

import pytest
from ccrs_binance import Binance
from ccrs_binance.guess import guess, instrument_of

from ccrs_core.codec import Data
from ccrs_core.model import Channel, Market, Subscription

SAMPLES = importlib.resources.files("ccrs_binance") / "samples" / "streams"


def frame(stream: str, **data: Any) -> bytes:
    return json.dumps({"stream": stream, "data": data}).encode()


@pytest.mark.parametrize(
    ("name", "market"),
    [
        ("spot", Market.SPOT),
        ("usdm-public", Market.LINEAR),
        ("usdm-market", Market.LINEAR),
        ("coinm", Market.INVERSE),
    ],
)
def test_the_market_of_a_recording_is_guessed_from_its_frames(name: str, market: Market) -> None:
    frames = (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()
    found = guess(frames, None)
    assert {sub.instrument.market for sub in found} == {market}
    exchange = Binance()
    codec = exchange.codec(exchange.route(found[0]))
    codec.subscribe(found, "1")
    topics = {m.topic for f in frames for m in codec.decode(f, 1) if isinstance(m, Data)}
    assert topics == {codec.topic(sub) for sub in found}


def test_the_users_word_about_the_market_counts() -> None:
    kline = frame("ethusdt@kline_1h", e="kline")
    (sub,) = guess([kline, kline], Market.LINEAR)
    assert sub.symbol == "ETH/USDT:USDT"
    assert (sub.channel, sub.interval) == (Channel.CANDLES, "1h")
    (sub,) = guess([kline], None)
    assert sub.symbol == "ETH/USDT"


def test_coin_margined_symbols_are_known_whatever_else_a_recording_holds() -> None:
    streams = ("ethusdt@trade", "btcusd_perp@trade", "ethusd_261225@trade")
    found = guess([frame(stream, e="trade") for stream in streams], Market.LINEAR)
    assert [sub.symbol for sub in found] == ["ETH/USDT:USDT", "BTC/USD:BTC", "ETH/USD:ETH-261225"]


def test_coin_margined_symbols_say_nothing_of_the_others_market() -> None:
    change = frame("btcusd_perp@depth@100ms", e="depthUpdate", pu=1)
    found = guess([change, change, frame("ethusdt@kline_1h", e="kline")], None)
    assert [sub.symbol for sub in found] == ["BTC/USD:BTC", "ETH/USDT"]


@pytest.mark.parametrize("speed", ["", "@0ms", "@100ms", "@250ms", "@500ms", "@1000ms"])
def test_books_of_every_speed_are_read(speed: str) -> None:
    fields = {"e": "depthUpdate", "E": 1764364800002, "s": "XRPUSDT", "U": 5, "u": 6}
    change = frame(f"xrpusdt@depth{speed}", **fields, b=[["1", "2"]], a=[])
    (sub,) = guess([change], None)
    assert sub == Subscription(Channel.BOOK, sub.instrument, depth=1000)
    assert sub.symbol == "XRP/USDT"
    codec = Binance().codec(Binance().route(sub))
    codec.subscribe([sub], "1")
    (data,) = codec.decode(change, 1)
    assert isinstance(data, Data)
    assert data.sequence == 6


def test_what_belongs_to_no_stream_is_passed_over() -> None:
    frames = [b"", b"[]", b'{"result":null,"id":1}', frame("!ticker@arr"), frame("btcusdt@new")]
    assert guess(frames, None) == ()


@pytest.mark.parametrize(
    ("native", "market"),
    [("", Market.SPOT), ("USDT", Market.SPOT), ("XYZ", Market.LINEAR),
     ("BTCUSDT_261225", Market.SPOT), ("BTCUSDT_261332", Market.LINEAR),
     ("BTCUSDT", Market.INVERSE), ("BTCUSD", Market.INVERSE), ("USD_PERP", Market.INVERSE)],
)  # fmt: skip
def test_what_looks_like_no_instrument_is_left_out(native: str, market: Market) -> None:
    assert instrument_of(native, market) is None
