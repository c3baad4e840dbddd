"""Recordings made by other programs name their topics, and show by their form whose they are."""

from __future__ import annotations

import importlib.resources
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.foreign import instrument_of, subscriptions_in
from ccrs_bybit.options import IN_TICKERS
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Channel, Data, Market, Subscription
from ccrs_core.recordings.replay import Replay

SAMPLES = importlib.resources.files("ccrs_bybit") / "samples" / "streams"


@pytest.mark.parametrize("market", list(Market))
def test_the_market_of_a_recording_is_guessed_from_its_frames(market: Market) -> None:
    frames = (SAMPLES / f"{market.value}.jsonl").read_bytes().splitlines()
    found = subscriptions_in(frames, None)
    assert {sub.instrument.market for sub in found} == {market}
    exchange = Bybit()
    codec = exchange.codec(exchange.route(found[0]))
    codec.subscribe(found, "1")
    topics = {m.topic for f in frames for m in codec.decode(f, 1) if isinstance(m, Data)}
    assert topics == {codec.topic(sub) for sub in found}


def test_the_users_word_about_the_market_counts() -> None:
    frame = json.dumps({"topic": "kline.60.ETHUSDT", "data": [], "ts": 1}).encode()
    (sub,) = subscriptions_in([frame, frame], Market.LINEAR)
    assert sub.symbol == "ETH/USDT:USDT"
    assert (sub.channel, sub.interval) == (Channel.CANDLES, "1h")
    (sub,) = subscriptions_in([frame], None)
    assert sub.symbol == "ETH/USDT"


def test_depths_that_are_offered_no_longer_are_still_read() -> None:
    frame = (
        b'{"topic":"orderbook.500.XRPUSDT","type":"snapshot","ts":1764364800000,'
        b'"data":{"s":"XRPUSDT","b":[["1","2"]],"a":[],"u":5,"seq":6},"cts":1764364800000}'
    )
    (sub,) = subscriptions_in([frame], None)
    assert sub == Subscription(Channel.BOOK, sub.instrument, depth=500)
    assert sub.symbol == "XRP/USDT:USDT"
    codec = Bybit().codec(Bybit().route(sub))
    codec.subscribe([sub], "1")
    (data,) = codec.decode(frame, 1)
    assert isinstance(data, Data)
    assert data.sequence == 5


def test_a_ticker_holds_funding_rates_and_mark_prices_too() -> None:
    def channels(topic: str, market: Market) -> set[Channel]:
        return {
            s.channel for s in subscriptions_in([json.dumps({"topic": topic}).encode()], market)
        }

    assert channels("tickers.BTCUSDT", Market.SPOT) == {Channel.TICKER}
    dated = {Channel.TICKER, Channel.MARK_PRICE, Channel.INDEX_PRICE, Channel.OPEN_INTEREST}
    everything = dated | {Channel.FUNDING}
    assert channels("tickers.BTCUSDT", Market.LINEAR) == everything
    assert channels("tickers.BTCUSD", Market.INVERSE) == everything
    # Nobody pays for holding what has an end.
    assert channels("tickers.BTC-25DEC26", Market.LINEAR) == dated


def test_what_is_not_read_of_options_ends_no_replay_of_the_rest(tmp_path: Path) -> None:
    option = "ABC-25DEC26-100-C"
    topics = [
        *(f"publicTrade.{option}", "publicTrade.ABC", f"orderbook.25.{option}"),
        *(f"orderbook.1.{option}", f"kline.1.{option}", f"tickers.{option}", "tickers.BTCUSDT"),
    ]
    frames = [json.dumps({"topic": topic, "data": {}}).encode() for topic in topics]
    found = subscriptions_in(frames, None)
    of_option = [s for s in found if s.instrument.native == option]
    assert {s.channel for s in of_option} == {*IN_TICKERS, Channel.BOOK}
    linear = (SAMPLES / "linear.jsonl").read_bytes().splitlines()
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b"\n".join([*linear, *frames]))
    kinds = {type(e).__name__ for s in Replay("bybit", path).steps() for e in s.events}
    assert kinds >= {"Trade", "TopOfBook", "BookUpdate", "Ticker", "Funding", "MarkPrice"}


def test_trades_of_a_coins_options_are_those_of_the_options_in_them() -> None:
    names = ["BTC-25DEC26-100-C", "BTC-25DEC26-200-P-USDT"]
    rows = [{"s": name} for name in [*names, names[0]]]
    frame = json.dumps({"id": "x", "topic": "publicTrade.BTC", "data": [*rows, 7, {}]}).encode()
    found = subscriptions_in([frame], None)
    assert [(s.channel, s.instrument.native) for s in found] == [
        (Channel.TRADES, name) for name in names
    ]


symbols = st.sampled_from(["BTCUSDT", "BTCPERP", "BTCUSDH26", "BTC-25DEC26", "BTC-25DEC26-1-C"])
kinds = st.sampled_from(
    ["publicTrade.", "tickers.", "allLiquidation.", "kline.1.", "kline.7.", "orderbook.1."]
    + [f"orderbook.{depth}." for depth in ("25", "50", "0", "007", "rpi", "full", "1" * 30)]
)


@given(st.lists(st.tuples(kinds, symbols), max_size=8), st.sampled_from([None, *Market]))
def test_what_is_guessed_has_a_route_and_is_the_topic_of_its_frame(
    named: list[tuple[str, str]], market: Market | None
) -> None:
    exchange = Bybit()
    topics = [kind + symbol for kind, symbol in named]
    for sub in subscriptions_in(
        [json.dumps({"topic": topic}).encode() for topic in topics], market
    ):
        codec = exchange.codec(exchange.route(sub))
        assert codec.topic(sub) in topics


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
