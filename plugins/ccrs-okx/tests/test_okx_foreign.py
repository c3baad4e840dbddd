"""Recordings made by other programs name their channels and instruments."""

from __future__ import annotations

import importlib.resources
import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import INTERVALS
from ccrs_okx.foreign import instrument_of, subscriptions_in

from ccrs_core import Channel, Data, Market, OptionKind, SizeUnit, Subscription, market_of

SAMPLES = importlib.resources.files("ccrs_okx") / "samples" / "streams"


def frame(channel: str, native: str, *rows: Any, **more: Any) -> bytes:
    arg = {"channel": channel, "instId": native}
    return json.dumps({"arg": arg, **more, "data": list(rows)}).encode()


@pytest.mark.parametrize(
    "name", ["books", "business", "public", "liquidations-swap", "liquidations-futures"]
)
def test_all_frames_of_a_recording_find_their_subscription(name: str) -> None:
    frames = (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()
    found = subscriptions_in(frames, None)
    exchange = Okx()
    codec = exchange.codec(exchange.route(found[0]))
    codec.subscribe(found, "1")
    topics = {m.topic for f in frames for m in codec.decode(f, 1) if isinstance(m, Data)}
    # Candles of Hong Kong's days and the like are nobody's.
    assert topics
    assert topics <= {codec.topic(sub) for sub in found}
    assert len(set(found)) == len(found)
    for market in Market:
        assert subscriptions_in(frames, market) == tuple(
            s for s in found if s.instrument.market is market
        )


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTC-USDT", "BTC/USDT"),
        ("1INCH-BTC", "1INCH/BTC"),
        ("BTC-USDT-SWAP", "BTC/USDT:USDT"),
        ("BTC-USDC-SWAP", "BTC/USDC:USDC"),
        ("BTC-USD-SWAP", "BTC/USD:BTC"),
        ("BTC-USDT-261225", "BTC/USDT:USDT-261225"),
        ("ETH-USD-261225", "ETH/USD:ETH-261225"),
        ("ETH-USD_UM-261225", "ETH/USD:USD-261225"),
        ("BTC-USD_UM_XPERP-310404", "BTC/USD:USD"),
        ("BTC-USD_UM-261225-100000-C", "BTC/USD:USD-261225-100000-C"),
        ("BTC-USD-261225-100000-C", "BTC/USD:BTC-261225-100000-C"),
    ],
)
def test_native_symbols_show_what_they_name(native: str, symbol: str) -> None:
    found = instrument_of(native)
    assert found is not None
    assert (found.symbol, found.native) == (symbol, native)
    assert found.market is market_of(symbol)
    unit = SizeUnit.BASE if found.market is Market.SPOT else SizeUnit.CONTRACTS
    assert found.size_unit is unit, "frames don't tell what a contract is worth"
    assert (found.quote_per_contract, found.base_per_native_contract) == (None, None)


def test_a_put_has_its_strike_and_expires_in_the_morning() -> None:
    found = instrument_of("ETH-USD-261225-3900.5-P")
    assert found is not None
    assert (found.strike, found.option_kind) == (Decimal("3900.5"), OptionKind.PUT)
    assert found.expiry_ns == 1_798_185_600 * 10**9  # 2026-12-25 08:00 UTC


@pytest.mark.parametrize(
    "native",
    ["", "BTC", "BTC-", "-USDT", "BTC-USDT-", "BTC-USDT-PERP", "BTC-USDT-261332", "BTC-USDT-2612",
     "BTC-USD_UM", "BTC-USD_X-261225", "BTC-USD-261225-1-X",
     "BTC-USD-261225-.-C", "BTC-USD-261225--C", "BTC/X-USDT", "A-B-SWAP-C"],
)  # fmt: skip
def test_what_looks_like_no_instrument_is_left_out(native: str) -> None:
    assert instrument_of(native) is None
    assert subscriptions_in([frame("books", native)], None) == ()


@pytest.mark.parametrize(
    ("channel", "depth"),
    [("books", 400), ("books-l2-tbt", 400), ("books50-l2-tbt", 50), ("books5", 5)],
)
def test_books_of_every_depth_are_read(channel: str, depth: int) -> None:
    row = {"asks": [], "bids": [["1", "2", "0", "1"]], "ts": "1794000000000", "seqId": 6}
    change = frame(channel, "XRP-USDT", {**row, "prevSeqId": 5}, action="update")
    (sub,) = subscriptions_in([change, change], None)
    assert sub == Subscription(Channel.BOOK, sub.instrument, depth=depth)
    codec = Okx().codec(Okx().route(sub))
    codec.subscribe([sub], "1")
    (data,) = codec.decode(change, 1)
    assert isinstance(data, Data)
    assert (data.sequence, data.events[0].symbol) == (6, "XRP/USDT")


def test_candles_are_those_of_utc_and_aggregated_trades_are_trades() -> None:
    for interval, native in INTERVALS.items():
        (sub,) = subscriptions_in([frame(f"candle{native}", "BTC-USDT")], None)
        assert (sub.channel, sub.interval) == (Channel.CANDLES, interval)
    for other in ("candle1D", "candle12H", "candle1W", "candle1M", "candle", "candle7m", "1m"):
        assert subscriptions_in([frame(other, "BTC-USDT")], None) == ()
    for name in ("trades", "trades-all"):
        (sub,) = subscriptions_in([frame(name, "BTC-USDT")], None)
        assert sub.channel is Channel.TRADES


def test_the_instruments_of_a_type_are_those_that_are_liquidated() -> None:
    rows: list[Any] = [
        {"instId": native, "details": []} for native in ("BTC-USDT-SWAP", "ETH-USD-SWAP", "?")
    ]
    message = {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": rows}
    found = subscriptions_in([json.dumps(message).encode()], None)
    assert [sub.symbol for sub in found] == ["BTC/USDT:USDT", "ETH/USD:ETH"]
    assert {sub.channel for sub in found} == {Channel.LIQUIDATIONS}


@pytest.mark.parametrize("native", ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD_UM-261225-100000-C"])
def test_what_is_guessed_has_a_route_and_is_offered(native: str) -> None:
    names = ["bbo-tbt", "trades", "books", "tickers", "candle1m", "funding-rate", "mark-price"]
    liquidated = {"arg": {"channel": "liquidation-orders", "instType": "MARGIN"}, "data": [
        {"instId": native, "details": []}
    ]}  # fmt: skip
    frames = [*(frame(name, native) for name in names), json.dumps(liquidated).encode()]
    exchange = Okx()
    for sub in subscriptions_in(frames, None):
        assert sub.channel in exchange.capabilities.channels[sub.instrument.market]
        codec = exchange.codec(exchange.route(sub))
        assert codec.subscribe([sub], "1")


def test_what_belongs_to_no_channel_is_passed_over() -> None:
    other = [frame("index-tickers", "BTC-USDT"), frame("orders", "BTC-USDT")]
    event = b'{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}'
    assert subscriptions_in([b"", b"[]", b"7", b"pong", event, *other], None) == ()
