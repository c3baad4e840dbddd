"""Copies of an update are told without decoding, and never wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import Channel, Codec, Data, DecodeError, Instrument, Subscription, Trade

NATIVE = "BTC-USDT-SWAP"


def instrument() -> Instrument:
    found = instrument_of(NATIVE)
    assert found is not None
    return found


def subscribed() -> Codec:
    codec, btc = OkxCodec(), instrument()
    subs = [
        Subscription(Channel.BOOK, btc, depth=5),
        Subscription(Channel.BOOK, btc, depth=400),
        Subscription(Channel.CANDLES, btc, interval="1m"),
    ]
    named = ("TOP_OF_BOOK", "TRADES", "TICKER", "FUNDING", "MARK_PRICE", "LIQUIDATIONS")
    subs += [Subscription(Channel[name], btc) for name in named]
    codec.subscribe(subs, "1")
    return codec


def in_any_order(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.permutations(list(fields.items())).map(dict)


prices = st.decimals(min_value="0.01", max_value=10**6, places=2).map(str)
sizes = st.decimals(min_value=0, max_value=10**6, places=2).map(str)
levels = st.lists(st.tuples(prices, sizes, st.just("0"), st.just("3")).map(list), max_size=3)
numbers = st.one_of(st.integers(1, 3), st.integers(1, 2**53))
digits = st.one_of(
    st.integers(1, 3).map(str),
    st.integers(10**7, 10**10).map(str),
    st.from_regex(r"[1-9][0-9]{0,40}", fullmatch=True),
)
times = st.integers(10**12, 2 * 10**12).map(str)

PEEKED = ["bbo-tbt", "books5", "books", "trades-all", "tickers", "mark-price", "funding-rate"]
OTHERS = ["candle1m", "liquidation-orders"]


@st.composite
def frames(draw: st.DrawFn, channels: list[str] = PEEKED) -> dict[str, Any]:
    """Any numbered frame, its keys in any order."""
    channel = draw(st.sampled_from(channels))
    frame: dict[str, Any] = {"arg": {"channel": channel, "instId": NATIVE}}
    row: Any = {"ts": draw(times)}
    match channel:
        case "bbo-tbt" | "books5" | "books":
            row |= {"asks": draw(levels), "bids": draw(levels), "seqId": draw(numbers)}
            if channel == "books":
                frame["action"] = draw(st.sampled_from(["snapshot", "update"]))
                row |= {"checksum": 0, "prevSeqId": draw(st.just(-1) | numbers)}
        case "trades-all":
            side = draw(st.sampled_from(["buy", "sell"]))
            row |= {"tradeId": draw(digits), "px": draw(prices), "sz": draw(prices), "side": side}
        case "tickers":
            row |= {name: draw(prices) for name in ("last", "askPx", "askSz", "bidPx", "bidSz")}
            row |= {"vol24h": draw(prices)}
        case "mark-price":
            row |= {"markPx": draw(prices)}
        case "funding-rate":
            row |= {"fundingRate": draw(prices), "fundingTime": draw(times)}
        case "candle1m":
            row = [draw(times), *(draw(prices) for _ in range(7)), "0"]
        case _:
            frame["arg"] = {"channel": channel, "instType": "SWAP"}
            detail = {"side": "buy", "bkPx": draw(prices), "sz": draw(prices), "ts": draw(times)}
            row = {"instId": NATIVE, "details": [detail]}
    if type(row) is dict:
        row = draw(in_any_order(row))
    return {**frame, "data": [row]}


def written(frame: Any) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def told(codec: Codec, frame: bytes) -> Iterator[tuple[str, int | bytes | None, bool]]:
    """What decoding says that is comparable with what peeking says."""
    for message in codec.decode(frame, 1):
        if isinstance(message, Data):
            assert len(message.events) == 1
            number: int | bytes | None = message.sequence
            (event,) = message.events
            if isinstance(event, Trade):
                number = event.trade_id.encode()
            yield message.topic, number, message.restart


def test_what_is_peeked_of_a_frame_is_what_decoding_it_yields() -> None:
    @given(frames(), st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (" ,", ":")]))
    def check(frame: dict[str, Any], separators: tuple[str, str]) -> None:
        codec, text = subscribed(), json.dumps(frame, separators=separators).encode()
        peeked = codec.peek(text)
        assert peeked is None or [peeked] == list(told(codec, text))

    check()


def test_frames_in_the_usual_spelling_are_peeked() -> None:
    @given(frames())
    def check(frame: dict[str, Any]) -> None:
        (row,) = frame["data"]
        if len(row.get("tradeId", "")) <= 25:
            assert subscribed().peek(written(frame)) is not None

    check()


BYTES = st.one_of(
    st.binary(min_size=0, max_size=3),
    st.sampled_from(
        [b'"', b",", b"}", b"]", b"-", b"0", b"5", b"1234567890", b".5", b"e3", b'"seqId":5,',
         b'"action":"update",', b'"side":"buy",', b'"ts":"5",', b"},{", b'","tradeId":"7']
    ),
)  # fmt: skip


def test_a_frame_that_peeks_is_never_mistaken_for_another_when_it_is_damaged() -> None:
    """Damage leads to no answer, to decoding, or to the answer that the bytes really give."""

    @given(frames(), st.data())
    def check(frame: dict[str, Any], data: st.DataObject) -> None:
        codec, text = subscribed(), written(frame)
        for _ in range(data.draw(st.integers(1, 2))):
            place = data.draw(st.integers(0, len(text)))
            end = place + data.draw(st.integers(0, 2))
            text = text[:place] + data.draw(BYTES) + text[end:]
        peeked = codec.peek(text)
        try:
            decoded = list(told(codec, text))
        except DecodeError:
            return
        if peeked is not None and decoded:
            assert [peeked] == decoded

    check()


def test_what_is_independent_is_peeked_alike() -> None:
    """What a codec calls independent, the core doesn't ask about again."""

    @given(frames(), frames())
    def check(one: dict[str, Any], other: dict[str, Any]) -> None:
        codec = subscribed()
        both = {**one, "data": one["data"] + (other["data"] if one["arg"] == other["arg"] else [])}
        for frame in (one, both):
            text = written(frame)
            messages = [m for m in codec.decode(text, 1) if isinstance(m, Data)]
            if any(message.peek_agrees for message in messages):
                (message,) = messages
                assert codec.peek(text) == (message.topic, message.sequence, message.restart)

    check()


UPDATE = (
    b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"update","data":[{"asks":[],'
    b'"bids":[],"ts":"1794000123100","checksum":0,"prevSeqId":70,"seqId":%s}]}'
)
TOPIC = f"books:{NATIVE}"


@pytest.mark.parametrize(
    ("number", "restart"), [(b"77", False), (b"70", False), (b"69", True), (b"1", True)]
)
def test_a_count_that_begins_anew_is_told_without_decoding(number: bytes, restart: bool) -> None:
    assert subscribed().peek(UPDATE % number) == (TOPIC, int(number), restart)
    whole = (UPDATE % number).replace(b'"update"', b'"snapshot"')
    assert subscribed().peek(whole) == (TOPIC, int(number), False)
    assert subscribed().peek((UPDATE % number).replace(b'"update"', b'"merge"')) is None


def test_a_frame_cut_short_is_not_told_as_a_copy() -> None:
    codec, frame = subscribed(), UPDATE % b"77"
    for length in range(len(frame)):
        assert codec.peek(frame[:length]) is None


def test_a_number_too_large_to_be_one_is_left_to_the_decoder() -> None:
    codec = subscribed()
    assert codec.peek(UPDATE % b"999999999999999999") is not None
    for number in (b"1" * 20, b"1" * 5000, b"5.0", b"5e1", b'"5"', b" 5", b'5,"seqId":5', b"--5"):
        assert codec.peek(UPDATE % number) is None


def test_of_a_number_that_is_told_twice_neither_is_taken() -> None:
    codec, frame = subscribed(), UPDATE % b"60"
    assert codec.peek(frame) == (TOPIC, 60, True)
    for twice in (b'"prevSeqId":50,', b'"action":"update",', b'"seqId":60,'):
        assert codec.peek(frame.replace(b'"ts"', twice + b'"ts"')) is None
        assert codec.peek(frame.replace(b'"action"', twice + b'"action"')) is None


TRADE = (
    b'{"arg":{"channel":"trades-all","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP",'
    b'"tradeId":"%s","px":"1","sz":"1","side":"buy","source":"0","ts":"1794000123011"}]}'
)


@given(st.integers(1, 60))
@example(26)
@example(27)
def test_the_id_of_a_trade_is_told_whole_or_not_at_all(length: int) -> None:
    peeked = subscribed().peek(TRADE % (b"7" * length))
    assert peeked is None or peeked == (f"trades-all:{NATIVE}", b"7" * length, False)
    assert (peeked is not None) or length > 25


def test_a_trade_of_a_side_that_nobody_knows_is_none() -> None:
    codec, frame = subscribed(), TRADE % b"77"
    assert codec.peek(frame.replace(b'"buy"', b'"sell"')) is not None
    for side in (b'"auction"', b'"Buy"', b"null", b'""'):
        assert codec.peek(frame.replace(b'"buy"', side)) is None


def test_frames_of_before_2023_are_always_decoded() -> None:
    """They have no numbers; the codec counts them."""
    codec = subscribed()
    frame = (UPDATE % b"77").replace(b',"prevSeqId":70,"seqId":77', b"")
    assert codec.peek(frame) is None
    assert codec.peek(frame.replace(b'"books"', b'"books5"')) is None


def test_candles_liquidations_and_other_topics_are_always_decoded() -> None:
    @given(frames(OTHERS))
    def check(frame: dict[str, Any]) -> None:
        codec, text = subscribed(), written(frame)
        assert any(isinstance(message, Data) for message in codec.decode(text, 1))
        assert codec.peek(text) is None

    check()
    codec, frame = subscribed(), UPDATE % b"77"
    for other in (b"", b"pong", b'{"event":"x"}', frame.replace(b"BTC-", b"ETH-"), frame[1:]):
        assert codec.peek(other) is None


def test_after_unsubscribing_nothing_is_told_as_a_copy() -> None:
    codec, frame = subscribed(), UPDATE % b"77"
    assert codec.peek(frame) is not None
    codec.unsubscribe([Subscription(Channel.BOOK, instrument(), depth=400)], "2")
    assert codec.peek(frame) is None
