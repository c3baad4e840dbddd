"""The quick ways through the codec say what the general ones say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ccrs_binance.codec import BinanceCodec
from ccrs_binance.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Data, DecodeError, Instrument, Market, Message, Subscription

SPOT_TOP = (
    '{"stream":"btcusdt@bookTicker","data":{"u":51234567890,"s":"BTCUSDT","b":"64350.10000000",'
    '"B":"1.25000000","a":"64350.11000000","A":"0.07500000"}}'
)
FUTURES_TOP = (
    '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9012345678901,"s":"BTCUSDT",'
    '"ps":"BTCUSDT","b":"64350.10","B":"1.250","a":"64350.20","A":"0.075","T":1794000123005,'
    '"E":1794000123006,"st":1}}'
)
SPOT_TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1794000123012,"s":"BTCUSDT",'
    '"t":1844100231,"p":"64350.11000000","q":"0.31250000","T":1794000123011,"m":false,"M":true}}'
)
FUTURES_TRADE = (
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1794000123020,"a":3312345678,'
    '"s":"BTCUSDT","p":"64350.20","q":"0.250","nq":"0.250","f":6600000001,"l":6600000003,'
    '"T":1794000123018,"m":true,"st":1}}'
)
OLDER = [
    FUTURES_TOP.replace('"ps":"BTCUSDT",', "").replace(',"st":1', ""),
    FUTURES_TRADE.replace('"nq":"0.250",', "").replace(',"st":1', ""),
    FUTURES_TRADE.replace('"a":3312345678,"s":"BTCUSDT"', '"s":"BTCUSDT","a":3312345678'),
]
COIN_MARGINED = [
    text.replace("btcusdt@", "btcusd_perp@")
    .replace("BTCUSDT", "BTCUSD_PERP")
    .replace('"ps":"BTCUSD_PERP"', '"ps":"BTCUSD"')
    .replace('"nq":"0.250",', "")
    .replace('"st":1', '"st":2')
    for text in (FUTURES_TOP, FUTURES_TRADE)
]
FRAMES = {
    Market.SPOT: [SPOT_TOP, SPOT_TRADE],
    Market.LINEAR: [FUTURES_TOP, FUTURES_TRADE, *OLDER],
    Market.INVERSE: COIN_MARGINED,
}
USUAL = [(market, text) for market, texts in FRAMES.items() for text in texts]
NUMBERS = st.one_of(
    st.decimals(0, 10**9, places=8).map(lambda d: f"{d:f}"),
    st.sampled_from(["0", "0.000", "1e5", "007", "1_0", "NaN", "-1", "", ".5", "\uff11", " 1"]),
    st.integers(0, 10**30).map(str),
)
BREAKS = st.sampled_from(
    ["", '"', "}", "]", ",", "\\", "\x00", "é", "\n", "1", '"x":1,', '"u":5,', " ", "\ud800"]
)


def instrument(market: Market) -> Instrument:
    found = instrument_of("BTCUSD_PERP" if market is Market.INVERSE else "BTCUSDT", market)
    assert found is not None
    return found


def codec(market: Market) -> BinanceCodec:
    made = BinanceCodec()
    channels = (Channel.TOP_OF_BOOK, Channel.TRADES)
    made.subscribe([Subscription(channel, instrument(market)) for channel in channels], "1")
    return made


def said(
    decode: Callable[[bytes, int], Sequence[Message]], frame: bytes
) -> tuple[str, list[Message]] | str:
    try:
        messages = list(decode(frame, 5))
    except DecodeError:
        return "unreadable"
    return repr(messages), messages


def general(market: Market, frame: bytes) -> tuple[str, list[Message]] | str:
    """What the codec says that has no quick ways."""
    return said(codec(market).read, frame)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[Market, bytes]:
    """A frame with other numbers in it, and something out of place now and then."""
    market, text = draw(st.sampled_from(USUAL))
    for value in ("64350.10", "64350.11", "64350.20", "1.250", "0.075", "0.3125", "0.250"):
        if draw(st.booleans()):
            text = text.replace(f'"{value}"', f'"{draw(NUMBERS)}"')
            text = text.replace(f'"{value}0000', f'"{draw(NUMBERS)}0000')
    for value in ("51234567890", "9012345678901", "1844100231", "3312345678", "1794000123005"):
        if draw(st.integers(0, 4)) == 0:
            text = text.replace(value, draw(NUMBERS))
    if draw(st.integers(0, 4)) == 0:
        text = text.replace("true", draw(st.sampled_from(["false", "1", "null", '"true"'])))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        end = place + draw(st.integers(0, 3))
        text = text[:place] + draw(BREAKS) + text[end:]
    return market, text.encode(errors="surrogatepass")


@given(spellings())
@example((Market.SPOT, SPOT_TOP.replace("1.25000000", "0.00000000").encode()))
@example((Market.LINEAR, FUTURES_TOP.replace("0.075", "0.000").encode()))
@example((Market.LINEAR, SPOT_TOP.encode()))
@example((Market.SPOT, FUTURES_TOP.encode()))
def test_plain_frames_say_what_parsing_them_says(spelling: tuple[Market, bytes]) -> None:
    market, frame = spelling
    assert said(codec(market).decode, frame) == general(market, frame)


@pytest.mark.parametrize(("market", "text"), USUAL)
def test_the_usual_spelling_is_plain(market: Market, text: str) -> None:
    made = codec(market)
    if text in OLDER:
        made.decode(text.encode(), 5)  # and from then on
    shortcut = made.shortcut(json.loads(text)["stream"])
    assert shortcut is not None
    (message,) = shortcut(text.encode(), 5) or ()
    assert isinstance(message, Data)
    assert len(message.events) == 1
    assert said(codec(market).decode, text.encode()) == general(market, text.encode())


def test_interleaved_streams_and_streams_that_are_gone_are_told_apart() -> None:
    for market, (top, trade, *_) in FRAMES.items():
        mixed = codec(market)
        for _ in range(3):
            for text in (top, trade):
                assert said(mixed.decode, text.encode()) == general(market, text.encode())
        mixed.decode(top.encode(), 5)
        mixed.unsubscribe([Subscription(Channel.TOP_OF_BOOK, instrument(market))], "2")
        (gone,) = mixed.decode(top.encode(), 5)
        assert not isinstance(gone, Data)


def test_streams_of_symbols_that_are_not_ascii_are_read() -> None:
    text = SPOT_TOP.replace("btcusdt", "币usdt").replace("BTCUSDT", "币USDT")
    odd = instrument_of("币USDT", Market.SPOT)
    assert odd is not None
    made = BinanceCodec()
    made.subscribe([Subscription(Channel.TOP_OF_BOOK, odd)], "1")
    (message,) = made.decode(text.encode(), 5)
    assert isinstance(message, Data)
    assert message.events[0].symbol == "币/USDT"
    assert made.peek(text.encode()) == ("币usdt@bookTicker", 51234567890, False)


# --- bursts ---------------------------------------------------------------------------------

REPLACEABLE = {"btcusdt@bookTicker", "btcusd_perp@bookTicker"}
FUTURES_NUMBER = "9012345678901"
NUMBER = {**dict.fromkeys(FRAMES, FUTURES_NUMBER), Market.SPOT: "51234567890"}


@st.composite
def bursts(draw: st.DrawFn) -> tuple[Market, list[bytes]]:
    """Frames whose numbers mostly rise, with trades and broken ones among them."""
    market = draw(st.sampled_from(list(FRAMES)))
    top, trade, *_ = FRAMES[market]
    number = draw(st.sampled_from([2, 98, int(NUMBER[market])]))
    frames = []
    for _ in range(draw(st.integers(1, 12))):
        number += draw(st.sampled_from([1, 1, 1, 1, 0, 7, -3]))
        text = top.replace(NUMBER[market], str(max(number, 0)))
        text = text.replace("1.25", draw(st.sampled_from(["1.25", "12.5", "1234.5678"])))
        kind = draw(st.integers(0, 30))
        if kind == 0:
            text = trade
        elif kind == 1:
            text = text[:-1]
        elif kind == 2:
            text = text.replace("bookTicker", "ticker")
        frames.append(text.encode())
    return market, frames


@given(bursts())
def test_judging_a_burst_as_a_whole_says_what_judging_each_frame_says(
    burst: tuple[Market, list[bytes]],
) -> None:
    market, frames = burst
    quick = codec(market)
    kept, superseded = quick.newest(frames, REPLACEABLE)
    expected, counted = Codec.newest(quick, frames, REPLACEABLE)
    if list(kept) != list(expected):
        # Equal numbers are repeats: keeping one of them is enough, and keeps the newest.
        assert kept[-1] == frames[-1]
        assert set(kept) <= set(expected)
    assert len(kept) + sum(superseded.values()) == len(frames)
    assert len(expected) + sum(counted.values()) == len(frames)
    assert list(quick.newest(frames, set())[0]) == frames


@pytest.mark.parametrize("market", list(FRAMES))
def test_a_usual_burst_is_judged_as_a_whole(market: Market) -> None:
    text, number = FRAMES[market][0], NUMBER[market]
    frames = [text.replace(number, str(int(number) + n)).encode() for n in range(50)]
    made: Any = codec(market)
    topic = f"{instrument(market).native.lower()}@bookTicker"
    assert made.newest(frames, REPLACEABLE) == (frames[-1:], {topic: 49})
    judged = made._lane_of(frames[0]).bursts
    lower = text.replace(number, str(int(number) - 1)).encode()
    for place in range(50):
        falling = [*frames[:place], lower, *frames[place:]]
        assert any(judge(falling) for judge in judged) is (place == 0)
    for place in range(51):
        longer = text.replace(number, f"{number}0").encode()
        assert not any(judge([*frames[:place], longer, *frames[place:]]) for judge in judged)


def test_bursts_of_spots_partial_books_are_judged_as_a_whole() -> None:
    made = BinanceCodec()
    made.subscribe([Subscription(Channel.BOOK, instrument(Market.SPOT), depth=5)], "1")
    frames = [
        b'{"stream":"btcusdt@depth5@100ms","data":{"lastUpdateId":%d,"bids":[["1","2"]],"asks":[]}}'
        % number
        for number in range(100, 120)
    ]
    topic = "btcusdt@depth5@100ms"
    assert made.newest(frames, {topic}) == (frames[-1:], {topic: 19})
    assert Codec.newest(made, frames, {topic}) == (frames[-1:], {topic: 19})
