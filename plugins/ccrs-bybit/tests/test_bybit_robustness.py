"""Whatever bytes arrive, decoding them raises ``DecodeError`` or nothing."""

from __future__ import annotations

import importlib.resources
import json
import random
from typing import Any

import attrs
import orjson
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.guess import guess
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.codec import Codec
from ccrs_core.errors import DecodeError
from ccrs_core.events import Event
from ccrs_core.model import Channel, Market, Subscription
from ccrs_core.rest import (
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    HttpResponse,
    Request,
)

SAMPLES = importlib.resources.files("ccrs_bybit") / "samples"
FRAMES = {
    market: (SAMPLES / "ws" / f"{market.value}.jsonl").read_bytes().splitlines()
    for market in Market
}
ODDITIES: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**63, "", "x", "NaN", "Infinity", "-1", "1e999999", "1e-999999",
    "\u0661", "1" * 400, [], [[]], [["1"]], [["1", "2", "3"]], {}, {"b": []}, "1_0", " 1",
]  # fmt: skip


def codec_for(market: Market) -> Codec:
    codec = BybitCodec()
    subs = list(guess(FRAMES[market], market))
    if market in {Market.LINEAR, Market.INVERSE}:
        instrument = subs[0].instrument
        subs += [Subscription(c, instrument) for c in (Channel.FUNDING, Channel.MARK_PRICE)]
    codec.subscribe(subs, "1")
    return codec


def survives(codec: Codec, frame: bytes) -> None:
    codec.peek(frame)
    try:
        messages = codec.decode(frame, 1)
    except DecodeError:
        return
    for message in messages:
        for event in getattr(message, "events", ()):
            assert isinstance(event, Event)
            assert float not in map(type, attrs.astuple(event, recurse=False))


def test_damaged_bytes_are_survived() -> None:
    @settings(max_examples=300)
    @given(st.sampled_from(list(Market)), st.data())
    def check(market: Market, data: st.DataObject) -> None:
        frame = bytearray(data.draw(st.sampled_from(FRAMES[market])))
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(frame)))
            match data.draw(st.sampled_from(["cut", "replace", "insert", "remove", "double"])):
                case "cut":
                    del frame[place:]
                case "replace":
                    frame[place : place + 1] = data.draw(st.binary(max_size=3))
                case "insert":
                    frame[place:place] = data.draw(st.binary(max_size=8))
                case "remove":
                    del frame[place : place + data.draw(st.integers(1, 20))]
                case _:
                    frame[place:place] = frame[place : place + 40]
        survives(codec_for(market), bytes(frame))

    check()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            found += places(item, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


@pytest.mark.parametrize("market", list(Market))
def test_every_value_of_every_frame_may_be_of_the_wrong_kind(market: Market) -> None:
    draw = random.Random(7)
    for frame in FRAMES[market]:
        message = orjson.loads(frame)
        paths = places(message)
        for path in draw.sample(paths, min(25, len(paths))):
            for oddity in ODDITIES:
                text = json.dumps(replaced(message, path, oddity)).encode()
                survives(codec_for(market), text)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"pong",
        b"null",
        b"[]",
        b'"topic"',
        b"NaN",
        b'{"topic":NaN}',
        b'{"topic":[1]}',
        b'{"topic":{"a":1}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"topic":"orderbook.1.BTCUSDT"}',
        b'{"op":["subscribe"],"success":false}',
        b'{"type":"COMMAND_RESP"}',
        b'{"type":"COMMAND_RESP","data":{"successTopics":[1]}}',
        b'{"type":"COMMAND_RESP","data":[]}',
        b'{"success":true,"op":"subscribe","req_id":7}',
        b"\x00" * 1000,
        b"9" * 10_000,
    ],
)
def test_nonsense_is_survived(frame: bytes) -> None:
    survives(codec_for(Market.SPOT), frame)


def test_a_price_that_is_no_plausible_number_is_refused() -> None:
    codec = codec_for(Market.SPOT)
    frame = b'{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1,"data":{"s":"BTCUSDT",\
"b":[[%s,"1"]],"a":[],"u":5,"seq":5}}'
    assert codec.decode(frame % b'"12.5"', 1)
    for price in (b'"NaN"', b'"sNaN"', b'"Infinity"', b'"1e70"', b"12.5", b"12", b"null", b'""'):
        with pytest.raises(DecodeError):
            codec.decode(frame % price, 1)


def test_damaged_rest_answers_are_survived() -> None:
    exchange = Bybit()
    spot, linear = (guess(FRAMES[m], m)[0].instrument for m in (Market.SPOT, Market.LINEAR))
    requests: dict[str, Request[Any]] = {
        "time": GetServerTime(),
        "instruments-spot": GetInstruments(Market.SPOT),
        "instruments-linear": GetInstruments(Market.LINEAR),
        "instruments-option": GetInstruments(Market.OPTION),
        "orderbook": GetBook(spot, 50),
        "orderbook-top": GetTopOfBook(spot),
        "recent-trade": GetTrades(linear, 10),
        "kline": GetCandles(spot, "1m", None, None, 1500),
        "funding-history": GetFundingHistory(linear, None, None, 300),
    }
    draw = random.Random(11)
    for name, request in requests.items():
        body = orjson.loads((SAMPLES / "rest" / f"{name}.json").read_bytes())
        paths = places(body)
        for path in draw.sample(paths, min(40, len(paths))):
            for oddity in ODDITIES:
                text = json.dumps(replaced(body, path, oddity)).encode()
                response = HttpResponse(200, {}, text)
                try:
                    if exchange.error_of(response) is None:
                        exchange.endpoints[type(request)].decode(request, response, 1)
                except DecodeError:
                    continue


def test_guessing_survives_anything() -> None:
    @given(st.lists(st.binary(max_size=60)), st.sampled_from([None, *Market]))
    def check(frames: list[bytes], market: Market | None) -> None:
        guess(frames, market)

    check()
    natives = st.text("ABCUSDT-.PERPH26789Z", max_size=25)
    kinds = st.sampled_from(["orderbook.1", "orderbook.x", "kline.1", "tickers", "publicTrade"])

    @given(kinds, natives, st.sampled_from([None, *Market]))
    def named(kind: str, native: str, market: Market | None) -> None:
        for sub in guess([json.dumps({"topic": f"{kind}.{native}"}).encode()], market):
            assert market in {None, sub.instrument.market}

    named()
