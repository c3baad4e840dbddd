"""What places or amends leaves once at most, and its caller knows what is known of it."""

from __future__ import annotations

import asyncio
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
    CcrsError,
    Client,
    ConnectFailed,
    ConnectionLost,
    DecodeError,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    GarbledAnswer,
    HttpRequest,
    HttpResponse,
    Instrument,
    InsufficientBalance,
    Limits,
    Market,
    Options,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    Request,
    TimedOut,
    TransportError,
    TransportOptions,
    UsageError,
)
from tests.scripted import BTC, Paged, Rest
from tests.transport.servers import Peer, answer, run, serve

SLOW = {"retry-after": "2"}
QUICK = Options(request_attempts=5, backoff_initial=0.1, backoff_max=0.2, request_patience=10.0)


@attrs.frozen
class Place(Request[str]):
    """Places an order; answered with its id. It doesn't say that it may be sent again."""

    instrument: Instrument

    @property
    def market(self) -> Market:
        return self.instrument.market


@attrs.frozen
class Look(Request[str]):
    """Looks at an order."""

    idempotent: ClassVar[bool] = True


def _id(_: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Answer[str]:
    try:
        return Answer(orjson.loads(response.body)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError(str(error), response.body) from error


class Orders(Paged):
    """An exchange that takes orders, ten a second."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        Place: Endpoint(
            encode=lambda request, cursor: HttpRequest("POST", "/order", body=b'{"buy":1}'),
            decode=_id,
            markets=frozenset({Market.SPOT}),
        ),
        Look: Endpoint(
            encode=lambda request, cursor: HttpRequest("POST", "/look"),
            decode=_id,
            markets=frozenset(Market),
        ),
    }
    limits = Limits(requests=Budget(amount=10, seconds=60.0))

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        status, body = response.status, response.body
        if status == 429:
            return RateLimited("429", "slow down", float(response.headers["retry-after"]))
        if status in (502, 503):
            return ExchangeUnavailable(str(status), "busy")
        if status == 401:
            return AuthError("401", "bad key")
        if b"poor" in body:
            return InsufficientBalance("7", "not enough")
        if b"price" in body:
            return OrderRejected("8", "price off")
        return None if status == 200 else ExchangeError(str(status), "failed")


def orders(*answers: HttpResponse | Exception | bytes) -> Rest:
    rest = Rest(*answers)
    rest.exchange = Orders()
    return rest


def told(rest: Rest, request: Request[Any] = Place(BTC), **how: Any) -> Exception | str:
    """What becomes of a request."""
    found: list[Exception | str] = []

    async def use(client: Client) -> None:
        try:
            found.append(await client._ready().once(request, **how))
        except Exception as error:
            found.append(error)

    rest.play(use, options=QUICK)
    return found[0]


def response(status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Any:
    return HttpResponse(status, headers or {}, body)


LOST: list[Any] = [
    TimedOut("no answer"),
    ConnectionLost("reset"),
    TransportError("broken"),
    GarbledAnswer("cut short", 200),
    response(500),
    response(502),
    response(503),
    response(504, b"<html>gateway</html>"),
    response(408),
    response(400),  # an answer of the exchange whose code nobody knows
    response(200, b""),
    response(200, b"<html>busy</html>"),
    response(200, b'{"id":"1'),
    response(200, b"{}"),
    response(200, b"[]"),
    response(302, b"", {"location": "https://elsewhere/order"}),
    response(307, b'{"id":"1"}'),
]
REFUSED: list[tuple[Any, type[CcrsError]]] = [
    (response(429, b"{}", SLOW), RateLimited),
    (response(401), AuthError),
    (response(200, b'"poor"'), InsufficientBalance),
    (response(500, b'"poor"'), InsufficientBalance),
    (response(200, b'"price"'), OrderRejected),
    (ConnectFailed("refused"), ConnectFailed),
]
TAKEN = response(200, b'{"id":"17"}')


@pytest.mark.parametrize("asked", [False, True], ids=["once", "ask"])
@pytest.mark.parametrize("lost", LOST, ids=str)
def test_an_order_whose_answer_is_lost_is_sent_once_and_its_outcome_is_unknown(
    lost: Any, asked: bool
) -> None:
    rest = orders(lost, TAKEN)
    errors: list[OutcomeUnknown] = []

    async def use(client: Client) -> None:
        with pytest.raises(OutcomeUnknown) as unknown:
            await (client.request(Place(BTC)) if asked else client._ready().once(Place(BTC)))
        errors.append(unknown.value)
        await asyncio.sleep(3600.0)  # nor is it sent later

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 1
    assert isinstance(errors[0].__cause__, CcrsError)
    assert not errors[0].retryable


@pytest.mark.parametrize("asked", [False, True], ids=["once", "ask"])
@pytest.mark.parametrize(("refusal", "kind"), REFUSED, ids=str)
def test_an_order_that_is_refused_is_sent_once_and_told_as_what_it_is(
    refusal: Any, kind: type[CcrsError], asked: bool
) -> None:
    rest = orders(refusal, TAKEN)

    async def use(client: Client) -> None:
        with pytest.raises(kind) as refused:
            await (client.request(Place(BTC)) if asked else client._ready().once(Place(BTC)))
        assert type(refused.value) is kind

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 1


@given(st.lists(st.sampled_from([*LOST, *(answer for answer, _ in REFUSED), TAKEN]), min_size=1))
def test_whatever_comes_an_order_leaves_once_and_a_look_at_it_as_often_as_allowed(
    answers: list[Any],
) -> None:
    rest = orders(*answers, TAKEN)
    outcome = told(rest)
    assert len(rest.asked) == 1
    refusals = {id(answer): kind for answer, kind in REFUSED}
    if answers[0] is TAKEN:
        assert outcome == "17"
    elif id(answers[0]) in refusals:
        assert type(outcome) is refusals[id(answers[0])]
    else:
        assert type(outcome) is OutcomeUnknown

    rest = orders(*answers, TAKEN)
    outcome = told(rest, Look())
    assert len(rest.asked) == 1
    assert not isinstance(outcome, OutcomeUnknown)


def test_a_read_is_asked_again_where_an_order_isnt() -> None:
    rest = orders(*LOST[:4], TAKEN)

    async def use(client: Client) -> None:
        assert await client.request(Look()) == "17"

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 5


def test_an_order_whose_plugin_breaks_over_the_answer_is_of_unknown_outcome() -> None:
    def breaks(*_: Any) -> Answer[str]:
        raise ZeroDivisionError("a plugin's mistake")

    class Broken(Orders):
        endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
            Place: attrs.evolve(Orders.endpoints[Place], decode=breaks)
        }

    rest = orders(TAKEN)
    rest.exchange = Broken()
    assert type(told(rest)) is OutcomeUnknown
    assert len(rest.asked) == 1


@pytest.mark.parametrize("cursor", ["2", ""])
def test_an_order_whose_answer_has_a_further_page_leaves_once_all_the_same(cursor: str) -> None:
    class InPages(Orders):
        endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
            Place: attrs.evolve(Orders.endpoints[Place], decode=lambda *_: Answer(["17"], cursor))
        }

    rest = orders(TAKEN, ConnectFailed("refused"), TAKEN)
    rest.exchange = InPages()
    assert type(told(rest)) is OutcomeUnknown
    assert len(rest.asked) == 1


def test_the_answer_to_an_order_is_handed_on_whole() -> None:
    @attrs.frozen
    class PlaceAll(Request[list[str]]):
        limit: int | None = 1

    class InOne(Orders):
        endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
            PlaceAll: attrs.evolve(
                Orders.endpoints[Place], decode=lambda *_: Answer(["17", "18"]), newest_first=True
            )
        }

    rest = orders(TAKEN)
    rest.exchange = InOne()
    found: Any = told(rest, PlaceAll())
    assert found == ["17", "18"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyError("id"), OSError(5, "disk")])
def test_an_order_over_which_a_transport_breaks_is_of_unknown_outcome(error: Exception) -> None:
    rest = orders(error, TAKEN)
    assert type(told(rest)) is OutcomeUnknown
    assert len(rest.asked) == 1


def test_an_order_that_a_transport_can_not_write_was_not_taken() -> None:
    rest = orders(UsageError("not encodable"), TAKEN)
    assert type(told(rest)) is UsageError


def test_what_the_plugin_says_of_the_outcome_stands() -> None:
    class Candid(Orders):
        def error_of(self, response: HttpResponse) -> ExchangeError | None:
            return OutcomeUnknown("-1007", "timeout; execution status unknown")

    rest = orders(response(400))
    rest.exchange = Candid()
    found = told(rest)
    assert isinstance(found, OutcomeUnknown)
    assert found.code == "-1007"


@pytest.mark.parametrize("patience", [0.0, 1.0, 30.0])
def test_a_budget_without_room_refuses_an_order_in_time_and_nothing_is_sent(
    patience: float,
) -> None:
    rest = orders(TAKEN)

    async def use(client: Client) -> None:
        requester, began = client._ready(), rest.clock.monotonic()
        for _ in range(10):
            await requester.once(Place(BTC))
        spent = rest.clock.monotonic() - began
        with pytest.raises(RateLimited):
            await requester.once(Place(BTC), patience=patience)
        assert rest.clock.monotonic() - began == pytest.approx(spent + patience, abs=0.01)
        assert len(rest.asked) == 10
        # Those who wait longer get their turn, and nobody's place was lost.
        assert await requester.once(Place(BTC), patience=60.0) == "17"
        assert len(rest.asked) == 11

    rest.play(use, options=QUICK)


def test_a_host_that_asked_for_a_pause_gets_no_order() -> None:
    rest = orders(response(429, b"{}", {"retry-after": "600"}), TAKEN)

    async def use(client: Client) -> None:
        for _ in range(3):
            with pytest.raises(RateLimited):
                await client._ready().once(Place(BTC))

    rest.play(use, options=QUICK)
    assert len(rest.asked) == 1


def test_an_order_is_signed_when_it_leaves_not_when_it_begins_to_wait() -> None:
    class Signed(Orders):
        endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
            Place: attrs.evolve(Orders.endpoints[Place], signed=True)
        }

    rest = orders(TAKEN)
    rest.exchange = exchange = Signed()

    async def use(client: Client) -> None:
        for _ in range(11):
            await client._ready().once(Place(BTC), patience=100.0)

    rest.play(use, options=QUICK, credentials=ccrs_core.Credentials("key", "secret"))
    first, *_, last = [now_ms for _, now_ms in exchange.signed]
    assert last - first >= 60_000


# --- on real sockets ------------------------------------------------------------------------


async def _whole(peer: Peer) -> bytes:
    head = await peer.reader.readuntil(b"\r\n\r\n")
    return head + await peer.reader.readexactly(len(b'{"buy":1}'))


async def _reset(peer: Peer) -> None:
    peer.reset()


async def _nothing(peer: Peer) -> None:
    """Hangs up."""


async def _too_late(peer: Peer) -> None:
    await asyncio.sleep(0.3)
    await answer(peer, body=b'{"id":"17"}')


async def _half(peer: Peer) -> None:
    await peer.send(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id":')


async def _gateway(peer: Peer) -> None:
    await answer(peer, "504 Gateway Timeout", body=b"<html>")


async def _elsewhere(peer: Peer) -> None:
    await answer(peer, "307 Temporary Redirect", "Location: /order\r\n")


@pytest.mark.sockets
@pytest.mark.parametrize("transport", ["aiohttp", "picows"])
@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize(
    "ends", [_reset, _nothing, _too_late, _half, _gateway, _elsewhere], ids=lambda f: f.__name__
)
def test_an_order_whose_answer_is_lost_arrives_once_on_real_sockets(
    ends: Callable[[Peer], Awaitable[None]], kept: bool, transport: str
) -> None:
    if transport == "picows":
        pytest.importorskip("ccrs_picows")

    async def main() -> None:
        arrived: list[bytes] = []

        async def handle(peer: Peer) -> None:
            if kept:
                await _whole(peer)
                await answer(peer, body=b'{"id":"16"}')
            while True:
                arrived.append(await _whole(peer))
                await ends(peer)
                if ends in (_reset, _nothing, _half):
                    return

        options = attrs.evolve(QUICK, transport=TransportOptions(request_timeout=0.2))
        async with (
            serve(handle) as address,
            ccrs_core.connect(
                Orders(),
                base_url=f"http://{address}",
                options=options,
                transport=transport,
                instruments=[BTC],
            ) as client,
        ):
            if kept:
                assert await client.request(Place(BTC)) == "16"
            with pytest.raises(OutcomeUnknown):
                await client.request(Place(BTC))
            await asyncio.sleep(0.1)  # several times what a retry would take
        assert len(arrived) == 1

    run(main)


def test_a_refusal_that_says_that_there_is_nothing_is_an_answer_where_it_is_declared() -> None:
    class Denying(Orders):
        endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
            **Orders.endpoints,
            Look: attrs.evolve(Orders.endpoints[Look], denied=frozenset({"404"})),
        }

    def asked(*answers: HttpResponse) -> Rest:
        rest = Rest(*answers)
        rest.exchange = Denying()
        return rest

    assert told(asked(response(404)), Look()) is None
    assert isinstance(told(asked(response(400)), Look()), ExchangeError)
    assert isinstance(told(asked(response(404))), OutcomeUnknown)
