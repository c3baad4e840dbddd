"""Copies of an update are told without decoding, and never wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import instrument_of
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Data, DecodeError, Instrument, Market, Subscription


def instrument(native: str = "BTCUSDT", market: Market = Market.SPOT) -> Instrument:
    found = instrument_of(native, market)
    assert found is not None
    return found


def subscribed(market: Market = Market.LINEAR) -> Codec:
    codec = BybitCodec()
    btc = instrument(market=market)
    subs = [
        Subscription(Channel.TOP_OF_BOOK, btc),
        Subscription(Channel.BOOK, btc, depth=50),
        Subscription(Channel.TRADES, btc),
        Subscription(Channel.TICKER, btc),
        Subscription(Channel.LIQUIDATIONS, btc),
        Subscription(Channel.CANDLES, btc, interval="1m"),
    ]
    codec.subscribe(subs, "1")
    return codec


def in_any_order(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.permutations(list(fields.items())).map(dict)


sizes = st.decimals(min_value=0, max_value=10**6, places=2).map(str)
prices = st.decimals(min_value="0.01", max_value=10**6, places=2).map(str)
levels = st.lists(st.tuples(prices, sizes), max_size=3)
numbers = st.one_of(st.integers(1, 3), st.integers(1, 2**53))
times = st.integers(10**12, 2 * 10**12)


@st.composite
def book_frames(draw: st.DrawFn) -> dict[str, Any]:
    depth = draw(st.sampled_from(["1", "50"]))
    data = {
        "s": "BTCUSDT",
        "b": draw(levels),
        "a": draw(levels),
        "u": draw(numbers),
        "seq": draw(numbers),
    }
    frame: dict[str, Any] = {
        "topic": f"orderbook.{depth}.BTCUSDT",
        "type": draw(st.sampled_from(["snapshot", "delta", "refresh"])),
        "ts": draw(times),
        "data": draw(in_any_order(data)),
    }
    if draw(st.booleans()):
        frame["cts"] = draw(times)
    return draw(in_any_order(frame))


@st.composite
def row_frames(draw: st.DrawFn) -> dict[str, Any]:
    rows = [
        draw(
            in_any_order(
                {
                    "T": draw(times),
                    "s": "BTCUSDT",
                    "S": draw(st.sampled_from(["Buy", "Sell"])),
                    "v": draw(sizes),
                    "p": draw(prices),
                    "i": draw(st.uuids().map(str)),
                    "BT": draw(st.booleans()),
                    "seq": draw(numbers),
                }
            )
        )
        for _ in range(draw(st.integers(0, 6)))
    ]
    topic = draw(st.sampled_from(["publicTrade", "allLiquidation"]))
    frame = {"topic": f"{topic}.BTCUSDT", "type": "snapshot", "ts": draw(times), "data": rows}
    return draw(in_any_order(frame))


separators = st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (" ,", ":")])


def data_of(codec: Codec, frame: bytes) -> Iterator[Data]:
    return (m for m in codec.decode(frame, 1) if isinstance(m, Data))


def test_what_is_peeked_of_a_book_is_what_decoding_it_yields() -> None:
    @given(book_frames(), separators)
    def check(frame: dict[str, Any], separator: tuple[str, str]) -> None:
        codec = subscribed()
        text = json.dumps(frame, separators=separator).encode()
        peeked = codec.peek(text)
        decoded = [(d.topic, d.sequence, d.restart) for d in data_of(codec, text)]
        if peeked is not None:
            assert [peeked] == decoded
        elif separator == (",", ":") and decoded:
            # Nothing but a level-1 delta has to be decoded in any case.
            assert frame["type"] != "snapshot"
            assert frame["topic"].startswith("orderbook.1.") or frame["type"] == "refresh"

    check()


def test_trades_and_liquidations_are_told_by_their_rows_whatever_the_time_of_the_frame() -> None:
    @given(row_frames(), times)
    def check(frame: dict[str, Any], other_time: int) -> None:
        codec = subscribed()
        text = json.dumps(frame, separators=(",", ":")).encode()
        copy = json.dumps({**frame, "ts": other_time}, separators=(",", ":")).encode()
        peeked = codec.peek(text)
        assert peeked == codec.peek(copy)
        if not frame["data"]:
            assert peeked is None
            return
        assert peeked is not None
        topic, identity, restart = peeked
        assert topic == frame["topic"]
        assert not restart
        assert isinstance(identity, bytes)
        assert len(identity) <= 512
        another = {**frame, "data": [*frame["data"][:-1], {**frame["data"][-1], "i": "another"}]}
        assert codec.peek(json.dumps(another, separators=(",", ":")).encode()) != peeked

    check()


def test_a_frame_that_peeks_is_never_mistaken_for_another_when_it_is_damaged() -> None:
    """Damage leads to no answer, to decoding, or to the answer that the bytes really give."""

    @given(book_frames(), st.data())
    def check(frame: dict[str, Any], data: st.DataObject) -> None:
        codec = subscribed()
        text = bytearray(json.dumps(frame, separators=(",", ":")).encode())
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.integers(0, 255))
        peeked = codec.peek(bytes(text))
        try:
            decoded = [(d.topic, d.sequence, d.restart) for d in data_of(codec, bytes(text))]
        except DecodeError:
            return
        if peeked is not None and decoded:
            assert [peeked] == decoded

    check()


def test_a_frame_cut_short_is_not_told_as_a_copy() -> None:
    frame = (
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1764364800000,'
        b'"data":{"s":"BTCUSDT","b":[],"a":[],"u":77,"seq":5},"cts":1764364800000}'
    )
    codec = subscribed()
    assert codec.peek(frame) == ("orderbook.50.BTCUSDT", 77, False)
    for length in range(len(frame)):
        cut = frame[:length]
        if not cut.endswith(b"}"):
            assert codec.peek(cut) is None


def test_tickers_candles_and_unsubscribed_topics_are_always_decoded() -> None:
    codec = subscribed()
    for topic in ("tickers.BTCUSDT", "kline.1.BTCUSDT", "orderbook.50.ETHUSDT", "publicTrade.X"):
        frame = f'{{"topic":"{topic}","type":"snapshot","data":{{"u":5}},"cs":1,"ts":1}}'.encode()
        assert codec.peek(frame) is None
    assert codec.peek(b"") is None
    assert codec.peek(b'{"success":true,"op":"subscribe"}') is None


def test_two_update_numbers_in_one_frame_are_one_too_many() -> None:
    frame = (
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1764364800000,"u":9,'
        b'"data":{"s":"BTCUSDT","b":[],"a":[],"u":77,"seq":5}}'
    )
    assert subscribed().peek(frame) is None


def test_a_number_too_large_to_be_one_is_left_to_the_decoder() -> None:
    frame = (
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1764364800000,'
        b'"data":{"s":"BTCUSDT","b":[],"a":[],"u":%s}}'
    )
    codec = subscribed()
    assert codec.peek(frame % b"999999999999999999") is not None
    for digits in (b"1" * 19, b"1" * 20, b"1" * 5000, b"-5", b"5.0", b"5e1", b'"5"', b" 5"):
        assert codec.peek(frame % digits) is None


def test_after_unsubscribing_nothing_is_told_as_a_copy() -> None:
    codec = subscribed()
    frame = (
        b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1764364800000,'
        b'"data":[{"T":1764364800000,"s":"BTCUSDT","S":"Buy","v":"1","p":"1","i":"a","BT":false}]}'
    )
    assert codec.peek(frame) is not None
    codec.unsubscribe([Subscription(Channel.TRADES, instrument(market=Market.LINEAR))], "2")
    assert codec.peek(frame) is None
