"""What OKX's frames say, frame by frame: the cases that the samples don't show."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import INTERVALS, OkxCodec
from hypothesis import given
from hypothesis import strategies as st
from okx_frames import (
    INVERSE,
    LINEAR,
    NOW,
    OPTION,
    SPOT,
    codec_for,
    data_of,
    instrument,
    only,
    said,
    told,
)

from ccrs_core import (
    NS_PER_MS,
    Access,
    Ack,
    BookUpdate,
    Channel,
    Closing,
    Codec,
    Credentials,
    Data,
    DecodeError,
    Funding,
    LoggedIn,
    LoginRefused,
    MarkPrice,
    OrderBook,
    Pong,
    Refused,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Unrecognised,
)
from ccrs_core.model.orderbook import Applied


def level(price: str, size: str) -> list[str]:
    return [price, size, "0", "1"]


# --- requests ---


def test_a_request_names_each_channel_and_instrument_once() -> None:
    codec = OkxCodec()
    btc = instrument()
    subs = [Subscription(Channel.TRADES, btc), Subscription(Channel.CANDLES, btc, interval="1h")]
    args = [{"channel": "trades-all", "instId": SPOT}, {"channel": "candle1H", "instId": SPOT}]
    asked = json.loads(codec.subscribe([*subs, subs[0]], "12"))
    assert asked == {"id": "12", "op": "subscribe", "args": args}
    asked = json.loads(codec.unsubscribe(subs, "13"))
    assert asked == {"id": "13", "op": "unsubscribe", "args": args}


def test_every_channel_interval_and_depth_has_its_topic() -> None:
    codec = OkxCodec()
    btc = instrument(LINEAR)
    topics = {
        Channel.TOP_OF_BOOK: "bbo-tbt",
        Channel.TRADES: "trades-all",
        Channel.TICKER: "tickers",
        Channel.FUNDING: "funding-rate",
        Channel.MARK_PRICE: "mark-price",
        Channel.LIQUIDATIONS: "liquidation-orders",
    }
    for channel, name in topics.items():
        assert codec.topic(Subscription(channel, btc)) == f"{name}:{LINEAR}"
    for depth, name in ((5, "books5"), (400, "books")):
        assert codec.topic(Subscription(Channel.BOOK, btc, depth=depth)) == f"{name}:{LINEAR}"
    assert tuple(INTERVALS) == Okx.capabilities.intervals
    for interval in INTERVALS:
        topic = codec.topic(Subscription(Channel.CANDLES, btc, interval=interval))
        name, _, native = topic.partition(":")
        assert native == LINEAR
        # Without "utc" those of 6 hours and more begin at midnight in Hong Kong.
        begins_anywhere = interval[-1] in "mh" and interval not in {"6h", "12h"}
        assert name.endswith("utc") is not begins_anywhere
    assert len({INTERVALS[each].casefold() + each for each in INTERVALS}) == len(INTERVALS)


def test_a_login_is_signed_over_seconds() -> None:
    credentials = Credentials(key="k", secret="testsecret", passphrase="p")
    access = Access(now_ms=1_700_000_000_999, url="wss://ws", credentials=credentials)
    frame = OkxCodec().login(access, "5")
    (argument,) = json.loads(frame)["args"]
    assert argument == {
        "apiKey": "k",
        "passphrase": "p",
        "timestamp": "1700000000",
        "sign": "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=",
    }


# --- answers ---


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            {"id": "7", "event": "subscribe", "arg": {"channel": "books", "instId": SPOT}},
            Ack("7", (f"books:{SPOT}",)),
        ),
        (
            {"event": "unsubscribe", "arg": {"channel": "bbo-tbt", "instId": LINEAR}},
            Ack(None, (f"bbo-tbt:{LINEAR}",)),
        ),
        (
            {"id": "", "event": "subscribe", "arg": {"channel": "books5", "instId": SPOT}},
            Ack(None, (f"books5:{SPOT}",)),
        ),
        (
            {"id": "7", "event": "error", "code": "60012", "msg": "Invalid request: x"},
            Refused("7", "60012", "Invalid request: x"),
        ),
        ({"event": "error", "code": 60014}, Refused(None, "60014", "no reason given", later=True)),
        ({"event": "login", "code": "0", "msg": ""}, LoggedIn()),
        ({"event": "login", "code": "1", "msg": "no"}, LoginRefused("1", "no")),
        (
            {"event": "error", "code": "60009", "msg": "Login failed."},
            LoginRefused("60009", "Login failed."),
        ),
        (
            {"event": "notice", "code": "64008", "msg": "soon closed", "connId": "a"},
            Closing("soon closed"),
        ),
        ({"event": "notice", "code": "1", "msg": "x"}, Unrecognised("event notice")),
        (
            {"event": "channel-conn-count", "channel": "orders", "connCount": "2"},
            Unrecognised("event channel-conn-count"),
        ),
    ],
)
def test_answers_and_notices_are_told_apart(frame: dict[str, Any], message: object) -> None:
    assert said(OkxCodec(), frame) == [message]


def test_an_answer_about_a_channel_that_says_the_same_is_about_its_topic() -> None:
    frame = {"event": "subscribe", "arg": {"channel": "trades", "instId": SPOT}}
    assert said(codec_for(Channel.TRADES), frame) == [Ack(None, (f"trades-all:{SPOT}",))]
    assert said(OkxCodec(), frame) == [Ack(None, (f"trades:{SPOT}",))]


def test_the_heartbeat_is_bare_text() -> None:
    codec = OkxCodec()
    assert codec.ping("3") == "ping"
    assert list(codec.decode(b"pong", 7)) == [Pong()]
    heartbeat = codec.heartbeat
    assert heartbeat is not None
    assert heartbeat.interval + heartbeat.timeout < 30.0, "OKX ends what is silent for 30 s"
    for frame in (b"ping", b"pong ", b'"pong', b""):
        with pytest.raises(DecodeError):
            codec.decode(frame, 7)


def test_a_refusal_names_the_topic_that_does_not_exist() -> None:
    channels = st.sampled_from(["bbo-tbt", "books", "candle1Dutc", "trades-all", "mark-price"])
    natives = st.from_regex(r"[A-Z0-9]{1,8}-[A-Z]{1,5}(_UM)?(-SWAP|-26\d{4})?", fullmatch=True)
    ends = st.sampled_from([" doesn't exist. Please use the correct URL", ".", ", sorry", ""])

    @given(channels, natives, ends)
    def check(channel: str, native: str, end: str) -> None:
        text = f"Wrong URL or channel:{channel},instId:{native}{end}"
        frame = {"id": "7", "event": "error", "code": "60018", "msg": text}
        assert said(OkxCodec(), frame) == [Refused("7", "60018", text, (f"{channel}:{native}",))]

    check()


@pytest.mark.parametrize(
    "text",
    ["channel:liquidation-orders,instType:MARGIN doesn't exist", "channel:", "no", ",instId:X"],
)
def test_a_refusal_that_names_no_topic_is_about_its_request(text: str) -> None:
    frame = {"id": "7", "event": "error", "code": "60018", "msg": text}
    assert said(OkxCodec(), frame) == [Refused("7", "60018", text, None)]


# --- top of book ---


def test_best_prices_have_their_number_and_sizes_in_base_units() -> None:
    row = {"asks": [level("100.20", "25")], "bids": [level("100.10", "1.50")], "ts": str(NOW)}
    codec = codec_for(Channel.TOP_OF_BOOK, of=instrument(LINEAR, "0.01"))
    message = data_of(codec, told("bbo-tbt", {**row, "seqId": 9}, of=LINEAR))
    (event,) = message.events
    assert isinstance(event, TopOfBook)
    assert message.sequence == event.sequence == 9
    assert (str(event.bid_price), str(event.bid_size)) == ("100.10", "0.0150")
    assert (str(event.ask_price), str(event.ask_size)) == ("100.20", "0.25")
    codec = codec_for(Channel.TOP_OF_BOOK, of=instrument(INVERSE, "100"))
    event = only(codec, told("bbo-tbt", {**row, "seqId": 9}, of=INVERSE))
    assert (str(event.bid_size), str(event.ask_size)) == ("1.50", "25"), "contracts"


@pytest.mark.parametrize("asks", [[], [level("100.20", "0")], [level("100.20", "0.00")]])
def test_a_side_without_orders_is_none(asks: list[list[str]]) -> None:
    row = {"asks": asks, "bids": [level("100.10", "1")], "ts": str(NOW), "seqId": 9}
    event = only(codec_for(Channel.TOP_OF_BOOK), told("bbo-tbt", row))
    assert event.ask_price is event.ask_size is None
    assert event.bid_price == Decimal("100.10")


# --- books ---


def change(
    number: int | None, before: int | None, bids: Any = (), asks: Any = (), **more: Any
) -> Any:
    row = {"asks": list(asks), "bids": list(bids), "ts": str(NOW), **more}
    numbers = {"prevSeqId": before, "seqId": number}
    return row | {name: value for name, value in numbers.items() if value is not None}


def books() -> Codec:
    return codec_for(Channel.BOOK, depth=400)


def snapshot(row: dict[str, Any]) -> dict[str, Any]:
    return told("books", row, action="snapshot")


def update(row: dict[str, Any]) -> dict[str, Any]:
    return told("books", row, action="update")


def test_changes_name_the_number_before_and_snapshots_none() -> None:
    codec = books()
    first = data_of(codec, snapshot(change(100, -1, [level("9.9", "1")], [level("10.1", "2")])))
    (event,) = first.events
    assert isinstance(event, BookUpdate)
    assert (event.snapshot, event.sequence, event.previous_sequence) == (True, 100, None)
    assert event.bids == ((Decimal("9.9"), Decimal(1)),)
    second = data_of(codec, update(change(107, 100, [level("9.9", "0")])))
    (event,) = second.events
    assert isinstance(event, BookUpdate)
    assert (event.snapshot, event.sequence, event.previous_sequence) == (False, 107, 100)
    assert event.bids == ((Decimal("9.9"), Decimal(0)),), "gone"
    assert (first.sequence, first.restart, second.sequence, second.restart) == (
        100, False, 107, False,
    )  # fmt: skip


def test_a_lower_number_than_the_one_before_begins_a_new_count() -> None:
    @given(st.integers(0, 2**53), st.integers(0, 2**53))
    def check(number: int, before: int) -> None:
        message = data_of(books(), update(change(number, before)))
        assert message.restart is (number < before)
        assert message.sequence == number
        # A snapshot is whole, however it is numbered.
        assert not data_of(books(), snapshot(change(number, before))).restart

    check()


def test_a_new_count_is_followed_exactly_and_an_empty_change_changes_nothing() -> None:
    codec, book = books(), OrderBook("BTC/USDT")
    frames = [
        (snapshot(change(100, -1, [level("9", "1")], [level("10", "2")])), Applied.APPLIED),
        (update(change(105, 100, [level("9", "3")])), Applied.APPLIED),
        (update(change(105, 105)), Applied.OLD),  # said every minute of quiet
        (update(change(3, 105, [level("8", "1")])), Applied.APPLIED),
        (update(change(3, 3)), Applied.OLD),
        (update(change(4, 3, (), [level("10", "5")])), Applied.APPLIED),
        (update(change(2, 105, [level("1", "1")])), Applied.AHEAD),
    ]
    for frame, applied in frames:
        event = only(codec, frame)
        assert book.apply(event) is applied
    assert book.valid
    assert (book.sequence, book.bids(), book.asks()) == (
        4,
        [(Decimal(9), Decimal(3)), (Decimal(8), Decimal(1))],
        [(Decimal(10), Decimal(5))],
    )


@pytest.mark.parametrize(
    ("given_", "kept"),
    [({}, None), ({"checksum": 0}, None), ({"checksum": -855196043}, -855196043)],
)
def test_only_a_checksum_that_is_one_is_checked(given_: dict[str, int], kept: int | None) -> None:
    event = only(books(), snapshot(change(5, -1, **given_)))
    assert event.checksum == kept


def test_books_of_before_2023_are_counted_by_connection() -> None:
    codec = books()
    frames = [snapshot, update, update, snapshot, update]
    found = [data_of(codec, kind(change(None, None, checksum=-5))) for kind in frames]
    events: list[Any] = [event for message in found for event in message.events]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert [event.previous_sequence for event in events] == [None, 1, 2, None, 4]
    assert not any(message.restart or message.peek_agrees for message in found)
    assert only(books(), update(change(None, None))).sequence == 1, "each connection for itself"


@pytest.mark.parametrize("action", ["merge", "update"])
def test_a_frame_that_says_nothing_is_not_counted(action: str) -> None:
    codec = books()
    said(codec, snapshot(change(None, None)))
    strange = told("books", {**change(None, None), "ts": "1" if action == "update" else str(NOW)})
    with contextlib.suppress(DecodeError):
        (message,) = said(codec, {**strange, "action": action})
        assert isinstance(message, Unrecognised)
    event = only(codec, update(change(None, None)))
    assert (event.sequence, event.previous_sequence) == (2, 1)


def test_a_snapshot_need_not_name_the_number_before_it() -> None:
    message = data_of(books(), snapshot(change(5, None)))
    (event,) = message.events
    assert isinstance(event, BookUpdate)
    assert (event.sequence, event.previous_sequence, message.restart) == (5, None, False)


def test_books_of_before_2023_with_several_rows_a_frame_are_counted_by_rows() -> None:
    codec = books()
    several = told("books", change(None, None), change(None, None), action="update")
    found = [*said(codec, several), *said(codec, update(change(None, None)))]
    numbers = [(e.previous_sequence, e.sequence) for m in found for e in m.events]
    assert numbers == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("row", [["9.9", "1"], ["9.9", "1", "3"], ["9.9", "1", "0", "2", "new"]])
def test_levels_may_have_more_or_fewer_columns_one_day(row: list[str]) -> None:
    event = only(books(), update(change(6, 5, [row], [row])))
    assert event.bids == event.asks == ((Decimal("9.9"), Decimal(1)),)


def test_a_change_without_the_number_before_it_is_refused() -> None:
    with pytest.raises(DecodeError):
        said(books(), update(change(5, None)))
    (new,) = said(books(), told("books", change(5, 4), action="merge"))
    assert isinstance(new, Unrecognised)


def test_the_best_five_are_whole_each_time() -> None:
    rows = [level(str(n), "1") for n in range(1, 6)]
    codec = codec_for(Channel.BOOK, depth=5)
    event = only(codec, told("books5", change(7, None, rows[::-1], rows, instId=SPOT)))
    assert event.snapshot
    assert (event.sequence, event.previous_sequence, len(event.bids)) == (7, None, 5)
    old = data_of(codec, told("books5", change(None, None, rows[::-1], rows)))
    assert old.sequence == NOW, "of 2022: numbered by their time"
    assert not old.peek_agrees


def test_books_of_two_depths_are_topics_of_their_own() -> None:
    codec = OkxCodec()
    subs = [Subscription(Channel.BOOK, instrument(), depth=depth) for depth in (5, 400)]
    codec.subscribe(subs, "1")
    codec.unsubscribe(subs[:1], "2")
    (gone,) = said(codec, told("books5", change(5, None)))
    assert isinstance(gone, Unrecognised)
    assert only(codec, snapshot(change(5, -1))).snapshot
    # What carries the same under another name is read as well, where it is heard first.
    codec.subscribe(subs[1:], "3")
    assert only(codec, told("books-l2-tbt", change(5, -1), action="snapshot")).snapshot


# --- trades ---


def trade(number: int = 77, **fields: Any) -> dict[str, Any]:
    row = {"instId": SPOT, "tradeId": str(number), "px": "100.10", "sz": "0.50", "side": "buy"}
    return row | {"source": "0", "ts": str(NOW)} | fields


@pytest.mark.parametrize(("side", "taker"), [("buy", Side.BUY), ("sell", Side.SELL)])
@pytest.mark.parametrize("channel", ["trades-all", "trades"])
def test_the_side_of_a_trade_is_the_takers(channel: str, side: str, taker: Side) -> None:
    codec = codec_for(Channel.TRADES, of=instrument(LINEAR, "0.1"))
    event = only(codec, told(channel, trade(side=side, count="3", seqId=12), of=LINEAR))
    assert (event.trade_id, event.side, event.sequence) == ("77", taker, 12)
    assert (str(event.price), str(event.size)) == ("100.10", "0.050")


def test_trades_of_a_new_side_are_told_and_the_others_kept() -> None:
    rows = [trade(1), trade(2, side="auction"), trade(3, side="sell")]
    unknown, data = said(codec_for(Channel.TRADES), told("trades-all", *rows))
    assert isinstance(unknown, Unrecognised)
    assert isinstance(data, Data)
    events: Sequence[Any] = data.events
    assert [event.trade_id for event in events] == ["1", "3"]
    for number in (7, "", None):
        with pytest.raises(DecodeError):
            said(codec_for(Channel.TRADES), told("trades-all", trade(tradeId=number)))


# --- tickers ---

TICKER = {
    "instType": "SPOT", "last": "9999.99", "lastSz": "1", "askPx": "9999.99", "askSz": "11",
    "bidPx": "8888.88", "bidSz": "5", "open24h": "9000", "high24h": "10000", "low24h": "8888.88",
    "volCcy24h": "2222", "vol24h": "2300", "sodUtc0": "0.1", "sodUtc8": "0.1", "ts": str(NOW),
}  # fmt: skip


@pytest.mark.parametrize(
    ("native", "contract", "size", "volume", "turnover"),
    [
        (SPOT, "1", "5", "2300", "2222"),
        (LINEAR, "0.01", "0.05", "23.00", None),
        (INVERSE, "100", "5", "2300", "2222"),
        (OPTION, "0.01", "0.05", "23.00", None),
    ],
)
def test_a_tickers_volume_is_counted_as_sizes_are(
    native: str, contract: str, size: str, volume: str, turnover: str | None
) -> None:
    codec = codec_for(Channel.TICKER, of=instrument(native, contract))
    message = data_of(codec, told("tickers", TICKER, of=native))
    (event,) = message.events
    assert isinstance(event, Ticker)
    assert message.sequence == NOW
    assert (str(event.bid_size), str(event.volume)) == (size, volume)
    assert event.turnover == (None if turnover is None else Decimal(turnover))
    prices = event.last_price, event.bid_price, event.ask_price
    assert prices == (Decimal("9999.99"), Decimal("8888.88"), Decimal("9999.99"))
    day = event.open_price, event.low_price, event.high_price
    assert day == (9000, Decimal("8888.88"), 10000)


@pytest.mark.parametrize(("price", "size"), [("", ""), ("8888.88", ""), ("", "5"), ("1", "0")])
def test_a_ticker_without_bids_has_none(price: str, size: str) -> None:
    row = {**TICKER, "bidPx": price, "bidSz": size, "open24h": "", "volCcy24h": "", "vol24h": ""}
    event = only(codec_for(Channel.TICKER), told("tickers", row))
    assert event.bid_price is event.bid_size is event.open_price is event.volume is None
    assert event.ask_size == 11


# --- prices and rates of contracts ---


def test_funding_is_due_when_it_is_said_to_be_paid() -> None:
    codec = codec_for(Channel.FUNDING, Channel.MARK_PRICE, of=instrument(LINEAR))
    row = {"fundingRate": "-0.0001", "fundingTime": str(NOW + 9), "nextFundingRate": ""}
    message = data_of(codec, told("funding-rate", {**row, "ts": str(NOW)}, of=LINEAR))
    (event,) = message.events
    assert isinstance(event, Funding)
    assert (str(event.rate), event.funding_time_ns) == ("-0.0001", (NOW + 9) * NS_PER_MS)
    assert (message.sequence, event.exchange_time_ns) == (NOW, NOW * NS_PER_MS)
    old = data_of(codec, told("funding-rate", row, of=LINEAR))
    assert old.sequence is None
    mark = data_of(codec, told("mark-price", {"markPx": "42310.6", "ts": str(NOW)}, of=LINEAR))
    (event,) = mark.events
    assert isinstance(event, MarkPrice)
    assert (str(event.mark_price), event.index_price, mark.sequence) == ("42310.6", None, NOW)


def test_a_contract_without_a_rate_or_price_yet_says_nothing_and_harms_nothing() -> None:
    codec = codec_for(Channel.FUNDING, Channel.MARK_PRICE, of=instrument(LINEAR))
    for row in ({}, {"fundingRate": "", "fundingTime": ""}, {"fundingRate": None}):
        (nothing,) = said(codec, told("funding-rate", {"ts": str(NOW), **row}, of=LINEAR))
        assert not isinstance(nothing, Data)
    due = only(codec, told("funding-rate", {"ts": str(NOW), "fundingRate": "0.1"}, of=LINEAR))
    assert (due.rate, due.funding_time_ns) == (Decimal("0.1"), None)
    for price in ({}, {"markPx": ""}, {"markPx": None}):
        (nothing,) = said(codec, told("mark-price", {"ts": str(NOW), **price}, of=LINEAR))
        assert not isinstance(nothing, Data)


def test_an_option_may_be_worth_nothing_and_nothing_else_is() -> None:
    for native, price in ((OPTION, Decimal(0)), (LINEAR, None), (SPOT, None)):
        codec = codec_for(Channel.MARK_PRICE, of=instrument(native))
        row = {"markPx": "0", "ts": str(NOW)}
        (message,) = said(codec, told("mark-price", row, of=native))
        events = message.events if isinstance(message, Data) else ()
        assert [event.mark_price for event in events] == ([] if price is None else [price])


def test_a_ticker_before_the_first_trade_has_no_prices() -> None:
    codec = codec_for(Channel.TICKER)
    blank = dict.fromkeys(("last", "askPx", "askSz", "bidPx", "bidSz", "open24h", "vol24h"), "")
    zeros = {"last": "0", "open24h": "0", "high24h": "0.00", "low24h": "0", "vol24h": "0"}
    for row in (blank, zeros, {}):
        event = only(codec, told("tickers", {**row, "ts": str(NOW)}))
        assert isinstance(event, Ticker)
        assert event.last_price is event.open_price is event.high_price is event.low_price is None
        assert event.bid_price is event.bid_size is event.ask_price is event.ask_size is None
        assert event.volume == (0 if row is zeros else None)


# --- channels that say the same ---


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("channel", "names", "options"),
    [
        (Channel.TRADES, ("trades-all", "trades"), {}),
        (Channel.BOOK, ("books", "books-l2-tbt"), {"depth": 400}),
    ],
)
@pytest.mark.parametrize("spaced", [False, True])
def test_of_channels_that_say_the_same_the_first_one_counts(
    order: tuple[int, int],
    channel: Channel,
    names: tuple[str, str],
    options: dict[str, Any],
    spaced: bool,
) -> None:
    levels = {"asks": [], "bids": [level("1", "2")], "ts": str(NOW), "prevSeqId": 5, "seqId": 6}
    row = trade() if channel is Channel.TRADES else levels
    more = {} if channel is Channel.TRADES else {"action": "update"}
    first, second = (told(names[place], row, **more) for place in order)
    separators = None if spaced else (",", ":")
    codec = codec_for(channel, **options)

    def heard(frame: dict[str, Any]) -> Any:
        (message,) = codec.decode(json.dumps(frame, separators=separators).encode(), 7)
        return type(message)

    assert [heard(first), heard(second), heard(first)] == [Data, Unrecognised, Data]
    codec.subscribe([Subscription(channel, instrument(), **options)], "2")
    assert [heard(second), heard(first)] == [Data, Unrecognised]


# --- the rest ---


def test_new_fields_and_channels_are_no_errors() -> None:
    codec = codec_for(Channel.TRADES)
    assert only(codec, told("trades-all", trade(new={"a": [1]}), extra=1)).trade_id == "77"
    for other in (told("new"), told("trades-all", of="ETH-USDT"), told("trades-all"), {"x": 1}, {}):
        (message,) = said(codec, other)
        assert isinstance(message, Unrecognised)


def test_after_unsubscribing_frames_are_unrecognised() -> None:
    for channel in Okx.capabilities.channels[instrument(LINEAR).market]:
        options: dict[str, Any] = {}
        if channel is Channel.BOOK:
            options["depth"] = 400
        if channel is Channel.CANDLES:
            options["interval"] = "1m"
        subscription = Subscription(channel, instrument(LINEAR), **options)
        codec = OkxCodec()
        codec.subscribe([subscription], "1")
        codec.unsubscribe([subscription], "2")
        topic = codec.topic(subscription)
        frame = told(topic.partition(":")[0], {"instId": LINEAR}, of=LINEAR, action="update")
        (message,) = said(codec, frame)
        assert message == Unrecognised(f"arg {topic}")


def test_prices_keep_the_wires_exact_digits_and_times_are_nanoseconds() -> None:
    texts = st.from_regex(r"[1-9][0-9]{0,8}(\.[0-9]{1,8})?", fullmatch=True)

    @given(texts, texts, st.integers(10**12, 4 * 10**12), st.sampled_from([(",", ":"), None]))
    def check(price: str, size: str, time: int, separators: tuple[str, str] | None) -> None:
        frame = told("trades-all", trade(px=price, sz=size, ts=str(time)))
        (message,) = codec_for(Channel.TRADES).decode(
            json.dumps(frame, separators=separators).encode(), 7
        )
        assert isinstance(message, Data)
        (event,) = message.events
        assert (str(event.price), str(event.size)) == (price, size)  # type: ignore[union-attr]
        assert event.exchange_time_ns == time * NS_PER_MS

    check()
