"""Frames and answers that Bybit really sent, from the folder that ``CCRS_FIXTURES`` names."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.foreign import instrument_of, subscriptions_in

from ccrs_core import (
    Ack,
    Activity,
    BookUpdate,
    Channel,
    Data,
    GetActivity,
    GetBook,
    GetCandles,
    GetInstruments,
    GetTrades,
    Greeks,
    HttpResponse,
    LoggedIn,
    Market,
    Pong,
    Refused,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
    Unrecognised,
    errors,
)
from ccrs_core.emulator import BlackScholes, years_until

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures") / "bybit"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recorded frames in {FOLDER} (set CCRS_FIXTURES)"
)

OPTION_TICKER = dict.fromkeys(
    ("TopOfBook", "Ticker", "MarkPrice", "IndexPrice", "OpenInterest", "Greeks"), 1
)
# What each file must decode to, as counts of (message or event, topic's kind).
FILES: dict[str, dict[str, int]] = {
    "acks-auth-pong-errors": {"Ack": 3, "Refused": 1, "LoggedIn": 2, "Pong": 1},
    "allLiquidation": {"Liquidation": 1},
    "doc-kline": {"Candle": 1},
    "doc-private-execution": {"Unrecognised": 1},
    "doc-private-order": {"Unrecognised": 1},
    "doc-private-position": {"Unrecognised": 1},
    "doc-private-wallet": {"Unrecognised": 1},
    "doc-tickers-linear": {
        "Ticker": 2, "MarkPrice": 2, "IndexPrice": 2, "OpenInterest": 2, "Funding": 1,
    },
    "doc-trade-pong": {"Pong": 1},
    "options": {"Trade": 1, "BookUpdate": 1, **OPTION_TICKER},
    "orderbook1": {"TopOfBook": 2, "Unrecognised": 1},
    "orderbook50-spot-2024": {"BookUpdate": 2},
    "private-execution": {"Unrecognised": 1},
    "private-order": {"Unrecognised": 1},
    "private-position": {"Unrecognised": 1},
    "private-wallet": {"Unrecognised": 1},
    "publicTrade": {"Trade": 4},
    "recording-orderbook500-linear-XRPUSDT-2024": {"BookUpdate": 34},
    "session-spot-testnet-2026-09": {
        "Ack": 1, "Pong": 1, "Refused": 1, "BookUpdate": 19, "TopOfBook": 14, "Trade": 8,
    },
    "tickers-linear": {
        "Ticker": 2, "MarkPrice": 2, "IndexPrice": 2, "OpenInterest": 1, "Funding": 1,
    },
    "tickers-option": OPTION_TICKER,
    "tickers-other": {"Ticker": 4, "MarkPrice": 2, "IndexPrice": 2, "OpenInterest": 2},
    "trade-api-replies": {"Unrecognised": 4},
}  # fmt: skip


def frames(name: str) -> list[bytes]:
    lines = (FOLDER / "ws" / f"{name}.jsonl").read_bytes().splitlines()
    parsed = [orjson.loads(line) for line in lines]
    return [
        p["raw"].encode() if "raw" in p else line for p, line in zip(parsed, lines, strict=True)
    ]


def decoded(name: str, market: Market | None = None) -> list[Any]:
    """All messages of a file, as a replay would see them."""
    raw = frames(name)
    codec = BybitCodec()
    if subs := subscriptions_in(raw, market):
        codec.subscribe(subs, "1")
    messages: list[Any] = []
    for frame in raw:
        peeked = codec.peek(frame)
        said = codec.decode(frame, 1)
        data = [m for m in said if isinstance(m, Data)]
        if peeked is not None:
            (only,) = data
            assert peeked[0] == only.topic
            assert peeked[2] is only.restart
            assert peeked[1] == only.sequence or isinstance(peeked[1], bytes)
        messages += said
    return messages


def events(messages: list[Any]) -> list[Any]:
    return [e for m in messages if isinstance(m, Data) for e in m.events]


def test_the_list_of_files_is_complete() -> None:
    assert set(FILES) == {path.stem for path in (FOLDER / "ws").glob("*.jsonl")}


@pytest.mark.parametrize("name", FILES)
def test_each_file_decodes_to_what_it_holds(name: str) -> None:
    found = Counter[str]()
    for message in decoded(name):
        if isinstance(message, Data):
            found.update(type(e).__name__ for e in message.events)
        else:
            found[type(message).__name__] += 1
    assert dict(found) == FILES[name]


def test_single_trades_and_tops_of_today_take_the_quick_way() -> None:
    """Frames as Bybit writes them now; those of 2023 lack fields and take the general way."""
    raw = frames("session-spot-testnet-2026-09")
    codec = BybitCodec()
    codec.subscribe(subscriptions_in(raw, None), "1")
    usual = [f for f in raw if b'"topic":"orderbook.1.' in f or f.count(b'"i":"') == 1]
    assert len(usual) == 20
    for frame in usual:
        shortcut = codec.shortcut(orjson.loads(frame)["topic"])
        assert shortcut is not None
        (message,) = shortcut(frame, 1) or ()
        assert isinstance(message, Data), frame


def test_no_frame_of_a_file_is_claimed_and_then_unreadable() -> None:
    """Nor dropped without its topic being named."""
    for name in FILES:
        raw = frames(name)
        exchange, codec = Bybit(), BybitCodec()
        found = subscriptions_in(raw, None)
        for sub in found:
            exchange.route(sub)
        if found:
            codec.subscribe(found, "1")
        for frame in raw:
            topic = orjson.loads(frame).get("topic")
            for message in codec.decode(frame, 1):
                assert (
                    not isinstance(message, Unrecognised)
                    or topic is None
                    or (topic in message.what)
                )


# --- values ---


def test_control_frames_answer_as_bybit_meant_them() -> None:
    spot, linear, option, refused, login, trade_login, pong = decoded("acks-auth-pong-errors")
    assert spot == linear == Ack("4000001")
    assert len(option.topics) == 3
    assert refused == Refused("2000001", "", "args size >10")
    assert login == trade_login == LoggedIn()
    assert pong == Pong()
    last = decoded("session-spot-testnet-2026-09")[-1]
    text = "Invalid symbol :[orderbook.50.NOSUCHSYM]"
    assert last == Refused(None, "", text, ("orderbook.50.NOSUCHSYM",))


def test_trades_keep_side_price_size_and_id() -> None:
    *inverse, spot = events(decoded("publicTrade"))
    assert [t.size for t in inverse] == [5823, 3, 5593]
    assert inverse[0] == Trade(
        "bybit", "BTC/USD:BTC", 1_680_673_823_564_000_000, 1, None,
        "0cbf2330-952d-5d03-a462-4bf826c867af", Decimal("28560.50"), Decimal(5823), Side.BUY,
    )  # fmt: skip
    assert (spot.symbol, spot.trade_id) == ("BTC/USDT", "2100000000019296063")
    assert (str(spot.price), str(spot.size)) == ("27200", "0.000221")
    # Frames of 2023 don't say whether a trade improved a retail price.
    assert (inverse[0].rpi, spot.rpi) == (None, None)
    live = [e for e in events(decoded("session-spot-testnet-2026-09")) if isinstance(e, Trade)]
    assert {t.rpi for t in live} == {False}
    sequences = [t.sequence or 0 for t in live]
    assert sequences == sorted(sequences)
    assert len({t.trade_id for t in live}) == len(live)


def test_the_level_one_delta_of_2023_keeps_the_other_side() -> None:
    first, second = events(decoded("orderbook1"))
    assert (first.bid_size, second.bid_size) == (Decimal("0.047"), Decimal("0.012"))
    assert (first.ask_price, first.ask_size) == (second.ask_price, second.ask_size)
    assert str(second.ask_price) == "28552.10"


def test_tickers_are_completed_by_their_deltas() -> None:
    whole, partial = (e for e in events(decoded("tickers-linear")) if isinstance(e, Ticker))
    assert isinstance(whole, Ticker)
    assert (str(partial.bid_size), str(partial.ask_size)) == ("3.543", "16.278")
    assert (str(whole.mark_price), str(partial.mark_price)) == ("61875.25", "61875.06")
    assert partial.last_price == whole.last_price == Decimal("61874.00")
    assert str(partial.funding_rate) == "0.00008055"
    assert partial.next_funding_time_ns == 1_715_760_000_000_000_000
    assert (whole.sequence, partial.sequence) == (176530003895, 176530004279)
    spot, dated, *_ = events(decoded("tickers-other"))
    assert (spot.symbol, spot.bid_price, spot.mark_price) == ("BTC/USDT", None, None)
    assert (dated.symbol, dated.funding_rate) == ("BTC/USD:BTC-230630", None)


def test_funding_and_mark_price_come_out_of_the_ticker() -> None:
    btc = instrument_of("BTCUSDT", Market.LINEAR)
    assert btc is not None
    codec = BybitCodec()
    codec.subscribe([Subscription(c, btc) for c in (Channel.FUNDING, Channel.MARK_PRICE)], "1")
    whole, partial = (codec.decode(f, 1) for f in frames("tickers-linear"))
    funding, mark = events(list(whole))
    assert str(funding.rate) == "0.00008055"
    assert (str(mark.mark_price), str(mark.index_price)) == ("61875.25", "61903.73")
    (mark,) = events(list(partial))
    assert (str(mark.mark_price), str(mark.index_price)) == ("61875.06", "61903.59")


def _expiry_of(symbol: str) -> int:
    day = datetime.strptime(symbol.split("-")[1], "%y%m%d").replace(hour=8, tzinfo=UTC)
    return int(day.timestamp()) * 10**9


def test_an_options_ticker_has_its_top_of_book_and_all_else() -> None:
    found = {type(each): each for each in events(decoded("tickers-option"))}
    event, greeks = found[TopOfBook], found[Greeks]
    assert isinstance(event, TopOfBook)
    assert isinstance(greeks, Greeks)
    assert (greeks.bid_iv, greeks.mark_iv, greeks.ask_iv) == (
        *(Decimal("0.5479"), Decimal("0.5513"), Decimal("0.5534")),
    )
    # As Black and Scholes have it, of the forward: per unit, per hundredth of volatility, per day.
    assert greeks.underlying_price is not None
    expiry = _expiry_of(event.symbol)
    years = years_until(expiry, greeks.exchange_time_ns or 0)
    true = BlackScholes.of(float(greeks.underlying_price), 60_000, years, False, 0.5513)
    for name in ("delta", "gamma", "vega", "theta"):
        assert float(getattr(greeks, name)) == pytest.approx(getattr(true, name), rel=0.01)
    assert event.symbol == "BTC/USD:USDC-240628-60000-P"
    assert (event.bid_price, event.bid_size) == (Decimal(3475), Decimal("10.14"))
    assert (event.ask_price, event.ask_size) == (Decimal(3520), Decimal("2.5"))


def test_liquidation_and_candle_have_the_right_times() -> None:
    (liquidation,) = events(decoded("allLiquidation"))
    assert liquidation.side is Side.SELL
    assert liquidation.exchange_time_ns == 1_740_480_207_110_000_000
    (candle,) = events(decoded("doc-kline", Market.LINEAR))
    assert (candle.symbol, candle.interval, candle.closed) == ("BTC/USDT:USDT", "5m", False)
    assert candle.close_time_ns - candle.open_time_ns == 300 * 10**9


# --- books ---


class ReferenceBook:
    """A book as the documentation describes it, with no regard to speed."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.sequence = 0

    def apply(self, update: BookUpdate) -> None:
        if update.snapshot:
            self.bids.clear()
            self.asks.clear()
        else:
            assert update.previous_sequence == self.sequence
        for side, levels in ((self.bids, update.bids), (self.asks, update.asks)):
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    del side[price]
        self.sequence = update.sequence

    @property
    def top(self) -> tuple[str, str, str, str]:
        bid, ask = max(self.bids), min(self.asks)
        return str(bid), str(self.bids[bid]), str(ask), str(self.asks[ask])


def test_the_archived_500_level_book_comes_out_as_recorded() -> None:
    book = ReferenceBook()
    for update in events(decoded("recording-orderbook500-linear-XRPUSDT-2024")):
        book.apply(update)
    assert book.sequence == 20254902
    assert book.top == ("1.9535", "9324", "1.9536", "3654")
    assert (len(book.bids), len(book.asks)) == (500, 500)


def test_in_the_live_session_the_books_top_equals_the_level_one_frame_of_the_same_seq() -> None:
    raw = frames("session-spot-testnet-2026-09")
    codec = BybitCodec()
    codec.subscribe(subscriptions_in(raw, None), "1")
    book, tops, checked = ReferenceBook(), {}, 0
    books: dict[int, tuple[str, str, str, str]] = {}
    for frame in raw:
        fields = orjson.loads(frame).get("data")
        seq: int = fields["seq"] if isinstance(fields, dict) else 0
        for event in events(list(codec.decode(frame, 1))):
            if isinstance(event, BookUpdate):
                book.apply(event)
                assert (len(book.bids), len(book.asks)) == (50, 50)
                books[seq] = book.top
            elif isinstance(event, TopOfBook):
                sides = (event.bid_price, event.bid_size, event.ask_price, event.ask_size)
                tops[seq] = tuple(map(str, sides))
    for seq in books.keys() & tops.keys():
        assert books[seq] == tops[seq]
        checked += 1
    assert checked >= 8
    assert book.top == ("77140.5", "0.236197", "77140.7", "0.240076")


def test_repeated_level_one_snapshots_keep_their_number() -> None:
    tops = [e for e in events(decoded("session-spot-testnet-2026-09")) if isinstance(e, TopOfBook)]
    numbers = [t.sequence or 0 for t in tops]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) < len(numbers)
    for one, other in pairwise(tops):
        if one.sequence == other.sequence:
            assert (one.bid_price, one.ask_price) == (other.bid_price, other.ask_price)


# --- REST ---


def answered(name: str) -> HttpResponse:
    response = HttpResponse(200, {}, (FOLDER / "rest" / f"{name}.json").read_bytes())
    assert Bybit().error_of(response) is None
    return response


@pytest.mark.parametrize(
    ("name", "market", "symbols", "cursor"),
    [
        ("instruments-info-spot", Market.SPOT, ["BTC/USDT", "ETH/USDT"], None),
        ("doc-instruments-info-spot", Market.SPOT, ["BTC/USDT"], None),
        (
            "instruments-info-linear", Market.LINEAR,
            ["10000NFT/USDT:USDT", "1000BONK/USDT:USDT"], "status=PreLaunch",
        ),
        ("doc-instruments-info-linear-0", Market.LINEAR, ["BTC/USDT:USDT"], "status=PreLaunch"),
        ("doc-instruments-info-linear-1", Market.LINEAR, ["BIO/USDT:USDT"],
            "cursor=first%3DBIOUSDT%26last%3DBIOUSDT",
        ),
        (
            "instruments-info-option", Market.OPTION,
            ["BTC/USD:USDC-230929-80000-C", "BTC/USD:USDC-230929-80000-P"],
            "cursor=0%2C500&baseCoin=BTC",
        ),
        (
            "doc-instruments-info-option", Market.OPTION,
            ["BTC/USDT:USDT-260327-70000-P"], "baseCoin=ETH",
        ),
    ],
)  # fmt: skip
def test_instruments_have_their_names_and_rules(
    name: str, market: Market, symbols: list[str], cursor: str | None
) -> None:
    request = GetInstruments(market)
    answer = Bybit.endpoints[GetInstruments].decode(request, answered(name), 1, None)
    assert [i.symbol for i in answer.value] == symbols
    assert answer.cursor == cursor
    for instrument in answer.value:
        guessed = instrument_of(instrument.native, market)
        assert guessed is not None
        assert guessed.symbol == instrument.symbol
        assert instrument.tick_size is not None
        assert instrument.lot_size is not None
    if name == "doc-instruments-info-spot":
        (btc,) = answer.value
        assert (str(btc.lot_size), str(btc.min_notional)) == ("0.000001", "5")


def test_what_happened_last_is_told_by_tickers() -> None:
    decode = Bybit.endpoints[GetActivity].decode
    response = answered("doc-tickers-spot")
    last = decode(GetActivity(Market.SPOT, Channel.TRADES), response, 1, None).value
    assert last == [Activity("BTCUSDT", "20533.13")]
    best = decode(GetActivity(Market.SPOT, Channel.BOOK), response, 1, None).value
    assert best == [Activity("BTCUSDT", "20517.96 2 20527.77 1.862172")]


def test_market_data_answers_are_read() -> None:
    spot = instrument_of("BTCUSDT", Market.SPOT)
    inverse = instrument_of("BTCUSD", Market.INVERSE)
    assert spot is not None
    assert inverse is not None
    endpoints = Bybit.endpoints
    book = endpoints[GetBook].decode(GetBook(spot, 1), answered("doc-orderbook"), 1, None).value
    assert (book.sequence, book.snapshot) == (230704, True)
    assert book.bids == ((Decimal("65485.47"), Decimal("47.081829")),)
    assert book.exchange_time_ns == 1_716_863_718_905_000_000
    (trade,) = (
        endpoints[GetTrades].decode(GetTrades(spot, 5), answered("doc-recent-trade"), 1, None).value
    )
    assert (trade.trade_id, trade.sequence, trade.side) == ("2100000000007764263", 123456, Side.BUY)
    candles = endpoints[GetCandles].decode(
        GetCandles(inverse, "1h", None, None, 3), answered("doc-kline"), 1, None
    )
    opens = [c.open_time_ns for c in candles.value]
    assert opens == sorted(opens)
    assert [c.closed for c in candles.value] == [True, True, True]
    assert str(candles.value[-1].close) == "17055.5"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-10001-amend", errors.InvalidRequest),
        ("error-10004-sign", errors.AuthError),
        ("error-10006-rate-limit", errors.RateLimited),
    ],
)
def test_error_answers_are_typed(name: str, kind: type[errors.ExchangeError]) -> None:
    response = HttpResponse(200, {}, (FOLDER / "rest" / f"{name}.json").read_bytes())
    error = Bybit().error_of(response)
    assert type(error) is kind
    assert error.code == str(json.loads(response.body)["retCode"])


def test_every_other_answer_is_no_error() -> None:
    for path in (FOLDER / "rest").glob("*.json"):
        if not path.name.startswith("error-"):
            assert Bybit().error_of(HttpResponse(200, {}, path.read_bytes())) is None
