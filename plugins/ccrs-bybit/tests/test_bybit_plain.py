"""The quick ways through the codec say what the general ones say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Data, DecodeError, Market, Message, Subscription, Trade

TOP = (
    '{"topic":"orderbook.1.BTCUSDT","ts":1672304484978,"type":"snapshot","data":{"s":"BTCUSDT",'
    '"b":[["16493.50","0.006"]],"a":[["16611.00","0.029"]],"u":18521288,"seq":7961638724},'
    '"cts":1672304484976}'
)
TRADE = (
    '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{'
    '"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick",'
    '"i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"RPI":false,"seq":1783284617}]}'
)
SPOT_TRADE = (
    '{"topic":"publicTrade.BTCUSDT","ts":1672304486868,"type":"snapshot","data":[{'
    '"i":"2100000000188691524","T":1672304486865,"p":"16578.50","v":"0.001","S":"Sell",'
    '"seq":1783284617,"s":"BTCUSDT","BT":false,"RPI":true}]}'
)
USUAL = [TOP, TRADE, SPOT_TRADE]
NUMBERS = st.one_of(
    st.decimals(0, 10**9, places=6).map(lambda d: f"{d:f}"),
    st.sampled_from(["0", "0.000", "1e5", "007", "1_0", "NaN", "-1", "", ".5", "\uff11", " 1"]),
    st.integers(0, 10**30).map(str),
)
BREAKS = st.sampled_from(
    ["", '"', "}", "]", ",", "\\", "\x00", "é", "\n", "1", '"x":1,', " ", "\ud800"]
)


def codec() -> BybitCodec:
    instrument = instrument_of("BTCUSDT", Market.LINEAR)
    assert instrument is not None
    made = BybitCodec()
    made.subscribe(
        [Subscription(c, instrument) for c in (Channel.TOP_OF_BOOK, Channel.TRADES)], "1"
    )
    return made


def said(
    decode: Callable[[bytes, int], Sequence[Message]], frame: bytes
) -> tuple[str, list[Message]] | str:
    try:
        messages = list(decode(frame, 5))
    except DecodeError:
        return "unreadable"
    return repr(messages), messages


def general(frame: bytes) -> tuple[str, list[Message]] | str:
    """What the codec says that has no quick ways."""
    return said(codec().read, frame)


@st.composite
def spellings(draw: st.DrawFn) -> bytes:
    """A frame with other numbers in it, and something out of place now and then."""
    text = draw(st.sampled_from(USUAL))
    for value in ('"16493.50"', '"0.006"', '"16611.00"', '"0.029"', '"0.001"', '"16578.50"'):
        if draw(st.booleans()):
            text = text.replace(value, f'"{draw(NUMBERS)}"')
    for value in ("18521288", "7961638724", "1672304484976", "1672304486865", "1783284617"):
        if draw(st.integers(0, 4)) == 0:
            text = text.replace(value, draw(NUMBERS))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        end = place + draw(st.integers(0, 3))
        text = text[:place] + draw(BREAKS) + text[end:]
    return text.encode(errors="surrogatepass")


@given(spellings())
@example(TOP.encode())
@example(TRADE.encode())
@example(SPOT_TRADE.encode())
@example(TOP.replace("18521288", "1").encode())
@example(TOP.replace('"0.006"', '"0.000"').encode())
def test_plain_frames_say_what_parsing_them_says(frame: bytes) -> None:
    assert said(codec().decode, frame) == general(frame)


@pytest.mark.parametrize("text", USUAL)
def test_the_usual_spelling_is_plain(text: str) -> None:
    shortcut = codec().shortcut(json.loads(text)["topic"])
    assert shortcut is not None
    (message,) = shortcut(text.encode(), 5) or ()
    assert isinstance(message, Data)
    assert len(message.events) == 1


def test_plain_trades_say_whether_they_improved_a_retail_price() -> None:
    for text in (TRADE, SPOT_TRADE):
        for spelled, expected in (("true", True), ("false", False)):
            changed = text.replace('"RPI":true', '"RPI":false').replace(
                '"RPI":false', f'"RPI":{spelled}'
            )
            (message,) = codec().decode(changed.encode(), 5)
            assert isinstance(message, Data)
            (event,) = message.events
            assert isinstance(event, Trade)
            assert (event.rpi, event.block) == (expected, False)


@pytest.mark.parametrize("text", USUAL)
def test_symbols_beyond_ascii_are_read_as_others_are(text: str) -> None:
    instrument = instrument_of("BTCUSDT", Market.LINEAR)
    assert instrument is not None
    named = attrs.evolve(instrument, native="龙虾USDT")
    strange = BybitCodec()
    strange.subscribe([Subscription(c, named) for c in (Channel.TOP_OF_BOOK, Channel.TRADES)], "1")
    frame = text.replace("BTCUSDT", "龙虾USDT").encode()
    (message,), (usual,) = strange.decode(frame, 5), codec().decode(text.encode(), 5)
    assert isinstance(message, Data)
    assert isinstance(usual, Data)
    assert message.events == usual.events
    # What stands where a pattern that counts bytes would begin is no part of a frame.
    with pytest.raises(DecodeError):
        strange.decode(frame.replace(b'USDT","t', b'USDT","t0","t', 1), 5)


def test_interleaved_topics_and_topics_that_are_gone_are_told_apart() -> None:
    mixed: Any = codec()
    for _ in range(3):
        for text in USUAL:
            assert said(mixed.decode, text.encode()) == general(text.encode())
    instrument = instrument_of("BTCUSDT", Market.LINEAR)
    assert instrument is not None
    mixed.decode(TOP.encode(), 5)
    mixed.unsubscribe([Subscription(Channel.TOP_OF_BOOK, instrument)], "2")
    (gone,) = mixed.decode(TOP.encode(), 5)
    assert not isinstance(gone, Data)


# --- bursts ---------------------------------------------------------------------------------

REPLACEABLE = {"orderbook.1.BTCUSDT"}


@st.composite
def bursts(draw: st.DrawFn) -> list[bytes]:
    """Frames whose numbers mostly rise, with trades, deltas and restarts among them."""
    number = draw(st.sampled_from([2, 98, 18521288]))
    frames = []
    for _ in range(draw(st.integers(1, 12))):
        number += draw(st.sampled_from([1, 1, 1, 1, 0, 7, -3]))
        text = TOP.replace("18521288", str(max(number, 0)))
        text = text.replace("0.006", draw(st.sampled_from(["0.006", "12.5", "1234.5678"])))
        kind = draw(st.integers(0, 30))
        if kind == 0:
            text = TRADE
        elif kind == 1:
            text = text.replace('"snapshot"', '"delta"')
        elif kind == 2:
            text = text.replace(f'"u":{max(number, 0)}', '"u":1')
            number = 1
        frames.append(text.encode())
    return frames


@given(bursts())
def test_judging_a_burst_as_a_whole_says_what_judging_each_frame_says(frames: list[bytes]) -> None:
    quick = codec()
    kept, superseded = quick.newest(frames, REPLACEABLE)
    expected, counted = Codec.newest(quick, frames, REPLACEABLE)
    if list(kept) != list(expected):
        # Equal numbers are repeats: keeping one of them is enough, and keeps the newest.
        assert kept[-1] == frames[-1]
        assert set(kept) <= set(expected)
    assert len(kept) + sum(superseded.values()) == len(frames)
    assert len(expected) + sum(counted.values()) == len(frames)
    assert list(quick.newest(frames, set())[0]) == frames


def test_a_usual_burst_is_judged_as_a_whole() -> None:
    frames = [TOP.replace("18521288", str(18521288 + n)).encode() for n in range(50)]
    made: Any = codec()
    (judge,) = made._lane_of(frames[0]).bursts
    assert judge(frames)
    assert made.newest(frames, REPLACEABLE) == (frames[-1:], {"orderbook.1.BTCUSDT": 49})
    for place in range(50):
        falling = [*frames[:place], frames[0].replace(b"18521288", b"18521287"), *frames[place:]]
        assert judge(falling) is (place == 0)
