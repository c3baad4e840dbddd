"""What the conformance suite can't know to be malformed, since it doesn't know Binance's frames."""

from __future__ import annotations

import contextlib
import importlib.resources
import json

import pytest
from ccrs_binance.codec import BinanceCodec
from ccrs_binance.foreign import subscriptions_in
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Codec, DecodeError, Market

STREAMS = importlib.resources.files("ccrs_binance") / "samples" / "streams"


def codec_for(name: str, market: Market) -> Codec:
    codec = BinanceCodec()
    codec.subscribe(
        subscriptions_in((STREAMS / f"{name}.jsonl").read_bytes().splitlines(), market), "1"
    )
    return codec


@pytest.mark.parametrize(
    "frame",
    [
        b'{"stream":NaN}',
        b'{"stream":[1]}',
        b'{"stream":{"a":1}}',
        b'{"stream":"ethusdt@trade"}',
        b'{"stream":"ethusdt@trade","data":[]}',
        b'{"stream":"!ticker@arr","data":[{}]}',
        b'{"error":[],"id":7}',
        b'{"error":{"code":{}},"id":{}}',
        b'{"result":null,"id":[]}',
        b'{"result":null}',
        b'{"e":[]}',
        b'{"data":{"e":"serverShutdown"}}',
        b"[]",
        b"null",
        b"7",
    ],
)
def test_malformed_answers_and_streams_are_survived(frame: bytes) -> None:
    codec = codec_for("spot", Market.SPOT)
    codec.peek(frame)
    with contextlib.suppress(DecodeError):
        codec.decode(frame, 1)


SPOT_TOP = b'{"u":5,"s":"ETHUSDT","b":%s,"B":"1","a":"9","A":"1"}'
FUTURES_TOP = (
    b'{"e":"bookTicker","u":5,"s":"ETHUSDT","b":%s,"B":"1","a":"9","A":"1","T":1794000123005,'
    b'"E":1794000123006}'
)
TOPS = [("spot", Market.SPOT, SPOT_TOP), ("usdm-public", Market.LINEAR, FUTURES_TOP)]


@pytest.mark.parametrize(("name", "market", "data"), TOPS, ids=["spot", "linear"])
def test_a_price_that_is_no_plausible_number_is_refused(
    name: str, market: Market, data: bytes
) -> None:
    codec = codec_for(name, market)
    frame = b'{"stream":"ethusdt@bookTicker","data":%s}' % data
    assert codec.decode(frame % b'"12.5"', 1)
    for price in (b'"NaN"', b'"sNaN"', b'"Infinity"', b'"1e70"', b"12.5", b"12", b"null", b'""'):
        with pytest.raises(DecodeError):
            codec.decode(frame % price, 1)


@pytest.mark.parametrize("time", [b"-1", b"1e12", b"true", b"null", b"99999999999999999", b'"x"'])
def test_a_trade_at_an_impossible_time_is_refused(time: bytes) -> None:
    frame = (
        b'{"stream":"ethusdt@trade","data":{"e":"trade","E":1,"s":"ETHUSDT","t":5,"p":"1","q":"1",'
        b'"T":%s,"m":true,"M":true}}'
    )
    codec = codec_for("spot", Market.SPOT)
    assert codec.decode(frame % b"1794000123011", 1)
    with pytest.raises(DecodeError):
        codec.decode(frame % time, 1)


def test_guessing_survives_anything() -> None:
    @given(st.lists(st.binary(max_size=60)), st.sampled_from([None, Market.SPOT, Market.LINEAR]))
    def check(frames: list[bytes], market: Market | None) -> None:
        subscriptions_in(frames, market)

    check()
    natives = st.text("ABCUSDT-_.26789Z", max_size=25)
    kinds = st.sampled_from(["depth", "depth5@100ms", "kline_1m", "ticker", "trade", "x@y"])

    @given(kinds, natives, st.sampled_from([None, Market.SPOT, Market.LINEAR]))
    def named(kind: str, native: str, market: Market | None) -> None:
        frame = {"stream": f"{native.lower()}@{kind}", "data": {}}
        for sub in subscriptions_in([json.dumps(frame).encode()], market):
            assert market in {None, sub.instrument.market}

    named()
