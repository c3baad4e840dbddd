"""The emulated Bybit speaks as Bybit does, and is as strict."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.emulator import BybitDialect
from hypothesis import given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    NS_PER_MS,
    NS_PER_SECOND,
    BookUpdate,
    Channel,
    Data,
    GetInstruments,
    HttpRequest,
    InstrumentStatus,
    Side,
    Subscription,
    TopOfBook,
    Trade,
    Unrecognised,
)
from ccrs_core.emulator import (
    EmulatedExchange,
    EmulatorTransport,
    Frame,
    HttpRefusal,
    Peer,
    Rebroadcast,
    read_recording,
)
from ccrs_core.transport.memory import VirtualClock, run

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
OPTION = "BTC-27MAR26-105000-C-USDT"


def exchange(seed: int = 0, **limits: int | None) -> EmulatedExchange:
    return EmulatedExchange(BybitDialect(**limits), seed=seed, start_ns=START_NS)


class Client:
    """One WebSocket into an emulated Bybit."""

    def __init__(self, venue: EmulatedExchange, category: str) -> None:
        peer = venue.open(f"/v5/public/{category}", {}, venue.now_ns)
        assert isinstance(peer, Peer)
        self.venue, self.peer = venue, peer

    def send(self, request: Any) -> None:
        text = request if isinstance(request, str) else orjson.dumps(request).decode()
        self.peer.received(text, self.venue.now_ns)

    def subscribe(self, *topics: str) -> list[dict[str, Any]]:
        self.send({"op": "subscribe", "req_id": "r1", "args": list(topics)})
        return self.heard()

    def heard(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        self.venue.advance(self.venue.now_ns + round(seconds * NS_PER_SECOND))
        return [orjson.loads(raw) for raw in self.raw()]

    def raw(self) -> list[bytes]:
        return [action.payload for action in self.peer.take() if isinstance(action, Frame)]

    def ask(self, *topics: str) -> dict[str, Any]:
        """The reply to a subscribe request."""
        [reply] = [frame for frame in self.subscribe(*topics) if "topic" not in frame]
        return reply


def get(venue: EmulatedExchange, url: str, headers: dict[str, str] | None = None) -> Any:
    path, _, query = url.partition("?")
    request = HttpRequest("GET", path, tuple(parse_qsl(query)), headers or {})
    response = venue.http(request, venue.now_ns)
    return orjson.loads(response.body) if response.body.startswith(b"{") else response


# --- requests, replies and refusals ---


@pytest.mark.parametrize(
    ("category", "ret_msg"), [("spot", "subscribe"), ("linear", ""), ("inverse", "")]
)
def test_a_subscribe_is_acked_in_the_markets_own_words(category: str, ret_msg: str) -> None:
    client = Client(exchange(), category)
    symbol = "BTCUSD" if category == "inverse" else "BTCUSDT"
    reply = client.ask(f"publicTrade.{symbol}")
    connection = reply.pop("conn_id")
    assert len(connection) == 36
    assert reply == {"success": True, "ret_msg": ret_msg, "req_id": "r1", "op": "subscribe"}


def test_options_answer_by_topic() -> None:
    client = Client(exchange(), "option")
    reply = client.ask(f"orderbook.25.{OPTION}", "orderbook.25.NOPE")
    assert reply["type"] == "COMMAND_RESP"
    assert reply["data"] == {
        "failTopics": ["orderbook.25.NOPE"],
        "successTopics": [f"orderbook.25.{OPTION}"],
    }


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("spot", {"success": True, "ret_msg": "pong", "req_id": "p1", "op": "ping"}),
        ("linear", {"success": True, "ret_msg": "pong", "req_id": "p1", "op": "ping"}),
        ("option", {"args": [str(START_NS // NS_PER_MS)], "op": "pong"}),
    ],
)
def test_a_ping_is_answered_as_the_market_does(category: str, expected: dict[str, Any]) -> None:
    client = Client(exchange(), category)
    client.send({"op": "ping", "req_id": "p1"})
    [reply] = client.heard()
    reply.pop("conn_id", None)
    assert reply == expected


@pytest.mark.parametrize(
    ("category", "topics", "ret_msg"),
    [
        ("spot", ["orderbook.1.NOPEUSDT"], "Invalid symbol :[orderbook.1.NOPEUSDT]"),
        ("spot", ["orderbook.500.BTCUSDT"], "Invalid symbol :[orderbook.500.BTCUSDT]"),
        ("spot", ["allLiquidation.BTCUSDT"], "Invalid symbol :[allLiquidation.BTCUSDT]"),
        ("spot", [f"publicTrade.X{n}" for n in range(11)], "args size >10"),
        ("linear", ["tickers.NOPE"], "error:handler not found,topic:tickers.NOPE"),
        ("linear", ["liquidation.BTCUSDT"], "error:handler not found,topic:liquidation.BTCUSDT"),
        ("linear", ["kline.7.BTCUSDT"], "error:handler not found,topic:kline.7.BTCUSDT"),
        ("linear", ["orderbook.1.BTCUSD"], "error:handler not found,topic:orderbook.1.BTCUSD"),
        ("linear", [""], "error:handler not found,topic:"),
        ("inverse", ["dcp.future"], "error:handler not found,topic:dcp.future"),
    ],
)
def test_one_bad_topic_fails_the_whole_request(
    category: str, topics: list[str], ret_msg: str
) -> None:
    client = Client(exchange(), category)
    good = "publicTrade.BTCUSD" if category == "inverse" else "publicTrade.BTCUSDT"
    reply = client.ask(*topics, good) if len(topics) == 1 else client.ask(*topics)
    assert (reply["success"], reply["ret_msg"], reply["op"]) == (False, ret_msg, "subscribe")
    assert not client.peer.subscriptions
    assert not client.heard(1)


def test_subscribing_twice_is_an_error_on_futures_and_harmless_on_spot() -> None:
    for category, success in (("linear", False), ("spot", True)):
        client = Client(exchange(), category)
        assert client.ask("publicTrade.BTCUSDT")["success"]
        again = client.ask("publicTrade.BTCUSDT")
        assert again["success"] is success
        if not success:
            assert again["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"


def test_topics_of_a_connection_have_at_most_21000_characters() -> None:
    venue = exchange()
    client = Client(venue, "linear")
    listed = [each for each in venue.listings.values() if each.category == "linear"]
    symbols = [each.symbol for each in listed if each.status is not InstrumentStatus.CLOSED]
    topics = [
        f"{kind}.{s}" for kind in ("tickers", "publicTrade", "allLiquidation") for s in symbols
    ]
    total = 0
    for start in range(0, len(topics), 100):
        batch = topics[start : start + 100]
        total += sum(map(len, batch))
        client.send({"op": "subscribe", "args": batch})
        replies = [frame for frame in client.heard() if "topic" not in frame]
        assert [reply["success"] for reply in replies] == [total <= 21_000]
        if total > 21_000:
            assert "21000" in replies[0]["ret_msg"]
            break
    assert total > 21_000


@pytest.mark.parametrize(
    "request_text",
    [
        "hello",
        "[1, 2]",
        '{"op": "subscribe"}',
        '{"op": "subscribe", "args": []}',
        '{"op": "subscribe", "args": "publicTrade.BTCUSDT"}',
        '{"op": "subscribe", "args": [1]}',
        '{"op": "conquer", "args": ["world"]}',
        '{"op": "auth", "args": ["key", 1, "proof"]}',
        '{"op": 5, "req_id": 6}',
    ],
)
def test_nonsense_is_refused_and_the_connection_goes_on(request_text: str) -> None:
    client = Client(exchange(), "linear")
    client.send(request_text)
    [reply] = client.heard()
    assert reply["success"] is False
    assert client.peer.open
    assert client.ask("publicTrade.BTCUSDT")["success"]


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_no_frame_whatsoever_breaks_the_emulator(frame: bytes | str) -> None:
    client = Client(exchange(), "spot")
    client.peer.received(frame, START_NS)
    assert client.peer.open


def test_unsubscribing_ends_a_topic_alone() -> None:
    client = Client(exchange(), "linear")
    client.subscribe("orderbook.1.BTCUSDT", "orderbook.1.ETHUSDT")
    client.send({"op": "unsubscribe", "req_id": "r2", "args": ["orderbook.1.BTCUSDT"]})
    frames = client.heard(1)
    assert frames[0]["op"] == "unsubscribe"
    assert {frame["topic"] for frame in frames[1:]} == {"orderbook.1.ETHUSDT"}


def test_the_first_data_comes_before_or_after_the_ack() -> None:
    first = {
        "topic" in Client(exchange(seed), "linear").subscribe("orderbook.1.BTCUSDT")[0]
        for seed in range(20)
    }
    assert first == {True, False}


def test_a_connection_without_pings_or_data_is_cut_after_ten_minutes() -> None:
    venue = exchange()
    idle, pinging = Client(venue, "spot"), Client(venue, "spot")
    for _ in range(31):
        venue.advance(venue.now_ns + 20 * NS_PER_SECOND)
        pinging.send({"op": "ping"})
    assert (idle.peer.open, pinging.peer.open) == (False, True)


def test_unknown_paths_and_too_many_connections_are_refused() -> None:
    venue = exchange(connect_limit=3)
    for path in ("/v5/public/nope", "/v5/private/nope", "/v5", "/"):
        refusal = venue.open(path, {}, START_NS)
        assert isinstance(refusal, HttpRefusal)
        assert refusal.status == 404
    for _ in range(3):
        Client(venue, "spot")
    refusal = venue.open("/v5/public/spot", {}, START_NS)
    assert isinstance(refusal, HttpRefusal)
    assert refusal.status == 403
    assert isinstance(venue.open("/v5/public/spot", {}, START_NS, "10.0.0.1"), Peer)
    venue.advance(START_NS + 300 * NS_PER_SECOND)
    Client(venue, "spot")


# --- frames ---


@pytest.mark.parametrize(
    ("category", "topic", "keys"),
    [
        ("spot", "orderbook.1.BTCUSDT", ["topic", "ts", "type", "data", "cts"]),
        ("spot", "orderbook.50.BTCUSDT", ["topic", "ts", "type", "data", "cts"]),
        ("linear", "orderbook.1.BTCUSDT", ["topic", "ts", "type", "data", "cts"]),
        ("linear", "orderbook.50.BTCUSDT", ["topic", "type", "ts", "data", "cts"]),
        ("inverse", "orderbook.200.BTCUSD", ["topic", "type", "ts", "data", "cts"]),
        ("spot", "tickers.BTCUSDT", ["topic", "ts", "type", "cs", "data"]),
        ("linear", "tickers.BTCUSDT", ["topic", "type", "data", "cs", "ts"]),
        ("linear", "kline.1.BTCUSDT", ["topic", "data", "ts", "type"]),
        ("option", f"tickers.{OPTION}", ["topic", "ts", "type", "id", "data"]),
    ],
)
def test_keys_come_in_the_order_of_the_real_frames(
    category: str, topic: str, keys: list[str]
) -> None:
    client = Client(exchange(), category)
    frame = next(f for f in client.subscribe(topic) + client.heard(1) if "topic" in f)
    assert list(frame) == keys
    assert frame["type"] == "snapshot"
    if topic.startswith("orderbook"):
        assert list(frame["data"]) == ["s", "b", "a", "u", "seq"]


def test_level_1_is_snapshots_only_repeated_after_three_quiet_seconds() -> None:
    venue = EmulatedExchange(BybitDialect(), start_ns=START_NS, rate=0.1)
    client = Client(venue, "spot")
    client.subscribe("orderbook.1.BTCUSDT")
    listing, frames = venue.listings["spot", "BTCUSDT"], []
    for _ in range(60):  # what happens below the best bid breaks no quiet
        venue.submit(listing, Side.BUY, Decimal(1), Decimal(50_000), owner="somebody")
        frames += client.heard(1)
    assert {frame["type"] for frame in frames} == {"snapshot"}
    numbers = [frame["data"]["u"] for frame in frames]
    repeated = [b for a, b in pairwise(frames) if a["data"] == b["data"]]
    assert repeated
    assert numbers == sorted(numbers)
    gaps = {b["ts"] - a["ts"] for a, b in pairwise(frames)}
    assert max(gaps) == 3000
    for repeat in repeated:
        assert repeat["cts"] < repeat["ts"]


@pytest.mark.parametrize(("depth", "milliseconds"), [(1, 10), (50, 20), (200, 100), (1000, 200)])
def test_books_are_pushed_no_faster_than_their_depth_allows(depth: int, milliseconds: int) -> None:
    venue = EmulatedExchange(BybitDialect(), start_ns=START_NS, rate=500)
    client = Client(venue, "linear")
    client.subscribe(f"orderbook.{depth}.BTCUSDT")
    times = [frame["ts"] for frame in client.heard(3)]
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= milliseconds - 1
    assert sum(gaps) / len(gaps) < milliseconds * 1.6


@settings(max_examples=10)
@given(
    seed=st.integers(0, 100),
    market=st.sampled_from(
        [("spot", "BTCUSDT"), ("linear", "ETHUSDT"), ("inverse", "BTCUSD"), ("option", OPTION)]
    ),
    deep=st.booleans(),
    wait=st.integers(0, 3000),
)
def test_snapshot_and_deltas_make_the_engines_book(
    seed: int, market: tuple[str, str], deep: bool, wait: int
) -> None:
    category, symbol = market
    venue = exchange(seed)
    depth = (100 if deep else 25) if category == "option" else (1000 if deep else 50)
    topic = f"orderbook.{depth}.{symbol}"
    other = Client(venue, category)
    other.subscribe(topic)
    venue.advance(START_NS + wait * NS_PER_MS)
    client = Client(venue, category)
    frames = [f for f in client.subscribe(topic) + client.heard(2) if "topic" in f]
    Client(venue, category).subscribe(topic)  # what is pending is published with it
    frames += client.heard()
    book: dict[str, dict[str, str]] = {}
    last = 0
    for frame in frames:
        data = frame["data"]
        if frame["type"] == "snapshot":
            book = {"b": {}, "a": {}}
        else:
            assert data["u"] == last + 1
        last = data["u"]
        for side in ("b", "a"):
            for price, size in data[side]:
                if size == "0":
                    del book[side][price]
                else:
                    book[side][price] = size
    emulated = venue.market(venue.listings[category, symbol])
    for side, key in ((Side.BUY, "b"), (Side.SELL, "a")):
        truth = {
            emulated.rules.price.value(price): emulated.rules.size.value(size)
            for price, size in emulated.engine.depth(side, depth)
        }
        assert {Decimal(p): Decimal(s) for p, s in book[key].items()} == truth
    assert len(frames) > 3


def test_numbers_are_the_same_on_every_connection() -> None:
    venue = exchange()
    topics = ["orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]
    clients = [Client(venue, "linear") for _ in range(3)]
    for client in clients:
        client.subscribe(*topics)
        venue.advance(venue.now_ns + 777 * NS_PER_MS)
    for client in clients:
        client.heard()
    venue.advance(venue.now_ns + 2 * NS_PER_SECOND)
    first, *others = [client.raw() for client in clients]
    assert len(first) > 100
    assert all(frames == first for frames in others)


def test_futures_tickers_tell_once_everything_and_then_what_changed() -> None:
    client = Client(exchange(), "linear")
    frames = [f for f in client.subscribe("tickers.BTCUSDT") if "topic" in f] + client.heard(3)
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "snapshot"
    assert set(kinds[1:]) == {"delta"}
    state = dict(frames[0]["data"])
    assert {"fundingRate", "nextFundingTime", "markPrice", "openInterest"} <= set(state)
    sequences = [frame["cs"] for frame in frames]
    assert sequences == sorted(sequences)
    for frame in frames[1:]:
        data = frame["data"]
        assert data["symbol"] == "BTCUSDT"
        assert len(data) < len(state)
        assert ("bid1Price" in data) == ("bid1Size" in data)
        state |= data
    late = Client(client.venue, "linear").subscribe("tickers.BTCUSDT")
    [snapshot] = [f["data"] for f in late if "topic" in f]
    for frame in client.heard():
        state |= frame["data"]
    assert snapshot == state


def test_spot_tickers_are_whole_and_without_quotes() -> None:
    client = Client(exchange(), "spot")
    client.subscribe("tickers.BTCUSDT")
    frames = client.heard(5)
    assert frames
    assert {frame["type"] for frame in frames} == {"snapshot"}
    assert not any("bid1Price" in frame["data"] for frame in frames)


def test_each_candle_closes_once_and_agrees_with_the_trades() -> None:
    client = Client(exchange(), "linear")
    client.subscribe("kline.1.ETHUSDT", "publicTrade.ETHUSDT")
    candles: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []
    for frame in client.heard(185):
        (candles if frame["topic"].startswith("kline") else trades).extend(frame["data"])
    closed = [candle for candle in candles if candle["confirm"]]
    start_ms = START_NS // NS_PER_MS
    assert [c["start"] for c in closed] == [start_ms, start_ms + 60_000, start_ms + 120_000]
    for candle in closed[1:]:
        inside = [t for t in trades if candle["start"] <= t["T"] <= candle["end"]]
        assert candle["close"] == inside[-1]["p"]
        assert Decimal(candle["volume"]) == sum(Decimal(t["v"]) for t in inside)
        assert Decimal(candle["turnover"]) == sum(Decimal(t["v"]) * Decimal(t["p"]) for t in inside)
        prices = [Decimal(t["p"]) for t in inside] + [Decimal(candle["open"])]
        assert Decimal(candle["high"]) == max(prices)
        assert Decimal(candle["low"]) == min(prices)
    url = f"/v5/market/kline?category=linear&symbol=ETHUSDT&interval=1&start={start_ms}"
    rows = get(client.venue, url)["result"]["list"]
    assert [int(row[0]) for row in rows] == sorted((int(row[0]) for row in rows), reverse=True)
    by_start = {int(row[0]): row for row in rows}
    for candle in closed:
        names = ("open", "high", "low", "close", "volume", "turnover")
        assert by_start[candle["start"]][1:] == [candle[name] for name in names]


def test_liquidations_come_in_batches_and_name_the_position() -> None:
    venue = EmulatedExchange(BybitDialect(), start_ns=START_NS, rate=200)
    client = Client(venue, "linear")
    client.subscribe("allLiquidation.BTCUSDT")
    rows = [row for frame in client.heard(30) for row in frame["data"]]
    assert {row["S"] for row in rows} == {"Buy", "Sell"}
    assert all(list(row) == ["T", "s", "S", "v", "p"] for row in rows)


def test_options_trades_are_subscribed_by_base_coin() -> None:
    client = Client(exchange(), "option")
    client.subscribe("publicTrade.BTC")
    symbols = {row["s"] for frame in client.heard(20) for row in frame["data"]}
    assert len(symbols) > 3
    assert all(symbol.startswith("BTC-") for symbol in symbols)


def test_a_restart_sends_a_snapshot_with_number_1() -> None:
    client = Client(exchange(), "spot")
    client.subscribe("orderbook.50.BTCUSDT")
    client.heard(1)
    client.venue.faults.add("restart,topic=orderbook.50.*")
    frames = client.heard(1)
    assert (frames[0]["type"], frames[0]["data"]["u"]) == ("snapshot", 1)
    assert [f["data"]["u"] for f in frames] == list(range(1, len(frames) + 1))


def test_a_recording_is_replayed_by_topic() -> None:
    lines = [
        '{"recv_ts": 1.0, "raw": "{\\"topic\\":\\"publicTrade.XUSDT\\",\\"ts\\":1,\\"data\\":[]}"}',
        '{"recv_ts": 1.0, "raw": "{\\"success\\":true,\\"op\\":\\"subscribe\\"}"}',
    ]
    replay = Rebroadcast(read_recording(lines))
    venue = EmulatedExchange(BybitDialect(), start_ns=START_NS, rebroadcast=replay)
    client = Client(venue, "spot")
    assert client.ask("publicTrade.XUSDT")["success"]
    assert not client.ask("publicTrade.BTCUSDT")["success"]
    assert [frame["topic"] for frame in client.heard(5)] == ["publicTrade.XUSDT"]
    assert replay.finished


# --- REST ---


def test_answers_come_in_bybits_envelope() -> None:
    response = exchange().http(HttpRequest("GET", "/v5/market/time"), START_NS)
    body = orjson.loads(response.body)
    assert list(body) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    assert body["result"] == {"timeSecond": "1767225600", "timeNano": str(START_NS)}
    assert response.headers["X-Bapi-Limit-Status"] == "599"


def test_linear_instruments_need_more_than_one_page() -> None:
    venue = exchange()
    url = "/v5/market/instruments-info?category=linear"
    first = get(venue, url)["result"]
    cursor = first["nextPageCursor"]
    assert len(first["list"]) == 500
    assert cursor.startswith("first%3D")
    once = get(venue, f"{url}&cursor={cursor}")["result"]
    # A client that encodes what it was given asks for the same page.
    twice = get(venue, f"{url}&cursor={cursor.replace('%', '%25')}")["result"]
    assert once == twice
    assert once["nextPageCursor"] == ""
    symbols = [row["symbol"] for row in first["list"] + once["list"]]
    assert len(set(symbols)) == len(symbols) > 520
    assert get(venue, f"{url}&limit=1000")["result"]["nextPageCursor"] == ""
    assert get(venue, f"{url}&cursor=nonsense")["retCode"] == 10001


@pytest.mark.parametrize(
    ("query", "check"),
    [
        ("category=spot", lambda rows: all("settleCoin" not in row for row in rows)),
        ("category=linear&baseCoin=BTC", lambda rows: {r["baseCoin"] for r in rows} == {"BTC"}),
        ("category=linear&status=PreLaunch", lambda rows: len(rows) == 2),
        ("category=linear&symbol=BTCPERP", lambda rows: rows[0]["settleCoin"] == "USDC"),
        ("category=inverse", lambda rows: "BTCUSDH26" in {row["symbol"] for row in rows}),
        ("category=linear&baseCoin=ETH", lambda rows: "ETH-27MAR26" in {r["symbol"] for r in rows}),
        ("category=option", lambda rows: {row["baseCoin"] for row in rows} == {"BTC"}),
        ("category=option&baseCoin=ETH", lambda rows: {r["baseCoin"] for r in rows} == {"ETH"}),
        (f"category=option&symbol={OPTION}", lambda rows: rows[0]["optionsType"] == "Call"),
    ],
)
def test_instruments_are_filtered(query: str, check: Callable[[list[Any]], bool]) -> None:
    rows = get(exchange(), f"/v5/market/instruments-info?{query}")["result"]["list"]
    assert rows
    assert check(rows)


@pytest.mark.parametrize(
    ("url", "code", "text"),
    [
        ("/v5/market/tickers", 10001, "params error: Category is invalid"),
        ("/v5/market/tickers?category=stocks", 10001, "params error: Category is invalid"),
        ("/v5/market/tickers?category=spot&symbol=X", 10001, "params error: symbol invalid"),
        ("/v5/market/orderbook?category=spot", 10001, "params error: symbol invalid"),
        (
            "/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=1001",
            10001,
            "params error: limit invalid",
        ),
        ("/v5/market/kline?symbol=NOPE&interval=1", 10001, "Not supported symbols"),
        ("/v5/market/kline?symbol=BTCUSDT&interval=7", 10001, "Invalid period!"),
        (
            f"/v5/market/kline?category=option&symbol={OPTION}&interval=1",
            10001,
            "params error: Category is invalid",
        ),
        (
            "/v5/market/recent-trade?category=linear&symbol=X",
            10001,
            "params error: symbol invalid",
        ),
        (
            "/v5/order/realtime?category=linear",
            10001,
            "empty value: apiTimestamp[] apiKey[] apiSignature[]",
        ),
    ],
)
def test_bad_requests_are_refused_in_bybits_words(url: str, code: int, text: str) -> None:
    body = get(exchange(), url)
    assert (body["retCode"], body["retMsg"]) == (code, text)


def test_unknown_paths_and_wrong_keys() -> None:
    venue = exchange()
    assert get(venue, "/v5/market/nothing").status == 404
    keys = {"X-BAPI-API-KEY": "k", "X-BAPI-TIMESTAMP": "1", "X-BAPI-SIGN": "s"}
    assert get(venue, "/v5/account/info", keys)["retCode"] == 10003


def test_too_many_requests_are_refused_with_403_until_the_window_has_passed() -> None:
    venue = exchange(request_limit=10)
    for _ in range(10):
        assert get(venue, "/v5/market/time")["retCode"] == 0
    refused = get(venue, "/v5/market/time")
    assert (refused.status, refused.body) == (403, b"access too frequent")
    venue.advance(START_NS + 5 * NS_PER_SECOND)
    assert get(venue, "/v5/market/time")["retCode"] == 0


def test_the_rate_limit_code_can_be_provoked() -> None:
    venue = exchange()
    venue.faults.add("http,status=10006,count=1")
    request = HttpRequest("GET", "/v5/market/time")
    response = venue.http(request, START_NS)
    assert response.status == 200
    assert orjson.loads(response.body)["retCode"] == 10006
    assert response.headers["X-Bapi-Limit-Status"] == "0"
    assert orjson.loads(venue.http(request, START_NS).body)["retCode"] == 0


def test_trades_and_books_of_rest_are_those_of_the_stream() -> None:
    client = Client(exchange(), "spot")
    client.subscribe("publicTrade.BTCUSDT", "orderbook.1.BTCUSDT")
    frames = client.heard(20)
    trades = [row for f in frames if f["topic"].startswith("public") for row in f["data"]]
    url = "/v5/market/recent-trade?category=spot&symbol=BTCUSDT"
    rows = get(client.venue, url)["result"]["list"]
    newest = [(row["i"], row["p"], row["v"], row["S"]) for row in reversed(trades)][:60]
    assert [(r["execId"], r["price"], r["size"], r["side"]) for r in rows] == newest
    top = [f["data"] for f in frames if f["topic"].startswith("orderbook")][-1]
    book = get(client.venue, "/v5/market/orderbook?category=spot&symbol=BTCUSDT")["result"]
    assert (book["b"], book["a"]) == (top["b"], top["a"])
    ticker = get(client.venue, "/v5/market/tickers?category=spot&symbol=BTCUSDT")["result"]
    assert ticker["list"][0]["lastPrice"] == trades[-1]["p"]


def test_the_book_of_rest_has_the_number_of_the_deepest_stream() -> None:
    client = Client(exchange(), "linear")
    client.subscribe("orderbook.1000.BTCUSDT")
    client.heard(1.05)
    url = "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=1000"
    book = get(client.venue, url)["result"]
    frames = client.heard()
    if frames:  # what was pending was published
        assert frames[-1]["data"]["u"] == book["u"]
    [after] = [f for f in client.heard(0.25) if "topic" in f][:1]
    assert after["data"]["u"] == book["u"] + 1
    late = Client(client.venue, "linear").subscribe("orderbook.1000.BTCUSDT")
    [snapshot] = [f["data"] for f in late if "topic" in f]
    again = get(client.venue, url)["result"]
    assert [again[key] for key in ("b", "a", "u", "seq")] == [
        snapshot[key] for key in ("b", "a", "u", "seq")
    ]


def test_candles_and_funding_are_paged_by_time() -> None:
    venue = exchange()
    url = "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&limit=24"
    end_ms = START_NS // NS_PER_MS
    newer = get(venue, f"{url}&end={end_ms - 1}")["result"]["list"]
    older = get(venue, f"{url}&end={int(newer[-1][0]) - 1}")["result"]["list"]
    starts = [int(row[0]) for row in newer + older]
    assert starts == [end_ms - hour * 3_600_000 for hour in range(1, 49)]
    history = "/v5/market/funding/history?category=linear&symbol=BTCUSDT"
    rates = get(venue, f"{history}&limit=5")["result"]["list"]
    times = [int(rate["fundingRateTimestamp"]) for rate in rates]
    assert times == [end_ms - n * 8 * 3_600_000 for n in range(5)]
    bounded = get(venue, f"{history}&startTime={times[3]}&endTime={times[1]}")["result"]["list"]
    assert [int(rate["fundingRateTimestamp"]) for rate in bounded] == times[1:4]


# --- together with the plugin ---


def test_all_instruments_are_read_by_the_plugin_and_mapped_one_to_one() -> None:
    async def main() -> None:
        venue = exchange()
        transport = EmulatorTransport(venue)
        clock = VirtualClock(START_NS)
        async with ccrs_core.connect(
            "bybit", base_url="http://emulated", transport=transport, clock=clock
        ) as client:
            for market in ccrs_core.Market:
                found = await client.get_instruments(market)
                symbols = {each.symbol for each in found}
                assert len(symbols) == len(found)
                listed = {s for (category, s) in venue.listings if category == market.value}
                assert {each.native for each in found} <= listed
                assert len(found) >= 20 if market is not ccrs_core.Market.INVERSE else 8

    run(main())


def test_every_frame_is_recognised_by_the_plugins_codec() -> None:
    venue = exchange()
    bybit = Bybit()
    endpoint = bybit.endpoints[GetInstruments]
    for category, symbol in (("spot", "BTCUSDT"), ("linear", "BTCUSDT"), ("inverse", "BTCUSD")):
        market = ccrs_core.Market(category)
        request = GetInstruments(market)
        response = venue.http(endpoint.encode(request, None), venue.now_ns)
        found = endpoint.decode(request, response, venue.now_ns, None).value
        [instrument] = [each for each in found if each.native == symbol]
        client = Client(venue, category)
        subscriptions = []
        for channel in bybit.capabilities.channels[market]:
            depth = 50 if channel is Channel.BOOK else None
            interval = "1m" if channel is Channel.CANDLES else None
            subscriptions.append(Subscription(channel, instrument, depth, interval))
        codec = bybit.codec(bybit.route(subscriptions[0]))
        request_frame = codec.subscribe(subscriptions, "1")
        assert isinstance(request_frame, str | bytes)
        client.peer.received(request_frame, venue.now_ns)
        venue.advance(venue.now_ns + 20 * NS_PER_SECOND)
        kinds = set()
        for raw in client.raw():
            for message in codec.decode(raw, venue.now_ns):
                assert not isinstance(message, Unrecognised | ccrs_core.Refused), raw
                if isinstance(message, Data):
                    kinds |= {type(event) for event in message.events}
        assert {TopOfBook, Trade, BookUpdate} <= kinds


def test_the_default_dialect_of_the_plugin_is_this_one() -> None:
    assert isinstance(Bybit().dialect(), BybitDialect)
