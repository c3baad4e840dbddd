"""What leaves the host after each kind of failure, and when: counted, in virtual time.

Every class of error, with a waiting time that is stated, unstated, a date or absurd, at every
status that it may come with. Too few requests are an answer missed, too many are a ban.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import (
    Answer,
    AuthError,
    Budget,
    Client,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    GarbledAnswer,
    GetServerTime,
    GetTrades,
    HttpResponse,
    Limits,
    Options,
    RateLimited,
    Request,
    TimedOut,
    TransportError,
    trades,
)
from ccrs_core.wire import retry_after
from tests.scripted import BTC, TIME, Paged, Rest, page

WEIGHT, ATTEMPTS, PATIENCE = 3, 3, 10.0
UNSTATED = 60.0
"""How long a host is left alone that bars without saying for how long."""


def _time(_: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Answer[int]:
    try:
        return Answer(int(response.body))
    except ValueError as error:
        raise DecodeError(str(error), response.body) from error


class Strict(Paged):
    """Answers as exchanges do: a status of its own for each class, and limits told by a code, too.
    Each request costs a third of a budget that does for three of them."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Paged.endpoints,
        GetServerTime: attrs.evolve(Paged.endpoints[GetServerTime], weight=WEIGHT, decode=_time),
        GetTrades: attrs.evolve(Paged.endpoints[GetTrades], weight=lambda request: WEIGHT),
    }
    limits = Limits(requests=Budget(amount=WEIGHT * ATTEMPTS, seconds=1e9))

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        if response.status in (403, 418, 429) or b"too many" in response.body:
            return RateLimited(str(response.status), "slow down", retry_after(response))
        if response.status == 401:
            return AuthError("401", "bad key")
        if response.status >= 500:
            return ExchangeUnavailable(str(response.status), "overloaded")
        return None if response.status < 400 else ExchangeError(str(response.status), "no")


def answer(code: int, wait: str | None = None, body: bytes = b"{}") -> HttpResponse:
    return HttpResponse(code, {} if wait is None else {"retry-after": wait}, body)


@attrs.frozen
class Row:
    """A failure that stays: how often the request leaves, and for how long nobody's may."""

    failure: HttpResponse | Exception
    sent: int
    paused: float
    kind: type[Exception]


UNKNOWN = (None, "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-5", "nan", "inf", "")
BARS, FAILS = (403, 418, 429), (500, 502, 503, 504)
TOO_MANY = b'{"code":"too many"}'
HTML = b"<html><body>blocked</body></html>"

ROWS: list[Row] = [
    # Who bars the host and doesn't say for how long is left alone for long.
    *(Row(answer(code, wait), 1, UNSTATED, RateLimited) for code in BARS for wait in UNKNOWN),
    # Who says so is asked again just after that, while the caller has the patience.
    *(Row(answer(code, "0"), 3, 0.0, RateLimited) for code in BARS),
    *(Row(answer(code, "2"), 3, 2.0, RateLimited) for code in BARS),
    *(Row(answer(code, "2.5"), 3, 2.5, RateLimited) for code in BARS),
    *(Row(answer(code, "10"), 3, 10.0, RateLimited) for code in BARS),
    *(Row(answer(code, "11"), 1, 11.0, RateLimited) for code in BARS),
    *(Row(answer(code, "259200"), 1, 259_200.0, RateLimited) for code in BARS),
    # A limit of one kind of request, told by a code, concerns nobody else.
    *(Row(answer(code, None, TOO_MANY), 1, 0.0, RateLimited) for code in (200, 400, 503)),
    *(Row(answer(code, "2", TOO_MANY), 3, 2.0, RateLimited) for code in (200, 400, 503)),
    # What is for good is asked once, whatever it says of waiting.
    *(Row(answer(code), 1, 0.0, ExchangeError) for code in (400, 404, 451)),
    *(Row(answer(code, "2"), 1, 0.0, ExchangeError) for code in (400, 404, 451)),
    *(Row(answer(401, wait), 1, 0.0, AuthError) for wait in (None, "2")),
    # What may pass is tried again by our own measure.
    *(Row(answer(code), 3, 0.0, ExchangeUnavailable) for code in FAILS),
    *(Row(answer(code, "2"), 3, 0.0, ExchangeUnavailable) for code in FAILS),
    *(Row(answer(code, "900"), 3, 0.0, ExchangeUnavailable) for code in FAILS),
    *(Row(answer(code, None, HTML), 3, 0.0, ExchangeUnavailable) for code in FAILS),
    Row(answer(200, None, HTML), 3, 0.0, GarbledAnswer),
    Row(answer(200, "900", b""), 3, 0.0, GarbledAnswer),
    Row(answer(302, "900", HTML), 3, 0.0, GarbledAnswer),
    Row(TimedOut("no answer"), 3, 0.0, TimedOut),
    Row(ConnectionLost("reset"), 3, 0.0, ConnectionLost),
    Row(ConnectFailed("refused"), 3, 0.0, ConnectFailed),
    Row(TransportError("broken"), 3, 0.0, TransportError),
]


def _name(row: Row) -> str:
    failure = row.failure
    if isinstance(failure, Exception):
        return type(failure).__name__
    wait = failure.headers.get("retry-after", "unstated")
    return f"{failure.status} {row.kind.__name__} {wait!r} {failure.body[:6]!r}"


def _rest(*answers: HttpResponse | Exception | bytes) -> Rest:
    rest = Rest(*answers)
    rest.exchange = Strict()
    return rest


QUICK = Options(
    request_attempts=ATTEMPTS, request_patience=PATIENCE, backoff_initial=0.1, backoff_max=0.2
)


@pytest.mark.parametrize("row", ROWS, ids=map(_name, ROWS))
def test_a_failure_that_stays_is_sent_so_often_charged_each_time_and_pauses_its_host(
    row: Row,
) -> None:
    rest = _rest(row.failure)

    async def use(client: Client) -> None:
        with pytest.raises(row.kind) as raised:
            await client.get_server_time()
        assert type(raised.value) is row.kind
        assert len(rest.asked) == row.sent
        assert client.status().requests == client.status().request_errors == row.sent
        for sooner, later in zip(rest.times, rest.times[1:], strict=False):
            assert later - sooner >= row.paused
        # Tried again no later than it must be.
        assert rest.times[-1] <= 0.02 + (row.sent - 1) * (row.paused + 0.3)
        ended = rest.times[-1] + 0.01
        assert client.status().host_paused == pytest.approx(
            max(row.paused - (rest.clock.monotonic() - ended), 0.0), abs=0.05
        )
        # What others ask for leaves once the pause is over, as far as the budget goes.
        rest.answers[:] = [TIME]
        others = [asyncio.ensure_future(client.get_server_time()) for _ in range(ATTEMPTS + 2)]
        await asyncio.sleep(0.05)
        if row.paused > PATIENCE:
            refused = await asyncio.gather(*others, return_exceptions=True)
            assert {type(each) for each in refused} == {RateLimited}
            assert len(rest.asked) == row.sent
            await asyncio.sleep(row.paused)
            others = [asyncio.ensure_future(client.get_server_time()) for _ in range(ATTEMPTS + 2)]
        await asyncio.sleep(row.paused + 1.0)
        assert all(when >= ended + row.paused - 1e-6 for when in rest.times[row.sent :])
        assert len(rest.asked) == ATTEMPTS  # each that was sent before has cost a part
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    rest.play(use, options=QUICK)


@pytest.mark.parametrize("row", [r for r in ROWS if r.sent == 3], ids=_name)
def test_a_failure_that_passes_is_sent_once_more_and_no_oftener(row: Row) -> None:
    rest = _rest(row.failure, TIME)

    async def use(client: Client) -> None:
        assert await client.get_server_time() == int(TIME)
        await asyncio.sleep(100.0)
        assert len(rest.asked) == 2
        assert client.status().request_errors == 1

    rest.play(use, options=QUICK)


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_no_more_leaves_than_the_user_allows(tries: int) -> None:
    for failure in (answer(503), answer(429, "1"), TimedOut("no answer"), answer(200, None, HTML)):
        rest = _rest(failure)
        rest.exchange.limits = Limits(requests=Budget(amount=1000, seconds=10.0))  # type: ignore[misc]

        async def use(client: Client) -> None:
            with pytest.raises((ExchangeError, TransportError)):
                await client.get_server_time()

        rest.play(use, options=attrs.evolve(QUICK, request_attempts=tries))
        assert len(rest.asked) == tries


def test_a_short_pause_after_a_long_one_does_not_end_it_and_a_longer_one_goes_on() -> None:
    rest = _rest(answer(418, "100"), answer(429, "5"), TIME)
    rest.exchange.limits = Limits(requests=Budget(amount=1000, seconds=10.0))  # type: ignore[misc]
    rest.transport.latency = 1.0

    async def use(client: Client) -> None:
        # Both were under way when the first was answered.
        first = asyncio.ensure_future(client.get_server_time())
        await asyncio.sleep(0.5)
        second = asyncio.ensure_future(client.get_server_time())
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert {type(each) for each in outcomes} == {RateLimited}
        assert client.status().host_paused == pytest.approx(99.5, abs=0.6)
        await asyncio.sleep(60.0)
        with pytest.raises(RateLimited):
            await client.get_server_time()
        assert len(rest.asked) == 2

    rest.play(use, options=QUICK)


def test_of_many_that_meet_a_limit_at_once_none_leaves_during_the_pause() -> None:
    rest = _rest(*[answer(429, "4")] * 6, TIME)
    rest.exchange.limits = Limits(requests=Budget(amount=1000, seconds=10.0))  # type: ignore[misc]

    async def use(client: Client) -> None:
        asked = [asyncio.ensure_future(client.get_server_time()) for _ in range(6)]
        assert await asyncio.gather(*asked) == [int(TIME)] * 6

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 12
    assert all(when < 0.1 or when >= 4.0 for when in rest.times)


def test_what_fails_is_tried_again_by_its_own_count_while_others_succeed() -> None:
    rest = _rest()
    rest.exchange.limits = Limits(requests=Budget(amount=1000, seconds=10.0))  # type: ignore[misc]
    sent: dict[str, int] = {"/time": 0, "/trades": 0}

    def respond(request: Any) -> HttpResponse:
        sent[request.path] += 1
        if request.path == "/trades":
            raise TimedOut("no answer")
        return HttpResponse(200, {}, TIME)

    rest.server.respond = respond

    async def use(client: Client) -> None:
        failing = asyncio.ensure_future(client.request(GetTrades(BTC, 1)))
        for _ in range(20):
            await client.get_server_time()
            await asyncio.sleep(0.05)
        with pytest.raises(TimedOut):
            await failing
        assert client.status().request_errors == ATTEMPTS

    rest.play(use, options=QUICK)
    assert sent == {"/time": 20, "/trades": ATTEMPTS}


def test_each_page_has_its_tries_and_is_charged_again() -> None:
    busy = answer(503)
    rest = _rest(busy, busy, page([3], "a"), busy, busy, page([2], "b"), page([1]))
    rest.exchange.limits = Limits(requests=Budget(amount=5 * WEIGHT, seconds=100.0))  # type: ignore[misc]

    async def use(client: Client) -> None:
        answered: Any = await client.request(GetTrades(BTC, 100))
        assert answered == [1, 2, 3]

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 7
    # Five of that weight are within the budget, the others leave a window later.
    assert sum(when < 100.0 for when in rest.times) == 5


@pytest.mark.parametrize("wait", [None, "100"])
def test_a_feed_that_waits_for_its_instruments_leaves_a_host_alone_that_bars_it(
    wait: str | None,
) -> None:
    rest = _rest(answer(418, wait), page(["BTC"]))
    pause = UNSTATED if wait is None else float(wait)

    async def use(client: Client) -> None:
        entering = asyncio.ensure_future(client.subscribe(trades("BTC/USD")).__aenter__())
        await asyncio.sleep(pause - 1.0)
        assert len(rest.asked) == 1
        await asyncio.sleep(40.0)
        assert len(rest.asked) == 2
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)

    rest.play(use, instruments=[], options=attrs.evolve(QUICK, backoff_max=30.0))


def test_waiting_times_that_make_no_sense_are_none() -> None:
    for text in ("nan", "inf", "-1", "-inf", "", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert retry_after(answer(429, text)) is None
    assert retry_after(answer(429)) is None
    assert retry_after(answer(429, "0")) == 0.0
    assert math.isclose(retry_after(answer(429, "1.5")) or 0.0, 1.5)


class Counting(Strict):
    def weight_used(self, response: HttpResponse) -> int | None:
        told = response.headers.get("used")
        return None if told is None else int(told)


@pytest.mark.parametrize("code", [200, 429, 503])
def test_what_the_exchange_counts_as_used_is_noted_whatever_else_it_answers(code: int) -> None:
    told = HttpResponse(code, {"used": "9", "retry-after": "1"}, TIME)
    rest = _rest(told, TIME)
    rest.exchange = Counting()
    rest.exchange.limits = Limits(requests=Budget(amount=9, seconds=100.0))  # type: ignore[misc]

    async def use(client: Client) -> None:
        await client.get_server_time()
        if code == 200:
            await client.get_server_time()

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 2
    # Others of this address have spent it all: there is none left in this window.
    assert rest.times[1] >= 100.0


def test_what_the_exchange_counts_is_not_added_to_what_is_known_here() -> None:
    rest = _rest(HttpResponse(200, {"used": "3"}, TIME), HttpResponse(200, {"used": "6"}, TIME))
    rest.exchange = Counting()

    async def use(client: Client) -> None:
        for _ in range(3):
            await client.get_server_time()

    rest.play(use, options=QUICK)
    assert rest.times[-1] < 1.0
