"""REST through the client: retries, pauses, pages, instruments and addresses, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Answer,
    AuthError,
    Budget,
    Client,
    ConnectFailed,
    Credentials,
    DecodeError,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetServerTime,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Instrument,
    Limits,
    Market,
    Options,
    PluginBroken,
    RateLimited,
    Request,
    TimedOut,
    TransportError,
    UnknownInstrument,
    Unsupported,
    UsageError,
    top_of_book,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer, instrument

TIME = b"1700000000000000000"
BTC = instrument("BTC")


def _page(_: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Answer[Any]:
    page = orjson.loads(response.body)
    return Answer(page["items"], page["next"])


def _encode(path: str) -> Callable[[Any, str | None], HttpRequest]:
    def encode(_: Any, cursor: str | None) -> HttpRequest:
        return HttpRequest("GET", path, () if cursor is None else (("cursor", cursor),))

    return encode


def _error_of(response: HttpResponse) -> ExchangeError | None:
    match response.status:
        case 429 | 403:
            after = response.headers.get("retry-after")
            return RateLimited("429", "slow down", None if after is None else float(after))
        case 503:
            return ExchangeUnavailable("503", "maintenance")
        case 401:
            return AuthError("401", "bad key")
        case 200:
            return None
        case other:
            return ExchangeError(str(other), "failed")


class Paged(Toy):
    """The toy exchange with pages of trades (newest first) and candles, and a signed endpoint."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Toy.endpoints,
        GetInstruments: attrs.evolve(
            Toy.endpoints[GetInstruments], encode=_encode("/instruments"), decode=_page
        ),
        GetTrades: Endpoint(
            encode=_encode("/trades"),
            decode=_page,
            markets=frozenset({Market.SPOT}),
            newest_first=True,
        ),
        GetCandles: Endpoint(
            encode=_encode("/candles"), decode=_page, markets=frozenset({Market.SPOT})
        ),
        GetFundingHistory: Endpoint(
            encode=_encode("/private"), decode=_page, markets=frozenset(Market), signed=True
        ),
    }
    limits = Limits(requests=Budget(amount=10, seconds=1.0))

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[tuple[str, int]] = []

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        return _error_of(response)

    def sign(self, request: HttpRequest, credentials: Credentials, now_ms: int) -> HttpRequest:
        self.signed.append((credentials.key, now_ms))
        return attrs.evolve(request, headers={"X-SIGN": "mac"})


class Rest:
    """A scripted exchange: what it answers in turn, and when it was asked what."""

    def __init__(self, *answers: HttpResponse | Exception | bytes) -> None:
        self.server = ToyServer()
        self.server.respond = self.respond
        self.answers = list(answers)
        self.asked: list[tuple[float, HttpRequest]] = []
        self.clock = VirtualClock()
        self.exchange = Paged()
        self.transport = MemoryTransport(self.server, latency=0.01)

    def respond(self, request: HttpRequest) -> HttpResponse:
        self.asked.append((self.clock.monotonic(), request))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return HttpResponse(200, {}, answer) if isinstance(answer, bytes) else answer

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.asked]

    def client(self, **settings: Any) -> Client:
        given: dict[str, Any] = {"instruments": [BTC], "transport": self.transport}
        return ccrs_core.connect(self.exchange, clock=self.clock, **given | settings)

    def play(self, use: Callable[[Client], Awaitable[None]], **settings: Any) -> None:
        async def main() -> None:
            async with self.client(**settings) as client:
                await use(client)

        run(main())


def status(code: int, **headers: str) -> HttpResponse:
    return HttpResponse(code, {k.replace("_", "-"): v for k, v in headers.items()}, b"")


def page(items: list[Any], cursor: str | None = None) -> bytes:
    return orjson.dumps({"items": items, "next": cursor})


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


# --- what is refused before anything is sent ---


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


# --- instruments ---


class Listed(Paged):
    """Instruments come as [native, symbol] pairs."""

    @staticmethod
    def _instruments(
        _: Any, response: HttpResponse, now_ns: int, cursor: str | None
    ) -> Answer[list[Instrument]]:
        content = orjson.loads(response.body)
        found = [attrs.evolve(BTC, native=n, symbol=s, base=s) for n, s in content["items"]]
        return Answer(found, content["next"])

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Paged.endpoints,
        GetInstruments: attrs.evolve(Paged.endpoints[GetInstruments], decode=_instruments),
    }


def listing(*answers: HttpResponse | Exception | bytes) -> Rest:
    rest = Rest(*answers)
    rest.exchange = Listed()
    return rest


PAIRS = [["BTCUSDT", "BTC/USDT"], ["ETHUSDT", "ETH/USDT"], ["ETHUSDC", "ETH/USDC"]]


def test_an_unknown_symbol_names_its_near_misses() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        for wrong, near in (
            ("BTC/USDTT", "BTC/USDT"),
            ("btc/usdt", "BTC/USDT"),
            ("ETH/", None),
            ("ETH/USD", "ETH/USDT"),
        ):
            with pytest.raises((UnknownInstrument, UsageError)) as unknown:
                await client.instrument(wrong)
            if near is not None:
                assert isinstance(unknown.value, UnknownInstrument)
                assert near in unknown.value.near
                assert f"did you mean {unknown.value.near[0]}" in str(unknown.value)
        with pytest.raises(UnknownInstrument) as own:
            await client.instrument("BTCUSDT")  # the exchange's own name
        assert own.value.near[0] == "BTC/USDT"
        with pytest.raises(UnknownInstrument) as far:
            await client.instrument("DOGE/EUR")
        assert far.value.near == ()
        assert "did you mean" not in str(far.value)

    rest.play(use, instruments=())


@pytest.mark.parametrize(
    "pairs",
    [
        [["BTCUSDT", "BTC/USDT"], ["XBTUSDT", "BTC/USDT"]],
        [["BTCUSDT", "BTC/USDT"], ["BTCUSDT", "XBT/USDT"]],
    ],
)
def test_instruments_whose_names_are_not_one_to_one_are_refused_and_the_others_kept(
    pairs: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    rest = listing(page([*pairs, ["ETHUSDT", "ETH/USDT"]]))

    async def use(client: Client) -> None:
        for _, symbol in pairs:
            with pytest.raises(PluginBroken, match="ambiguous"):
                await client.instrument(symbol)
        assert (await client.instrument("ETH/USDT")).native == "ETHUSDT"
        found = await client.get_instruments("spot")
        assert [i.symbol for i in found] == ["ETH/USDT"]

    with caplog.at_level(logging.WARNING, "ccrs"):
        rest.play(use, instruments=())
    assert "ambiguous" in caplog.text


def test_the_same_instrument_on_two_pages_is_no_conflict() -> None:
    rest = listing(page(PAIRS, "more"), page(PAIRS))

    async def use(client: Client) -> None:
        assert len(await client.get_instruments()) == 3

    rest.play(use, instruments=())


def test_concurrent_callers_share_one_fetch_and_its_failure() -> None:
    rest = listing(status(400), page(PAIRS))

    async def use(client: Client) -> None:
        outcomes = await asyncio.gather(
            *(client.instrument("BTC/USDT") for _ in range(20)), return_exceptions=True
        )
        assert all(isinstance(outcome, ExchangeError) for outcome in outcomes)
        assert len(rest.asked) == 1
        found = await asyncio.gather(
            *(client.instrument("BTC/USDT") for _ in range(20)),
            *(client.get_instruments("spot") for _ in range(5)),
        )
        assert len(rest.asked) == 2
        assert found[0] == found[19]

    rest.play(use, instruments=())


def test_where_the_caller_who_fetches_is_cancelled_another_takes_over() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        callers = [asyncio.ensure_future(client.instrument("BTC/USDT")) for _ in range(4)]
        await asyncio.sleep(0.005)
        callers[0].cancel()
        callers[2].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
        assert cancelled == [True, False, True, False]
        assert isinstance(outcomes[1], Instrument)

    rest.play(use, instruments=())


def test_instruments_are_fetched_when_needed_and_again_when_they_are_old() -> None:
    rest = listing(page(PAIRS[:1]), page(PAIRS))

    async def use(client: Client) -> None:
        assert not rest.asked
        await client.instrument("BTC/USDT")
        await client.instrument("BTC/USDT")
        assert len(rest.asked) == 1
        await asyncio.sleep(101.0)
        await client.instrument("ETH/USDT")
        assert len(rest.asked) == 2
        await client.get_instruments()  # always anew
        assert len(rest.asked) == 3

    rest.play(use, instruments=(), options=Options(instruments_max_age=100.0))


def test_instruments_that_the_user_hands_in_are_not_fetched() -> None:
    rest = listing(page(PAIRS))

    async def use(client: Client) -> None:
        await asyncio.sleep(10_000.0)
        assert await client.instrument("BTC/USD") == BTC
        assert not rest.asked

    rest.play(use)


# --- addresses ---


def dialled_by(**settings: Any) -> set[str]:
    """All addresses that a request and a stream with these settings dial."""
    rest = Rest(TIME)
    urls: set[str] = set()

    def reachable(url: str) -> bool:
        urls.add(url)
        return True

    rest.transport = MemoryTransport(rest.server, reachable=reachable)

    async def use(client: Client) -> None:
        await client.get_server_time()
        async with client.subscribe(top_of_book("BTC/USD")) as feed:
            await feed.ready()

    rest.play(use, **settings)
    return urls


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://127.0.0.1:8080", {"http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1"}),
        ("ws://127.0.0.1:8080/", {"http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1"}),
        ("https://box.test/api", {"https://box.test/api", "wss://box.test/api/v1"}),
    ],
)
def test_with_a_base_url_no_other_address_is_dialled(base_url: str, expected: set[str]) -> None:
    assert dialled_by(base_url=base_url) == expected


def test_a_base_url_tells_hosts_with_the_same_paths_apart() -> None:
    exchange = Toy()
    exchange.base_url_paths = {"rest": "/other"}  # type: ignore[misc]
    client = ccrs_core.connect(exchange, base_url="http://box.test/api/")
    assert client.addresses == {
        "rest": "http://box.test/api/other",
        "stream": "ws://box.test/api",
    }


def test_with_addresses_no_other_one_is_dialled() -> None:
    addresses = {"rest": "http://a.test/", "stream": "ws://b.test"}
    assert dialled_by(addresses=addresses) == {"http://a.test", "ws://b.test/v1"}
    assert dialled_by() == {"https://rest.toy", "wss://ws.toy/v1"}


@pytest.mark.parametrize(
    "settings",
    [
        {"addresses": {"rest": "http://a.test"}},
        {"addresses": {}},
        {"addresses": {"rest": "http://a", "stream": "ws://a", "more": "ws://a"}},
        {"addresses": {"rest": "http://a", "stream": "ws://a"}, "base_url": "http://a"},
        {"base_url": "127.0.0.1:8080"},
        {"base_url": "ftp://a.test"},
        {"base_url": "http://"},
        {"environment": "moon"},
        {"environment": "emulator"},
    ],
)
def test_incomplete_or_contradictory_addresses_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ccrs_core.connect(Toy(), **settings)


# --- listeners ---


def test_listeners_are_told_how_each_request_ended() -> None:
    rest = Rest(status(503), b"no number", TIME)
    told: list[tuple[str, str | None]] = []

    async def use(client: Client) -> None:
        context: Any = client._context
        client._requester._context = attrs.evolve(  # type: ignore[union-attr]
            context,
            hook=lambda name, **said: told.append((said["request"], said["error"])),
        )
        with pytest.raises(ValueError, match="invalid literal"):
            await client.get_server_time()
        await client.get_server_time()

    rest.play(use)
    assert [request for request, _ in told] == [GetServerTime.__name__] * 3
    assert [error is None for _, error in told] == [False, False, True]
