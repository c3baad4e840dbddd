"""What Binance's frames say, frame by frame: the cases that the samples don't show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_binance import Binance
from ccrs_binance.codec import BinanceCodec
from ccrs_binance.foreign import instrument_of
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    BookUpdate,
    Candle,
    Channel,
    Closing,
    Codec,
    Data,
    DecodeError,
    Funding,
    Instrument,
    Liquidation,
    Market,
    MarkPrice,
    Refused,
    Side,
    Subscription,
    TopOfBook,
    Trade,
    Unchanged,
    Unrecognised,
)

NOW = 1_794_000_000_000
MINUTE = 60_000


def instrument(market: Market = Market.SPOT, native: str = "BTCUSDT") -> Instrument:
    found = instrument_of(native, market)
    assert found is not None
    return found


def codec_for(*channels: Channel, market: Market = Market.SPOT, **options: Any) -> Codec:
    codec = BinanceCodec()
    subs = [Subscription(c, instrument(market), **options) for c in channels]
    codec.subscribe(subs, "1")
    return codec


def said(codec: Codec, frame: dict[str, Any]) -> list[Any]:
    return list(codec.decode(json.dumps(frame).encode(), 7))


def stream(kind: str, **data: Any) -> dict[str, Any]:
    return {"stream": f"btcusdt@{kind}", "data": data}


def only(codec: Codec, frame: dict[str, Any]) -> Any:
    """The one event of a frame."""
    (message,) = said(codec, frame)
    assert isinstance(message, Data)
    (event,) = message.events
    return event


# --- requests ---


def test_requests_name_each_stream_once_however_many_channels_share_it() -> None:
    btc = instrument(Market.LINEAR)
    codec = BinanceCodec()
    subs = [Subscription(c, btc) for c in (Channel.FUNDING, Channel.MARK_PRICE, Channel.TRADES)]
    streams = ["btcusdt@markPrice@1s", "btcusdt@aggTrade"]
    asked = {"method": "SUBSCRIBE", "params": streams, "id": 12}
    assert json.loads(codec.subscribe(subs, "12")) == asked
    asked = {"method": "UNSUBSCRIBE", "params": streams, "id": 13}
    assert json.loads(codec.unsubscribe(subs, "13")) == asked
    assert codec.ping("14") is None, "a ping of the protocol"


def test_every_channel_interval_and_depth_has_its_stream() -> None:
    codec = BinanceCodec()
    spot, linear = instrument(), instrument(Market.LINEAR)
    assert codec.topic(Subscription(Channel.TRADES, spot)) == "btcusdt@trade"
    assert codec.topic(Subscription(Channel.TRADES, linear)) == "btcusdt@aggTrade"
    for interval in Binance.capabilities.intervals:
        sub = Subscription(Channel.CANDLES, spot, interval=interval)
        assert codec.topic(sub) == f"btcusdt@kline_{interval}"
    for depth, kind in ((5, "depth5"), (10, "depth10"), (20, "depth20"), (1000, "depth")):
        assert codec.topic(Subscription(Channel.BOOK, spot, depth=depth)) == f"btcusdt@{kind}@100ms"
    dated = instrument(Market.LINEAR, "BTCUSDT_261225")
    assert codec.topic(Subscription(Channel.TICKER, dated)) == "btcusdt_261225@ticker"


# --- answers ---


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"result": None, "id": 7}, Ack("7")),
        (
            {"error": {"code": 2, "msg": "Invalid request: x"}, "id": 7},
            Refused("7", "2", "Invalid request: x"),
        ),
        ({"code": 3, "msg": "Invalid JSON", "id": 7}, Refused("7", "3", "Invalid JSON")),
        ({"error": {"code": 1}, "id": None}, Refused(None, "1", "no reason given")),
        ({"e": "serverShutdown", "E": NOW}, Closing("the exchange announced a shutdown")),
        (
            {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": NOW}},
            Closing("the exchange announced a shutdown"),
        ),
    ],
)
def test_answers_and_notices_come_in_several_forms(frame: dict[str, Any], message: object) -> None:
    assert said(BinanceCodec(), frame) == [message]


# --- top of book ---


def test_spots_best_prices_tell_no_time_and_futures_that_of_the_change() -> None:
    quote = {"u": 9, "s": "BTCUSDT", "b": "100.10", "B": "1", "a": "100.20", "A": "2.50"}
    event = only(codec_for(Channel.TOP_OF_BOOK), stream("bookTicker", **quote))
    assert isinstance(event, TopOfBook)
    assert event.exchange_time_ns is None
    assert (str(event.bid_price), str(event.ask_size), event.sequence) == ("100.10", "2.50", 9)
    codec = codec_for(Channel.TOP_OF_BOOK, market=Market.LINEAR)
    event = only(codec, stream("bookTicker", **quote, T=NOW, E=NOW + 5))
    assert event.exchange_time_ns == NOW * 1_000_000


@pytest.mark.parametrize("size", ["0", "0.00000000"])
def test_a_side_without_orders_is_none(size: str) -> None:
    quote = {"u": 9, "s": "BTCUSDT", "b": "0.00", "B": size, "a": "100.20", "A": "2.50"}
    event = only(codec_for(Channel.TOP_OF_BOOK), stream("bookTicker", **quote))
    assert event.bid_price is event.bid_size is None
    assert event.ask_price == Decimal("100.20")


# --- books ---


def test_spots_changes_follow_by_the_first_number_and_futures_by_the_last_one_before() -> None:
    change = {"E": NOW, "U": 157, "u": 160, "b": [["1.5", "2"]], "a": [["1.6", "0.00"]]}
    codec = codec_for(Channel.BOOK, depth=1000)
    event = only(codec, stream("depth@100ms", **change))
    assert isinstance(event, BookUpdate)
    assert (event.previous_sequence, event.sequence, event.snapshot) == (156, 160, False)
    assert event.asks == ((Decimal("1.6"), Decimal(0)),)
    assert event.exchange_time_ns == NOW * 1_000_000
    codec = codec_for(Channel.BOOK, market=Market.LINEAR, depth=1000)
    event = only(codec, stream("depth@100ms", **change, T=NOW - 3, pu=149))
    assert (event.previous_sequence, event.sequence, event.snapshot) == (149, 160, False)
    assert event.exchange_time_ns == (NOW - 3) * 1_000_000


def test_partial_books_are_whole_each_time_and_no_deeper_than_asked_for() -> None:
    rows = [[str(n), "1"] for n in range(1, 9)]
    codec = codec_for(Channel.BOOK, depth=5)
    event = only(codec, stream("depth5@100ms", lastUpdateId=160, bids=rows[::-1], asks=rows))
    assert event.snapshot
    assert event.previous_sequence is event.exchange_time_ns is None
    assert (event.sequence, len(event.bids), len(event.asks)) == (160, 5, 5)
    codec = codec_for(Channel.BOOK, market=Market.LINEAR, depth=5)
    change = {"e": "depthUpdate", "E": NOW, "T": NOW, "U": 157, "u": 160, "pu": 149}
    event = only(codec, stream("depth5@100ms", **change, b=[], a=rows))
    assert event.snapshot
    assert (event.sequence, len(event.bids), len(event.asks)) == (160, 0, 5)


def test_books_of_two_depths_are_streams_of_their_own() -> None:
    codec = BinanceCodec()
    subs = [Subscription(Channel.BOOK, instrument(), depth=depth) for depth in (5, 20, 1000)]
    codec.subscribe(subs, "1")
    codec.unsubscribe(subs[:1], "2")
    (gone,) = said(codec, stream("depth5@100ms", lastUpdateId=1, bids=[], asks=[]))
    assert isinstance(gone, Unrecognised)
    assert only(codec, stream("depth20@100ms", lastUpdateId=1, bids=[], asks=[])).snapshot


# --- trades ---


@pytest.mark.parametrize(("maker", "side"), [(True, Side.SELL), (False, Side.BUY)])
def test_where_the_buyer_was_the_maker_the_taker_has_sold(maker: bool, side: Side) -> None:
    trade = {"E": NOW + 1, "T": NOW, "p": "100.10", "q": "0.5", "m": maker}
    event = only(codec_for(Channel.TRADES), stream("trade", t=77, **trade))
    assert isinstance(event, Trade)
    assert (event.trade_id, event.side, event.block) == ("77", side, False)
    codec = codec_for(Channel.TRADES, market=Market.LINEAR)
    event = only(codec, stream("aggTrade", a=78, f=1, l=3, nq="0.4", **trade))
    assert (event.trade_id, event.side, str(event.size)) == ("78", side, "0.5")
    with pytest.raises(DecodeError):
        said(codec, stream("aggTrade", a=78, f=1, l=3, **{**trade, "m": 1}))


def test_a_trade_says_whether_a_part_of_it_improved_a_retail_price() -> None:
    """``nq`` leaves out what such orders made; spot and COIN-M don't say."""
    trade = {"E": NOW + 1, "a": 78, "p": "100.10", "q": "0.50", "f": 1, "l": 3, "T": NOW, "m": True}
    for extra in ({}, {"odd": 1}):  # the usual spelling, and another one
        codec = codec_for(Channel.TRADES, market=Market.LINEAR)
        for normal, improved in {"0.5": False, "0.4": True, "0": True}.items():
            frame = json.dumps(stream("aggTrade", **_ordered(trade, nq=normal), **extra))
            (message,) = codec.decode(frame.replace(" ", "").encode(), 7)
            assert isinstance(message, Data)
            assert [t.rpi for t in message.events if isinstance(t, Trade)] == [improved]
        assert only(codec, stream("aggTrade", **trade)).rpi is None
    spot = {"E": NOW + 1, "t": 7, "p": "1.0", "q": "1.0", "T": NOW, "m": True, "M": True}
    assert only(codec_for(Channel.TRADES), stream("trade", **spot)).rpi is None


def _ordered(trade: dict[str, Any], **after_q: Any) -> dict[str, Any]:
    """A trade as Binance spells it, with more after its quantity."""
    fields = {"e": "aggTrade"}
    for name, value in trade.items():
        fields |= {name: value, **(after_q if name == "q" else {})}
    return fields


# --- what may be blank ---


@pytest.mark.parametrize("blank", ["", None, "0.00000000"])
def test_a_ticker_before_the_first_trade_has_no_prices(blank: str | None) -> None:
    fields = {"e": "24hrTicker", "E": NOW, "s": "BTCUSDT", "v": "0.00000000", "q": "0.00000000"}
    names = ("c", "o", "h", "l", "b", "B", "a", "A")
    event = only(
        codec_for(Channel.TICKER), stream("ticker", **fields, **dict.fromkeys(names, blank))
    )
    told = (event.last_price, event.open_price, event.high_price, event.low_price)
    assert told == (None,) * 4
    assert (event.bid_price, event.bid_size, event.ask_price, event.ask_size) == (None,) * 4
    assert (event.volume, event.turnover) == (0, 0)


@pytest.mark.parametrize("blank", ["", None, "0.00000000"])
def test_a_side_that_is_blank_is_none(blank: str | None) -> None:
    codec = codec_for(Channel.TOP_OF_BOOK)
    event = only(codec, stream("bookTicker", u=5, b=blank, B=blank, a="2.0", A="1.0"))
    assert (event.bid_price, event.bid_size) == (None, None)
    assert (str(event.ask_price), str(event.ask_size)) == ("2.0", "1.0")


@pytest.mark.parametrize("blank", ["", None, "0.00000000"])
def test_what_is_blank_where_a_price_belongs_is_no_event(blank: str | None) -> None:
    """Of a market that has never traded; the connection is unharmed."""
    row = {
        "t": NOW,
        "T": NOW + MINUTE - 1,
        "x": False,
        "v": "0",
        "q": "0",
        **dict.fromkeys("ohlc", blank),
    }
    codec = codec_for(Channel.CANDLES, interval="1m")
    assert all(isinstance(m, Unrecognised) for m in said(codec, stream("kline_1m", E=NOW, k=row)))
    codec = codec_for(Channel.MARK_PRICE, Channel.FUNDING, market=Market.LINEAR)
    mark = {"E": NOW, "p": blank, "i": blank, "r": "", "T": 0}
    assert said(codec, stream("markPrice@1s", **mark)) == [Unchanged("btcusdt@markPrice@1s")]
    funding = only(codec, stream("markPrice@1s", **{**mark, "r": "-0.0001"}))
    assert isinstance(funding, Funding)
    assert (str(funding.rate), funding.funding_time_ns) == ("-0.0001", None)
    codec = codec_for(Channel.LIQUIDATIONS, market=Market.LINEAR)
    order = {"S": "SELL", "p": blank, "q": "1", "T": NOW}
    assert all(
        isinstance(m, Unrecognised) for m in said(codec, stream("forceOrder", E=NOW, o=order))
    )


def test_an_index_that_is_not_told_is_none() -> None:
    codec = codec_for(Channel.MARK_PRICE, market=Market.LINEAR)
    for index in ("", "0.00000000", None):
        event = only(codec, stream("markPrice@1s", E=NOW, p="10.5", i=index, r="", T=0))
        assert (str(event.mark_price), event.index_price) == ("10.5", None)


def test_liquidations_are_told_by_all_that_is_said_of_them() -> None:
    """Not by the time of the frame, which is the server's."""
    codec = codec_for(Channel.LIQUIDATIONS, market=Market.LINEAR)
    order = {"s": "BTCUSDT", "S": "SELL", "p": "10.5", "q": "1", "z": "1", "T": NOW}

    def told(time: int, **changes: Any) -> Any:
        (message,) = said(codec, stream("forceOrder", E=time, o={**order, **changes}))
        assert isinstance(message, Data)
        return message.sequence

    assert told(NOW) == told(NOW + 3)
    others = [told(NOW, **change) for change in ({"T": NOW + 1}, {"q": "2"}, {"S": "BUY"})]
    assert len({told(NOW), *others}) == 4


# --- candles ---


def candle(start: int, at: int, closed: bool = False) -> dict[str, Any]:
    row = {"t": start, "T": start + MINUTE - 1, "o": "1", "c": "2", "h": "3", "l": "0.5"}
    return stream("kline_1m", e="kline", E=at, k={**row, "v": "5", "q": "9", "x": closed})


def test_states_of_candles_have_rising_numbers_and_end_where_the_next_begins() -> None:
    codec = codec_for(Channel.CANDLES, interval="1m")
    frames = [
        candle(NOW, NOW + 100),
        candle(NOW, NOW + 2_100),
        candle(NOW, NOW + MINUTE, closed=True),
        candle(NOW + MINUTE, NOW + MINUTE),
        candle(NOW + MINUTE, NOW + MINUTE + 1),
    ]
    found = [message for frame in frames for message in said(codec, frame)]
    numbers = [message.sequence for message in found]
    assert numbers == sorted(set(numbers))
    assert all(0 < number < 2**63 for number in numbers)
    event = found[2].events[0]
    assert isinstance(event, Candle)
    assert event.closed
    assert event.close_time_ns == found[3].events[0].open_time_ns == (NOW + MINUTE) * 1_000_000


# --- futures' prices ---


def mark(at: int, rate: str = "0.0001", **fields: Any) -> dict[str, Any]:
    prices = {"p": "100.1", "i": "100.2", "r": rate, "T": NOW + 8 * 3600_000}
    return stream("markPrice@1s", e="markPriceUpdate", E=at, **{**prices, **fields})


def test_one_stream_carries_marks_and_funding_each_to_who_wants_it() -> None:
    both = codec_for(Channel.MARK_PRICE, Channel.FUNDING, market=Market.LINEAR)
    first = said(both, mark(NOW))
    assert [type(m.events[0]) for m in first] == [MarkPrice, Funding]
    assert len({m.sequence for m in first}) == 2
    assert [type(m.events[0]) for m in said(both, mark(NOW + 1000))] == [MarkPrice]
    assert len(said(both, mark(NOW + 2000, "0.0002"))) == 2, "the rate has changed"
    funding = codec_for(Channel.FUNDING, market=Market.LINEAR)
    event = only(funding, mark(NOW))
    assert (event.rate, event.funding_time_ns) == (Decimal("0.0001"), (NOW + 28_800_000) * 10**6)
    (nothing,) = said(funding, mark(NOW + 1000))
    assert isinstance(nothing, Unchanged)


def test_a_channel_added_to_a_live_stream_begins_with_the_present_state() -> None:
    codec = codec_for(Channel.MARK_PRICE, market=Market.LINEAR)
    said(codec, mark(NOW))
    codec.subscribe([Subscription(Channel.FUNDING, instrument(Market.LINEAR))], "2")
    kinds = [type(m.events[0]) for m in said(codec, mark(NOW + 1000))]
    assert kinds == [MarkPrice, Funding]


def test_dated_contracts_have_no_funding() -> None:
    codec = codec_for(Channel.FUNDING, Channel.MARK_PRICE, market=Market.LINEAR)
    assert [type(m.events[0]) for m in said(codec, mark(NOW, "", T=0))] == [MarkPrice]


@pytest.mark.parametrize(("order", "position"), [("SELL", Side.BUY), ("BUY", Side.SELL)])
def test_a_liquidation_is_told_by_the_side_of_the_position(order: str, position: Side) -> None:
    codec = codec_for(Channel.LIQUIDATIONS, market=Market.LINEAR)
    row = {"s": "BTCUSDT", "S": order, "q": "0.5", "p": "99", "ap": "98", "T": NOW}
    event = only(codec, stream("forceOrder", e="forceOrder", E=NOW + 1, o=row))
    assert isinstance(event, Liquidation)
    assert event.side is position
    (new,) = said(codec, stream("forceOrder", e="forceOrder", E=NOW + 1, o={**row, "S": "NEITHER"}))
    assert isinstance(new, Unrecognised)


# --- the rest ---


def test_new_fields_and_streams_are_no_errors() -> None:
    codec = codec_for(Channel.TRADES)
    row = {"t": 5, "T": NOW, "p": "1", "q": "2", "m": True, "new": {"a": [1]}}
    assert only(codec, stream("trade", **row)).trade_id == "5"
    for other in (stream("new", e="new"), {"stream": "!ticker@arr", "data": [{}]}, {"e": "x"}, {}):
        (message,) = said(codec, other)
        assert isinstance(message, Unrecognised)


def test_after_unsubscribing_frames_are_unrecognised() -> None:
    codec = codec_for(Channel.TRADES)
    frame = stream("trade", t=5, T=NOW, p="1", q="2", m=True)
    assert isinstance(said(codec, frame)[0], Data)
    codec.unsubscribe([Subscription(Channel.TRADES, instrument())], "2")
    assert isinstance(said(codec, frame)[0], Unrecognised)


def test_prices_keep_the_wires_exact_digits_and_times_are_nanoseconds() -> None:
    texts = st.from_regex(r"[1-9][0-9]{0,8}(\.[0-9]{1,8})?", fullmatch=True)

    @given(texts, texts, st.integers(10**12, 4 * 10**12), st.sampled_from([(",", ":"), None]))
    def check(price: str, size: str, time: int, separators: tuple[str, str] | None) -> None:
        codec = codec_for(Channel.TRADES)
        frame = stream(
            "trade", e="trade", E=time, s="BTCUSDT", t=5, p=price, q=size, T=time, m=True, M=True
        )
        (message,) = codec.decode(json.dumps(frame, separators=separators).encode(), 7)
        assert isinstance(message, Data)
        (event,) = message.events
        assert isinstance(event, Trade)
        assert (str(event.price), str(event.size)) == (price, size)
        assert event.exchange_time_ns == time * 1_000_000

    check()
