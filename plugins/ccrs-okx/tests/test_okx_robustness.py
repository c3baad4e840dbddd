"""What the conformance suite can't know to be malformed, since it doesn't know OKX's frames."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of, subscriptions_in
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    Codec,
    Data,
    DecodeError,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpResponse,
    Market,
    Subscription,
)

NATIVE = "BTC-USDT-SWAP"


def subscription(channel: Channel) -> Subscription:
    instrument = instrument_of(NATIVE)
    assert instrument is not None
    interval = "1m" if channel is Channel.CANDLES else None
    depth = 400 if channel is Channel.BOOK else None
    return Subscription(channel, instrument, depth=depth, interval=interval)


def subscribed(*channels: Channel) -> Codec:
    codec = OkxCodec()
    offered = Okx.capabilities.channels[Market.LINEAR]
    codec.subscribe([subscription(channel) for channel in channels or offered], "1")
    return codec


@pytest.mark.parametrize(
    "frame",
    [
        b'{"event":[]}',
        b'{"event":"subscribe"}',
        b'{"event":"subscribe","arg":[]}',
        b'{"event":"subscribe","arg":{"channel":[]}}',
        b'{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":{}}}',
        b'{"event":"error","code":{},"msg":[]}',
        b'{"event":"error","code":"60018","msg":{"channel":"x"},"id":[]}',
        b'{"arg":null}',
        b'{"arg":[]}',
        b'{"arg":{"channel":"books"}}',
        b'{"arg":{"channel":{},"instId":"BTC-USDT-SWAP"},"data":[]}',
        b'{"arg":{"channel":"books","instId":["BTC-USDT-SWAP"]},"data":[]}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"}}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":[],"data":[]}',
        b'{"arg":{"channel":"candle1m","instId":"BTC-USDT-SWAP"},"data":[[]]}',
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[]}]}',
        b'{"op":"order","code":"0","data":[]}',
        b"[]",
        b'["event"]',
        b'"arg"',
        b"null",
        b"7",
        b"",
        b"[" * 5000,
    ],
)
def test_malformed_answers_and_data_are_survived(frame: bytes) -> None:
    codec = subscribed()
    assert codec.peek(frame) is None
    with contextlib.suppress(DecodeError):
        codec.decode(frame, 1)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ROW: dict[str, Any] = {
    "asks": [["5", "1", "0", "1"]], "bids": [["4", "1", "0", "1"]], "ts": "1794000000000",
    "seqId": 5, "prevSeqId": 4, "checksum": 0, "tradeId": "7", "px": "4", "sz": "1", "side": "buy",
    "last": "5", "bidPx": "4", "bidSz": "1", "askPx": "5", "askSz": "1", "vol24h": "9",
    "volCcy24h": "9", "open24h": "4", "high24h": "5", "low24h": "4", "fundingRate": "0.1",
    "fundingTime": "1794000000000", "markPx": "4", "instId": NATIVE, "details":
    [{"side": "buy", "bkPx": "4", "sz": "1", "ts": "1794000000000"}],
}  # fmt: skip
NAMES = ["bbo-tbt", "books", "books5", "trades-all", "tickers", "candle1m", "funding-rate",
         "mark-price", "liquidation-orders"]  # fmt: skip


@given(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(list(ROW)), values, max_size=3))
def test_any_value_in_any_field_is_read_or_refused(name: str, odd: dict[str, Any]) -> None:
    arg = {"channel": name, "instId": NATIVE}
    row: Any = {**ROW, **odd}
    if name == "candle1m":
        cells: list[Any] = ["1794000000000", *["5"] * 7, "0"]
        row = [*odd.values(), *cells[len(odd) :]]
    if name == "liquidation-orders":
        arg = {"channel": name, "instType": "SWAP"}
        row["details"] = [{**ROW["details"][0], **odd}] if odd.get("sz") else row["details"]
    frame = json.dumps({"arg": arg, "action": "update", "data": [row]}, separators=(",", ":"))
    codec = subscribed()
    codec.peek(frame.encode(errors="surrogatepass"))
    with contextlib.suppress(DecodeError):
        codec.decode(frame.encode(errors="surrogatepass"), 1)


TOP = (
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["9","1","0","1"]],'
    b'"bids":[[%s,%s,"0","1"]],"ts":%s,"seqId":5}]}'
)
GOOD = (b'"12.5"', b'"3"', b'"1794000123005"')


NO_PRICES = ["0", "-1", "1_000", " 1.5", "+1", "\uff11", "1" * 65, "0x1", "1,5", "1e999"]
NO_TIMES = ["1794000000", "1794000000000000", "9000000000000000000", "-1"]
TOLD: dict[str, Any] = {
    "bbo-tbt": {"bids": [["$price", "1", "0", "1"]], "asks": [], "ts": "$time", "seqId": 1},
    "books": {
        "bids": [["$price", "1", "0", "1"]],
        "asks": [],
        "ts": "$time",
        "seqId": 2,
        "prevSeqId": 1,
    },
    "trades-all": {"tradeId": "1", "px": "$price", "sz": "1", "side": "buy", "ts": "$time"},
    "candle1m": ["$time", "$price", "2", "1", "2", "5", "9", "9", "0"],
    "mark-price": {"markPx": "$price", "ts": "$time"},
}


@pytest.mark.parametrize("name", list(TOLD))
def test_no_channel_takes_for_a_price_or_a_time_what_can_be_none(name: str) -> None:
    def said(price: str, time: str) -> list[Any]:
        row = json.dumps(TOLD[name]).replace("$price", price).replace("$time", time)
        arg = f'"arg":{{"channel":"{name}","instId":"{NATIVE}"}}'
        frame = f'{{{arg},"action":"update","data":[{row}]}}'
        return list(subscribed().decode(frame.encode(), 1))

    (message,) = said("1.5", "1794000123005")
    assert isinstance(message, Data)
    for price in NO_PRICES:
        if (name, price) == ("mark-price", "0"):
            continue  # none yet
        with pytest.raises(DecodeError):
            said(price, "1794000123005")
    for time in NO_TIMES:
        with pytest.raises(DecodeError):
            said("1.5", time)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "number", [b'"NaN"', b'"sNaN"', b'"Infinity"', b'"1e70"', b"12.5", b"12", b"null", b'""']
)
def test_a_price_or_size_that_is_no_plausible_number_is_refused(place: int, number: bytes) -> None:
    codec = subscribed(Channel.TOP_OF_BOOK)
    assert codec.decode(TOP % GOOD, 1)
    with pytest.raises(DecodeError):
        codec.decode(TOP % (*GOOD[:place], number, *GOOD[place + 1 :]), 1)


@pytest.mark.parametrize(
    "time", [b'"-1"', b"1e12", b"true", b"null", b'"99999999999999999"', b'"x"', b'""']
)
def test_prices_of_an_impossible_time_are_refused(time: bytes) -> None:
    with pytest.raises(DecodeError):
        subscribed().decode(TOP % (*GOOD[:2], time), 1)


@pytest.mark.parametrize("number", [b'"5"', b"5.0", b"true", b"-1", b"{}"])
def test_a_sequence_number_is_a_whole_number(number: bytes) -> None:
    frame = TOP % GOOD
    with pytest.raises(DecodeError):
        subscribed().decode(frame.replace(b'"seqId":5', b'"seqId":' + number), 1)


def test_a_sequence_number_of_null_is_none() -> None:
    """As in frames of 2022, which have none: nothing is called a copy of another."""
    frame = (TOP % GOOD).replace(b'"seqId":5', b'"seqId":null')
    codec = subscribed()
    (message,) = codec.decode(frame, 1)
    assert isinstance(message, Data)
    assert message.sequence is None
    assert not message.peek_agrees
    assert codec.peek(frame) is None


# --- REST ---


@given(values)
def test_any_answer_is_read_or_refused(data: Any) -> None:
    instrument = subscription(Channel.TRADES).instrument
    requests: list[Any] = [
        GetInstruments(Market.OPTION),
        GetInstruments(Market.LINEAR),
        GetBook(instrument, 5),
        GetCandles(instrument, "1m", None, None, 5),
        GetFundingHistory(instrument, None, None, 5),
    ]
    for body in ({"data": data}, {"data": [data]}, data):
        response = HttpResponse(200, {}, json.dumps(body).encode())
        for request in requests:
            with contextlib.suppress(DecodeError):
                Okx.endpoints[type(request)].decode(request, response, 1, None)


TRADE = {"tradeId": "7", "px": "1.5", "sz": "1", "side": "buy", "ts": "1794000000000"}
CANDLE = ["1793999940000", "1", "2", "1", "2", "5", "9", "9", "1"]
RATE = {"fundingRate": "0.1", "realizedRate": "", "fundingTime": "1793980800000"}


@pytest.mark.parametrize(
    ("request_", "usual", "strange"),
    [
        (GetTrades, TRADE, [{**TRADE, "px": "0"}, {**TRADE, "ts": "1"}, {**TRADE, "tradeId": ""}]),
        (GetCandles, CANDLE, [["1793999880000", *["x"] * 7, "1"], [], "", ["1", *CANDLE[1:]]]),
        (GetFundingHistory, RATE, [{**RATE, "fundingRate": ""}, {**RATE, "fundingTime": ""}, 5]),
    ],
)
def test_a_strange_row_of_history_is_left_out_and_counted(
    request_: Any, usual: Any, strange: list[Any]
) -> None:
    instrument = subscription(Channel.TRADES).instrument
    requests = {
        GetTrades: GetTrades(instrument, 5),
        GetCandles: GetCandles(instrument, "1m", None, None, 5),
        GetFundingHistory: GetFundingHistory(instrument, None, None, 5),
    }

    def read(rows: list[Any]) -> Any:
        response = HttpResponse(200, {}, json.dumps({"code": "0", "data": rows}).encode())
        return Okx.endpoints[request_].decode(requests[request_], response, 1, None)

    for row in strange:
        answer = read([row, usual])
        assert len(answer.value) == answer.left_out == 1
        with pytest.raises(DecodeError):
            read([row])


# --- recordings ---


def test_guessing_survives_anything() -> None:
    markets = st.none() | st.sampled_from(Market)

    @given(st.lists(st.binary(max_size=60)), markets)
    def check(frames: list[bytes], market: Market | None) -> None:
        subscriptions_in(frames, market)

    check()
    natives = st.text("ABC-USDTWP_.26789Z", max_size=25) | values
    names = st.sampled_from([*NAMES, "candle1D", "x"]) | values

    @given(names, natives, values, markets)
    def named(name: Any, native: Any, row: Any, market: Market | None) -> None:
        arg = {"channel": name, "instId": native}
        for key, data in (("instId", []), ("instType", [{"instId": native}, row]), ("x", row)):
            frame = {"arg": {"channel": name, key: native}, "data": data}
            found = subscriptions_in([json.dumps(frame).encode(errors="surrogatepass")], market)
            assert all(market in {None, sub.instrument.market} for sub in found)
        assert (
            subscriptions_in([json.dumps({"arg": arg}).encode(errors="surrogatepass")], None) == ()
        )

    named()
