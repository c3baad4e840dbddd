"""What Bybit's frames say, frame by frame: the cases that the samples don't show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import instrument_of
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import (
    Access,
    Ack,
    Channel,
    Codec,
    Credentials,
    Data,
    DecodeError,
    Funding,
    Instrument,
    LeftOut,
    LoggedIn,
    LoginRefused,
    Market,
    MarkPrice,
    Pong,
    Refused,
    Subscription,
    Ticker,
    TopOfBook,
    Unchanged,
    Unrecognised,
)

NOW_MS = 1_700_000_000_000
ROW = {"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "2", "BT": False}


def instrument(native: str = "BTCUSDT", market: Market = Market.LINEAR) -> Instrument:
    found = instrument_of(native, market)
    assert found is not None
    return found


def codec_for(*channels: Channel, market: Market = Market.LINEAR, **options: Any) -> Codec:
    codec = BybitCodec()
    subs = [Subscription(c, instrument(market=market), **options) for c in channels]
    codec.subscribe(subs, "1")
    return codec


def said(codec: Codec, frame: dict[str, Any]) -> list[Any]:
    return list(codec.decode(json.dumps(frame).encode(), 7))


def top(kind: str, u: int, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    return {
        "topic": "orderbook.1.BTCUSDT",
        "type": kind,
        "ts": 1_700_000_000_000,
        "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 5},
    }


def ticker(kind: str, cs: int, ts: int = 1_700_000_000_000, **fields: str) -> dict[str, Any]:
    data = {"symbol": "BTCUSDT", **fields}
    return {"topic": "tickers.BTCUSDT", "type": kind, "data": data, "cs": cs, "ts": ts}


# --- requests ---


def test_requests_name_each_topic_once_however_many_channels_share_it() -> None:
    btc = instrument()
    codec = BybitCodec()
    subs = [Subscription(c, btc) for c in (Channel.TICKER, Channel.FUNDING, Channel.TRADES)]
    assert json.loads(codec.subscribe(subs, 'a"b')) == {
        "req_id": 'a"b',
        "op": "subscribe",
        "args": ["tickers.BTCUSDT", "publicTrade.BTCUSDT"],
    }
    assert json.loads(codec.unsubscribe(subs, "2")) == {
        "req_id": "2",
        "op": "unsubscribe",
        "args": ["tickers.BTCUSDT", "publicTrade.BTCUSDT"],
    }
    assert json.loads(codec.ping("3") or "") == {"req_id": "3", "op": "ping"}


def test_every_interval_and_depth_has_its_topic() -> None:
    codec, btc = BybitCodec(), instrument()
    intervals = [
        codec.topic(Subscription(Channel.CANDLES, btc, interval=i))
        for i in Bybit.capabilities.intervals
    ]
    assert [t.split(".")[1] for t in intervals] == (
        "1 3 5 15 30 60 120 240 360 720 D W M".split()  # noqa: SIM905
    )
    assert codec.topic(Subscription(Channel.BOOK, btc, depth=200)) == "orderbook.200.BTCUSDT"


def test_the_login_frame_equals_the_published_vector() -> None:
    credentials = Credentials("testkey", "testsecret")
    access = Access(now_ms=1_700_000_000_000, url="wss://ws", credentials=credentials)
    codec = BybitCodec()
    frame = json.loads(codec.login(access, "9"))
    assert frame == {
        "req_id": "9",
        "op": "auth",
        "args": [
            "testkey",
            1_700_000_010_000,
            "6a806639d27b1c24c3808a191e9d0274d0c9d3a04a160233856d65840dfda2c8",
        ],
    }


# --- answers ---


@pytest.mark.parametrize(
    "frame",
    [
        {"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"},
        {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "", "op": "ping"},
        {"args": ["1672916271846"], "op": "pong"},
        {"req_id": "test", "op": "pong", "args": ["1675418560633"], "conn_id": "c"},
        {"retCode": 0, "retMsg": "OK", "op": "pong", "data": ["1711002002529"], "connId": "c"},
    ],
)
def test_every_form_of_pong_is_a_sign_of_life(frame: dict[str, Any]) -> None:
    assert said(BybitCodec(), frame) == [Pong()]


def test_a_refusal_without_request_id_names_the_topics_in_its_text() -> None:
    text = "Invalid symbol :[orderbook.50.NOSUCHSYM]"
    frame = {"success": False, "ret_msg": text, "conn_id": "c", "op": "subscribe"}
    assert said(BybitCodec(), frame) == [Refused(None, "", text, ("orderbook.50.NOSUCHSYM",))]


def test_a_refusal_of_one_topic_of_a_request_leaves_the_others_open() -> None:
    codec = codec_for(Channel.TOP_OF_BOOK, Channel.TRADES)
    text = "error:handler not found,topic:publicTrade.BTCUSDT"
    frame = {"success": False, "ret_msg": text, "req_id": "1", "op": "subscribe"}
    assert said(codec, frame) == [Refused("1", "", text, ("publicTrade.BTCUSDT",))]


def test_a_refusal_that_names_no_topic_is_about_the_whole_request() -> None:
    frame = {"success": False, "ret_msg": "args size >10", "req_id": "4", "op": "subscribe"}
    assert said(BybitCodec(), frame) == [Refused("4", "", "args size >10", None)]


def test_being_subscribed_already_is_what_was_asked_for() -> None:
    codec = codec_for(Channel.LIQUIDATIONS)
    text = "error:already subscribed,topic:allLiquidation.BTCUSDT"
    frame = {"success": False, "ret_msg": text, "req_id": "5", "op": "subscribe"}
    assert said(codec, frame) == [Ack("5", ("allLiquidation.BTCUSDT",))]


def test_options_answer_per_topic() -> None:
    frame = {
        "success": True,
        "conn_id": "c",
        "data": {"failTopics": ["tickers.B"], "successTopics": ["tickers.A"]},
        "type": "COMMAND_RESP",
    }
    ack, refused = said(BybitCodec(), frame)
    assert ack == Ack(None, ("tickers.A",))
    assert refused.topics == ("tickers.B",)
    assert refused.request_id is None


def test_logins_are_answered_in_two_forms() -> None:
    codec = BybitCodec()
    assert said(codec, {"success": True, "ret_msg": "", "op": "auth"}) == [LoggedIn()]
    assert said(codec, {"retCode": 0, "retMsg": "OK", "op": "auth"}) == [LoggedIn()]
    refused = said(codec, {"success": False, "ret_msg": "Params Error", "op": "auth"})
    assert refused == [LoginRefused("", "Params Error")]
    refused = said(codec, {"retCode": 10004, "retMsg": "Invalid sign", "op": "auth"})
    assert refused == [LoginRefused("10004", "Invalid sign")]


# --- level 1 ---


def test_a_level_one_delta_of_old_is_completed_from_the_update_before() -> None:
    codec = codec_for(Channel.TOP_OF_BOOK)
    said(codec, top("snapshot", 10, [["100", "1"]], [["101", "2"]]))
    (data,) = said(codec, top("delta", 11, [["99", "3"]], []))
    assert (data.events[0].bid_price, data.events[0].bid_size) == (Decimal(99), Decimal(3))
    assert (data.events[0].ask_price, data.events[0].ask_size) == (Decimal(101), Decimal(2))


def test_a_delta_is_not_completed_from_any_but_the_update_before() -> None:
    """A copy that was recognised without decoding leaves a hole in what the codec has seen."""
    codec = codec_for(Channel.TOP_OF_BOOK)
    said(codec, top("snapshot", 10, [["100", "1"]], [["101", "2"]]))
    (message,) = said(codec, top("delta", 12, [["99", "3"]], []))
    assert isinstance(message, Unrecognised)
    (data,) = said(codec, top("delta", 13, [["99", "3"]], [["103", "1"]]))
    assert data.events[0].ask_price == Decimal(103)


def test_a_delta_that_deletes_the_best_and_brings_the_next_shows_the_next() -> None:
    """As recordings of 2023 have it."""
    codec = codec_for(Channel.TOP_OF_BOOK)
    said(codec, top("snapshot", 10, [["100", "1"]], [["101", "2"]]))
    (data,) = said(codec, top("delta", 11, [["100", "0"], ["99", "3"]], []))
    assert (data.events[0].bid_price, data.events[0].bid_size) == (Decimal(99), Decimal(3))
    assert data.events[0].ask_price == Decimal(101)
    (data,) = said(codec, top("delta", 12, [], [["100.5", "4"], ["101", "0"]]))
    assert (data.events[0].ask_price, data.events[0].ask_size) == (Decimal("100.5"), Decimal(4))
    assert data.events[0].bid_price == Decimal(99)
    (data,) = said(codec, top("delta", 13, [["99", "0"]], []))
    assert data.events[0].bid_price is None


def test_a_side_without_orders_is_none_in_every_spelling() -> None:
    codec = codec_for(Channel.TOP_OF_BOOK)
    for empty in ([], [["0", "0"]], [["100", "0.000"]]):
        (data,) = said(codec, top("snapshot", 10, empty, [["101", "2"]]))
        assert data.events[0].bid_price is None
        assert data.events[0].bid_size is None
        assert data.events[0].ask_size == Decimal(2)


@pytest.mark.parametrize("channel", [Channel.TOP_OF_BOOK, Channel.BOOK])
@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_number_one_says_that_the_service_restarted_whatever_the_type(
    channel: Channel, kind: str
) -> None:
    codec = codec_for(channel, depth=1 if channel is Channel.BOOK else None)
    (data,) = said(codec, top(kind, 1, [["100", "1"]], [["101", "2"]]))
    assert data.restart
    assert data.sequence == 1
    if channel is Channel.BOOK:
        assert data.events[0].snapshot
        assert data.events[0].previous_sequence is None


# --- tickers ---


def test_partial_tickers_are_completed_and_tell_only_what_changed() -> None:
    codec = codec_for(Channel.TICKER, Channel.FUNDING, Channel.MARK_PRICE)
    first = said(
        codec,
        ticker("snapshot", 5, lastPrice="10", markPrice="10.1", indexPrice="10.2",
               fundingRate="0.0001", nextFundingTime="1700006400000"),
    )  # fmt: skip
    assert [type(d.events[0]) for d in first] == [Ticker, Funding, MarkPrice]
    assert len({d.sequence for d in first}) == 3
    (data,) = said(codec, ticker("delta", 6, lastPrice="11"))
    assert data.events[0].last_price == Decimal(11)
    assert data.events[0].mark_price == Decimal("10.1")
    _, mark = said(codec, ticker("delta", 7, indexPrice="10.3"))
    assert mark.events[0].index_price == Decimal("10.3")
    assert mark.events[0].mark_price == Decimal("10.1")
    assert len(said(codec, ticker("delta", 8, fundingRate="0.0001"))) == 1


def test_a_channel_added_to_a_live_ticker_begins_with_the_present_state() -> None:
    codec = codec_for(Channel.TICKER)
    said(codec, ticker("snapshot", 5, markPrice="10.1", lastPrice="10"))
    codec.subscribe([Subscription(Channel.MARK_PRICE, instrument())], "2")
    kinds = [type(d.events[0]) for d in said(codec, ticker("delta", 6, lastPrice="11"))]
    assert kinds == [Ticker, MarkPrice]


def test_a_partial_ticker_before_its_snapshot_says_nothing() -> None:
    codec = codec_for(Channel.TICKER)
    (message,) = said(codec, ticker("delta", 6, lastPrice="11"))
    assert isinstance(message, Unrecognised)
    said(codec, ticker("snapshot", 7, lastPrice="11"))
    codec.unsubscribe([Subscription(Channel.TICKER, instrument())], "2")
    codec.subscribe([Subscription(Channel.TICKER, instrument())], "3")
    (message,) = said(codec, ticker("delta", 8, lastPrice="12"))
    assert isinstance(message, Unrecognised)


def test_ticker_numbers_rise_whenever_the_engine_or_the_time_goes_on() -> None:
    steps = st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 6 * 3_600_000)).filter(any), max_size=30
    )

    @given(st.integers(0, 2**45), steps)
    # An illiquid contract's engine does nothing for days.
    @example(5, [(0, 3_600_000)] * 100)
    @example(5, [(1, 0)] * 5)
    def check(cross: int, gone: list[tuple[int, int]]) -> None:
        codec, time = codec_for(Channel.TICKER), NOW_MS
        numbers = []
        for engine, ms in [(0, 0), *gone]:
            cross, time = cross + engine, time + ms
            (data,) = said(codec, ticker("snapshot", cross, time, lastPrice="1"))
            numbers.append(data.sequence)
            assert not data.restart
        assert numbers == sorted(set(numbers))
        assert all(0 < n < 2**63 for n in numbers)

    check()


def test_a_machine_whose_clock_is_ahead_does_not_outweigh_the_engine() -> None:
    codec = codec_for(Channel.TICKER)
    (ahead,) = said(codec, ticker("snapshot", 5, NOW_MS + 900, lastPrice="1"))
    (later,) = said(codec, ticker("snapshot", 6, NOW_MS + 100, lastPrice="1"))
    assert later.sequence > ahead.sequence
    assert not later.restart


def test_an_engine_that_counts_anew_is_told_and_a_late_frame_is_not_taken_for_one() -> None:
    codec = codec_for(Channel.TICKER, Channel.MARK_PRICE)
    said(codec, ticker("snapshot", 500, NOW_MS, lastPrice="1", markPrice="1"))
    late = said(codec, ticker("delta", 499, NOW_MS - 100, lastPrice="2"))
    assert not any(d.restart for d in late)
    said(codec, ticker("delta", 500, NOW_MS, lastPrice="1"))
    anew = said(codec, ticker("delta", 3, NOW_MS + 100, lastPrice="3", markPrice="3"))
    assert [d.restart for d in anew] == [True, False]


@pytest.mark.parametrize("count", [-1, 2**50, "5", 5.0])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(DecodeError):
        said(codec_for(Channel.TICKER), ticker("snapshot", count, lastPrice="1"))


def test_what_is_blank_or_zero_before_the_first_trade_is_none() -> None:
    (data,) = said(
        codec_for(Channel.TICKER, Channel.FUNDING, Channel.MARK_PRICE),
        ticker("snapshot", 5, lastPrice="0", highPrice24h="0.00", lowPrice24h="", volume24h="0",
               markPrice="", fundingRate="", nextFundingTime="0", bid1Price="", bid1Size="",
               ask1Price="0", ask1Size="0"),
    )  # fmt: skip
    event = data.events[0]
    assert (event.last_price, event.high_price, event.low_price) == (None, None, None)
    assert (event.volume, event.open_price, event.mark_price) == (Decimal(0), None, None)
    assert (event.bid_price, event.ask_price, event.next_funding_time_ns) == (None, None, None)


def test_open_interest_counts_one_side() -> None:
    """Since 2026-06-09 ``openInterest`` counts both."""
    codec = codec_for(Channel.TICKER)
    (data,) = said(codec, ticker("snapshot", 5, openInterest="20.5", singleOpenInterest="10.25"))
    assert data.events[0].open_interest == Decimal("10.25")
    (before,) = said(codec_for(Channel.TICKER), ticker("snapshot", 5, openInterest="10.25"))
    assert before.events[0].open_interest == Decimal("10.25")


# --- candles ---


def candle(trade_ms: int, told_ms: int, closed: bool = False, volume: str = "2") -> dict[str, Any]:
    row = {
        "start": NOW_MS - NOW_MS % 60_000,
        "end": NOW_MS - NOW_MS % 60_000 + 59_999,
        "interval": "1",
        **dict.fromkeys(("open", "close", "high", "low"), "100"),
        "volume": volume,
        "turnover": "200",
        "confirm": closed,
        "timestamp": NOW_MS + trade_ms,
    }
    return {"topic": "kline.1.BTCUSDT", "data": [row], "ts": NOW_MS + told_ms, "type": "snapshot"}


def test_states_of_a_candle_that_differ_have_numbers_that_rise() -> None:
    steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000)).filter(any), max_size=20)

    @given(steps)
    # Trades of one millisecond that are told in two frames; and then the candle is closed.
    @example([(0, 1000), (0, 1000), (1, 0)])
    def check(gone: list[tuple[int, int]]) -> None:
        codec = codec_for(Channel.CANDLES, interval="1m")
        trade = told = 0
        numbers = []
        for ms, later in [(0, 0), *gone]:
            trade, told = trade + ms, told + later
            (data,) = said(codec, candle(trade, told, volume=str(len(numbers))))
            numbers.append(data.sequence)
        (closed,) = said(codec, candle(trade, told, closed=True))
        numbers.append(closed.sequence)
        assert numbers == sorted(set(numbers))
        assert all(0 < n < 2**63 for n in numbers)

    check()


def test_a_ticker_with_an_unreadable_value_forgets_that_value_and_no_other() -> None:
    """A delta tells what changed once: what else it said must not be lost, nor what it replaced be
    told as if it were still so."""
    codec = codec_for(Channel.TICKER)
    said(codec, ticker("snapshot", 5, lastPrice="10", bid1Price="9", bid1Size="1"))
    for strange in ("ten", "-1", "1" * 100, 10):
        with pytest.raises(DecodeError):
            said(codec, ticker("delta", 6, lastPrice=strange, bid1Price="8", markPrice="7"))  # type: ignore[arg-type]
        (data,) = said(codec, ticker("delta", 7, indexPrice="9"))
        event = data.events[0]
        assert (event.last_price, event.bid_price, event.mark_price) == (None, 8, 7)
    (data,) = said(codec, ticker("delta", 8, lastPrice="11"))
    assert data.events[0].last_price == Decimal(11)


def test_a_strange_liquidation_takes_no_other_away() -> None:
    codec = codec_for(Channel.LIQUIDATIONS)
    row = {"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100"}
    rows = [row, {**row, "p": "0"}, {**row, "T": 1}, {**row, "v": "2"}, {"S": "Buy"}]
    frame = {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": NOW_MS, "data": rows}
    told = said(codec, frame)
    kinds = [type(message) for message in told]
    assert kinds == [Data, LeftOut, LeftOut, Data, LeftOut]
    assert {message.topic for message in told} == {"allLiquidation.BTCUSDT"}
    assert [e.size for m in told if isinstance(m, Data) for e in m.events] == [1, 2]


def test_dated_contracts_have_no_funding() -> None:
    codec = codec_for(Channel.FUNDING)
    told = said(codec, ticker("snapshot", 5, fundingRate="", nextFundingTime=""))
    assert told == [Unchanged("tickers.BTCUSDT")]


# --- the rest ---


def test_new_fields_topics_types_and_sides_are_no_errors() -> None:
    codec = codec_for(Channel.TRADES, Channel.TOP_OF_BOOK)
    row = {**ROW, "i": "a", "new": {}}
    odd = {**row, "S": "Neither", "i": "b"}
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": NOW_MS, "data": [row, odd]}
    unknown, data = said(codec, frame)
    assert isinstance(unknown, Unrecognised)
    assert [t.trade_id for t in data.events] == ["a"]
    for other in (
        {"topic": "orderbook.9.BTCUSDT"},
        {"topic": "wallet", "data": []},
        {"op": "new"},
        {},
        {**top("refresh", 4, [], [])},
    ):
        (message,) = said(codec, other)
        assert isinstance(message, Unrecognised)


def test_after_unsubscribing_frames_are_unrecognised() -> None:
    codec = codec_for(Channel.TOP_OF_BOOK)
    frame = top("snapshot", 10, [["100", "1"]], [["101", "2"]])
    assert isinstance(said(codec, frame)[0], Data)
    codec.unsubscribe([Subscription(Channel.TOP_OF_BOOK, instrument())], "2")
    assert isinstance(said(codec, frame)[0], Unrecognised)


def test_prices_keep_the_wires_exact_digits_and_times_are_nanoseconds() -> None:
    texts = st.from_regex(r"[1-9][0-9]{0,8}(\.[0-9]{1,8})?", fullmatch=True)

    @given(texts, texts, st.integers(10**12, 4 * 10**12))
    def check(price: str, size: str, time: int) -> None:
        codec = codec_for(Channel.TOP_OF_BOOK)
        frame = {**top("snapshot", 2, [[price, size]], []), "cts": time}
        (data,) = said(codec, frame)
        event = data.events[0]
        assert isinstance(event, TopOfBook)
        assert str(event.bid_price) == price
        assert event.bid_size is None or str(event.bid_size) == size
        assert event.exchange_time_ns == time * 1_000_000

    check()


def test_key_order_and_spaces_change_nothing() -> None:
    frame = top("snapshot", 2, [["1.50", "2"]], [["1.60", "3"]])

    @given(st.permutations(list(frame.items())), st.permutations(list(frame["data"].items())))
    def check(outer: list[tuple[str, Any]], inner: list[tuple[str, Any]]) -> None:
        other = {**dict(outer), "data": dict(inner)}
        codec = codec_for(Channel.TOP_OF_BOOK)
        assert codec.decode(json.dumps(other, indent=1).encode(), 7) == codec.decode(
            json.dumps(frame, separators=(",", ":")).encode(), 7
        )

    check()
