"""What the conformance suite can't know to be malformed, since it doesn't know Bybit's frames."""

from __future__ import annotations

import contextlib
import importlib.resources
import json

import pytest
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import subscriptions_in
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Codec, DecodeError, Market

STREAMS = importlib.resources.files("ccrs_bybit") / "samples" / "streams"


def codec_for(market: Market) -> Codec:
    codec = BybitCodec()
    frames = (STREAMS / f"{market.value}.jsonl").read_bytes().splitlines()
    codec.subscribe(subscriptions_in(frames, market), "1")
    return codec


def survives(codec: Codec, frame: bytes) -> None:
    codec.peek(frame)
    with contextlib.suppress(DecodeError):
        codec.decode(frame, 1)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"topic":NaN}',
        b'{"topic":[1]}',
        b'{"topic":{"a":1}}',
        b'{"topic":"orderbook.1.BTCUSDT"}',
        b'{"op":["subscribe"],"success":false}',
        b'{"type":"COMMAND_RESP"}',
        b'{"type":"COMMAND_RESP","data":{"successTopics":[1]}}',
        b'{"type":"COMMAND_RESP","data":[]}',
        b'{"success":true,"op":"subscribe","req_id":7}',
    ],
)
def test_malformed_answers_and_topics_are_survived(frame: bytes) -> None:
    survives(codec_for(Market.SPOT), frame)


def test_a_price_that_is_no_plausible_number_is_refused() -> None:
    codec = codec_for(Market.SPOT)
    frame = (
        b'{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1764364800000,"data":{"s":"BTCUSDT",\
"b":[[%s,"1"]],"a":[],"u":5,"seq":5}}'
    )
    assert codec.decode(frame % b'"12.5"', 1)
    for price in (b'"NaN"', b'"sNaN"', b'"Infinity"', b'"1e70"', b"12.5", b"12", b"null", b'""'):
        with pytest.raises(DecodeError):
            codec.decode(frame % price, 1)


def test_guessing_survives_anything() -> None:
    @given(st.lists(st.binary(max_size=60)), st.sampled_from([None, *Market]))
    def check(frames: list[bytes], market: Market | None) -> None:
        subscriptions_in(frames, market)

    check()
    natives = st.text("ABCUSDT-.PERPH26789Z", max_size=25)
    kinds = st.sampled_from(["orderbook.1", "orderbook.x", "kline.1", "tickers", "publicTrade"])

    @given(kinds, natives, st.sampled_from([None, *Market]))
    def named(kind: str, native: str, market: Market | None) -> None:
        for sub in subscriptions_in([json.dumps({"topic": f"{kind}.{native}"}).encode()], market):
            assert market in {None, sub.instrument.market}

    named()
