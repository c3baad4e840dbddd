"""The quick ways through the codec say what the general ones say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import localcontext
from typing import Any

import pytest
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st
from okx_frames import worth

from ccrs_core import Channel, Data, DecodeError, Instrument, Message, Subscription

CONTRACTS = {
    "BTC-USDT": "1",
    "BTC-USDT-SWAP": "0.01",
    "SHIB-USDT-SWAP": "1000000",
    "BTC-USD-SWAP": "100",
    "BTC-USD-261225-100000-C": "0.01",
}
TOP = (
    '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["64350.2","0.075","0",'
    '"13"]],"bids":[["64350.1","1.250","0","2"]],"ts":"1794000123005","seqId":90123456789}]}'
)
TRADE = (
    '{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
    '"tradeId":"734864333","px":"64350.1","sz":"0.075","side":"buy","source":"0",'
    '"ts":"1794000123011"}]}'
)
# As "trades" has spelled them in the course of time, and as a side of a book may be empty.
OLD = TRADE.replace('"source":"0",', "").replace("trades-all", "trades")
LATER = OLD.replace('"}]}', '","count":"1","source":"1","seqId":279183506666}]}')
COUNTED = OLD.replace('"}]}', '","count":"1"}]}')
ONE_SIDED = TOP.replace('[["64350.1","1.250","0","2"]]', "[]")
USUAL = [
    text.replace("BTC-USDT", native)
    for text in (TOP, TRADE, LATER, COUNTED, OLD, ONE_SIDED)
    for native in CONTRACTS
]
VALUES = ["64350.1", "64350.2", "1.250", "0.075", "1794000123005", "1794000123011", "13", "0"]
NAMES = ["734864333", "buy", "BTC-USDT"]

NUMBERS = st.one_of(
    st.decimals(0, 10**9, places=8).map(lambda d: f"{d:f}"),
    # The whole range, far beyond what prices and sizes are.
    st.from_regex(r"(0|[1-9][0-9]{0,45})(\.[0-9]{1,45})?", fullmatch=True),
    st.sampled_from(["0", "0.000", "1e5", "007", "1_0", "NaN", "-1", "", ".5", "5.", "\uff11"]),
    st.sampled_from([" 1", "1\n", "Infinity", "1e70", "-0", "+1", "buy", "sell", "Buy"]),
    st.integers(0, 10**30).map(str),
)
BREAKS = st.sampled_from(
    ["", '"', "}", "]", "[", ",", "\\", "\x00", "é", "\n", "1", '"x":1,', '"seqId":5,', " ",
     '["1","2","0","1"],', '"ts":"5",', '"side":"sell",', "{", ":", "null", "\ud800"]
)  # fmt: skip


def instrument(native: str) -> Instrument:
    found = instrument_of(native)
    assert found is not None
    return worth(found, CONTRACTS.get(native, "1"))


def codec(*natives: str) -> OkxCodec:
    made = OkxCodec()
    channels = (Channel.TOP_OF_BOOK, Channel.TRADES)
    names = natives or CONTRACTS
    made.subscribe([Subscription(c, instrument(n)) for n in names for c in channels], "1")
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
    for value in (*VALUES, *NAMES):
        if draw(st.integers(0, 2)) == 0:
            text = text.replace(f'"{value}"', f'"{draw(NUMBERS)}"')
    if draw(st.integers(0, 4)) == 0:
        text = text.replace("90123456789", draw(NUMBERS))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(text)))
        end = place + draw(st.integers(0, 3))
        text = text[:place] + draw(BREAKS) + text[end:]
    return text.encode(errors="surrogatepass")


@given(spellings())
@example(TOP.replace("1.250", "0.000").encode())
@example(TOP.replace('[["64350.1","1.250","0","2"]]', "[]").encode())
@example(TOP.replace('"seqId":90123456789', '"seqId":0').encode())
@example(TOP.replace('"seqId":90123456789', '"seqId":007').encode())
@example(TRADE.replace('"side":"buy"', '"side":"other"').encode())
@example(TRADE.replace('"source":"0",', '"count":"3","source":"0","seqId":7,').encode())
@example(TOP.replace("1794000123005", "0794000123005").encode())
@example(TOP.replace("64350.1", "0.00").encode())
@example(TRADE.replace("64350.1", "0").encode())
@example(LATER.replace('"count":"1",', '"count":"1","source":"0",').encode())
def test_plain_frames_say_what_parsing_them_says(frame: bytes) -> None:
    assert said(codec().decode, frame) == general(frame)


@given(spellings())
def test_what_a_plain_frame_says_does_not_depend_on_who_reads_it_when(frame: bytes) -> None:
    """Values are read late, and in whatever decimal context the program has set."""
    messages: Any = []
    reader = codec()
    try:
        messages = reader.decode(frame, 5)
        for text in USUAL:
            reader.decode(text.encode(), 6)
    except DecodeError:
        pass
    expected = general(frame)
    with localcontext() as context:
        context.prec = 2
        read = repr(list(messages))
    assert read == (expected[0] if isinstance(expected, tuple) else "[]")


@pytest.mark.parametrize("text", USUAL)
def test_the_usual_spelling_is_plain(text: str) -> None:
    arg = json.loads(text)["arg"]
    channel = {"trades": "trades-all"}.get(arg["channel"], arg["channel"])
    shortcut = codec().shortcut(f"{channel}:{arg['instId']}")
    assert shortcut is not None
    (message,) = shortcut(text.encode(), 5) or ()
    assert isinstance(message, Data)
    assert len(message.events) == 1
    assert said(codec().decode, text.encode()) == general(text.encode())


def test_trades_tell_whether_they_improved_a_retail_price() -> None:
    for text, expected in ((TRADE, False), (LATER, True), (COUNTED, None), (OLD, None)):
        (message,) = codec().decode(text.encode(), 5)
        assert isinstance(message, Data)
        (trade,) = message.events
        assert trade.rpi is expected  # type: ignore[union-attr]


def test_interleaved_topics_and_topics_that_are_gone_are_told_apart() -> None:
    mixed = codec()
    for _ in range(2):
        for text in USUAL:
            if '"trades"' in text:
                continue  # which says the same as "trades-all"
            assert said(mixed.decode, text.encode()) == general(text.encode())
    for channel, text in ((Channel.TOP_OF_BOOK, TOP), (Channel.TRADES, TRADE)):
        mixed.decode(text.encode(), 5)
        mixed.unsubscribe([Subscription(channel, instrument("BTC-USDT"))], "2")
        (gone,) = mixed.decode(text.encode(), 5)
        assert not isinstance(gone, Data)
        mixed.subscribe([Subscription(channel, instrument("BTC-USDT"))], "3")
        (back,) = mixed.decode(text.encode(), 5)
        assert isinstance(back, Data)


def test_a_contract_that_is_worth_something_else_is_known_from_the_next_subscription_on() -> None:
    made = codec("BTC-USDT-SWAP")
    frame = TOP.replace("BTC-USDT", "BTC-USDT-SWAP").encode()
    sizes = []
    for contract in ("0.01", "0.1"):
        swap = worth(instrument("BTC-USDT-SWAP"), contract)
        made.subscribe([Subscription(Channel.TOP_OF_BOOK, swap)], "2")
        (message,) = made.decode(frame, 5)
        assert isinstance(message, Data)
        sizes.append(str(message.events[0].bid_size))  # type: ignore[union-attr]
    assert sizes == ["0.01250", "0.1250"]


def test_names_that_are_not_ascii_are_read() -> None:
    text = TOP.replace("BTC-USDT", "币-USDT")
    made = codec("币-USDT")
    (message,) = made.decode(text.encode(), 5)
    assert isinstance(message, Data)
    assert message.events[0].symbol == "币/USDT"
    assert made.peek(text.encode()) == ("bbo-tbt:币-USDT", 90123456789, False)
