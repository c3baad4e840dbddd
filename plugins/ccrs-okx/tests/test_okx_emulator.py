"""The emulated OKX is strict, and hundreds of books stay within its limits."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import attrs
import pytest
from ccrs_okx import Okx
from ccrs_okx.emulator import OkxDialect
from ccrs_okx.emulator_listings import contract_value, listings
from okx_frames import worth_of

import ccrs_core
from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    Channel,
    Client,
    Data,
    Gap,
    HttpRequest,
    HttpResponse,
    Market,
    Options,
    Stale,
    Subscription,
)
from ccrs_core.emulator import (
    CloseAction,
    EmulatedExchange,
    EmulatorTransport,
    Frame,
    Handshake,
    HttpRefusal,
    Peer,
    Visitor,
)
from ccrs_core.transport.memory import VirtualClock, run

START_NS = 1_767_225_600 * NS_PER_SECOND  # 2026-01-01T00:00:00Z
PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
BTC, SWAP = "BTC-USDT", "BTC-USDT-SWAP"


def venue(dialect: OkxDialect | None = None, **options: Any) -> EmulatedExchange:
    return EmulatedExchange(dialect or OkxDialect(), seed=3, start_ns=START_NS, **options)


class Line:
    """One WebSocket into the emulator."""

    def __init__(self, at: EmulatedExchange, path: str = PUBLIC) -> None:
        peer = at.open(path, {}, at.now_ns)
        assert isinstance(peer, Peer)
        self.at, self.peer = at, peer

    def send(self, request: Any) -> list[Any]:
        text = request if isinstance(request, str) else json.dumps(request)
        self.peer.received(text, self.at.now_ns)
        return self.heard()

    def ask(self, channel: str, about: str = BTC, op: str = "subscribe") -> list[Any]:
        name = "instType" if channel == "liquidation-orders" else "instId"
        return self.send({"id": "7", "op": op, "args": [{"channel": channel, name: about}]})

    def heard(self, seconds: float = 0.0) -> list[Any]:
        self.at.advance(self.at.now_ns + round(seconds * NS_PER_SECOND))
        actions = self.peer.take()
        return [
            a.payload.decode() if isinstance(a, Frame) and a.payload == b"pong"
            else json.loads(a.payload) if isinstance(a, Frame)
            else a
            for a in actions
        ]  # fmt: skip


def ask(at: EmulatedExchange, call: str, address: str = "1.1.1.1", **query: str) -> HttpResponse:
    request = HttpRequest("GET", f"/api/v5/{call}", tuple(query.items()))
    return at.http(request, at.now_ns, address)


def data(at: EmulatedExchange, call: str, **query: str) -> list[Any]:
    body = json.loads(ask(at, call, **query).body)
    assert body["code"] == "0", body
    found: list[Any] = body["data"]
    return found


# --- requests and refusals ---


def test_each_argument_is_answered_by_itself() -> None:
    line = Line(venue())
    args = [{"channel": "bbo-tbt", "instId": n} for n in (BTC, "NOPE-USDT", SWAP)]
    replies = line.send({"id": "a1", "op": "subscribe", "args": args})
    answers = [each for each in replies if "event" in each]
    assert [each["event"] for each in answers] == ["subscribe", "error", "subscribe"]
    assert {each["id"] for each in answers} == {"a1"}
    assert [each.get("arg") for each in answers] == [args[0], None, args[2]]
    assert answers[1]["code"] == "60018"
    assert "channel:bbo-tbt,instId:NOPE-USDT " in answers[1]["msg"]
    assert len({each["connId"] for each in answers}) == 1
    (gone,) = line.ask("bbo-tbt", op="unsubscribe")
    assert (gone["event"], gone["arg"]) == ("unsubscribe", args[0])
    assert {each["arg"]["instId"] for each in line.heard(2.0)} == {SWAP}


@pytest.mark.parametrize(
    ("path", "channel", "about", "code"),
    [
        (PUBLIC, "trades-all", BTC, "60018"),
        (PUBLIC, "candle1m", BTC, "60018"),
        (BUSINESS, "trades", BTC, "60018"),
        (BUSINESS, "books", BTC, "60018"),
        (BUSINESS, "candle7m", BTC, "60018"),
        (BUSINESS, "1m", BTC, "60018"),
        (PUBLIC, "funding-rate", BTC, "60018"),
        (PUBLIC, "mark-price", BTC, "60018"),
        (PUBLIC, "liquidation-orders", "SPOT", "60018"),
        (PUBLIC, "books", "", "60018"),
        (PUBLIC, "books-l2-tbt", BTC, "60011"),
        (PUBLIC, "books50-l2-tbt", BTC, "60011"),
        ("/ws/v5/private", "orders", BTC, "60011"),
    ],
)
def test_a_channel_is_only_where_it_belongs(path: str, channel: str, about: str, code: str) -> None:
    line = Line(venue(), path)
    (reply,) = line.ask(channel, about)
    assert (reply["event"], reply["code"], reply["id"]) == ("error", code, "7")
    assert not line.peer.subscriptions


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("hello", "60012"),
        ("[]", "60012"),
        ({"op": "ping"}, "60012"),
        ({"op": "subscribe", "id": "a-1", "args": [{}]}, "60012"),
        ({"op": "subscribe", "id": "a" * 33, "args": [{}]}, "60012"),
        ({"op": "subscribe", "id": 7, "args": [{}]}, "60012"),
        ({"op": "subscribe"}, "60013"),
        ({"op": "subscribe", "args": []}, "60013"),
        ({"op": "subscribe", "args": ["books"]}, "60013"),
        ({"op": "subscribe", "args": [{"channel": 5}]}, "60013"),
        ({"op": "login", "args": [{"apiKey": "k"}]}, "60009"),
    ],
)
def test_malformed_requests_are_refused(request_: Any, code: str) -> None:
    (reply,) = Line(venue()).send(request_)
    assert (reply["event"], reply["code"]) == ("error", code)


def test_a_bare_ping_is_answered_and_keeps_a_silent_connection() -> None:
    at = venue()
    silent, lively = Line(at), Line(at)
    for _ in range(5):
        assert lively.send("ping") == ["pong"]
        at.advance(at.now_ns + 20 * NS_PER_SECOND)
    assert lively.peer.open
    assert not silent.peer.open
    (closed,) = silent.heard()
    assert isinstance(closed, CloseAction)
    assert closed.code == 4004


def test_more_than_480_requests_an_hour_are_refused_and_none_is_longer_than_64_kb() -> None:
    at = venue(rate=0.001)
    line = Line(at)
    for _ in range(480):
        (reply,) = line.ask("books", "NOPE")
        assert reply["code"] == "60018"
    (reply,) = line.ask("books", "NOPE")
    assert reply["code"] == "60014"
    assert line.send("ping") == ["pong"], "pings don't count"
    (closed,) = Line(at).send("x" * 65_537)
    assert isinstance(closed, CloseAction)
    for _ in range(180):
        line.send("ping")
        at.advance(at.now_ns + 20 * NS_PER_SECOND)
    (reply,) = line.ask("books", "NOPE")
    assert reply["code"] == "60018"


def test_an_address_opens_three_connections_a_second() -> None:
    at = venue(OkxDialect(connect_limit=3))

    def opened(address: str) -> bool:
        found = at.open(PUBLIC, {}, at.now_ns, address)
        assert isinstance(found, Peer) or found.status == 429
        return isinstance(found, Peer)

    assert [opened("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert opened("b")
    at.advance(at.now_ns + NS_PER_SECOND)
    assert [opened("a") for _ in range(4)] == [True] * 3 + [False]
    assert isinstance(at.open("/stream", {}, at.now_ns), HttpRefusal)


# --- books ---


def rows(frames: list[Any], channel: str = "books") -> list[Any]:
    return [
        {**row, "action": frame.get("action")}
        for frame in frames
        if "data" in frame and frame["arg"]["channel"] == channel
        for row in frame["data"]
    ]


class Mirror:
    """A book kept from frames in the simplest way, in the words of the wire."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.number = -1

    def apply(self, row: Mapping[str, Any]) -> None:
        if row["action"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert row["prevSeqId"] == self.number
        self.number = row["seqId"]
        for side, levels in self.sides.items():
            for price, size, nothing, orders in row[side]:
                assert nothing == "0"
                assert (size == "0") is (orders == "0")
                levels[price] = size
                if size == "0":
                    del levels[price]

    def best(self, side: str, count: int = 400) -> list[tuple[str, str]]:
        sign = -1 if side == "bids" else 1
        found = sorted(self.sides[side].items(), key=lambda level: sign * Decimal(level[0]))
        return found[:count]

    def checksum(self) -> int:
        sides = [self.best("bids", 25), self.best("asks", 25)]
        words = []
        for place in range(25):
            for side in sides:
                words += [":".join(level) for level in side[place : place + 1]]
        value = zlib.crc32(":".join(words).encode())
        return value - (1 << 32) if value >= 1 << 31 else value


@pytest.mark.parametrize("symbol", [BTC, SWAP, "BTC-USD-SWAP"])
def test_changes_chain_to_the_book_that_a_request_brings_and_have_its_checksum(
    symbol: str,
) -> None:
    at = venue(OkxDialect(checksums=True), rate=50.0)
    line, mirror = Line(at), Mirror()
    frames = rows(line.ask("books", symbol))
    assert [row["action"] for row in frames] == ["snapshot"]
    assert frames[0]["prevSeqId"] == -1
    compared = 0
    for turn in range(40):
        if turn == 20:
            at.faults.add(f"restart,topic=books:{symbol}")
        frames += rows(line.heard(0.13))
        (book,) = data(at, "market/books", instId=symbol, sz="400")
        frames += rows(line.heard())  # what was pending has been told
        for row in frames:
            mirror.apply(row)
            assert row["checksum"] == mirror.checksum()
        frames = []
        assert mirror.number == book["seqId"]
        for side in ("bids", "asks"):
            assert mirror.best(side) == [(price, size) for price, size, *_ in book[side]]
        compared += 1
    assert compared == 40


def test_a_quiet_book_is_repeated_every_minute_and_maintenance_lowers_its_numbers() -> None:
    at = venue(rate=0.0001)
    line = Line(at)
    line.ask("books")
    found = []
    for _ in range(10):
        found += rows(line.heard(18.5))
        line.send("ping")
    assert len(found) == 3
    assert all((row["bids"], row["asks"]) == ([], []) for row in found)
    assert all(row["prevSeqId"] == row["seqId"] for row in found)
    times = [int(row["ts"]) for row in found]
    assert times == sorted(times)
    at.faults.add("restart,topic=books:*")
    (row,) = rows(line.heard())
    assert row["seqId"] < row["prevSeqId"] == found[-1]["seqId"]


def test_checksums_are_zero_and_the_snapshot_may_be_missing() -> None:
    at = venue(OkxDialect(snapshots=False))
    line = Line(at)
    (ack,) = line.ask("books")
    assert ack["event"] == "subscribe"
    found = rows(line.heard(3.0))
    assert found
    assert {row["checksum"] for row in found} == {0}
    assert {row["action"] for row in found} == {"update"}
    for before, after in pairwise(found):
        assert after["prevSeqId"] == before["seqId"] < after["seqId"]


def test_all_hear_the_same_numbers_and_shallow_books_are_whole() -> None:
    at = venue()
    one, other = Line(at), Line(at)
    for line in (one, other):
        line.ask("books")
        line.ask("books5")
    first, second = one.heard(3.0), other.heard()
    assert rows(first) == rows(second) != []
    shallow = rows(first, "books5")
    assert shallow == rows(second, "books5")
    assert all(len(row["bids"]) == len(row["asks"]) == 5 for row in shallow)
    numbers = [row["seqId"] for row in shallow]
    assert numbers == sorted(set(numbers))


# --- trades and candles ---


def test_trades_add_up_to_what_one_order_traded_and_to_candles() -> None:
    at = venue(rate=200.0)
    public, business = Line(at), Line(at, BUSINESS)
    public.ask("trades")
    business.ask("trades-all")
    business.ask("candle1m")
    frames = business.heard(130.0)
    singles, together = rows(frames, "trades-all"), rows(public.heard(), "trades")
    assert len(together) < len(singles) == sum(int(row["count"]) for row in together)
    assert sum(Decimal(row["sz"]) for row in singles) == sum(Decimal(row["sz"]) for row in together)
    assert {row["tradeId"] for row in together} < {row["tradeId"] for row in singles}
    fresh = [{k: v for k, v in row.items() if k not in {"source", "action"}} for row in singles]
    told = data(at, "market/trades", instId=BTC, limit="50")
    assert [{k: v for k, v in row.items() if k != "source"} for row in reversed(told)] == fresh[
        -50:
    ]
    candles = [f["data"][0] for f in frames if f.get("arg", {}).get("channel") == "candle1m"]
    candles = [row for row in candles if isinstance(row, list)]
    closed = [row for row in candles if row[8] == "1"]
    start = START_NS // NS_PER_MS
    assert [int(row[0]) for row in closed] == [start, start + 60_000]
    inside = [row for row in singles if start + 60_000 <= int(row["ts"]) < start + 120_000]
    assert Decimal(closed[1][5]) == sum(Decimal(row["sz"]) for row in inside)
    assert closed[1][4] == inside[-1]["px"]
    recent = data(at, "market/candles", instId=BTC, limit="3")
    assert [row[8] for row in recent] == ["0", "1", "1"]
    assert recent[1:] == closed[::-1]
    assert data(at, "market/history-candles", instId=BTC, limit="2") == closed[::-1]


def test_candles_go_back_1440_and_the_rest_is_history() -> None:
    at = venue(rate=0.01)
    query = {"instId": SWAP, "bar": "1m", "limit": "300"}
    found: list[Any] = []
    after: dict[str, str] = {}
    while page := data(at, "market/candles", **query, **after):
        found += page
        after = {"after": page[-1][0]}
    opens = [int(row[0]) for row in found]
    assert len(opens) == 1440
    assert all(later - sooner == 60_000 for later, sooner in pairwise(opens))
    (older,) = data(at, "market/history-candles", **{**query, "limit": "1"}, **after)
    assert int(older[0]) == opens[-1] - 60_000
    assert len(data(at, "market/candles", **query, before=str(opens[5]))) == 5


def test_funding_is_paged_back_in_time() -> None:
    at = venue()
    query = {"instId": SWAP, "limit": "5"}
    newer = data(at, "public/funding-rate-history", **query)
    older = data(at, "public/funding-rate-history", **query, after=newer[-1]["fundingTime"])
    times = [int(row["fundingTime"]) for row in newer + older]
    assert all(later - sooner == 8 * 3_600_000 for later, sooner in pairwise(times))
    assert len(times) == 10


# --- requests by REST ---


@pytest.mark.parametrize(
    ("call", "query", "status", "code"),
    [
        ("market/books", {}, 400, "50014"),
        ("market/books", {"instId": "NOPE"}, 200, "51001"),
        ("market/books", {"instId": BTC, "sz": "401"}, 200, "51000"),
        ("market/books", {"instId": BTC, "sz": "0"}, 200, "51000"),
        ("market/candles", {"instId": BTC, "bar": "7m"}, 200, "51000"),
        ("market/candles", {"instId": BTC, "after": "x"}, 200, "51000"),
        ("market/history-candles", {"instId": BTC, "limit": "301"}, 200, "51000"),
        ("market/trades", {"instId": BTC, "limit": "501"}, 200, "51000"),
        ("market/tickers", {}, 400, "50014"),
        ("market/tickers", {"instType": "STOCKS"}, 200, "51000"),
        ("public/instruments", {"instType": "OPTION"}, 400, "50014"),
        ("public/instruments", {"instType": "OPTION", "instFamily": "X-Y"}, 200, "51001"),
        ("public/funding-rate", {"instId": BTC}, 200, "51000"),
        ("public/funding-rate-history", {"instId": "BTC-USD_UM-260327"}, 200, "51000"),
        ("account/balance", {}, 401, "50103"),
    ],
)
def test_wrong_requests_are_refused_with_okxs_codes(
    call: str, query: dict[str, str], status: int, code: str
) -> None:
    response = ask(venue(), call, **query)
    assert (response.status, json.loads(response.body)["code"]) == (status, code)
    assert Okx().error_of(response) is not None


def test_a_request_that_okx_does_not_know_is_not_found() -> None:
    at = venue()
    assert ask(at, "market/nothing").status == 404
    post = HttpRequest("POST", "/api/v5/public/time")
    assert at.http(post, at.now_ns).status == 404


@pytest.mark.parametrize(
    ("call", "query", "limit"),
    [
        ("public/time", {}, 10),
        ("public/instruments", {"instType": "SWAP"}, 20),
        ("public/funding-rate-history", {"instId": SWAP, "limit": "1"}, 10),
        ("market/books", {"instId": BTC}, 40),
        ("market/candles", {"instId": BTC, "limit": "1"}, 40),
        ("market/history-candles", {"instId": BTC, "limit": "1"}, 20),
        ("market/trades", {"instId": BTC, "limit": "1"}, 100),
    ],
)
def test_requests_are_limited_by_call_and_address(
    call: str, query: dict[str, str], limit: int
) -> None:
    at = venue(OkxDialect(request_limits=True))
    answers = [ask(at, call, **query) for _ in range(limit + 2)]
    assert [each.status for each in answers] == [200] * limit + [429] * 2
    assert json.loads(answers[-1].body)["code"] == "50011"
    assert ask(at, call, "2.2.2.2", **query).status == 200
    other = "market/ticker" if "instId" in query else "market/tickers"
    assert ask(at, other, **{"instType": "SWAP", **query}).status == 200
    at.advance(at.now_ns + 2 * NS_PER_SECOND)
    assert ask(at, call, **query).status == 200


# --- together with the plugin ---


class Watched(OkxDialect):
    """Notes when connections were opened and what was refused."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.opened: list[int] = []
        self.statuses: Counter[int] = Counter()

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        self.opened.append(self.venue.now_ns)
        found = super().open(handshake)
        self.statuses[found.status or 0 if isinstance(found, HttpRefusal) else 101] += 1
        return found

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        response = super().http(request, address, now_ns)
        self.statuses[response.status] += 1
        return response

    @property
    def busiest(self) -> int:
        """The greatest number of connections that were opened in any second."""
        return max(
            sum(0 <= later - first < NS_PER_SECOND for later in self.opened)
            for first in self.opened
        )


def connected(at: EmulatedExchange, clock: VirtualClock, **options: Any) -> Client:
    transport = EmulatorTransport(at, clock)
    return ccrs_core.connect(Okx(), transport=transport, clock=clock, **options)


def test_all_instruments_are_read_and_their_contracts_are_worth_what_is_listed() -> None:
    at, clock = venue(), VirtualClock(START_NS)

    async def main() -> None:
        async with connected(at, clock) as client:
            for market in Market:
                found = await client.get_instruments(market)
                wanted = {e.symbol: e for e in at.listings.values() if e.market is market}
                assert {each.native for each in found} == set(wanted)
                for each in found:
                    listing = wanted[each.native]
                    # Inverse contracts are worth so many quote units, spot has none.
                    worth = contract_value(listing) if market is not Market.SPOT else 1
                    assert worth_of(each) == worth
                    assert each.tick_size == listing.tick
                    assert (each.lot_size, each.min_size, each.max_size) == (
                        listing.lot,
                        listing.min_size,
                        listing.max_size,
                    )
                    assert (each.expiry_ns, each.strike) == (listing.expiry_ns, listing.strike)

    run(main())


def test_every_frame_is_recognised_by_the_plugin() -> None:
    at, clock, exchange = venue(rate=50.0), VirtualClock(START_NS), Okx()

    async def instruments() -> list[ccrs_core.Instrument]:
        async with connected(at, clock) as client:
            return [each for market in Market for each in await client.get_instruments(market)]

    listed = {each.native: each for each in run(instruments())}
    heard: defaultdict[str, set[Channel]] = defaultdict(set)
    for native in (BTC, SWAP, "BTC-USD-SWAP", "BTC-USD_UM-260327", "BTC-USD-260327-104000-C"):
        each = listed[native]
        for channel in sorted(exchange.capabilities.channels[each.market]):
            if channel in {Channel.FUNDING, Channel.LIQUIDATIONS} and each.expiry_ns is not None:
                continue  # the one isn't paid, the other is rare
            depth = 400 if channel is Channel.BOOK else None
            interval = "1m" if channel is Channel.CANDLES else None
            subscription = Subscription(channel, each, depth=depth, interval=interval)
            route = exchange.route(subscription)
            codec = exchange.codec(route)
            line = Line(at, route.url.partition("}")[2])
            frame = codec.subscribe([subscription], "1")
            line.peer.received(frame, at.now_ns)
            seconds = {Channel.LIQUIDATIONS: 40, Channel.TRADES: 60}.get(channel, 3)
            at.advance(at.now_ns + seconds * NS_PER_SECOND)
            for action in line.peer.take():
                assert isinstance(action, Frame)
                for message in codec.decode(action.payload, at.now_ns):
                    if isinstance(message, Data):
                        heard[native].add(channel)
                        assert message.topic == codec.topic(subscription)
                    elif channel not in {Channel.LIQUIDATIONS, Channel.GREEKS}:
                        assert isinstance(message, ccrs_core.Ack), action.payload
            line.peer.gone()
    always = {Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK, Channel.TICKER, Channel.CANDLES}
    assert heard[BTC] == always
    assert heard[SWAP] == heard["BTC-USD-SWAP"] == Okx.capabilities.channels[Market.LINEAR]
    of_contracts = always | {Channel.MARK_PRICE, Channel.OPEN_INTEREST}
    assert heard["BTC-USD_UM-260327"] == of_contracts | {Channel.INDEX_PRICE}
    assert heard["BTC-USD-260327-104000-C"] == of_contracts | {Channel.GREEKS}


def test_a_client_that_opens_and_asks_a_lot_is_never_refused() -> None:
    dialect = Watched(request_limits=True, connect_limit=3)
    at, clock = venue(dialect, rate=1.0), VirtualClock(START_NS)

    async def main() -> None:
        async with connected(at, clock) as client:
            swaps = [e for e in await client.get_instruments("linear") if e.expiry_ns is None]
            await client.get_instruments("option")
            symbol = swaps[0].symbol
            wanted = [ccrs_core.trades(each.symbol) for each in swaps]
            wanted += [ccrs_core.top_of_book(each.symbol) for each in swaps]
            async with client.subscribe(*wanted, connections=6) as feed:
                asked = [
                    *(client.get_book(symbol, depth=400) for _ in range(60)),
                    *(client.get_trades(symbol, limit=500) for _ in range(60)),
                    *(client.get_candles(symbol, "1m", limit=1800) for _ in range(6)),
                    *(client.get_funding_history(symbol, limit=150) for _ in range(10)),
                    *(client.get_server_time() for _ in range(15)),
                ]
                answers = await asyncio.gather(*asked)
                await feed.ready()
            assert all(answers[:60] + answers[120:])  # there may have been no trades yet
            assert all(len(each) == 1800 for each in answers[120:126])  # type: ignore[arg-type]
            assert all(len(each) == 150 for each in answers[126:136])  # type: ignore[arg-type]
            assert client.status().request_errors == 0

    run(main())
    assert dialect.statuses.keys() == {101, 200}
    assert dialect.statuses[101] == 12
    assert dialect.busiest == 3


@pytest.mark.parametrize("snapshots", [True, False])
def test_300_books_at_once_stay_within_the_limits(snapshots: bool) -> None:
    """Started at once, all become valid; nothing is refused, and what runs loses nothing."""
    dialect = Watched(request_limits=True, connect_limit=3, snapshots=snapshots)
    listed = listings(START_NS)
    spot = next(each for each in listed if each.symbol == "DOT-USDT")
    more = [
        attrs.evolve(spot, symbol=f"X{n}-USDT", base=f"X{n}", levels=20, pace=0.1)
        for n in range(305)
    ]
    at = venue(dialect, rate=5.0, instruments=[*listed, *more])
    clock = VirtualClock(START_NS)

    async def main() -> None:
        async with connected(at, clock, options=Options()) as client:
            await client.get_instruments("spot")
            running = [f"X{n}/USDT" for n in range(300, 305)]
            new = [f"X{n}/USDT" for n in range(300)]
            notices: list[Any] = []

            def note(event: ccrs_core.AnyEvent) -> None:
                if isinstance(event, Gap | Stale):
                    notices.append(event)

            wanted = (ccrs_core.book(symbol, depth=400) for symbol in running)
            async with client.subscribe(*wanted, callback=note) as first:
                await asyncio.sleep(10.0)
                assert all(first.book(symbol).valid for symbol in running)
                books = [ccrs_core.book(symbol, depth=400) for symbol in new]
                async with client.subscribe(*books) as feed:
                    started, valid = clock.monotonic(), 0
                    while valid < 300 and clock.monotonic() < started + 120.0:
                        await asyncio.sleep(1.0)
                        valid = sum(feed.book(symbol).valid for symbol in new)
                    assert valid == 300
                    # Eleven connections, three a second; and twenty requests a second.
                    assert clock.monotonic() - started < (10.0 if snapshots else 40.0)
                    lines = Counter(
                        sum(topic.startswith("books:") for topic in peer.subscriptions)
                        for peer in at.peers
                    )
                    assert sum(count * times for count, times in lines.items()) == 305
                    assert max(lines) <= 29
            assert not notices
            assert client.status().request_errors == 0

    run(main())
    assert dialect.statuses.keys() == {101, 200}
    assert dialect.busiest <= 3


def test_the_default_dialect_of_the_plugin_is_this_one() -> None:
    assert type(Okx().dialect()) is OkxDialect
