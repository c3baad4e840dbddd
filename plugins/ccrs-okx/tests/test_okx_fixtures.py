"""Frames and answers that OKX really sent, from the folder that ``CCRS_FIXTURES`` names."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import subscriptions_in

from ccrs_core import (
    INTERVALS,
    Ack,
    Activity,
    AnyEvent,
    BookUpdate,
    Channel,
    Closing,
    Data,
    ExchangeError,
    Gap,
    GetActivity,
    GetBook,
    GetCandles,
    GetInstruments,
    GetTrades,
    HttpResponse,
    Instrument,
    InsufficientBalance,
    LoginRefused,
    Market,
    Message,
    Pong,
    Reason,
    Request,
    Stale,
    Subscription,
    TopOfBook,
    Unrecognised,
)
from ccrs_core.recordings.replay import Replay

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures") / "okx"
RECORDING = FOLDER / "ws" / "recording-books-trades-tickers-2022.jsonl"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recorded frames in {FOLDER} (set CCRS_FIXTURES)"
)


def played(path: Path) -> tuple[Replay, list[AnyEvent]]:
    replay = Replay("okx", path)
    return replay, [event for step in replay.steps() for event in step.events]


def answer(name: str) -> HttpResponse:
    return HttpResponse(200, {}, (FOLDER / "rest" / f"{name}.json").read_bytes())


def instrument(symbol: str, native: str, market: Market) -> Instrument:
    return Instrument(
        exchange="okx",
        symbol=symbol,
        native=native,
        market=market,
        base="BTC",
        quote="USDT",
        base_per_native_contract=Decimal("0.01"),
    )


# --- the quick way -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "channel", "least"),
    [
        ("bbo-tbt", "bbo-tbt", 1),  # those of 2022 have no number
        ("frames-swap-2026-09", "bbo-tbt", 8),
        ("trades", "trades", 7),
        ("recording-books-trades-tickers-2022", "trades", 70),
    ],
)
def test_real_frames_take_the_quick_way(name: str, channel: str, least: int) -> None:
    lines = (FOLDER / "ws" / f"{name}.jsonl").read_bytes().splitlines()
    raw = [orjson.loads(line) for line in lines]
    found = [each["raw"].encode() if "raw" in each else lines[n] for n, each in enumerate(raw)]
    frames = [f for f in found if f'"channel":"{channel}"'.encode() in f and b'"data"' in f]
    subscriptions = subscriptions_in(frames, None)
    codec = OkxCodec()
    codec.subscribe(subscriptions, "1")
    shortcuts = [codec.shortcut(codec.topic(each)) for each in subscriptions]
    quick = [f for f in frames if any(short is not None and short(f, 1) for short in shortcuts)]
    assert len(quick) == least
    assert len(quick) == len(frames) or name == "bbo-tbt"


# --- the recording of 2022, with checksums and without numbers ---------------------------------


def test_every_recorded_book_frame_has_its_checksum_and_the_books_end_as_computed() -> None:
    replay, events = played(RECORDING)
    books = {sub.symbol: book for sub, book in replay.books.items()}
    changes = [event for event in events if isinstance(event, BookUpdate)]
    # A book whose checksum differs is broken at once, and nothing follows on it.
    assert len(changes) == 191
    assert all(change.checksum for change in changes)
    assert not any(isinstance(event, Gap | Stale) for event in events)
    spot, inverse = books["BTC/USDT"], books["UNI/USD:UNI"]
    assert spot.best_bid == (Decimal("30236.1"), Decimal("0.18050747"))
    assert spot.best_ask == (Decimal("30236.2"), Decimal("0.001"))
    assert (len(spot.bids()), len(spot.asks())) == (400, 400)
    assert inverse.best_bid == (Decimal("5.137"), Decimal(20))
    assert inverse.best_ask == (Decimal("5.145"), Decimal(50))
    assert (len(inverse.bids()), len(inverse.asks())) == (125, 118)


@pytest.mark.parametrize("place", [1, 60, 120])
def test_a_book_with_another_checksum_is_not_trusted(tmp_path: Path, place: int) -> None:
    lines = RECORDING.read_bytes().splitlines()
    found = [number for number, line in enumerate(lines) if rb"\"checksum\":" in line]
    frame = orjson.loads(lines[found[place]])
    raw = orjson.loads(frame["raw"])
    raw["data"][0]["checksum"] ^= 1
    lines[found[place]] = orjson.dumps({**frame, "raw": orjson.dumps(raw).decode()})
    (tmp_path / "damaged.jsonl").write_bytes(b"\n".join(lines))
    replay, events = played(tmp_path / "damaged.jsonl")
    symbol = {"BTC-USDT": "BTC/USDT", "UNI-USD-SWAP": "UNI/USD:UNI"}[raw["arg"]["instId"]]
    books = {sub.symbol: book.valid for sub, book in replay.books.items()}
    assert books == {"BTC/USDT": True, "UNI/USD:UNI": True} | {symbol: False}
    (stale,) = [event for event in events if isinstance(event, Stale)]
    assert (stale.symbol, stale.reason) == (symbol, Reason.CHECKSUM)


def test_every_frame_of_the_recording_is_counted_once() -> None:
    replay, _ = played(RECORDING)
    assert replay.frames == {"data": 287, "other": 12}


# --- frames of single channels -----------------------------------------------------------------


def decoded(path: Path) -> list[tuple[bytes, Message]]:
    """Each frame's messages; every frame by itself, as if its topic had been subscribed."""
    found = []
    for line in path.read_bytes().splitlines():
        codec, subscriptions = OkxCodec(), subscriptions_in([line], None)
        if subscriptions:
            codec.subscribe(subscriptions, "1")
        found += [(line, message) for message in codec.decode(line, 1)]
    return found


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("bbo-tbt", "top_of_book", 5),
        ("books-l2-tbt", "book", 3),
        ("books5", "book", 4),
        ("candle1m", "candle", 4),
        ("funding-rate", "funding", 2),
        ("tickers", "ticker", 5),
        ("trades", "trade", 7),
        ("frames-swap-2026-09", None, 10),
    ],
)
def test_every_frame_of_a_public_channel_is_decoded(
    name: str, kind: str | None, count: int
) -> None:
    path = FOLDER / "ws" / f"{name}.jsonl"
    data = [message for _, message in decoded(path) if isinstance(message, Data)]
    events = [event for message in data for event in message.events]
    assert len(data) >= count - (kind is None)
    assert kind is None or {event.type for event in events} == {kind}


def test_prices_and_sizes_are_the_digits_that_were_sent() -> None:
    for line, message in decoded(FOLDER / "ws" / "bbo-tbt.jsonl"):
        assert isinstance(message, Data)
        (event,), (row,) = message.events, orjson.loads(line)["data"]
        assert isinstance(event, TopOfBook)
        for side in ("bid", "ask"):
            levels = row[f"{side}s"]
            told = getattr(event, f"{side}_price"), getattr(event, f"{side}_size")
            expected = tuple(map(Decimal, levels[0][:2])) if levels else (None, None)
            assert tuple(map(str, told)) == tuple(map(str, expected))


def test_the_chain_of_2026_is_followed_and_its_zero_checksums_are_none() -> None:
    path = FOLDER / "ws" / "frames-swap-2026-09.jsonl"
    changes = [
        event
        for _, message in decoded(path)
        if isinstance(message, Data)
        for event in message.events
        if isinstance(event, BookUpdate)
    ]
    assert len(changes) == 2
    assert changes[1].previous_sequence == changes[0].sequence
    assert [change.checksum for change in changes] == [None, None]


def test_answers_and_notices_are_told_apart() -> None:
    messages = [message for _, message in decoded(FOLDER / "ws" / "acks-errors-notices.jsonl")]
    kinds = Counter(type(message) for message in messages)
    assert kinds[LoginRefused] == 1
    assert kinds[Closing] == 1
    assert kinds[Ack] >= 1
    assert kinds.keys() <= {Ack, LoginRefused, Closing, Unrecognised}
    (heartbeat,) = decoded(FOLDER / "ws" / "heartbeat.jsonl")
    assert heartbeat[1] == Pong()


@pytest.mark.parametrize(
    "name",
    [
        "private-account",
        "private-balance_and_position",
        "private-orders",
        "private-positions",
        "trade-api-replies",
    ],
)
def test_frames_of_private_channels_are_no_errors(name: str) -> None:
    messages = [message for _, message in decoded(FOLDER / "ws" / f"{name}.jsonl")]
    assert messages
    assert {type(message) for message in messages} == {Unrecognised}


# --- REST ---------------------------------------------------------------------------------------


def value(request: Request[Any], name: str) -> Any:
    assert Okx().error_of(answer(name)) is None
    return Okx.endpoints[type(request)].decode(request, answer(name), 1, None).value


def test_what_happened_last_is_told_by_tickers() -> None:
    (last,) = value(GetActivity(Market.INVERSE, Channel.TRADES, "SWAP"), "doc-ticker")
    assert last == Activity("BTC-USD-SWAP", "9999.99 0.1")
    (best,) = value(GetActivity(Market.INVERSE, Channel.BOOK, "SWAP"), "doc-ticker")
    assert best == Activity("BTC-USD-SWAP", "8888.88 5 9999.99 11")


LISTS = [
    ("FUTURES-2022", (Market.LINEAR, Market.INVERSE)),
    ("FUTURES-2024", (Market.LINEAR, Market.INVERSE)),
    ("SPOT-2022", (Market.SPOT,)),
    ("SPOT-2024", (Market.SPOT,)),
    ("SPOT-2025-12", (Market.SPOT,)),
    ("SWAP-2022", (Market.LINEAR, Market.INVERSE)),
    ("SWAP-2024", (Market.LINEAR, Market.INVERSE)),
    ("SWAP-BTC-USDT-SWAP-2026-09", (Market.LINEAR,)),
]


@pytest.mark.parametrize(("name", "markets"), LISTS, ids=[name for name, _ in LISTS])
def test_instrument_lists_of_all_years_are_read_whole(
    name: str, markets: tuple[Market, ...]
) -> None:
    rows = orjson.loads(answer(f"instruments-{name}").body)["data"]
    found = [each for m in markets for each in value(GetInstruments(m), f"instruments-{name}")]
    # What opens one day may have neither coins nor a tick yet.
    live = [row["instId"] for row in rows if row["state"] != "expired" and row["tickSz"]]
    assert len(live) >= len(rows) - 1
    assert sorted(each.native for each in found) == sorted(live)
    for each in found:
        assert each.tick_size
        assert each.lot_size
        assert each.symbol.startswith(f"{each.base}/{each.quote}")


@pytest.mark.parametrize("year", ["2022", "2024"])
def test_options_are_listed_with_strike_and_expiry(year: str) -> None:
    response = answer(f"instruments-OPTION-{year}")
    found = Okx.endpoints[GetInstruments].decode(
        GetInstruments(Market.OPTION), response, 1, '[["BTC-USD",[]]]'
    )
    assert len(found.value) == len(orjson.loads(response.body)["data"])
    assert all(each.strike and each.expiry_ns and each.option_kind for each in found.value)


def test_requests_answers_are_read() -> None:
    spot = instrument("BTC/USDT", "BTC-USDT", Market.SPOT)
    book = value(GetBook(spot, 400), "books-SPOT-BTC-USDT")
    assert book.bids[0][0] < book.asks[0][0]
    trades = value(GetTrades(spot, limit=100), "trades-BTC-USDT")
    assert len(trades) == len(orjson.loads(answer("trades-BTC-USDT").body)["data"])
    assert len({trade.trade_id for trade in trades}) == len(trades)
    candles = value(GetCandles(spot, "1m", None, None, 100), "candles-BTC-USDT-1m")
    opens = [candle.open_time_ns for candle in candles]
    assert opens == sorted(set(opens))
    assert all(c.close_time_ns - c.open_time_ns == INTERVALS["1m"] * 10**9 for c in candles)


def test_sizes_of_contracts_are_in_base_units() -> None:
    swap = instrument("BTC/USDT:USDT", "BTC-USDT-SWAP", Market.LINEAR)
    rows = orjson.loads(answer("candles-full").body)["data"]
    candles = value(GetCandles(swap, "1m", None, None, 100), "candles-full")
    assert [c.volume for c in reversed(candles)] == [Decimal(row[6]) for row in rows]
    assert [c.turnover for c in reversed(candles)] == [Decimal(row[7]) for row in rows]


def test_a_candle_of_2022_has_no_more_than_its_seven_columns() -> None:
    line = (FOLDER / "ws" / "candle1m.jsonl").read_bytes().splitlines()[0]
    (subscription,) = subscriptions_in([line], Market.SPOT)
    assert (subscription.channel, subscription.interval) == (Channel.CANDLES, "1m")
    assert isinstance(subscription, Subscription)
    codec = OkxCodec()
    codec.subscribe([subscription], "1")
    (message,) = codec.decode(line, 1)
    assert isinstance(message, Data)
    assert not message.events[0].closed


def test_errors_are_typed() -> None:
    error = Okx().error_of(answer("error-51008-order"))
    assert isinstance(error, InsufficientBalance)
    assert error.code == "51008"
    error = Okx().error_of(answer("error-58350-transfer"))
    assert isinstance(error, ExchangeError)
    assert error.code == "58350"
