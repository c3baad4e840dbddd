"""Copies of an update are told without decoding, and never wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ccrs_binance.codec import BinanceCodec
from ccrs_binance.foreign import instrument_of
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Data, DecodeError, Instrument, Market, Subscription, Trade


def instrument(market: Market) -> Instrument:
    found = instrument_of("BTCUSDT", market)
    assert found is not None
    return found


def subscribed(market: Market) -> Codec:
    codec, btc = BinanceCodec(), instrument(market)
    subs = [
        Subscription(Channel.TOP_OF_BOOK, btc),
        Subscription(Channel.BOOK, btc, depth=5),
        Subscription(Channel.BOOK, btc, depth=1000),
        Subscription(Channel.TRADES, btc),
        Subscription(Channel.TICKER, btc),
        Subscription(Channel.CANDLES, btc, interval="1m"),
    ]
    if market is Market.LINEAR:
        subs += [Subscription(c, btc) for c in (Channel.MARK_PRICE, Channel.LIQUIDATIONS)]
    codec.subscribe(subs, "1")
    return codec


def in_any_order(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.permutations(list(fields.items())).map(dict)


prices = st.decimals(min_value="0.01", max_value=10**6, places=2).map(str)
sizes = st.decimals(min_value=0, max_value=10**6, places=2).map(str)
levels = st.lists(st.tuples(prices, sizes), max_size=3)
numbers = st.one_of(st.integers(1, 3), st.integers(1, 2**53))
times = st.integers(10**12, 2 * 10**12)


@st.composite
def frames(draw: st.DrawFn) -> tuple[Market, dict[str, Any]]:
    """Any numbered frame, its keys in any order."""
    market = draw(st.sampled_from([Market.SPOT, Market.LINEAR]))
    futures = market is Market.LINEAR
    quote = {"b": draw(prices), "B": draw(sizes), "a": draw(prices), "A": draw(sizes)}
    change: dict[str, Any] = {"e": "depthUpdate", "E": draw(times), "U": draw(numbers)}
    change |= {"u": draw(numbers), "b": draw(levels), "a": draw(levels)}
    whole = {"lastUpdateId": draw(numbers), "bids": draw(levels), "asks": draw(levels)}
    if futures:
        quote |= {"e": "bookTicker", "T": draw(times), "E": draw(times)}
        change |= {"T": draw(times), "pu": draw(numbers), "st": 1}
    trade: dict[str, Any] = {"E": draw(times), "T": draw(times), "p": draw(prices)}
    trade |= {"q": draw(sizes), "m": draw(st.booleans()), ("a" if futures else "t"): draw(numbers)}
    stream, data = draw(
        st.sampled_from(
            [
                ("bookTicker", {"u": draw(numbers), "s": "BTCUSDT", **quote}),
                ("depth@100ms", change),
                ("depth5@100ms", change if futures else whole),
                ("aggTrade" if futures else "trade", trade),
            ]
        )
    )
    frame = {"stream": f"btcusdt@{stream}", "data": draw(in_any_order(data))}
    return market, frame


separators = st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (" ,", ":")])


def told(codec: Codec, frame: bytes) -> Iterator[tuple[str, int | bytes | None, bool]]:
    """What decoding says that is comparable with what peeking says."""
    for message in codec.decode(frame, 1):
        if isinstance(message, Data):
            number: int | bytes | None = message.sequence
            (event,) = message.events
            if isinstance(event, Trade):
                number = event.trade_id.encode()
            yield message.topic, number, message.restart


def test_what_is_peeked_of_a_frame_is_what_decoding_it_yields() -> None:
    @given(frames(), separators)
    def check(found: tuple[Market, dict[str, Any]], separator: tuple[str, str]) -> None:
        market, frame = found
        codec, text = subscribed(market), json.dumps(frame, separators=separator).encode()
        peeked = codec.peek(text)
        if separator == (",", ":"):
            assert peeked is not None
        assert peeked is None or [peeked] == list(told(codec, text))

    check()


def test_a_frame_that_peeks_is_never_mistaken_for_another_when_it_is_damaged() -> None:
    """Damage leads to no answer, to decoding, or to the answer that the bytes really give."""

    @given(frames(), st.data())
    def check(found: tuple[Market, dict[str, Any]], data: st.DataObject) -> None:
        market, frame = found
        codec, text = (
            subscribed(market),
            bytearray(json.dumps(frame, separators=(",", ":")), "ascii"),
        )
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.integers(0, 255))
        peeked = codec.peek(bytes(text))
        try:
            decoded = list(told(codec, bytes(text)))
        except DecodeError:
            return
        if peeked is not None and decoded:
            assert [peeked] == decoded

    check()


CHANGE = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1794000123100,"s":"BTCUSDT",'
    b'"U":70,"u":%s,"b":[],"a":[]}}'
)


def test_a_frame_cut_short_is_not_told_as_a_copy() -> None:
    codec, frame = subscribed(Market.SPOT), CHANGE % b"77"
    assert codec.peek(frame) == ("btcusdt@depth@100ms", 77, False)
    for length in range(len(frame)):
        assert codec.peek(frame[:length]) is None


def test_a_number_too_large_to_be_one_is_left_to_the_decoder() -> None:
    codec = subscribed(Market.SPOT)
    assert codec.peek(CHANGE % b"999999999999999999") is not None
    for digits in (b"1" * 19, b"1" * 5000, b"-5", b"5.0", b"5e1", b'"5"', b" 5", b'5,"u":5'):
        assert codec.peek(CHANGE % digits) is None


@pytest.mark.parametrize("stream", ["kline_1m", "markPrice@1s", "depth20@100ms", "x", ""])
def test_candles_marks_and_unsubscribed_streams_are_always_decoded(stream: str) -> None:
    frame = f'{{"stream":"btcusdt@{stream}","data":{{"u":5,"E":5,"t":5}}}}'.encode()
    assert subscribed(Market.LINEAR).peek(frame) is None
    assert subscribed(Market.LINEAR).peek(b"") is None
    assert subscribed(Market.LINEAR).peek(b'{"result":null,"id":1}') is None


def test_after_unsubscribing_nothing_is_told_as_a_copy() -> None:
    codec, frame = subscribed(Market.SPOT), CHANGE % b"77"
    assert codec.peek(frame) is not None
    codec.unsubscribe([Subscription(Channel.BOOK, instrument(Market.SPOT), depth=1000)], "2")
    assert codec.peek(frame) is None
