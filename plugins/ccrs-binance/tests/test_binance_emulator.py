"""The emulated Binance is strict, and hundreds of books stay within its limits."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect

import ccrs_core
from ccrs_core import NS_PER_SECOND, BookUpdate, Gap, HttpRequest, Stale
from ccrs_core.emulator import (
    CloseAction,
    EmulatedExchange,
    EmulatorTransport,
    Frame,
    Peer,
    PingAction,
)
from ccrs_core.transport.memory import VirtualClock, run

START_NS = 1_767_225_600 * NS_PER_SECOND


def venue(dialect: BinanceDialect | None = None, **options: Any) -> EmulatedExchange:
    return EmulatedExchange(dialect or BinanceDialect(), seed=3, start_ns=START_NS, **options)


def opened(at: EmulatedExchange, path: str, query: dict[str, str] | None = None) -> Peer:
    peer = at.open(path, query or {}, at.now_ns)
    assert isinstance(peer, Peer)
    return peer


def said(peer: Peer) -> list[Any]:
    return [json.loads(a.payload) if isinstance(a, Frame) else a for a in peer.take()]


def ask(at: EmulatedExchange, path: str, **query: str) -> Any:
    return at.http(HttpRequest("GET", path, tuple(query.items())), at.now_ns)


# --- streams ---


def test_a_stream_that_does_not_exist_is_acknowledged_and_silent() -> None:
    at = venue()
    peer = opened(at, "/stream")
    peer.received('{"method":"SUBSCRIBE","params":["nosuch@trade"],"id":7}', at.now_ns)
    at.advance(at.now_ns + 5 * NS_PER_SECOND)
    assert said(peer) == [{"result": None, "id": 7}]


def test_a_stream_under_the_wrong_root_is_acknowledged_and_silent() -> None:
    at = venue()
    peer = opened(at, "/fstream/public/stream")
    peer.received('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":7}', at.now_ns)
    at.advance(at.now_ns + 20 * NS_PER_SECOND)
    assert said(peer) == [{"result": None, "id": 7}]


def test_a_malformed_stream_is_refused_and_ends_the_connection() -> None:
    at = venue()
    peer = opened(at, "/stream")
    peer.received('{"method":"SUBSCRIBE","params":["BTCUSDT@trade"],"id":7}', at.now_ns)
    refused, closed = said(peer)
    assert refused["error"]["code"] == 2
    assert isinstance(closed, CloseAction)


def heard(at: EmulatedExchange, path: str, *streams: str) -> list[Any]:
    """What comes of streams in some seconds, without the answer to the request."""
    peer = opened(at, path)
    request = {"method": "SUBSCRIBE", "params": streams, "id": 7}
    peer.received(json.dumps(request), at.now_ns)
    at.advance(at.now_ns + 6 * NS_PER_SECOND)
    answer, *frames = said(peer)
    assert answer == {"result": None, "id": 7}
    return frames


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/fstream/public/stream", "btcusdt@depth@250ms"),
        ("/fstream/public/stream", "BTCUSDT@depth@100ms"),
        ("/stream", "btcusdt@depth@250ms"),
        ("/fstream/market/stream", "soonusdt@markPrice@1s"),
    ],
)
def test_some_streams_are_acknowledged_and_silent(path: str, stream: str) -> None:
    assert heard(venue(), path, stream) == []


@pytest.mark.parametrize("speed", ["", "@100ms", "@500ms"])
def test_books_of_futures_come_at_the_speeds_that_are_documented(speed: str) -> None:
    assert heard(venue(), "/fstream/public/stream", f"btcusdt@depth{speed}")


def test_symbols_may_have_letters_of_any_alphabet() -> None:
    frames = heard(venue(), "/fstream/market/stream", "币安人生usdt@markPrice@1s")
    assert {frame["data"]["s"] for frame in frames} == {"币安人生USDT"}


def test_one_stream_too_many_ends_the_connection_with_all_others() -> None:
    at = venue()
    peer = opened(at, "/fstream/public/stream")
    streams = [f"s{number}usdt@depth" for number in range(1025)]
    for number, some in enumerate((streams[:1024], streams[1024:])):
        request = {"method": "SUBSCRIBE", "params": some, "id": number}
        peer.received(json.dumps(request), at.now_ns)
    _, refused, closed = said(peer)
    assert refused == {"error": {"code": 4, "msg": "Too many subscriptions"}}
    assert isinstance(closed, CloseAction)


def test_candles_and_liquidations_say_neither_pair_nor_market() -> None:
    at = venue(rate=50.0)
    streams = ("btcusdt@kline_1m", "btcusdt@forceOrder", "btcusdt@aggTrade")
    seen = {}
    for frame in heard(at, "/fstream/market/stream", *streams):
        seen[frame["data"]["e"]] = frame["data"].keys()
    assert seen["kline"] == {"e", "E", "s", "k"}
    assert {"nq", "st"} <= seen["aggTrade"]
    assert seen.get("forceOrder", {"e", "E", "o"}) == {"e", "E", "o"}


def test_strange_rows_are_listed() -> None:
    at = venue()
    rows = {
        path: {row["symbol"]: row for row in json.loads(ask(at, path).body)["symbols"]}
        for path in ("/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo")
    }
    spot, futures = rows.values()
    assert spot["BCCBTC"]["status"] == "BREAK"
    delisted, announced = futures["OMGUSDT"], futures["LATERUSDT"]
    assert delisted["status"] == "SETTLING"
    assert delisted["deliveryDate"] * 1_000_000 < at.now_ns
    assert "marginAsset" not in announced
    assert announced["filters"] is None
    assert (futures["SOONUSDT"]["status"], futures["SOONUSDT"]["contractType"]) == (
        "PENDING_TRADING",
        "",
    )


def test_books_have_thousands_of_levels() -> None:
    found = json.loads(ask(venue(), "/api/v3/depth", symbol="PEPEUSDT", limit="5000").body)
    assert min(len(found["bids"]), len(found["asks"])) > 2500


def test_refusals_say_the_weight_and_best_prices_of_futures_a_wrong_one() -> None:
    at = venue()
    refused = ask(at, "/fapi/v1/depth", symbol="BTCUSDT", limit="7")
    assert refused.headers["X-MBX-USED-WEIGHT-1M"] == "2"
    best = ask(at, "/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    assert best.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_more_messages_than_five_in_a_second_end_a_spot_connection() -> None:
    at = venue()
    peer = opened(at, "/stream")
    for number in range(6):
        peer.received(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}', at.now_ns)
    assert [type(each) for each in said(peer)] == [dict] * 5 + [CloseAction]


@pytest.mark.parametrize(("path", "allowed"), [("/stream", 5), ("/fstream/market/stream", 10)])
def test_pings_and_pongs_are_messages_too(path: str, allowed: int) -> None:
    at = venue()
    peer = opened(at, path)
    for number in range(allowed):
        peer.pinged(at.now_ns) if number % 2 else peer.ponged(b"", at.now_ns)
    assert peer.open
    at.advance(at.now_ns + NS_PER_SECOND)
    for _ in range(allowed + 1):
        peer.pinged(at.now_ns)
    assert [type(each) for each in peer.take()] == [CloseAction]


@pytest.mark.parametrize(
    ("path", "interval", "timeout"), [("/stream", 20, 60), ("/fstream/public/stream", 180, 600)]
)
def test_pings_come_and_want_their_pongs(path: str, interval: int, timeout: int) -> None:
    at = venue()
    mute, alive = opened(at, path), opened(at, path)
    for turn in range(1, 20):
        at.advance(START_NS + turn * interval * NS_PER_SECOND - 1)
        assert alive.take() == []
        at.advance(at.now_ns + 1)
        assert mute.open == (turn * interval < interval + timeout)
        (ping,) = alive.take()
        assert isinstance(ping, PingAction)
        alive.ponged(ping.payload, at.now_ns)
    assert alive.open


def test_streams_may_be_named_in_the_address_and_come_bare_under_ws() -> None:
    at = venue()
    combined = opened(at, "/stream", {"streams": "btcusdt@bookTicker/ethusdt@bookTicker"})
    bare = opened(at, "/ws/btcusdt@bookTicker")
    at.advance(at.now_ns + 3 * NS_PER_SECOND)
    assert {frame["stream"] for frame in said(combined)} == {
        "btcusdt@bookTicker",
        "ethusdt@bookTicker",
    }
    frames = said(bare)
    assert frames
    assert all(frame.keys() == {"u", "s", "b", "B", "a", "A"} for frame in frames)


def test_whether_frames_name_their_streams_can_be_changed() -> None:
    at = venue()
    peer = opened(at, "/ws")

    def call(number: int, method: str, *params: Any) -> list[Any]:
        request = {"method": method, "params": list(params), "id": number}
        peer.received(json.dumps(request), at.now_ns)
        answers = said(peer)
        at.advance(at.now_ns + 2 * NS_PER_SECOND)
        return answers

    call(1, "SUBSCRIBE", "btcusdt@bookTicker")
    assert all("stream" not in frame for frame in said(peer))
    assert call(2, "GET_PROPERTY", "combined") == [{"result": False, "id": 2}]
    assert {"result": None, "id": 3} in call(3, "SET_PROPERTY", "combined", True)
    frames = said(peer)
    assert frames
    assert all(frame["stream"] == "btcusdt@bookTicker" for frame in frames)
    assert {"result": True, "id": 4} in call(4, "GET_PROPERTY", "combined")
    refused = [frame for frame in call(5, "SET_PROPERTY", "combined", 1) if "error" in frame]
    assert refused[0]["error"]["code"] == 2
    assert peer.open


def test_a_connection_ends_after_a_day() -> None:
    at = venue(rate=0.01)
    peer = opened(at, "/fstream/public/stream")
    for _ in range(24 * 60):
        assert peer.open
        at.advance(at.now_ns + 60 * NS_PER_SECOND)
        for action in peer.take():
            if isinstance(action, PingAction):
                peer.ponged(action.payload, at.now_ns)
    assert not peer.open
    assert peer.take() == []


def test_futures_chain_by_pu_and_spot_by_numbers_without_holes() -> None:
    at = venue()
    chains = {}
    for path in ("/stream", "/fstream/public/stream"):
        peer = opened(at, path, {"streams": "btcusdt@depth@100ms"})
        at.advance(at.now_ns + 3 * NS_PER_SECOND)
        chains[path] = [frame["data"] for frame in said(peer)]
    for before, after in pairwise(chains["/stream"]):
        assert after["U"] == before["u"] + 1
    futures = chains["/fstream/public/stream"]
    for before, after in pairwise(futures):
        assert after["pu"] == before["u"] < after["U"] <= after["u"]
        assert after["U"] != before["u"] + 1


def test_a_level_that_comes_and_goes_between_two_frames_is_told() -> None:
    """Who fetched the book in between knows it, and would keep it for ever."""
    at = venue(BinanceDialect(weight_limits={}), rate=200.0)
    peer = opened(at, "/stream", {"streams": "btcusdt@depth@100ms"})
    known: dict[str, dict[str, str]] = {}
    number = compared = 0
    for _ in range(200):
        at.advance(at.now_ns + NS_PER_SECOND // 40)
        for frame in said(peer):
            for side, levels in known.items():
                levels.update(frame["data"][side])
            number = frame["data"]["u"]
        book = json.loads(ask(at, "/api/v3/depth", symbol="BTCUSDT", limit="1000").body)
        fetched = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        if known and book["lastUpdateId"] == number:
            for side, levels in known.items():
                assert {p: q for p, q in levels.items() if float(q)} == fetched[side]
            compared += 1
        elif book["lastUpdateId"] > number:
            known = fetched
    assert compared > 10


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/stream", ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]),
        ("/fstream/market/stream", ["e", "E", "a", "s", "p", "q", "nq", "f", "l", "T", "m", "st"]),
        ("/dstream/stream", ["e", "E", "a", "s", "p", "q", "f", "l", "T", "m", "st"]),
    ],
)
def test_aggregate_trades_are_spelled_as_each_market_spells_them(
    path: str, keys: list[str]
) -> None:
    at = venue(rate=200.0)
    symbol = "btcusd_perp" if path.startswith("/dstream") else "btcusdt"
    peer = opened(at, path, {"streams": f"{symbol}@aggTrade"})
    at.advance(at.now_ns + 2 * NS_PER_SECOND)
    frames = said(peer)
    assert frames
    assert all(list(frame["data"]) == keys for frame in frames)


# --- requests ---


def test_weight_is_counted_and_told_and_too_much_of_it_bans_the_address() -> None:
    dialect = BinanceDialect(weight_limits={"spot": 120, "usdm": 100})
    at = venue(dialect)
    for used in (50, 100):
        response = ask(at, "/api/v3/depth", symbol="BTCUSDT", limit="1000")
        assert response.status == 200
        assert response.headers["X-MBX-USED-WEIGHT-1M"] == str(used)
    answers = [ask(at, "/api/v3/depth", symbol="BTCUSDT", limit="1000") for _ in range(6)]
    assert [each.status for each in answers] == [429] * 5 + [418]
    assert 0 < int(answers[0].headers["Retry-After"]) <= 61
    at.advance(at.now_ns + 60 * NS_PER_SECOND)
    assert ask(at, "/api/v3/time").status == 418, "a ban outlasts the minute"
    assert ask(at, "/fapi/v1/time").status == 200, "futures count for themselves"


def test_both_kinds_of_futures_are_counted_as_one() -> None:
    at = venue(BinanceDialect(weight_limits={"usdm": 5}))
    calls = ["/fapi/v1/time", "/dapi/v1/time"] * 3
    answers = [ask(at, call) for call in calls]
    used = [int(each.headers["X-MBX-USED-WEIGHT-1M"]) for each in answers]
    assert used == [1, 2, 3, 4, 5, 5]
    assert [each.status for each in answers] == [200] * 5 + [429]


def test_candles_of_coin_margined_futures_reach_back_200_days_at_a_time() -> None:
    at = venue(BinanceDialect(weight_limits={}))
    day_ms = 24 * 3600 * 1000
    end_ms = START_NS // 1_000_000 - 50 * day_ms
    query = {"symbol": "BTCUSD_PERP", "interval": "1d", "limit": "1000"}

    def opens(**times: int) -> list[int]:
        response = ask(at, "/dapi/v1/klines", **query, **{k: str(v) for k, v in times.items()})
        return [row[0] for row in json.loads(response.body)]

    last = opens(endTime=end_ms)
    assert last == [end_ms - day * day_ms for day in range(200, -1, -1)]
    first = opens(startTime=end_ms - 900 * day_ms)
    assert first == [end_ms + (day - 900) * day_ms for day in range(201)]
    times = {"startTime": str(end_ms - 201 * day_ms), "endTime": str(end_ms)}
    refused = ask(at, "/dapi/v1/klines", **query, **times)
    assert json.loads(refused.body)["code"] == -1127


def test_long_histories_of_coin_margined_candles_are_whole() -> None:
    async def main() -> None:
        at = venue()
        transport, clock = EmulatorTransport(at), VirtualClock(START_NS)
        settings = {"base_url": "ws://binance.emulator", "transport": transport, "clock": clock}
        async with ccrs_core.connect("binance", **settings) as client:
            for interval, count, day in (("1d", 700, 1), ("1w", 100, 7)):
                candles = await client.get_candles("BTC/USD:BTC", interval, limit=count)
                opens = [candle.open_time_ns for candle in candles]
                assert len(opens) == count
                assert {b - a for a, b in pairwise(opens)} == {day * 24 * 3600 * NS_PER_SECOND}
                mean = candles[0].volume * 100 / candles[0].turnover
                assert candles[0].low <= mean <= candles[0].high

    run(main())


def test_funding_history_has_a_limit_of_its_own() -> None:
    at = venue(BinanceDialect(weight_limits={}))
    answers = [ask(at, "/fapi/v1/fundingRate", symbol="BTCUSDT", limit="1") for _ in range(501)]
    assert [each.status for each in answers] == [200] * 500 + [429]
    assert 60 < int(answers[-1].headers["Retry-After"]) <= 301
    assert ask(at, "/fapi/v1/klines", symbol="BTCUSDT", interval="1m").status == 200


@pytest.mark.parametrize(("limit", "weight"), [(99, 1), (100, 2), (500, 5), (1000, 5), (1500, 10)])
def test_candles_of_futures_weigh_by_their_number(limit: int, weight: int) -> None:
    answer = ask(venue(), "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=str(limit))
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/api/v3/depth", {}, -1102),
        ("/api/v3/depth", {"symbol": "NOSUCH"}, -1121),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, -4021),
        ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
    ],
)
def test_wrong_requests_are_refused_with_binances_codes(
    path: str, query: dict[str, str], code: int
) -> None:
    response = ask(venue(), path, **query)
    assert response.status == 400
    assert json.loads(response.body)["code"] == code


# --- hundreds of books ---


def test_300_books_at_once_stay_within_the_limits_and_disturb_nobody() -> None:
    """Started at once, all become valid; no request is refused, and what runs already loses
    nothing."""
    dialect = BinanceDialect()
    at = venue(dialect, rate=1.0)
    clock = VirtualClock()

    async def main() -> None:
        client = ccrs_core.connect(Binance(), transport=EmulatorTransport(at, clock), clock=clock)
        async with client:
            listed = await client.get_instruments("spot")
            symbols = [each.symbol for each in listed if each.status.value == "trading"]
            running, new = symbols[:5], symbols[5:305]
            assert len(new) == 300
            notices: list[Any] = []

            def note(event: ccrs_core.AnyEvent) -> None:
                if isinstance(event, Gap | Stale):
                    notices.append(event)

            wanted = (ccrs_core.book(symbol, depth=1000) for symbol in running)
            async with client.subscribe(*wanted, callback=note) as first:
                await asyncio.sleep(20.0)
                assert all(first.book(symbol).valid for symbol in running)
                books = [ccrs_core.book(symbol, depth=1000) for symbol in new]
                async with client.subscribe(*books) as feed:
                    started, valid = clock.monotonic(), 0
                    while valid < 300 and clock.monotonic() < started + 600.0:
                        await asyncio.sleep(5.0)
                        valid = sum(feed.book(symbol).valid for symbol in new)
                    assert valid == 300
                    # 300 snapshots of weight 50, four fifths of 5,000 a minute for them.
                    assert clock.monotonic() - started < 300.0
                    # The user's own requests go first.
                    asked = clock.monotonic()
                    assert isinstance(await client.get_book(running[0]), BookUpdate)
                    assert clock.monotonic() - asked < 20.0
            assert not notices
            assert not dialect.weights["spot"].banned("127.0.0.1")
            assert client.status().request_errors == 0

    run(main())
