"""Recordings made by other programs name their topics, and show by their form whose they are."""

from __future__ import annotations

import importlib.resources
import json
from datetime import UTC, datetime

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.guess import guess, instrument_of

from ccrs_core.codec import Data
from ccrs_core.model import Channel, Market, Subscription

SAMPLES = importlib.resources.files("ccrs_bybit") / "samples" / "streams"


@pytest.mark.parametrize("market", list(Market))
def test_the_market_of_a_recording_is_guessed_from_its_frames(market: Market) -> None:
    frames = (SAMPLES / f"{market.value}.jsonl").read_bytes().splitlines()
    found = guess(frames, None)
    assert {sub.instrument.market for sub in found} == {market}
    exchange = Bybit()
    codec = exchange.codec(exchange.route(found[0]))
    codec.subscribe(found, "1")
    topics = {m.topic for f in frames for m in codec.decode(f, 1) if isinstance(m, Data)}
    assert topics == {codec.topic(sub) for sub in found}


def test_the_users_word_about_the_market_counts() -> None:
    frame = json.dumps({"topic": "kline.60.ETHUSDT", "data": [], "ts": 1}).encode()
    (sub,) = guess([frame, frame], Market.LINEAR)
    assert sub.symbol == "ETH/USDT:USDT"
    assert (sub.channel, sub.interval) == (Channel.CANDLES, "1h")
    (sub,) = guess([frame], None)
    assert sub.symbol == "ETH/USDT"


def test_depths_that_are_offered_no_longer_are_still_read() -> None:
    frame = (
        b'{"topic":"orderbook.500.XRPUSDT","type":"snapshot","ts":1,'
        b'"data":{"s":"XRPUSDT","b":[["1","2"]],"a":[],"u":5,"seq":6},"cts":1}'
    )
    (sub,) = guess([frame], None)
    assert sub == Subscription(Channel.BOOK, sub.instrument, depth=500)
    assert sub.symbol == "XRP/USDT:USDT"
    codec = Bybit().codec(Bybit().route(sub))
    codec.subscribe([sub], "1")
    (data,) = codec.decode(frame, 1)
    assert isinstance(data, Data)
    assert data.sequence == 5


def test_inverse_futures_are_delivered_on_the_last_friday_of_their_month() -> None:
    for native, date in (("BTCUSDZ26", (2026, 12, 25)), ("ETHUSDH26", (2026, 3, 27))):
        instrument = instrument_of(native, Market.INVERSE)
        assert instrument is not None
        expiry = int(datetime(*date, 8, tzinfo=UTC).timestamp()) * 10**9
        assert instrument.expiry_ns == expiry


@pytest.mark.parametrize(
    ("native", "market"),
    [("", Market.SPOT), ("USDT", Market.SPOT), ("XYZ", Market.LINEAR), ("BTCUSDT", Market.OPTION),
     ("BTC-99XXX99-1-C", Market.OPTION), ("BTC-1JAN26-1.2.3-C", Market.OPTION),
     ("BTC-31FEB26", Market.LINEAR)],
)  # fmt: skip
def test_what_looks_like_no_instrument_is_left_out(native: str, market: Market) -> None:
    assert instrument_of(native, market) is None
