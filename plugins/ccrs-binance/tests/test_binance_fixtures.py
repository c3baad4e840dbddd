"""Frames and answers that Binance really sent, from the folder that ``CCRS_FIXTURES`` names."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from ccrs_binance import Binance
from ccrs_binance.codec import BinanceCodec
from ccrs_binance.foreign import subscriptions_in

from ccrs_core import (
    Ack,
    AnyEvent,
    BookUpdate,
    Channel,
    Closing,
    Data,
    GetActivity,
    GetInstruments,
    HttpResponse,
    InvalidRequest,
    Market,
    Refused,
    TopOfBook,
)
from ccrs_core.recordings.replay import Replay

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures")
SPOT, USDM = FOLDER / "binance-spot", FOLDER / "binance-usdm"

pytestmark = pytest.mark.skipif(
    not SPOT.is_dir(), reason=f"no recorded frames in {FOLDER} (set CCRS_FIXTURES)"
)

_2021 = "recording-depth-bookticker-kline-aggtrade-2021"
_2024 = "recording-depth-bookticker-trade-BTCUSDT-2024"

# Recording, and by symbol: its snapshot, the first and last number applied, how many changes were,
# and the best levels and depths in the end. (A change that ends with the very number of the
# snapshot holds nothing new; the documented procedure applies it nevertheless. Here it isn't.)
BOOKS: list[tuple[Path, dict[str, tuple[str, int, int, int, tuple[str, ...], tuple[int, int]]]]] = [
    (
        SPOT / "ws" / f"{_2021}.jsonl",
        {
            "NKN/USDT": (
                "depth-NKNUSDT-limit1000-2021",
                499869754,
                499870179,
                149,
                ("0.35270000", "9602", "0.35310000", "152"),
                (614, 994),
            ),
            "BLZ/ETH": (
                "depth-BLZETH-limit1000-2021",
                0,
                281916638,
                9,
                ("0.00006547", "100", "0.00006560", "1528"),
                (173, 999),
            ),
        },
    ),
    (
        SPOT / "ws" / f"{_2024}.jsonl",
        {
            "BTC/USDT": (
                "depth-BTCUSDT-limit1000-2024",
                50093239224,
                50093247361,
                185,
                ("61830.00", "2.194", "61830.01", "2.32387"),
                (1000, 1000),
            )
        },
    ),
    (
        USDM / "ws" / f"{_2021}.jsonl",
        {
            "SUSHI/USDT:USDT": (
                "depth-SUSHIUSDT-limit1000-2021",
                600859607423,
                600860425198,
                252,
                ("7.6120", "303", "7.6160", "267"),
                (0, 0),
            ),
            "AKRO/USDT:USDT": (
                "depth-AKROUSDT-limit1000-2021",
                0,
                0,
                188,
                ("0.01734", "502", "0.01735", "50697"),
                (0, 0),
            ),
            "KEEP/USDT:USDT": (
                "depth-KEEPUSDT-limit1000-2021",
                0,
                0,
                132,
                ("0.2463", "249", "0.2467", "9047"),
                (0, 0),
            ),
        },
    ),
    (
        USDM / "ws" / f"{_2024}.jsonl",
        {
            "BTC/USDT:USDT": (
                "depth-BTCUSDT-limit1000-2024",
                5123107853551,
                5123108627564,
                187,
                ("61811.30", "0.777", "61811.40", "3.043"),
                (1000, 949),
            )
        },
    ),
]


def played(path: Path, symbols: dict[str, Any]) -> tuple[Replay, list[AnyEvent]]:
    rest = path.parents[1] / "rest"
    snapshots = {symbol: rest / f"{wanted[0]}.json" for symbol, wanted in symbols.items()}
    replay = Replay("binance", path, snapshots=snapshots)
    return replay, [event for step in replay.steps() for event in step.events]


@pytest.mark.parametrize(("path", "symbols"), BOOKS, ids=lambda value: getattr(value, "stem", ""))
def test_recorded_books_come_out_as_an_independent_computation_says(
    path: Path, symbols: dict[str, Any]
) -> None:
    replay, events = played(path, symbols)
    books = {sub.symbol: book for sub, book in replay.books.items() if sub.symbol in symbols}
    for symbol, (_, first, last, applied, best, depths) in symbols.items():
        changes = [e for e in events if isinstance(e, BookUpdate) and e.symbol == symbol]
        assert changes[0].snapshot
        numbers = [e.sequence for e in changes[1:]]
        assert not any(e.snapshot for e in changes[1:])
        same = USDM in path.parents and changes[0].sequence in _ends(path, symbol)
        assert len(numbers) == applied - same
        assert not first or numbers[0] == first or same
        book = books[symbol]
        assert book.valid
        assert not last or book.sequence == last
        (bid, bid_size), (ask, ask_size) = book.best_bid or (0, 0), book.best_ask or (0, 0)
        assert (bid, bid_size, ask, ask_size) == tuple(map(Decimal, best))
        if any(depths):
            assert (len(book.bids()), len(book.asks())) == depths


def _ends(path: Path, symbol: str) -> set[int]:
    """The last numbers of all changes of a symbol."""
    native = symbol.partition(":")[0].replace("/", "")
    ends = set()
    for line in path.read_bytes().splitlines():
        frame = orjson.loads(orjson.loads(line)["raw"])
        data = frame.get("data", {})
        if data.get("e") == "depthUpdate" and data["s"] == native:
            ends.add(data["u"])
    return ends


@pytest.mark.parametrize("number", [1, 3])
def test_the_books_top_is_the_latest_book_tickers(number: int) -> None:
    """After each change the book's best levels are those of the latest book ticker that isn't
    ahead of it."""
    path, symbols = BOOKS[number]
    rest = path.parents[1] / "rest"
    replay = Replay(
        "binance",
        path,
        snapshots={symbol: rest / f"{wanted[0]}.json" for symbol, wanted in symbols.items()},
    )
    tops: list[TopOfBook] = []
    compared = 0
    pending: list[tuple[int, tuple[Any, ...]]] = []
    for step in replay.steps():
        for event in step.events:
            if isinstance(event, TopOfBook):
                tops.append(event)
            elif isinstance(event, BookUpdate) and not event.snapshot:
                (book,) = (b for s, b in replay.books.items() if s.symbol in symbols)
                pending.append((event.sequence, (*(book.best_bid or ()), *(book.best_ask or ()))))
    for sequence, best in pending:
        before = [top for top in tops if (top.sequence or 0) <= sequence]
        if before:
            top = before[-1]
            assert (top.bid_price, top.bid_size, top.ask_price, top.ask_size) == best
            compared += 1
    assert compared > 150


@pytest.mark.parametrize("folder", [SPOT, USDM], ids=lambda folder: folder.name)
def test_every_public_frame_is_understood(folder: Path) -> None:
    market = Market.SPOT if folder is SPOT else Market.LINEAR
    found: Counter[str] = Counter()
    for path in sorted((folder / "ws").glob("*.jsonl")):
        if "recording" in path.name or "user" in path.name or "wsapi" in path.name:
            continue
        for line in path.read_bytes().splitlines():
            subscriptions = subscriptions_in([line], market)
            codec = BinanceCodec()
            if subscriptions:
                codec.subscribe(subscriptions, "1")
            for message in codec.decode(line, 1):
                found[type(message).__name__] += 1
                if isinstance(message, Data):
                    found[type(message.events[0]).__name__] += 1
    assert found["Data"] >= (6 if folder is SPOT else 12), found
    kinds = ("TopOfBook", "BookUpdate", "Candle", "Ticker")
    for kind in kinds if folder is SPOT else (*kinds, "Trade", "MarkPrice", "Liquidation"):
        assert found[kind], found


def _recorded(path: Path) -> list[bytes]:
    frames = []
    for line in path.read_bytes().splitlines():
        content = orjson.loads(line)
        wrapped = type(content) is dict and "raw" in content
        frames.append(content["raw"].encode() if wrapped else line)
    return frames


@pytest.mark.parametrize("folder", [SPOT, USDM], ids=lambda folder: folder.name)
def test_whatever_is_guessed_of_a_stream_reads_its_frames(folder: Path) -> None:
    """Of streams of one symbol none is passed over without a subscription that reads it."""
    exchange, kinds = Binance(), set()
    for path in sorted((folder / "ws").glob("*.jsonl")):
        frames = _recorded(path)
        codecs: dict[str, Any] = {}
        for sub in subscriptions_in(frames, None):
            assert sub.channel in Binance.capabilities.channels[sub.instrument.market]
            route = exchange.route(sub)
            codecs.setdefault(route.url, exchange.codec(route)).subscribe([sub], "1")
        for frame in frames:
            stream = orjson.loads(frame).get("stream", "!")
            native, _, kind = stream.partition("@")
            if kind and not native.startswith("!") and kind != "miniTicker":
                messages = [m for codec in codecs.values() for m in codec.decode(frame, 1)]
                assert any(isinstance(m, Data) for m in messages), (path.name, frame[:200])
                kinds.add(kind)
    assert len(kinds) >= 6


@pytest.mark.parametrize("folder", [SPOT, USDM], ids=lambda folder: folder.name)
def test_usual_frames_take_the_quick_way(folder: Path) -> None:
    taken: Counter[bool] = Counter()
    for path in sorted((folder / "ws").glob("*.jsonl")):
        frames = _recorded(path)
        codec = BinanceCodec()
        subs = subscriptions_in(frames, None)
        if subs:
            codec.subscribe(subs, "1")
        for frame in frames:
            quick = codec.shortcut(orjson.loads(frame).get("stream"))
            if quick is not None:
                taken[quick(frame, 1) is not None] += 1
                codec.decode(frame, 1)  # from which another spelling is learned
    assert taken[True] > 1000
    assert taken[False] < 20


def test_answers_and_notices_are_told_apart() -> None:
    lines = (SPOT / "ws" / "acks-errors.jsonl").read_bytes().splitlines()
    messages = [message for line in lines for message in BinanceCodec().decode(line, 1)]
    assert [type(message) for message in messages] == [Ack, Refused, Closing]


@pytest.mark.parametrize(
    ("name", "market", "listed"),
    [
        # Of twenty each; the others are delisted pairs.
        ("binance-spot/rest/exchangeInfo-2021", Market.SPOT, 15),
        ("binance-spot/rest/exchangeInfo-2025", Market.SPOT, 9),
        ("binance-usdm/rest/exchangeInfo-2021", Market.LINEAR, 20),
        ("binance-usdm/rest/exchangeInfo-2025", Market.LINEAR, 20),
    ],
)
def test_instrument_lists_of_all_years_are_read(name: str, market: Market, listed: int) -> None:
    response = HttpResponse(200, {}, (FOLDER / f"{name}.json").read_bytes())
    assert Binance().error_of(response) is None
    found = Binance.endpoints[GetInstruments].decode(GetInstruments(market), response, 1, None)
    assert len(found.value) == listed
    for instrument in found.value:
        assert instrument.tick_size
        assert instrument.lot_size
        assert instrument.symbol.startswith(f"{instrument.base}/{instrument.quote}")


def test_what_happened_last_is_told_by_tickers() -> None:
    body = (SPOT / "rest" / "ticker-24hr-all.json").read_bytes()
    decode = Binance.endpoints[GetActivity].decode
    trades = decode(GetActivity(Market.SPOT, Channel.TRADES), HttpResponse(200, {}, body), 1, None)
    rows = [row for row in orjson.loads(body) if row["lastId"] >= 0]
    assert [(each.native, each.mark) for each in trades.value] == [
        (row["symbol"], str(row["lastId"])) for row in rows
    ]
    assert trades.left_out == 0
    quotes = decode(GetActivity(Market.SPOT, Channel.BOOK), HttpResponse(200, {}, body), 1, None)
    marks = {each.native: each.mark for each in quotes.value}
    assert marks["ETHBTC"] == "0.03605000 19.91130000 0.03606000 49.73030000"


def test_errors_are_typed() -> None:
    body = (SPOT / "rest" / "error--1121-invalid-symbol.json").read_bytes()
    error = Binance().error_of(HttpResponse(400, {}, body))
    assert isinstance(error, InvalidRequest)
    assert error.code == "-1121"
