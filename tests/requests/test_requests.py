"""REST through the client: retries, pauses, budgets and pages, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import re
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AuthError,
    Client,
    ConnectFailed,
    Credentials,
    DecodeError,
    ExchangeError,
    ExchangeUnavailable,
    GarbledAnswer,
    GetCandles,
    GetFundingHistory,
    GetServerTime,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Market,
    NotWritten,
    Options,
    RateLimited,
    TimedOut,
    TransportError,
    UnknownInstrument,
    Unsupported,
    UsageError,
    connect,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.scripted import BTC, TIME, Paged, Rest, page, status
from tests.toy import Toy

# --- retries ---


@pytest.mark.parametrize(
    "failure",
    [
        TimedOut("no answer"),
        TransportError("reset"),
        ConnectFailed("refused"),
        status(503),
        status(429, retry_after="2"),
    ],
)
def test_a_passing_failure_is_tried_again(failure: HttpResponse | Exception) -> None:
    rest = Rest(failure, failure, TIME)

    async def use(client: Client) -> None:
        assert await client.get_server_time() == int(TIME)
        assert client.status().requests == 3
        assert client.status().request_errors == 2

    rest.play(use)
    assert len(rest.asked) == 3


@pytest.mark.parametrize("refusal", [ZeroDivisionError("a mistake"), UsageError("no such depth")])
def test_what_the_plugin_can_not_write_was_never_sent(refusal: Exception) -> None:
    """Whatever it raises is typed; what it says of the request itself is told as it is."""
    rest = Rest()

    def encode(request: Any, cursor: str | None) -> HttpRequest:
        raise refusal

    class Mistaken(Paged):
        endpoints: ClassVar[Any] = {
            **Paged.endpoints,
            GetTrades: attrs.evolve(Paged.endpoints[GetTrades], encode=encode),
        }

    async def use(client: Client) -> None:
        with pytest.raises((NotWritten, UsageError), match=str(refusal)) as failure:
            await client.request(GetTrades(BTC, 3))
        if isinstance(refusal, UsageError):
            assert failure.value is refusal
        else:
            assert isinstance(failure.value, NotWritten)
            assert failure.value.__cause__ is refusal

    rest.exchange = Mistaken()
    rest.play(use)
    assert not rest.asked


PAGE = b"<!DOCTYPE html><html><body>Just a moment...</body></html>"


@pytest.mark.parametrize(
    "garbled",
    [
        b"",
        b"  \n",
        PAGE,
        page([1, 2, 3])[:-4],
        HttpResponse(302, {"location": "http://192.0.2.1/"}, PAGE),
        HttpResponse(307, {}, page([1, 2, 3])),
        b"\x1f\x8b\x08\x00",
    ],
)
def test_an_answer_of_what_stands_before_the_exchange_is_asked_for_again(
    garbled: HttpResponse | bytes,
) -> None:
    rest = Rest(garbled, garbled, page([1, 2, 3]))

    async def use(client: Client) -> None:
        assert await client.request(GetTrades(BTC, 3)) == [1, 2, 3]
        assert client.status().request_errors == 2

    rest.play(use)
    assert len(rest.asked) == 3

    async def fail(client: Client) -> None:
        with pytest.raises(GarbledAnswer, match=r"GET .*/trades: .* instead of an answer \(HTTP"):
            await client.request(GetTrades(BTC, 3))

    Rest(garbled).play(fail)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (status(401), AuthError),
        (status(400), ExchangeError),
        (b"no number", ValueError),
        (DecodeError("gibberish"), DecodeError),
        (UsageError("never sent"), UsageError),
    ],
)
def test_a_lasting_failure_is_raised_at_once(
    failure: HttpResponse | Exception | bytes, kind: type[Exception]
) -> None:
    rest = Rest(failure)

    async def use(client: Client) -> None:
        with pytest.raises(kind):
            await client.get_server_time()
        assert client.status().request_errors == 1

    rest.play(use)
    assert len(rest.asked) == 1


def test_a_passing_failure_that_stays_is_raised_after_the_last_attempt() -> None:
    rest = Rest(status(503))

    async def use(client: Client) -> None:
        with pytest.raises(ExchangeUnavailable):
            await client.get_server_time()

    rest.play(use, options=Options(request_attempts=4))
    assert len(rest.asked) == 4


def test_retries_are_spread_by_a_growing_random_wait() -> None:
    waits: list[list[float]] = []
    for _ in range(30):
        rest = Rest(status(503))

        async def use(client: Client) -> None:
            with pytest.raises(ExchangeUnavailable):
                await client.get_server_time()

        rest.play(use, options=Options(request_attempts=5, backoff_initial=1.0, backoff_max=4.0))
        times = rest.times
        waits.append([b - a - 0.01 for a, b in itertools.pairwise(times)])
    for n, longest in enumerate((1.0, 2.0, 4.0, 4.0)):
        column = [row[n] for row in waits]
        assert max(column) <= longest + 1e-6
        assert len({round(wait, 6) for wait in column}) > 20


def test_cancellation_goes_through_a_retry() -> None:
    rest = Rest(status(503))

    async def use(client: Client) -> None:
        asking = asyncio.ensure_future(client.get_server_time())
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        before = len(rest.asked)
        await asyncio.sleep(100.0)
        assert len(rest.asked) == before

    rest.play(use, options=Options(backoff_initial=50.0))


# --- rate limits ---


def test_a_rate_limit_pauses_the_host_for_everybody_and_none_leaves_before() -> None:
    rest = Rest(status(429, retry_after="5"), TIME)

    async def use(client: Client) -> None:
        first = asyncio.ensure_future(client.get_server_time())
        await asyncio.sleep(0.5)
        assert 4.0 < client.status().host_paused < 5.0
        others = [asyncio.ensure_future(client.get_server_time()) for _ in range(5)]
        await asyncio.gather(first, *others)

    rest.play(use)
    assert len(rest.asked) == 7
    answered = rest.times[0]
    assert all(when >= answered + 5.0 - 1e-6 for when in rest.times[1:])


def test_a_pause_concerns_the_other_clients_of_the_host_too() -> None:
    rest = Rest(status(429, retry_after="5"), TIME)

    async def use(client: Client) -> None:
        async with rest.client(transport=MemoryTransport(rest.server)) as other:
            first = asyncio.ensure_future(client.get_server_time())
            await asyncio.sleep(1.0)
            await other.get_server_time()
            await first

    rest.play(use)
    assert all(when >= rest.times[0] + 5.0 - 1e-6 for when in rest.times[1:])


@pytest.mark.parametrize("first", [status(429, retry_after="600"), status(403), status(429)])
def test_a_long_pause_is_raised_at_once_and_nothing_leaves_while_it_lasts(
    first: HttpResponse,
) -> None:
    rest = Rest(first, TIME)

    async def use(client: Client) -> None:
        with pytest.raises(RateLimited):
            await client.get_server_time()
        assert rest.clock.monotonic() < 1.0
        with pytest.raises(RateLimited) as barred:
            await client.get_server_time()
        assert barred.value.retry_after is not None
        assert barred.value.retry_after > 50.0
        assert rest.clock.monotonic() < 1.0
        assert len(rest.asked) == 1
        await asyncio.sleep(600.0)
        assert await client.get_server_time() == int(TIME)

    rest.play(use)


def test_who_waits_for_the_budget_when_a_long_pause_begins_is_told_and_sends_nothing() -> None:
    rest = Rest(*[TIME] * 9, status(403), TIME)

    async def use(client: Client) -> None:
        asked = [asyncio.ensure_future(client.get_server_time()) for _ in range(30)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 21
        assert rest.clock.monotonic() < 3.0

    rest.play(use)
    assert len(rest.asked) == 10


class TwoHosts(Paged):
    """Trades are of another host, which is counted with the first one or by itself."""

    environments: ClassVar = {
        "mainnet": attrs.evolve(
            Toy.environments["mainnet"],
            addresses={**Toy.environments["mainnet"].addresses, "trades": "https://trades.toy"},
        )
    }
    shared = True

    def rest_address(self, request: HttpRequest) -> str:
        return "trades" if request.path == "/trades" else "rest"

    def rest_pool(self, address: str) -> str:
        return "rest" if self.shared else address


@pytest.mark.parametrize("shared", [True, False])
def test_hosts_that_the_exchange_counts_together_share_their_budget(shared: bool) -> None:
    rest = _two_hosts(shared)
    rest.server.respond = lambda request: _by_path(rest, request)

    async def use(client: Client) -> None:
        times = [client.get_server_time() for _ in range(6)]
        trades = [client.get_trades("BTC/USD") for _ in range(6)]
        await asyncio.gather(*times, *trades)

    rest.play(use)
    assert len(rest.times) == 12
    assert sum(when < 0.5 for when in rest.times) == (10 if shared else 12)


@pytest.mark.parametrize("shared", [True, False])
def test_hosts_that_the_exchange_counts_together_pause_together(shared: bool) -> None:
    rest = _two_hosts(shared)
    rest.server.respond = lambda request: _by_path(rest, request, barred=not rest.asked)

    async def use(client: Client) -> None:
        first = asyncio.ensure_future(client.get_server_time())
        await asyncio.sleep(0.5)
        await client.get_trades("BTC/USD")
        await first

    rest.play(use)
    trades = next(when for when, http in rest.asked if http.path == "/trades")
    assert (trades > 5.0) is shared


def _two_hosts(shared: bool) -> Rest:
    rest, exchange = Rest(), TwoHosts()
    exchange.shared = shared
    rest.exchange = exchange
    return rest


def _by_path(rest: Rest, request: HttpRequest, barred: bool = False) -> HttpResponse:
    rest.asked.append((rest.clock.monotonic(), request))
    if barred:
        return status(429, retry_after="5")
    return HttpResponse(200, {}, page([]) if request.path == "/trades" else TIME)


@given(st.integers(1, 40), st.integers(1, 4))
def test_requests_of_all_clients_together_stay_within_the_hosts_budget(
    requests: int, clients: int
) -> None:
    rest = Rest(TIME)

    async def use(client: Client) -> None:
        others = [rest.client(transport=MemoryTransport(rest.server)) for _ in range(clients - 1)]
        for other in others:
            await other.__aenter__()
        everyone = [client, *others]
        await asyncio.gather(*(everyone[n % clients].get_server_time() for n in range(requests)))
        for other in others:
            await other.__aexit__(None, None, None)

    rest.transport.latency = 0.0
    rest.play(use)
    times = rest.times
    assert len(times) == requests
    assert all(
        later - sooner > 1.0 - 1e-6 for sooner, later in zip(times, times[10:], strict=False)
    )


# --- pages ---


@given(st.lists(st.lists(st.integers(0, 99), max_size=3), min_size=1, max_size=5), st.booleans())
def test_pages_are_joined_oldest_first(pages: list[list[int]], newest_first: bool) -> None:
    served = pages[::-1] if newest_first else pages
    cursors: list[str | None] = [*(f"p{n}" for n in range(1, len(pages))), None]
    rest = Rest(*(page(items, c) for items, c in zip(served, cursors, strict=True)))

    async def use(client: Client) -> None:
        asked = GetTrades(BTC, 100) if newest_first else GetCandles(BTC, "1m", None, None, 100)
        answer: Any = await client.request(asked)
        assert answer == [item for items in pages for item in items]

    rest.play(use)
    assert [dict(request.query).get("cursor") for _, request in rest.asked] == [None, *cursors[:-1]]


@pytest.mark.parametrize(("start_ns", "expected"), [(1, [0, 1, 2]), (None, [2, 3, 4])])
def test_what_a_page_brings_beyond_the_limit_is_cut_at_the_open_end(
    start_ns: int | None, expected: list[int]
) -> None:
    rest = Rest(page([0, 1], "p1"), page([2, 3, 4], None))

    async def use(client: Client) -> None:
        answer: Any = await client.request(GetCandles(BTC, "1m", start_ns, None, 3))
        assert answer == expected

    rest.play(use)


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_pages_that_go_round_in_circles_are_an_error(cursors: list[str]) -> None:
    rest = Rest(*(page([n], cursor) for n, cursor in enumerate(cursors)))

    async def use(client: Client) -> None:
        with pytest.raises(DecodeError, match="repeat"):
            await client.request(GetTrades(BTC, 100))

    rest.play(use)
    assert len(rest.asked) == len(cursors)


def test_a_page_that_fails_for_a_passing_reason_is_asked_again_alone() -> None:
    rest = Rest(page([3], "a"), status(503), page([2], "b"), page([1]))

    async def use(client: Client) -> None:
        answer: Any = await client.request(GetTrades(BTC, 100))
        assert answer == [1, 2, 3]

    rest.play(use)
    assert [dict(r.query).get("cursor") for _, r in rest.asked] == [None, "a", "a", "b"]


class Weighed(Paged):
    """Its further pages cost half of what may be asked in a second, and all of it."""

    endpoints: ClassVar[Any] = {
        **Paged.endpoints,
        GetTrades: attrs.evolve(
            Paged.endpoints[GetTrades], page_weight=lambda request, cursor: {"a": 5}.get(cursor, 10)
        ),
    }


def test_each_page_is_counted_by_its_own_weight() -> None:
    rest = Rest(page([3], "a"), page([2], "b"), page([1]))

    async def use(client: Client) -> None:
        assert await client.request(GetTrades(BTC, 100)) == [1, 2, 3]

    rest.exchange = Weighed()
    rest.play(use)
    first, second, third = rest.times
    assert second < first + 0.1
    assert third >= second + 1.0, "10 more may leave once the 5 of before are a second ago"
    trades = Weighed.endpoints[GetTrades]
    assert [trades.weight_of(GetTrades(BTC, 1), c) for c in (None, "a", "b")] == [1, 5, 10]


# --- what is asked for ---

YEAR_NS, HOUR_NS = 365 * 86_400 * 10**9, 3_600 * 10**9
START_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize("exchange", ["bybit", "binance", "okx"])
def test_a_stretch_of_time_is_answered_whole_and_not_cut_unless_a_limit_says_so(
    exchange: str,
) -> None:
    plugin = plugins.load(exchange)()
    clock = VirtualClock(START_NS)
    dialect = plugin.dialect()
    assert dialect is not None
    transport = EmulatorTransport(EmulatedExchange(dialect, start_ns=START_NS), clock)

    async def main() -> None:
        async with connect(
            plugin, base_url="http://emulator", transport=transport, clock=clock
        ) as client:
            await ask_for_a_year(client)

    async def ask_for_a_year(client: Client) -> None:
        end_ns = await client.get_server_time() // HOUR_NS * HOUR_NS - 24 * HOUR_NS
        start_ns = end_ns - YEAR_NS
        ask = partial(client.get_candles, "BTC/USDT", "1h", start=start_ns)
        hours = [candle.open_time_ns for candle in await ask(end=end_ns)]
        assert hours == list(range(start_ns, end_ns, HOUR_NS))
        first = await ask(end=end_ns, limit=7)
        assert [candle.open_time_ns for candle in first] == hours[:7]
        assert len(await ask()) >= len(hours) + 24  # up to now
        last = await client.get_candles("BTC/USDT", "1h", end=end_ns)
        assert [candle.open_time_ns for candle in last] == hours[-200:]
        fundings = partial(client.get_funding_history, "BTC/USDT:USDT", end=end_ns)
        kept = plugin.endpoints[GetFundingHistory].retention
        since_ns = start_ns
        if kept is not None:
            with pytest.raises(Unsupported, match=r"is gone. Ask from 20.* on \(") as refused:
                await fundings(start=start_ns)
            since_ns = int(re.search(r"\((\d+) ns\)$", str(refused.value))[1])  # type: ignore[index]
        paid = await fundings(start=since_ns)
        assert len(paid) >= (end_ns - since_ns) // (8 * HOUR_NS)  # every eight hours at least
        assert since_ns <= paid[0].funding_time_ns <= since_ns + 8 * HOUR_NS
        assert await ask(end=start_ns) == []

    run(main())


# --- what is refused before anything is sent ---


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"start": datetime(2026, 1, 1)}, "datetime without a time zone.* tzinfo=UTC"),  # noqa: DTZ001
        ({"end": "2026-01-01"}, "end must be a datetime.*fromisoformat"),
        ({"start": 1.76e18}, "start must be a datetime"),
        ({"start": 1_760_000_000.5}, r"looks like seconds: int\(1760000000.5 \* 1000000000\)"),
        ({"start": True}, "start must be a datetime"),
        (
            {"start": 1_760_000_000},
            r"1760000000 looks like seconds; .* 1760000000 \* 1_000_000_000",
        ),
        ({"end": 1_767_225_600_000}, "1767225600000 looks like milliseconds"),
        ({"end": 1_767_225_600_000_000}, "looks like microseconds"),
        ({"start": -1}, "start must be nanoseconds UTC"),
        ({"start": 2**63}, "start must be nanoseconds UTC"),
        ({"start": 2 * 10**18, "end": 10**18}, "start 2033-05-18 .* is later than end 2001"),
        ({"limit": 0}, "limit must be a whole number of at least 1, not 0"),
        ({"limit": -5}, "limit must be"),
        ({"limit": 2.0}, "limit must be"),
        ({"limit": True}, "limit must be"),
    ],
)
def test_times_and_numbers_that_make_no_sense_are_refused_without_io(
    asked: dict[str, Any], complaint: str
) -> None:
    rest = Rest(TIME)

    async def use(client: Client) -> None:
        with pytest.raises(UsageError, match=complaint):
            await client.get_funding_history("BTC/USD", **asked)
        with pytest.raises(UsageError, match=complaint):
            await client.get_open_interest_history("BTC/USD", "1h", **asked)
        if "limit" in asked:
            with pytest.raises(UsageError, match=complaint):
                await client.get_trades("BTC/USD", asked["limit"])
            with pytest.raises(UsageError, match="depth must be a whole number"):
                await client.get_book("BTC/USD", asked["limit"])

    rest.play(use)
    assert not rest.asked


def test_what_the_exchange_does_not_offer_is_refused_without_io() -> None:
    rest = Rest(TIME)
    linear = attrs.evolve(BTC, market=Market.LINEAR)

    async def use(client: Client) -> None:
        with pytest.raises(Unsupported, match="GetTopOfBook"):
            await client.get_top_of_book("BTC/USD")
        with pytest.raises(Unsupported, match="not for linear"):
            await client.request(GetTrades(linear, 1))
        with pytest.raises(Unsupported, match="candles"):
            await client.get_candles("BTC/USD", "1m")
        with pytest.raises(Unsupported):
            await client.get_instruments("option")
        with pytest.raises(UnknownInstrument):  # has no such market, so it has no such symbol
            await client.instrument("BTC/USDT:USDT")

    rest.play(use)
    assert not rest.asked


def test_a_signed_request_needs_credentials_and_is_signed_once_per_attempt() -> None:
    asked = GetFundingHistory(BTC, None, None, 1)
    rest = Rest(status(503), page([]))

    async def without(client: Client) -> None:
        with pytest.raises(UsageError, match="credentials"):
            await client.request(asked)

    rest.play(without)
    assert not rest.asked

    async def with_them(client: Client) -> None:
        await client.request(asked)
        await client.request(GetTrades(BTC, 1))

    rest.play(with_them, credentials=Credentials("key", "secret"))
    keys, stamps = zip(*rest.exchange.signed, strict=True)
    assert keys == ("key", "key")
    assert stamps[1] >= stamps[0]
    assert [r.headers for _, r in rest.asked] == [{"X-SIGN": "mac"}, {"X-SIGN": "mac"}, {}]


def test_a_client_that_is_not_open_asks_nothing() -> None:
    rest = Rest(TIME)

    async def main() -> None:
        with pytest.raises(UsageError, match="open the client"):
            await rest.client().get_server_time()

    run(main())


# --- listeners ---


def test_listeners_are_told_how_each_request_ended() -> None:
    rest = Rest(status(503), b"no number", TIME)
    told: list[tuple[str, str | None]] = []

    async def use(client: Client) -> None:
        requester: Any = client._requester
        requester._context = attrs.evolve(
            requester._context,
            hook=lambda name, **said: told.append((said["request"], said["error"])),
        )
        with pytest.raises(ValueError, match="invalid literal"):
            await client.get_server_time()
        await client.get_server_time()

    rest.play(use)
    assert [request for request, _ in told] == [GetServerTime.__name__] * 3
    assert [error is None for _, error in told] == [False, False, True]
